"""Simulated D and conductivity beside measurements: section E of Huang et al. 2021."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dasksse.analyse.experiment import read_experiment_csv
from dasksse.report.data import Verdict
from dasksse.report.error_budget import Term
from dasksse.report.figures.study_comparison import study_comparison
from dasksse.report.formats import (
    UNKNOWN,
    format_interval,
    format_number,
    format_upper_bound,
    format_value_error,
)
from dasksse.study.diffusion import Diffusion
from dasksse.study.experiment_ratio import ratio_to_experiment
from dasksse.study.outcome import Outcome, Row, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from dasksse.analyse.experiment import ExperimentPoint
    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.report.data import Level
    from dasksse.study.bench import Bench
    from dasksse.study.case import Case
    from dasksse.study.experiment_ratio import ExperimentRatio

SUBJECT = "Experiment"
TELLING = 3.0
"""An interval that reaches further than this factor from the ratio tells little."""
FAR = 5.0
"""A ratio beyond this factor, error taken off, is more than laboratories differ by."""
LISTED = 3
"""Measured temperatures that a verdict lists one by one."""


class Comparison:
    """How far the simulation is from measurements."""

    name = "comparison"
    title = "Comparison with experiment"
    question = "Do simulated and measured diffusion agree within their errors?"
    source = "Huang et al. 2021, section E and Fig. 13, doi:10.1063/5.0041849"
    caption = (
        "Left: simulated D with its fits, measurements (open black) and, for the material of "
        "the papers, their values (hollow grey). Right: simulated over measured, 95 % "
        "intervals by all errors that are known. Conductivities of one material differ between "
        "laboratories by up to 4.5 mS/cm, 1 to 5e-12 m²/s in D (the paper's reference 72); the "
        "paper's own D is 5 to 15e-12 m²/s above its measurements."
    )

    def lacks(self, config: RunConfig) -> str:
        """Measurements."""
        if config.studies.comparison.experiment is None:
            return (
                "studies.comparison.experiment is not set: give a CSV of measurements with the "
                "columns T_K and D_m2_s or sigma_mS_cm"
            )
        return Diffusion().lacks(config)

    def cases(self, config: RunConfig) -> list[Case]:
        """Those of the study of D(T), which share their runs."""
        return Diffusion().cases(config)

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """Ratio at each measured temperature, of each crystal.

        Raises
        ------
        ConfigError
            When the measurements cannot be read, before anything is asked for.
        """
        read_measurements(bench.config, bench.base_dir)
        diffusion = Diffusion().conclude(bench)
        if diffusion is None:
            return None
        values = diffusion.values
        densities = [
            branch["squared_charge_density_A3"]
            for branch in values["branches"].values()
            if branch["squared_charge_density_A3"] is not None
        ]
        measured = read_measurements(
            bench.config,
            bench.base_dir,
            squared_charge_density_A3=densities[0] if densities else 1.0,
        )
        return _outcome(values, measured if densities else [], diffusion.notes)

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """D against temperature beside the ratios."""
        return study_comparison(values)


def read_measurements(
    config: RunConfig, base_dir: Path, *, squared_charge_density_A3: float = 1.0
) -> list[ExperimentPoint]:
    """Measurements that the configuration names, hottest last.

    Parameters
    ----------
    config
        The run's configuration.
    base_dir
        Folder that its paths are relative to.
    squared_charge_density_A3
        Turns conductivities into D; the default is enough to check a file.

    Raises
    ------
    ConfigError
        When the file cannot be read or is wrong: file, line, column.
    """
    path = base_dir / (config.studies.comparison.experiment or "")
    points = read_experiment_csv(path, squared_charge_density_A3=squared_charge_density_A3)
    return sorted(points, key=lambda point: (point.temperature_K, point.source))


def _outcome(
    diffusion: Mapping[str, Json], measured: Sequence[ExperimentPoint], notes: Sequence[str]
) -> Outcome:
    ratios = [
        ratio_to_experiment(
            point,
            [p for p in diffusion["points"] if p["branch"] == branch],
            branch=branch,
            squared_charge_density_A3=about["squared_charge_density_A3"],
            other_errors=_other_errors(diffusion["error_budget"], branch, point),
        )
        for branch, about in diffusion["branches"].items()
        for point in measured
    ]
    papers = _paper_ratios(diffusion["published"])
    tables = [Table("Simulated over measured", tuple(_ratio_row(one) for one in ratios))]
    if papers:
        tables.append(Table("The papers at 300 K", tuple(_paper_row(one) for one in papers)))
    return Outcome(
        verdict=_verdict(ratios, papers),
        tables=tuple(tables),
        values={
            **{key: diffusion[key] for key in ("mobile_species", "points", "branches")},
            "published": diffusion["published"],
            "ratios": [one.to_json() for one in ratios],
            "paper_ratios": papers,
        },
        notes=(*notes, *_notes(measured)),
    )


def _other_errors(
    budgets: Sequence[Mapping[str, Json]], branch: str, at: ExperimentPoint
) -> list[float]:
    """Errors from models and cell size that are values, neither limits nor unknown."""
    return [
        float(budget[key]["relative"])
        for budget in budgets
        if (budget["branch"], budget["temperature_K"]) == (branch, at.temperature_K)
        for key in ("models", "cell_size")
        if Term(**budget[key]).is_resolved
    ]


def _paper_ratios(published: Sequence[Mapping[str, Json]]) -> list[dict[str, Any]]:
    """Simulation over the experiment that each paper compares with."""
    found = []
    for one in published:
        for other in published:
            is_pair = (one["kind"], other["kind"]) == ("simulation", "experiment")
            is_same = one["label"] in other["label"]
            if is_pair and is_same and one["D_m2_s"] and other["D_m2_s"]:
                ratio = one["D_m2_s"] / other["D_m2_s"]
                parts = [(p["D_err_m2_s"], p["D_m2_s"]) for p in (one, other)]
                error = None
                if all(err is not None for err, _ in parts):
                    error = ratio * sum((err / D) ** 2 for err, D in parts) ** 0.5
                found.append(
                    {
                        "label": one["label"],
                        "formula": one["formula"],
                        "D_m2_s": one["D_m2_s"],
                        "D_err_m2_s": one["D_err_m2_s"],
                        "D_measured_m2_s": other["D_m2_s"],
                        "D_measured_err_m2_s": other["D_err_m2_s"],
                        "ratio": ratio,
                        "ratio_err": error,
                    }
                )
    return found


def _ratio_text(one: ExperimentRatio) -> str:
    if one.ratio is None:
        return format_upper_bound(one.ratio_high95)
    return format_interval(one.ratio, one.ratio_low95, one.ratio_high95)


def _ratio_row(one: ExperimentRatio) -> Row:
    return {
        "crystal": one.branch,
        "T [K]": f"{one.temperature_K:g}",
        "measured D [m²/s]": format_value_error(one.D_measured_m2_s, one.D_measured_err_m2_s)
        + (" (from σ)" if one.from_conductivity else ""),
        "source": one.source or UNKNOWN,
        "simulated D [m²/s]": UNKNOWN
        if one.D_m2_s is None
        else f"{format_number(one.D_m2_s, digits=2)} ({one.quantity}, {one.how})",
        "ratio, 95 %": _ratio_text(one),
        "measured σ [mS/cm]": format_number(one.sigma_measured_mS_cm)
        + ("" if one.from_conductivity else " (from D)"),
        "simulated σ, tracer [mS/cm]": format_number(one.sigma_tracer_mS_cm),
        "simulated σ, collective [mS/cm]": format_number(one.sigma_collective_mS_cm),
    }


def _paper_row(one: Mapping[str, Any]) -> Row:
    return {
        "paper": f"{one['label']} ({one['formula']})",
        "simulated D [m²/s]": format_value_error(one["D_m2_s"], one["D_err_m2_s"]),
        "measured D [m²/s]": format_value_error(
            one["D_measured_m2_s"], one["D_measured_err_m2_s"]
        ),
        "ratio": format_value_error(one["ratio"], one["ratio_err"]),
    }


def _notes(measured: Sequence[ExperimentPoint]) -> list[str]:
    notes = []
    bare = sorted({p.temperature_K for p in measured if p.D_err_m2_s is None})
    if bare:
        at = ", ".join(f"{t:g}" for t in bare)
        notes.append(
            f"The measurement at {at} K has no error; the interval is too narrow there."
        )
    if any(point.from_conductivity for point in measured):
        notes.append(
            "A measured conductivity is compared with the collective D where that was "
            "simulated, elsewhere with the tracer D as if ions moved independently."
        )
    return notes


def _verdict(ratios: Sequence[ExperimentRatio], papers: Sequence[Mapping[str, Any]]) -> Verdict:
    known = [one for one in ratios if one.state != "undecided"]
    if not known:
        text = "No measured temperature has a simulated D that could be compared."
        return Verdict("doubt", SUBJECT, text)
    branch = known[-1].branch  # the disordered crystal, where there is one, is the real one
    ours = [one for one in ratios if one.branch == branch]
    told = [one for one in ours if one.state != "undecided"]
    text = f"{branch.capitalize()} crystal: {_told_text(told)}."
    if len(told) < len(ours):
        text += f" {len(ours) - len(told)} of {len(ours)} measurements cannot be compared."
    if any(one.how == "extrapolated" for one in told):
        text += " Some of these D are extrapolated."
    for paper in papers:
        shown = format_value_error(paper["ratio"], paper["ratio_err"])
        text += f" {paper['label']} found {shown} times its measurement at 300 K."
    return Verdict(_level(ours), SUBJECT, text)


def _told_text(told: Sequence[ExperimentRatio]) -> str:
    words = {
        "agrees": "agrees within the errors",
        "faster": "faster beyond the errors",
        "slower": "slower beyond the errors",
    }
    if len(told) <= LISTED:
        return "; ".join(
            f"D at {one.temperature_K:g} K is {_ratio_text(one)} times the measured one, "
            f"{words[one.state]}"
            for one in told
        )
    counts = ", ".join(
        f"{word} at {n}"
        for state, word in words.items()
        if (n := sum(one.state == state for one in told))
    )
    edges = [one.ratio for one in told if one.ratio is not None]
    span = f" {min(edges):.2g} to {max(edges):.2g} times the measured one;" if edges else ""
    return f"D at {len(told)} measured temperatures is{span} {counts}"


def _level(ours: Sequence[ExperimentRatio]) -> Level:
    """Trust where all agree and tell something; doubt beyond what laboratories differ by."""
    if any(
        (one.ratio_low95 or 0.0) > FAR or (one.ratio_high95 or FAR) < 1.0 / FAR for one in ours
    ):
        return "doubt"
    is_telling = all(
        one.ratio is not None
        and one.ratio_high95 is not None
        and one.ratio_high95 / one.ratio <= TELLING
        and one.how != "extrapolated"
        for one in ours
    )
    return "trust" if is_telling and all(one.state == "agrees" for one in ours) else "care"
