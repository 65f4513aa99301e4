"""D against the length of a run: Fig. 7a of Huang et al. 2021, doi:10.1063/5.0041849."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.analyse.length_verdict import format_length, judge_length
from dasksse.errors import AnalysisError
from dasksse.report.converged_d import read_convergence
from dasksse.report.data import Level, Verdict
from dasksse.report.figures.convergence_in_time import convergence_in_time as draw_lengths
from dasksse.report.formats import UNKNOWN, format_value_error
from dasksse.study.case import Case, studied_system
from dasksse.study.failure import why_failed
from dasksse.study.material import is_material
from dasksse.study.outcome import Outcome, Row, Table
from dasksse.study.points import d_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.analyse.convergence import ConvergenceInTime
    from dasksse.config.schema import RunConfig
    from dasksse.loop.md_units import MdPlan
    from dasksse.records import Json, UnitContext
    from dasksse.study.bench import Bench

TOLERANCE = 0.1
"""Relative error of D that is asked for."""
PUBLISHED = ("Li10SiP2S12", "Li10GeP2S12")
"""Crystals that the statements of the paper, and of its first version, are about."""


class SimulationTime:
    """How long a run must be for D."""

    name = "simulation-time"
    title = "Simulation time"
    question = "From which length of the run on does D no longer change?"
    source = "Huang et al. 2021, Fig. 7a, doi:10.1063/5.0041849 (Li10SiP2S12)"
    caption = (
        "D of the first part of the run against its length, one standard error; dots: parts of "
        "that length side by side; band: 10 % about D of the whole; star or arrow: length that "
        "should do. The paper found D converged after 200 ps above 600 K, within 1 ns at 400 "
        "and 500 K, and to 1e-12 m²/s after 10 ns at 300 K."
    )

    def lacks(self, config: RunConfig) -> str:  # noqa: ARG002 - every configuration allows it
        """Never anything."""
        return ""

    def cases(self, config: RunConfig) -> list[Case]:
        """One case with all temperatures."""
        section = config.studies.simulation_time
        system = studied_system(config, section.system)
        return [
            Case(
                name=f"time-{system.name}",
                system=system,
                temperatures_K=section.temperatures_K,
                length_ps=section.length_ps,
                replicas=section.replicas,
            )
        ]

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """D by length at each temperature, and from which length on it is converged."""
        (case,) = self.cases(bench.config)
        section = bench.config.studies.simulation_time
        structure = bench.structure(case.system)
        plan = bench.runs(case)
        if structure is None or plan is None:
            return None
        lengths_ps = [length for length in section.lengths_ps if length <= section.length_ps]
        records = [
            _record(
                bench,
                {
                    **_at(bench.frames(plan), plan, temperature_K),
                    "temperature_K": temperature_K,
                    "mobile_species": bench.config.mobile_species,
                    "lengths_ps": lengths_ps,
                    "tolerance": TOLERANCE,
                },
            )
            for temperature_K in sorted(section.temperatures_K)
        ]
        found = [record for record in records if record is not None]
        if len(found) < len(records):
            return None
        is_published = any(is_material(structure["numbers"], name) for name in PUBLISHED)
        return _outcome(found, lengths_ps, is_published=is_published)

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """D against length, a panel for each temperature."""
        found = [
            (f"{row['temperature_K']:g} K", read_convergence(row["convergence"]))
            for row in values["temperatures"]
            if row["convergence"] is not None
        ]
        return draw_lengths(found=found)


# --- on a worker -----------------------------------------------------------------------------


def by_length(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """D of parts of the runs at one temperature, and a verdict on each length.

    Parameters
    ----------
    payload
        Frames of the runs, ``mobile_species``, ``temperature_K``, ``lengths_ps`` and
        ``tolerance``.
    context
        Of the unit.
    """
    from ase.data import chemical_symbols

    from dasksse.analyse.convergence import convergence_in_time
    from dasksse.loop.stages.diffusion import read_runs

    temperature_K = payload["temperature_K"]
    runs, notes = read_runs(payload, context)
    if not runs:
        return _nothing(temperature_K, [*notes, "no run has frames"])
    mobile = payload["mobile_species"]
    try:
        found = convergence_in_time(
            runs,
            mobile,
            tolerance=payload["tolerance"],
            lengths_ps=payload["lengths_ps"],
            on_window=lambda done, _total: context.progress(done, "windows"),
        )
    except AnalysisError as error:  # a run that blew up early has too few frames
        return _nothing(temperature_K, [*notes, str(error)])
    n_mobile = sum(chemical_symbols[number] == mobile for number in runs[0].numbers)
    verdicts = judge_lengths(found, n_walkers=n_mobile * len(found.runs))
    return {
        "temperature_K": temperature_K,
        "convergence": found.to_json(),
        "verdicts": verdicts,
        "converged_after_ps": converged_after_ps(verdicts),
        "notes": [f"{temperature_K:g} K: {note}" for note in (*notes, *found.notes)],
    }


def judge_lengths(found: ConvergenceInTime, *, n_walkers: int) -> list[dict[str, Json]]:
    """What the verdict had been, had the runs ended after each length.

    Parameters
    ----------
    found
        D by length.
    n_walkers
        Mobile ions of all runs together.

    Returns
    -------
    list[dict[str, Json]]
        By length: verdict as of :func:`dasksse.analyse.length_verdict.judge_length`, and
        ``difference``, D less that of the whole length, relative to it; None where unknown.
    """
    whole = found.whole.D_m2_s
    rows: list[dict[str, Json]] = []
    for last, window in enumerate(found.nested):
        sets = [one for one in found.window_sets if one.length_ps <= window.length_ps]
        verdict = judge_length(
            found.nested[: last + 1],
            sets,
            tolerance=found.verdict.tolerance,
            n_walkers=n_walkers,
        )
        difference = None
        if window.D_m2_s is not None and whole is not None:
            difference = window.D_m2_s / whole - 1.0
        rows.append({**verdict.to_json(), "difference": difference})
    return rows


def converged_after_ps(verdicts: Sequence[Mapping[str, Json]]) -> float | None:
    """Shortest length [ps] from which on all are converged and D is that of the whole.

    A short part that is right by accident does not count: all longer ones must be right too.
    """
    after = None
    for verdict in reversed(verdicts):
        difference = verdict["difference"]
        is_off = difference is None or abs(difference) > verdict["tolerance"]
        if verdict["state"] != "converged" or is_off:
            break
        after = float(verdict["length_ps"])
    return after


def _record(bench: Bench, payload: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """What a worker found at a temperature, or why it failed; None while under way."""
    record = bench.reduce("simulation_time:by_length", payload)
    why = why_failed(bench, bench.unit("simulation_time:by_length", payload))
    return _nothing(payload["temperature_K"], [why]) if why else record


def _nothing(temperature_K: float, notes: list[str]) -> dict[str, Json]:
    """Record of a temperature without windows."""
    return {
        "temperature_K": temperature_K,
        "convergence": None,
        "verdicts": [],
        "converged_after_ps": None,
        "notes": [f"{temperature_K:g} K: {note}" for note in notes],
    }


def _at(frames: Mapping[str, Json], plan: MdPlan, temperature_K: float) -> dict[str, Json]:
    """The frames of one temperature."""
    runs = [run for run, at_K in enumerate(plan.group.temperatures_K) if at_K == temperature_K]
    return {
        **frames,
        "units": [frames["units"][run] for run in runs],
        "n_valid": {str(run): frames["n_valid"][str(run)] for run in runs},
    }


# --- outcome ---------------------------------------------------------------------------------


def _outcome(
    found: Sequence[Mapping[str, Json]], lengths_ps: Sequence[float], *, is_published: bool
) -> Outcome:
    return Outcome(
        verdict=_verdict(found, is_published=is_published),
        tables=(
            Table(
                "D of the first part of the run",
                _nested_rows(found, lengths_ps, is_published=is_published),
            ),
            Table("Parts of a length side by side", _scatter_rows(found)),
        ),
        values={
            "tolerance": TOLERANCE,
            "lengths_ps": list(lengths_ps),
            "temperatures": [dict(row) for row in found],
        },
        notes=tuple(note for row in found for note in row["notes"]),
    )


def _nested_rows(
    found: Sequence[Mapping[str, Json]], lengths_ps: Sequence[float], *, is_published: bool
) -> tuple[Row, ...]:
    """A row for each temperature, a column for each length that was asked for."""
    rows = []
    for one in found:
        row: Row = {"T [K]": f"{one['temperature_K']:g}"}
        windows = [] if one["convergence"] is None else one["convergence"]["nested"]
        for length_ps in lengths_ps:
            near = [w for w in windows if np.isclose(w["length_ps"], length_ps, rtol=0.02)]
            # at the asked length a window may end a frame early
            best = min(near, key=lambda w: abs(w["length_ps"] - length_ps), default=None)
            text = UNKNOWN if best is None else d_text(best, "")
            row[f"{format_length(length_ps)}, D [m²/s]"] = text
        row["converged within 10 % after"] = _after_text(one)
        if is_published:
            row["Huang et al. 2021"] = _published(one["temperature_K"])
        rows.append(row)
    return tuple(rows)


def _scatter_rows(found: Sequence[Mapping[str, Json]]) -> tuple[Row, ...]:
    """Whether D of parts side by side scatters as its stated errors say."""
    rows = []
    for one in found:
        sets = [] if one["convergence"] is None else one["convergence"]["side_by_side"]
        rows += [
            {
                "T [K]": f"{one['temperature_K']:g}",
                "length": format_length(windows["length_ps"]),
                "parts, with D": f"{windows['n_windows']}, {windows['n_diffusive']}",
                "mean D and scatter of a part [m²/s]": format_value_error(
                    windows["D_mean_m2_s"], windows["D_scatter_m2_s"]
                ),
                "mean D and stated error of a part [m²/s]": format_value_error(
                    windows["D_mean_m2_s"], windows["D_err_m2_s"]
                ),
            }
            for windows in sets
        ]
    return tuple(rows)


def _after_text(one: Mapping[str, Json]) -> str:
    if one["converged_after_ps"] is not None:
        return format_length(one["converged_after_ps"])
    return "not converged" if one["convergence"] is not None else UNKNOWN


def _published(temperature_K: float) -> str:
    """What the text of the paper says of a temperature."""
    if temperature_K > 600.0:  # noqa: PLR2004 - of the paper
        return "200 ps"
    if temperature_K >= 400.0:  # noqa: PLR2004 - of the paper
        return "1 ns" if temperature_K <= 500.0 else UNKNOWN  # noqa: PLR2004 - of the paper
    return "10 ns, to 1e-12 m²/s" if temperature_K == 300.0 else UNKNOWN  # noqa: PLR2004


def _verdict(found: Sequence[Mapping[str, Json]], *, is_published: bool) -> Verdict:
    subject = "Simulation time"
    sentences = [_sentence(one) for one in found]
    if is_published:
        sentences += [text for one in found if (text := _against_paper(one))]
    known = [one for one in found if one["convergence"] is not None]
    has_D = [one for one in known if one["convergence"]["nested"][-1]["D_m2_s"] is not None]
    converged = [one for one in found if one["converged_after_ps"] is not None]
    level: Level = "trust" if len(converged) == len(found) else "care"
    if not has_D:
        level = "doubt"
    return Verdict(level, subject, " ".join(sentences))


def _sentence(one: Mapping[str, Json]) -> str:
    at = f"{one['temperature_K']:g} K"
    if one["convergence"] is None:
        return f"{at}: no run is long enough for windows."
    whole = one["convergence"]["nested"][-1]
    if one["converged_after_ps"] is not None:
        D = format_value_error(whole["D_m2_s"], whole["D_err_m2_s"], "m²/s")
        after = format_length(one["converged_after_ps"])
        return f"{at}: converged within 10 % after {after}, D {D}."
    return f"{at}: {one['convergence']['verdict']['text']}."


def _against_paper(one: Mapping[str, Json]) -> str:
    """The error at 300 K beside that of the paper; empty where there is nothing to say."""
    if one["temperature_K"] != 300.0 or one["convergence"] is None:  # noqa: PLR2004 - of the paper
        return ""
    whole = one["convergence"]["nested"][-1]
    if whole["D_err_m2_s"] is None:
        return ""
    error = f"{whole['D_err_m2_s']:.1e} m²/s after {format_length(whole['length_ps'])}"
    return f"The error at 300 K is {error}; the paper gives 1e-12 m²/s after 10 ns."
