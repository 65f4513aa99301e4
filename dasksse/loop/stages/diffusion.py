"""Stage that turns production runs into D(T) and an Arrhenius fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

from dasksse.errors import AnalysisError
from dasksse.loop.stages.selection import read_group
from dasksse.loop.stages.structures import relative_final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.records import Json, UnitContext
    from dasksse.store.trajectories import StoredRun


def _after_equilibration(run: StoredRun) -> slice:
    return slice(int(np.sum(run.is_equilibration)), None)


def _untrusted(runs: Sequence[StoredRun], high_eV_A: float) -> float:
    deviations = np.concatenate([r.scalars["deviation_max"] for r in runs])
    return float(np.mean(~(deviations < high_eV_A)))


def _positions(runs: Sequence[StoredRun]) -> tuple[list[Any], list[Any]]:
    """Positions and cells of each run after equilibration."""
    used = [_after_equilibration(run) for run in runs]
    positions = [r.frames.positions[part] for r, part in zip(runs, used, strict=True)]
    return positions, [r.frames.cells[part] for r, part in zip(runs, used, strict=True)]


def _species_msd(runs: Sequence[StoredRun], mobile: str) -> dict[str, Any]:
    """MSD [Å²] of every species against the framework, averaged over runs."""
    from dasksse.analyse import msd_by_species, remove_drift, to_displacements

    symbols = np.array([chemical_symbols[n] for n in runs[0].frames.numbers])
    masses = atomic_masses[runs[0].frames.numbers]
    parts = []
    for positions, cells in zip(*_positions(runs), strict=True):
        fixed = to_displacements(positions, cells)
        fixed = remove_drift(fixed, mask=symbols != mobile, weights=masses)
        parts.append(msd_by_species(fixed, [str(symbol) for symbol in symbols]))
    shortest = min(len(part[mobile]) for part in parts)
    return {
        name: np.mean([part[name][:shortest] for part in parts], axis=0) for name in parts[0]
    }


def _about(runs: Sequence[StoredRun]) -> dict[str, Any]:
    """Means over the frames after equilibration."""
    used = [_after_equilibration(run) for run in runs]
    scalars = {
        name: np.concatenate([r.scalars[name][p] for r, p in zip(runs, used, strict=True)])
        for name in ("temperature", "pressure", "framework_intact")
    }
    positions, cells = _positions(runs)
    interval = runs[0].frame_interval_ps
    return {
        "length_ps": float(max(len(p) for p in positions) - 1) * interval,
        "equilibration_ps": float(np.sum(runs[0].is_equilibration)) * interval,
        "mean_temperature_K": float(scalars["temperature"].mean()),
        "mean_pressure_GPa": float(scalars["pressure"].mean()),
        "framework_broken": float(np.mean(scalars["framework_intact"] < 1)),
        "volume_A3": float(np.mean([np.abs(np.linalg.det(c)).mean() for c in cells])),
    }


def _at_temperature(
    runs: Sequence[StoredRun], payload: Mapping[str, Json]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Diffusion at one temperature: JSON values and MSD arrays."""
    from dasksse.analyse import estimate_diffusion

    positions, cells = _positions(runs)
    result = estimate_diffusion(
        positions,
        cells_per_run=cells,
        numbers=runs[0].frames.numbers,
        mobile=payload["mobile_species"],
        temperature_K=runs[0].temperature_K,
        frame_interval_ps=runs[0].frame_interval_ps,
        charge=payload["charge"],
        untrusted_fraction=_untrusted(runs, payload["high_eV_A"]),
    )
    name = f"{runs[0].temperature_K:g}"
    arrays = {
        f"{name}/lag_ps": result.lag_ps,
        f"{name}/msd_A2": result.msd_A2,
        f"{name}/msd_err_A2": result.msd_err_A2,
    }
    for symbol, msd in _species_msd(runs, payload["mobile_species"]).items():
        arrays[f"{name}/species/{symbol}"] = msd
    return {**result.to_json(), **_about(runs)}, arrays


def analyse(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """D at each temperature and the Arrhenius fit of one system."""
    runs, notes = read_group(payload, context)
    points: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for done, temperature in enumerate(sorted({run.temperature_K for run in runs})):
        group = [run for run in runs if run.temperature_K == temperature]
        group = [run for run in group if not run.is_equilibration.all()]
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
    points: Sequence[Mapping[str, Any]], runs: Sequence[StoredRun], payload: Mapping[str, Json]
) -> dict[str, Any] | None:
    """Fit of the temperatures with a whole framework; None where there can be none."""
    from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out, left_out_notes
    from dasksse.analyse.fitted_points import fit_points

    if not points:
        return None
    mobile = runs[0].frames.numbers == atomic_numbers[payload["mobile_species"]]
    density = float(mobile.sum()) / float(np.mean([p["volume_A3"] for p in points]))
    charge = payload["charge"]
    keys = (
        "temperature_K",
        "D_m2_s",
        "D_err_m2_s",
        "upper_bound_m2_s",
        "framework_broken",
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
