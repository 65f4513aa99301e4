"""Results of a run: diffusion of each system and accuracy of the last ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from dasksse.analyse.diffusion import MIN_FRAMES
from dasksse.analyse.stability import diffusion_of_generation
from dasksse.report.converged_d import read_convergence
from dasksse.report.data import ParityData, ProductionRow
from dasksse.units import FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dasksse.analyse.stability import DiffusionOfGeneration
    from dasksse.report.run_units import RunUnits


def arrhenius_fits(run: RunUnits) -> dict[str, Any]:
    """Arrhenius fit of each system, None where there is none."""
    return {_system_of(d): d["arrhenius"] for d in run.results("diffusion")}


def parity_by_set(run: RunUnits) -> dict[str, ParityData]:
    """Labels against predictions of the last ensemble, by set of frames."""
    rows = run.done("evaluate")
    if not rows:
        return {}
    arrays = run.arrays(max(rows, key=lambda row: row.generation).result["file"])
    parity = {}
    for name in ("train", "held_out", "probe", "new"):
        if f"{name}/energy_label" not in arrays:
            continue
        numbers = arrays[f"{name}/force_number"]
        parity[name] = ParityData(
            energy_label_eV_atom=arrays[f"{name}/energy_label"],
            energy_model_eV_atom=arrays[f"{name}/energy_model"],
            force_label_eV_A=arrays[f"{name}/force_label"],
            force_model_eV_A=arrays[f"{name}/force_model"],
            element=np.array(chemical_symbols)[numbers],
        ).thinned(seed=0)
    return parity


def production_rows(run: RunUnits) -> list[ProductionRow]:
    """One row for each system and temperature with finished runs, analysed or not."""
    n_atoms = {record["name"]: record["n_atoms"] for record in run.results("structure")}
    analysed = {_system_of(record): record for record in run.results("diffusion")}
    judged = _judged(run)
    rows = [
        row
        for system, record in analysed.items()
        for row in _analysed_rows(run, record, n_atoms[system], judged)
    ]
    known = {(row.system, row.temperature_K) for row in rows}
    return rows + [
        ProductionRow(
            system=system,
            temperature_K=temperature_K,
            n_runs=len(n_frames),
            n_atoms=n_atoms[system],
            length_ps=_length_ps(run, max(n_frames)),
            equilibration_ps=run.config["production"]["equilibration_ps"],
            trouble=_trouble(run, analysed.get(system), temperature_K),
        )
        for (system, temperature_K), n_frames in _finished_runs(run).items()
        if (system, temperature_K) not in known
    ]


def _judged(run: RunUnits) -> dict[tuple[str, float], Mapping[str, Any]]:
    """D against length as last judged when runs were to be continued, where they were."""
    records = [record for record in run.results("convergence") if "convergence" in record]
    records.sort(key=lambda record: max(r["present_ps"] for r in record["convergence"]["runs"]))
    return {(_system_of(r), r["temperature_K"]): r["convergence"] for r in records}


def _analysed_rows(
    run: RunUnits,
    record: Mapping[str, Any],
    n_atoms: int,
    judged: Mapping[tuple[str, float], Mapping[str, Any]],
) -> Iterator[ProductionRow]:
    arrays = run.arrays(record["file"])
    system = _system_of(record)
    for point in record["points"]:
        # that of the analysis rests on fewer windows; older records have none
        found = judged.get((system, point["temperature_K"]), point.get("convergence"))
        name = f"{point['temperature_K']:g}"
        prefix = f"{name}/species/"
        yield ProductionRow(
            system=system,
            temperature_K=point["temperature_K"],
            n_runs=point["n_runs"],
            n_atoms=n_atoms,
            length_ps=point["length_ps"],
            equilibration_ps=point["equilibration_ps"],
            diffusion={key: value for key, value in point.items() if key != "convergence"},
            lag_ps=arrays.get(f"{name}/lag_ps"),
            msd_A2=arrays.get(f"{name}/msd_A2"),
            msd_err_A2=arrays.get(f"{name}/msd_err_A2"),
            species_msd={
                key.removeprefix(prefix): values
                for key, values in arrays.items()
                if key.startswith(prefix)
            },
            untrusted_fraction=point["untrusted_fraction"],
            framework_broken=point["framework_broken"],
            mean_temperature_K=point["mean_temperature_K"],
            mean_pressure_GPa=point["mean_pressure_GPa"],
            convergence=None if found is None else read_convergence(found),
        )


def _finished_runs(run: RunUnits) -> dict[tuple[str, float], list[int]]:
    """Frames of each finished run with its continuations, by system and temperature [K]."""
    frames: dict[tuple[str, float], dict[int, int]] = {}
    for record in run.results("production"):
        runs = frames.setdefault((_system_of(record), record["temperature_K"]), {})
        runs[record["run"]] = runs.get(record["run"], 0) + record["n_frames"]
    return {key: list(runs.values()) for key, runs in frames.items()}


def _frame_interval_ps(run: RunUnits) -> float:
    production = run.config["production"]
    return float(production["frame_interval_steps"] * production["timestep_fs"] / FS_PER_PS)


def _length_ps(run: RunUnits, n_frames: int) -> float:
    """Length of a run after equilibration [ps]."""
    whole_ps = (n_frames - 1) * _frame_interval_ps(run)
    return max(0.0, whole_ps - float(run.config["production"]["equilibration_ps"]))


def _trouble(run: RunUnits, record: Mapping[str, Any] | None, temperature_K: float) -> str:
    """Why the analysis of finished runs gave nothing; empty if it is still to come."""
    if record is None:
        return ""
    prefix = f"{record['group']} at {temperature_K:g} K: "
    notes = [note.removeprefix(prefix) for note in record["damaged"] if note.startswith(prefix)]
    least_ps = (MIN_FRAMES - 1) * _frame_interval_ps(run)
    why = "; ".join(notes) or "no frames after equilibration"
    return f"not analysed: {why} (at least {least_ps:.3g} ps after equilibration)"


def _system_of(record: Mapping[str, Any]) -> str:
    return str(record["group"]).rpartition("/")[2]


def stability_of(run: RunUnits) -> Iterator[DiffusionOfGeneration]:
    """D of each generation, from runs that each of its models drove."""
    section = run.config.get("stop", {}).get("stable_diffusion")
    if not section:
        return
    for generation in sorted({row.generation for row in run.done("stability")}):
        records = run.results("stability", generation)
        yield diffusion_of_generation(generation, records, section["temperatures_K"])
