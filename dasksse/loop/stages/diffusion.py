"""Stage that turns production runs into D(T) and an Arrhenius fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers

from dasksse.errors import AnalysisError, StoreError
from dasksse.loop.stages.production import open_chain
from dasksse.loop.stages.structures import relative_final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.analyse.diffusion_result import DiffusionResult
    from dasksse.analyse.transport import Usage
    from dasksse.records import Json, Trajectory, UnitContext


def read_runs(
    payload: Mapping[str, Json], context: UnitContext
) -> tuple[list[Trajectory], list[str]]:
    """Runs with their continuations, and a text for each that cannot be read.

    Parameters
    ----------
    payload
        ``group``, ``n_valid`` (frames of each run) and, where runs were continued,
        ``continued``, see :func:`dasksse.loop.md_units.frames_of`.
    context
        Of the unit.
    """
    continued = {chain[0]["run"]: chain for chain in payload.get("continued", ())}
    group = payload["group"]
    runs: list[Trajectory] = []
    damaged = []
    for run, count in sorted((int(run), int(n)) for run, n in payload["n_valid"].items()):
        if count <= 0:
            continue
        alone = [{"group": group, "run": run, "n_frames": count}]
        try:
            trajectory = open_chain(continued.get(run, alone), context)
            _read_through(trajectory)
        except StoreError as error:
            damaged.append(f"{group} run {run}: shard cannot be read ({error})")
        else:
            runs.append(trajectory)
    return runs, damaged


def _read_through(run: Trajectory) -> None:
    """Raise :class:`StoreError` now, and not in the middle of the analysis."""
    from dasksse.analyse.paths import ion_blocks

    run.cells()
    run.scalars("temperature")
    for atoms in ion_blocks(np.arange(len(run.numbers)), run.n_frames):
        run.positions(atoms)


def _at_temperature(
    runs: Sequence[Trajectory], payload: Mapping[str, Json]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Diffusion at one temperature: JSON values and MSD arrays."""
    from dasksse.analyse.transport import choose_frames, diffuse, framework_msd
    from dasksse.analyse.vibration import melted_elements

    mobile = payload["mobile_species"]
    usage = choose_frames(runs, mobile)
    result = diffuse(usage, mobile, charge=payload["charge"], trust_eV_A=payload["high_eV_A"])
    name = f"{runs[0].temperature_K:g}"
    arrays = {
        f"{name}/lag_ps": result.lag_ps,
        f"{name}/msd_A2": result.msd_A2,
        f"{name}/msd_err_A2": result.msd_err_A2,
        f"{name}/species/{mobile}": result.msd_A2,
    }
    for symbol, msd in framework_msd(usage, mobile).items():
        arrays[f"{name}/species/{symbol}"] = msd
    melted = melted_elements(usage, mobile)
    values = {
        **result.to_json(),
        **_about(usage),
        "framework_melted": None if melted is None else list(melted),
        "convergence": _convergence(usage, result),
    }
    return values, arrays


def _convergence(usage: Usage, result: DiffusionResult) -> dict[str, Json] | None:
    """Whether D is converged with the length of the runs; None for runs too short to tell."""
    from dasksse.analyse.convergence import brief_convergence

    try:
        return brief_convergence(usage, result).to_json()
    except AnalysisError:
        return None


def _about(usage: Usage) -> dict[str, Any]:
    """Means over the frames after equilibration."""
    intact = usage.mean_of("framework_intact")
    first, run = usage.first_frames[0], usage.runs[0]
    return {
        "length_ps": usage.length_ps,
        "equilibration_ps": first * run.frame_interval_ps,
        "mean_temperature_K": usage.mean_of("temperature"),
        "mean_pressure_GPa": usage.mean_of("pressure"),
        "framework_broken": 0.0 if intact is None else 1.0 - intact,
        "volume_A3": usage.volume_A3,
        "notes": list(usage.notes),
    }


def analyse(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """D at each temperature and the Arrhenius fit of one system."""
    runs, notes = read_runs(payload, context)
    points: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for done, temperature in enumerate(sorted({run.temperature_K or 0.0 for run in runs})):
        group = [run for run in runs if run.temperature_K == temperature]
        try:
            values, columns = _at_temperature(group, payload)
        except AnalysisError as error:  # a run that blew up early has too few frames
            notes.append(f"{payload['group']} at {temperature:g} K: {error}")
            continue
        points.append(values)
        arrays |= columns
        context.progress(done + 1, "diffusion")
    np.savez_compressed(context.workdir / "msd.npz", **arrays)
    fit = _arrhenius(points, runs, payload)
    return {
        "points": points,
        "arrhenius": fit,
        "damaged": notes,
        "group": payload["group"],
        "file": relative_final(context, "msd.npz"),
        "text": _text(points, fit, payload["mobile_species"]),
    }


def _arrhenius(
    points: Sequence[Mapping[str, Any]], runs: Sequence[Trajectory], payload: Mapping[str, Json]
) -> dict[str, Any] | None:
    """Fit of the temperatures with a whole framework; None where there can be none."""
    from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out, left_out_notes
    from dasksse.analyse.fitted_points import fit_points

    if not points:
        return None
    mobile = runs[0].numbers == atomic_numbers[payload["mobile_species"]]
    density = float(mobile.sum()) / float(np.mean([p["volume_A3"] for p in points]))
    charge = payload["charge"]
    keys = (
        "temperature_K",
        "D_m2_s",
        "D_err_m2_s",
        "upper_bound_m2_s",
        "framework_broken",
        "framework_melted",
    )
    measured = leave_out([DiffusionPoint(**{k: point[k] for k in keys}) for point in points])
    fit = fit_points(
        measured, squared_charge_density_A3=None if charge is None else charge**2 * density
    ).fit
    if fit is None:
        return None
    values: dict[str, Any] = fit.to_json()
    return {**values, "notes": [*left_out_notes(measured), *values["notes"]]}


def _text(
    points: Sequence[Mapping[str, Any]], fit: Mapping[str, Any] | None, mobile: str
) -> str:
    if not points:
        return f"D({mobile}): no run could be analysed"
    parts = []
    for point in points:
        at = f"{point['temperature_K']:g} K"
        if point["D_m2_s"] is None:
            parts.append(f"{at} not resolved")
        else:
            parts.append(f"{at} ({point['D_m2_s']:.1e} ± {point['D_err_m2_s']:.0e})")
    text = f"D({mobile}) in m²/s: {', '.join(parts)}"
    if fit is not None:
        text += f"; Ea {fit['Ea_eV']:.2f} ± {fit['Ea_err_eV']:.2f} eV"
    return text
