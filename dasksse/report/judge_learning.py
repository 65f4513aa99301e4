"""Verdicts on labels, learning and the potential."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from dasksse.analyse.diffusion_points import BROKEN_LIMIT
from dasksse.report.data import Verdict
from dasksse.report.evidence import (
    EARNED_SHARE,
    MIN_CHECKS,
    force_errors,
    potential_doubts,
    probe_errors,
    trust_evidence,
)
from dasksse.report.formats import format_counts, format_share
from dasksse.units import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dasksse.report.data import GenerationRow, RunReport

MISSING_SHARE = 0.05
"""Share of frames without label from which the reader is told."""
CONVERGED_SHARE, USABLE_SHARE = 0.98, 0.9
"""Accurate shares; Huang et al. (doi:10.1063/5.0041849) moved on at 96-99.96 %."""
OVERFIT_RATIO = 1.5
"""Held-out over training force error from which the model knows its training set by heart."""
STEP_THAT_MATTERS = 0.03
"""Relative change of the probe error that counts as a change."""


def judge_status(report: RunReport) -> Iterator[Verdict]:
    """Say that a run has not ended, or ended early."""
    if report.status == "running":
        yield Verdict("care", "Unfinished", "The run is still going; every number may change.")
    elif report.status == "learned":
        yield Verdict("care", "Unfinished", "Learning is done; production was not asked for.")
    elif report.status != "finished":
        yield Verdict("care", "Unfinished", f"The run ended early: {report.status}.")


def judge_labels(report: RunReport) -> Iterator[Verdict]:
    """A surrogate label is not DFT, and no error of the model against it includes its own."""
    if not report.label_source:
        yield Verdict(
            "care",
            "Labels",
            "The run has no labels: its models were there before. What they were trained on, "
            "and how well, is not known here; `dasksse evaluate` tells their errors.",
        )
    elif report.is_surrogate:
        is_classical = report.functional.startswith("none")
        kind = (
            "a classical model" if is_classical else f"a model trained on {report.functional}"
        )
        yield Verdict(
            "care",
            "Labels",
            f"Energies and forces come from {report.label_source}, {kind}, not from DFT. "
            "Its own error against DFT comes on top of every error shown here.",
        )
    else:
        yield Verdict(
            "care",
            "Labels",
            f"Energies and forces were computed by {report.label_source}, functional "
            f"{report.functional}. Whether its cut-off and k-mesh are converged is not known "
            "here: `dasksse converge` tells.",
        )
    origins = [f"{row.source} ({row.functional}, {row.n_good})" for row in report.labels]
    if len(origins) > 1:
        yield Verdict(
            "care",
            "Labels",
            f"The run holds labels of {len(origins)} sources: {'; '.join(origins)}. Their "
            "energies differ by more than a constant.",
        )
    yield from _judge_missing_labels(report)


def _judge_missing_labels(report: RunReport) -> Iterator[Verdict]:
    """Frames that are missing are not missing at random: the odd ones fail."""
    n_asked = sum(row.n_asked for row in report.labels)
    n_missing = n_asked - sum(row.n_good for row in report.labels)
    if n_missing <= MISSING_SHARE * n_asked:
        return
    why: Counter[str] = Counter()
    for row in report.labels:
        why.update(row.why)
    yield Verdict(
        "care",
        "Labels",
        f"{n_missing} of {n_asked} frames that were to be labelled are not learned from: "
        f"{format_counts(dict(why.most_common()))}. What they would have taught is missing.",
    )


def judge_exploration(report: RunReport) -> Iterator[Verdict]:
    """How much of what the MD visits the ensemble knows."""
    if not report.explored:
        yield Verdict("care", "Learning", "No exploration has been judged yet.")
        return
    last = report.explored[-1]
    share = last.accurate or 0.0
    text = (
        f"In generation {last.generation} the models agree on {format_share(share)} of the "
        f"frames ({', '.join(last.systems)})"
    )
    if share >= CONVERGED_SHARE:
        yield Verdict("trust", "Learning", f"{text}: the space visited by the MD is known.")
    elif share >= USABLE_SHARE:
        yield Verdict("care", "Learning", f"{text}: nearly converged, more generations help.")
    else:
        yield Verdict("doubt", "Learning", f"{text}: learning has not converged.")
    if last.n_blown_up_runs:
        plural = "run" if last.n_blown_up_runs == 1 else "runs"
        yield Verdict(
            "care",
            "Stability",
            f"{last.n_blown_up_runs} {plural} of the last exploration blew up; the frames "
            "they did not write count as failed.",
        )
    if (last.framework_broken or 0.0) > BROKEN_LIMIT:
        yield Verdict(
            "care",
            "Framework",
            f"The framework is broken in {format_share(last.framework_broken)} of the frames "
            "of the last exploration: part of what was learned is not the crystal.",
        )


def _training_error(report: RunReport) -> tuple[GenerationRow, float] | None:
    """Latest generation whose training force error [meV/Å] is known, and the error."""
    for row in reversed(report.generations):
        error = row.error("train", "force_rmse_meV_A")
        if error is not None:
            return row, error[0]
    return None


def judge_noise(report: RunReport) -> Iterator[Verdict]:
    """A trust level below the training error parts noise from noise."""
    if (known := _training_error(report)) is None:
        return
    row, error = known
    if error > MEV_PER_EV * row.trust_low_eV_A:
        yield Verdict(
            "doubt",
            "Trust level",
            f"The lower trust level ({row.trust_low_eV_A:g} eV/Å) is below the training force "
            f"error ({error / MEV_PER_EV:.3f} eV/Å): it parts noise from noise. Raise "
            "select.trust or train longer.",
        )


def judge_accuracy(report: RunReport) -> Iterator[Verdict]:
    """Force error by itself, against the forces and against that on the training set."""
    errors = force_errors(report)
    if not errors:
        return
    text = f"Force error {', '.join(error.text for error in errors)}"
    rmse = {error.name: error.rmse_meV_A for error in errors}
    levels = {error.level for error in errors}
    if "doubt" in levels:
        yield Verdict(
            "doubt",
            "Accuracy",
            f"{text}: too large to use the potential. Train longer, with a larger net or on "
            "more labels.",
        )
    elif set(rmse) == {"train"}:
        yield Verdict("care", "Accuracy", f"{text}: nothing shows the error on other frames.")
    elif rmse.get("held_out", 0.0) > OVERFIT_RATIO * rmse.get("train", math.inf):
        yield Verdict("care", "Accuracy", f"{text}: the models are overfitted.")
    elif "care" in levels:
        yield Verdict("care", "Accuracy", f"{text}: a rough potential.")
    else:
        end = ": no overfitting" if {"held_out", "train"} <= set(rmse) else ""
        yield Verdict("trust", "Accuracy", f"{text}{end}.")


def judge_probe(report: RunReport) -> Iterator[Verdict]:
    """Whether the error on the fixed probe falls from generation to generation."""
    errors = probe_errors(report.generations)
    minimum_to_compare = 2
    if len(errors) < minimum_to_compare:
        return
    (first_generation, first), (_, previous), (last_generation, last) = (
        errors[0],
        errors[-2],
        errors[-1],
    )
    noise = math.hypot(previous[1], last[1])
    step = last[0] - previous[0]
    matters = abs(step) > max(noise, STEP_THAT_MATTERS * previous[0])
    text = (
        f"Force error on the probe: {first[0]:.0f} meV/Å in generation {first_generation}, "
        f"{last[0]:.0f} in generation {last_generation}"
    )
    if matters and step > 0:
        yield Verdict("doubt", "Progress", f"{text}; the last generation made it worse.")
    elif matters:
        yield Verdict("care", "Progress", f"{text}, still falling: another generation helps.")
    elif last[0] < first[0]:
        if potential_doubts(report):
            yield Verdict("care", "Progress", f"{text}; it has levelled off, but too high.")
        else:
            yield Verdict("trust", "Progress", f"{text}; it has levelled off.")
    else:
        yield Verdict("care", "Progress", f"{text}: learning has not improved it.")


def judge_trust_level(report: RunReport) -> Iterator[Verdict]:
    """Whether frames called accurate are accurate."""
    evidence = trust_evidence(report.generations)
    if not evidence.n_checked:
        return
    text = (
        f"{evidence.n_good} of {evidence.n_checked} frames that were called accurate and "
        "labelled all the same have a true error (worst atom) below the upper trust level"
    )
    if evidence.n_checked < MIN_CHECKS:
        yield Verdict("care", "Trust level", f"{text}; too few to judge the level.")
    elif evidence.share >= EARNED_SHARE:
        yield Verdict("trust", "Trust level", f"{text}: the trust level is earned.")
    else:
        yield Verdict(
            "doubt",
            "Trust level",
            f"{text}: agreement of the models does not mean accuracy here.",
        )


def judge_failures(report: RunReport) -> Iterator[Verdict]:
    """Units without result are left out of everything shown."""
    if report.failures:
        plural = "unit" if len(report.failures) == 1 else "units"
        yield Verdict(
            "care",
            "Failures",
            f"{len(report.failures)} {plural} gave no result and nothing here uses them; "
            "the report lists reasons and folders.",
        )
