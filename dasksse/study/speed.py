"""Time of MD against the number of atoms: Fig. 6 of Huang et al. 2021."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.loop.md_units import production_plan
from dasksse.report.data import Verdict
from dasksse.report.figures.study_speed import study_speed
from dasksse.report.formats import format_number, format_value_error
from dasksse.study.case import Case, cell_name, repeated, studied_system
from dasksse.study.failure import nothing_found, why_failed
from dasksse.study.material import is_material
from dasksse.study.outcome import Outcome, Row, Table
from dasksse.study.speed_timing import hours_per_ns, laws

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json, Unit
    from dasksse.study.bench import Bench

SUBJECT = "Speed"

LINEAR_WITHIN = 0.15
"""Exponents up to so much above 1 are called linear."""

SCATTER = 1.2
"""Slowest over fastest repeat from which the times are said to scatter."""

PAPER: dict[str, Any] = {
    "material": "Li10GeP2S12",
    "n_atoms": 900,
    "hours_per_ns": 4.0,
    "timestep_fs": 2.0,
    "machine": "one NVIDIA V100",
}
"""The paper: "around 4 hours to simulate a 900-atom systems for 1 ns", nearly linear."""

SHARED = (
    "Times on a machine that others use vary: each is measured several times and the fastest "
    "counts. No other unit of the studies runs meanwhile."
)


class Speed:
    """What a nanosecond costs."""

    name = "speed"
    title = "Speed"
    question = "How long does a nanosecond of MD take, and how does that grow with the cell?"
    source = "Huang et al. 2021, Fig. 6, doi:10.1063/5.0041849 (Li10GeP2S12, one NVIDIA V100)"
    caption = (
        "Wall time of an MD step, frames written as in production, and of a nanosecond; the "
        f"fastest repeat, slower ones faint. {SHARED} The paper needs around 4 h/ns for 900 "
        "atoms on one NVIDIA V100 at 2 fs, and finds the cost nearly linear; it does not say "
        "whether one model ran or four."
    )

    def lacks(self, config: RunConfig) -> str:  # noqa: ARG002 - every configuration allows it
        """Never anything."""
        return ""

    def cases(self, config: RunConfig) -> list[Case]:  # noqa: ARG002 - some hundred steps
        """No MD that counts."""
        return []

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """Times of all cells from one unit, so that they come from one machine, in turn."""
        found = [(case, bench.structure(case.system)) for case in _cells(bench.config)]
        built = [(case, structure) for case, structure in found if structure is not None]
        if len(built) < len(found):
            return None
        unit = _unit(bench, built)
        if not bench.walk.want([unit]):
            return None
        timed = bench.walk.result(unit)
        if timed is None:
            return nothing_found(SUBJECT, f"No times: {why_failed(bench, unit)}")
        return _outcome(built[0][1], unit, timed["rows"])

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """Time of a step against the number of atoms."""
        return study_speed(values)


def _cells(config: RunConfig) -> list[Case]:
    """One cell for each supercell, the smallest first."""
    section = config.studies.speed
    system = studied_system(config, section.system)
    return [
        Case(
            name=f"speed-{system.name}-{cell_name(supercell)}",
            system=repeated(system, supercell),
            temperatures_K=(section.temperature_K,),
            length_ps=1.0,
        )
        for supercell in sorted(section.supercells, key=np.prod)
    ]


def _unit(bench: Bench, built: Sequence[tuple[Case, Mapping[str, Json]]]) -> Unit:
    """Unit that times all cells with the settings of production."""
    section = bench.config.studies.speed
    case, structure = built[0]
    plan = production_plan(
        bench.config,
        case.section(bench.config),
        system=case.name,
        structure=structure,
        models=bench.models,
        generation=0,
    )
    spec = plan.units[0].payload["spec"]
    interval = spec["frame_interval_steps"]
    payload = {
        "spec": spec,
        "cells": [
            {"name": cell_name(one.system.supercell), "structure_file": crystal["file"]}
            for one, crystal in built
        ],
        # whole intervals: the deviation of the ensemble and the frames have their share
        "n_steps": -(-section.n_steps // interval) * interval,
        "repeats": section.repeats,
    }
    return bench.unit("speed_timing:measure", payload, tag="MD")


def _outcome(
    structure: Mapping[str, Json], unit: Unit, rows: Sequence[Mapping[str, Json]]
) -> Outcome:
    spec = unit.payload["spec"]
    timed = [_timed(row, spec["timestep_fs"]) for row in rows if row["seconds_per_step"]]
    notes = [
        f"{row['cell']}, {row['n_models']} model(s): no time, {row['reason'].splitlines()[0]}"
        for row in rows
        if not row["seconds_per_step"]
    ]
    if not timed:
        return nothing_found(SUBJECT, "Not one cell could be timed.", notes)
    values = {
        "times": timed,
        "ensembles": [
            _ensemble([row for row in timed if row["n_models"] == n_models])
            for n_models in sorted({row["n_models"] for row in timed})
        ],
        "formula": structure["formula"],
        "timestep_fs": spec["timestep_fs"],
        "ensemble": spec["ensemble"],
        "temperature_K": spec["temperature_K"],
        "frame_interval_steps": spec["frame_interval_steps"],
        "n_steps": unit.payload["n_steps"],
        "machines": _machines(timed),
        "published": PAPER if is_material(structure["numbers"], PAPER["material"]) else None,
    }
    return Outcome(
        verdict=_verdict(values),
        tables=(_times_table(values), _laws_table(values)),
        values=values,
        notes=(SHARED, *_notes(values), *notes),
    )


def _timed(row: Mapping[str, Json], timestep_fs: float) -> dict[str, Any]:
    """Times of a row in the units that people compare."""
    fastest_s = min(row["seconds_per_step"])
    hours = hours_per_ns(fastest_s, timestep_fs)
    return {
        "cell": row["cell"],
        "n_atoms": row["n_atoms"],
        "n_models": row["n_models"],
        "machine": row["machine"],
        "repeats_s": list(row["seconds_per_step"]),
        "step_s": fastest_s,
        "hours_per_ns": hours,
        "ns_per_day": 24.0 / hours,
    }


def _ensemble(rows: Sequence[Mapping[str, Json]]) -> dict[str, Any]:
    fit = laws([row["n_atoms"] for row in rows], [row["step_s"] for row in rows])
    return {"n_models": rows[0]["n_models"], "fit": fit}


def _machines(rows: Sequence[Mapping[str, Json]]) -> list[str]:
    """Machines in words, each once."""
    words = []
    for row in rows:
        about = row["machine"]
        parts = [
            f"{about['cpu']} ({about['cpu_cores']} cores)",
            f"{about['threads']} thread(s)",
        ]
        if about["ranks"] > 1:
            parts.append(f"{about['ranks']} MPI ranks")
        parts += [f"GPU there: {gpu}" for gpu in about["gpus"]]
        words.append(", ".join(parts))
    return list(dict.fromkeys(words))


def _notes(values: Mapping[str, Json]) -> list[str]:
    """What disturbs the times."""
    notes = []
    times = values["times"]
    if len(values["machines"]) > 1:
        notes.append(f"Measured on several machines: {'; '.join(values['machines'])}.")
    worst = max(max(row["repeats_s"]) / min(row["repeats_s"]) for row in times)
    load = max(row["machine"]["load_1_min"] for row in times)
    cores = times[0]["machine"]["cpu_cores"]
    if worst > SCATTER:
        notes.append(
            f"Repeats differ by up to {100 * (worst - 1):.0f} %; the load of the machine was "
            f"up to {load:g} on {cores} cores."
        )
    return notes


def _who(n_models: int) -> str:
    return "one model" if n_models == 1 else f"ensemble of {n_models}"


def _times_table(values: Mapping[str, Json]) -> Table:
    lines = []
    for row in values["times"]:
        line: Row = {
            "Cell": row["cell"],
            "Atoms": f"{row['n_atoms']}",
            "Models": f"{row['n_models']}",
            "Step [ms]": format_number(1e3 * row["step_s"]),
            "h/ns": format_number(row["hours_per_ns"]),
            "ns/day": format_number(row["ns_per_day"]),
        }
        paper = values["published"]
        if paper is not None:
            is_same = row["n_atoms"] == paper["n_atoms"]
            line["paper, h/ns"] = f"around {paper['hours_per_ns']:g}" if is_same else "–"
        lines.append(line)
    return Table("Time of MD steps, the fastest repeat", tuple(lines))


def _laws_table(values: Mapping[str, Json]) -> Table:
    lines: list[Row] = []
    for one in values["ensembles"]:
        fit = one["fit"]
        if fit is None:
            continue
        lines.append(
            {
                "Models": _who(one["n_models"]),
                "a [ms]": _in(fit, "a_s", 1e3),
                "b [µs/atom]": _in(fit, "b_s_per_atom", 1e6),
                "exponent": _in(fit, "exponent", 1.0),
            }
        )
    return Table("Time of a step, t = a + b N, and exponent of a power law", tuple(lines))


def _in(fit: Mapping[str, Json], key: str, factor: float) -> str:
    error = fit[f"{key}_err"]
    return format_value_error(factor * fit[key], None if error is None else factor * error)


def _verdict(values: Mapping[str, Json]) -> Verdict:
    paper = values["published"]
    times, sentences, level = values["times"], [], "trust"
    for one in values["ensembles"]:
        own = [row for row in times if row["n_models"] == one["n_models"]]
        size = PAPER["n_atoms"] if paper is not None else max(row["n_atoms"] for row in own)
        row = min(own, key=lambda row: (abs(row["n_atoms"] - size), row["n_atoms"]))
        text = f"{_who(one['n_models'])}: {format_number(row['hours_per_ns'])} h/ns"
        text += f" for {row['n_atoms']} atoms"
        fit = one["fit"]
        if fit is None:
            level = "care"
            text += ", one size only"
        else:
            text += f", exponent {_in(fit, 'exponent', 1.0)}"
            if fit["exponent"] - 2.0 * (fit["exponent_err"] or 0.0) > 1.0 + LINEAR_WITHIN:
                level = "care"
                text += ", more than linear"
        sentences.append(text)
    text = "; ".join(sentences)
    text = (
        f"{text[0].upper()}{text[1:]} ({values['timestep_fs']:g} fs, {values['machines'][0]})."
    )
    if paper is not None:
        text += (
            f" The paper: around {paper['hours_per_ns']:g} h/ns for {paper['n_atoms']} atoms "
            f"at {paper['timestep_fs']:g} fs on {paper['machine']}."
        )
    return Verdict("care" if level == "care" else "trust", SUBJECT, text)
