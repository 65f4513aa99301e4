"""Energy in NVE by time step: how long a step of the MD may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.report.data import Level, Verdict
from dasksse.report.figures.study_time_step import study_time_step
from dasksse.report.formats import UNKNOWN, format_number, format_value_error
from dasksse.study.case import BASE, Case, studied_system
from dasksse.study.outcome import Outcome, Row, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.study.bench import Bench

LARGEST_HEATING = 0.05
"""Share of the temperature by which the drift may heat in 1 ns; a thermostat takes that off
with ease."""
LARGEST_FLUCTUATION = 0.05
"""Fluctuation of the total energy over that of the kinetic energy that is small."""
RESOLVED = 2.0
"""Standard errors of the drift that are taken into account."""
FEWEST_FOR_EXPONENT = 3
VERLET_EXPONENT, EXPONENT_TOLERANCE = 2.0, 0.5


class TimeStep:
    """Conservation of energy without a thermostat."""

    name = "time-step"
    title = "Time step"
    question = "Up to which time step is energy conserved without a thermostat?"
    source = (
        "Not in the paper, which took 2 fs; the error of velocity Verlet is quadratic in the "
        "step (Swope et al. 1982, doi:10.1063/1.442716)"
    )
    caption = (
        "NVE runs. Left: fluctuation of the total energy about its drift, over that of the "
        "kinetic energy; dashed: quadratic in the step, as the integrator's own error. Right: "
        "the drift as heating of the crystal, one standard error; band: what is taken as small."
    )

    def lacks(self, config: RunConfig) -> str:  # noqa: ARG002 - every configuration allows it
        """Never anything."""
        return ""

    def cases(self, config: RunConfig) -> list[Case]:
        """One NVE run for each time step, the shortest first."""
        section = config.studies.time_step
        system = studied_system(config, section.system)
        return [
            Case(
                name=f"timestep-{system.name}-{timestep_fs:g}fs",
                system=system,
                temperatures_K=(section.temperature_K,),
                length_ps=section.length_ps,
                ensemble="nve",
                timestep_fs=timestep_fs,
            )
            for timestep_fs in sorted({*section.timesteps_fs, _in_use_fs(config)})
        ]

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """Drift and fluctuation at each time step."""
        points: list[dict[str, Any]] = []
        is_complete = True
        for case in self.cases(bench.config):
            plan = bench.runs(case)
            record = (
                None
                if plan is None
                else bench.reduce("energy_conservation:measure", bench.frames(plan))
            )
            if record is None:
                is_complete = False
                continue
            points.append({"timestep_fs": case.timestep_fs, **record})
        return _outcome(points, _in_use_fs(bench.config)) if is_complete else None

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """Fluctuation and drift against the time step."""
        return study_time_step(values)


def _in_use_fs(config: RunConfig) -> float:
    return (config.production or BASE).timestep_fs


def _outcome(points: Sequence[dict[str, Any]], in_use_fs: float) -> Outcome:
    known = [{**point, **_judged(point)} for point in points if not point["left_out"]]
    exponent = _exponent(known)
    return Outcome(
        verdict=_verdict(known, in_use_fs, exponent),
        tables=(Table("Energy by time step", tuple(_row(point) for point in known)),),
        values={
            "points": known,
            "timestep_in_use_fs": in_use_fs,
            "exponent": exponent,
            "largest_heating": LARGEST_HEATING,
            "largest_fluctuation": LARGEST_FLUCTUATION,
        },
        notes=tuple(
            f"{point['timestep_fs']:g} fs: {point['left_out']}"
            for point in points
            if point["left_out"]
        ),
    )


def _judged(point: Mapping[str, Json]) -> dict[str, Any]:
    """Fluctuation as a ratio, and whether the step holds: ``yes``, ``no`` or ``unknown``."""
    ratio = point["fluctuation_meV_atom"] / point["kinetic_fluctuation_meV_atom"]
    limit_K_ns = LARGEST_HEATING * point["mean_temperature_K"]
    heating, margin = abs(point["heating_K_ns"]), RESOLVED * point["heating_err_K_ns"]
    holds = "unknown"
    if ratio > LARGEST_FLUCTUATION or heating - margin > limit_K_ns:
        holds = "no"
    elif heating + margin <= limit_K_ns:
        holds = "yes"
    return {"fluctuation_ratio": ratio, "limit_K_ns": limit_K_ns, "holds": holds}


def _exponent(points: Sequence[Mapping[str, Json]]) -> float | None:
    """Power of the time step that the fluctuation grows with; None with too few steps."""
    if len(points) < FEWEST_FOR_EXPONENT:
        return None
    steps = np.log([point["timestep_fs"] for point in points])
    return float(np.polyfit(steps, np.log([p["fluctuation_ratio"] for p in points]), 1)[0])


def _row(point: Mapping[str, Json]) -> Row:
    return {
        "time step [fs]": f"{point['timestep_fs']:g}",
        "mean T [K]": f"{point['mean_temperature_K']:.0f}",
        "length [ps]": f"{point['length_ps']:g}",
        "fluctuation [meV/atom]": format_number(point["fluctuation_meV_atom"], digits=2),
        "over that of the kinetic energy": format_number(point["fluctuation_ratio"], digits=2),
        "drift [meV/atom/ps]": format_value_error(
            point["drift_meV_atom_ps"], point["drift_err_meV_atom_ps"]
        ),
        "heating [K/ns]": format_value_error(point["heating_K_ns"], point["heating_err_K_ns"]),
        "holds": UNKNOWN if point["holds"] == "unknown" else point["holds"],
    }


def _verdict(
    points: Sequence[Mapping[str, Json]], in_use_fs: float, exponent: float | None
) -> Verdict:
    subject = "Time step"
    used = next((point for point in points if point["timestep_fs"] == in_use_fs), None)
    if used is None:
        return Verdict("doubt", subject, f"The NVE run at {in_use_fs:g} fs has no numbers.")
    heating = format_value_error(used["heating_K_ns"], used["heating_err_K_ns"])
    ratio = format_number(100.0 * used["fluctuation_ratio"], digits=2)
    text = (
        f"At {in_use_fs:g} fs the total energy fluctuates by {ratio} % of the kinetic energy's "
        f"own fluctuation and drifts by {heating} K/ns at {used['mean_temperature_K']:.0f} K"
    )
    levels: dict[str, Level] = {"yes": "trust", "no": "doubt", "unknown": "care"}
    ends = {
        "yes": ": the step holds.",
        "no": ": the step is too long, or the forces are not those of an energy.",
        "unknown": ": the runs are too short to tell whether that is small.",
    }
    text += ends[used["holds"]]
    longest = max((p["timestep_fs"] for p in points if p["holds"] == "yes"), default=None)
    if longest is not None and longest > in_use_fs:
        text += f" {longest:g} fs would hold as well."
    level = levels[used["holds"]]
    if exponent is not None:
        text += f" The fluctuation grows with the step to the power {exponent:.2g}"
        if abs(exponent - VERLET_EXPONENT) <= EXPONENT_TOLERANCE:
            text += ", as the error of the integrator does."
        else:
            text += (
                " and not 2 as the error of the integrator: precision or steps in the forces "
                "have a part in it."
            )
    return Verdict(level, subject, text)
