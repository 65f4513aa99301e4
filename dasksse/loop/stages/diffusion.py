"""Stage that turns production runs into D(T) and an Arrhenius fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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


def _at_temperature(
    runs: Sequence[StoredRun], payload: Mapping[str, Json], temperature_K: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Diffusion at one temperature: JSON values and MSD arrays."""
    from dasksse.analyse import estimate_diffusion, species_msd

    used = [_after_equilibration(run) for run in runs]
    positions = [r.frames.positions[part] for r, part in zip(runs, used, strict=True)]
    cells = [r.frames.cells[part] for r, part in zip(runs, used, strict=True)]
    numbers = runs[0].frames.numbers
    interval = runs[0].frame_interval_ps
    result = estimate_diffusion(
        positions,
        cells_per_run=cells,
        numbers=numbers,
        mobile=payload["mobile_species"],
        temperature_K=temperature_K,
        frame_interval_ps=interval,
        charge=payload["charge"],
        untrusted_fraction=_untrusted(runs, payload["high_eV_A"]),
    )
    msds = species_msd(
        positions, cells_per_run=cells, numbers=numbers, mobile=payload["mobile_species"]
    )
    scalars = {
        name: np.concatenate([r.scalars[name][p] for r, p in zip(runs, used, strict=True)])
        for name in ("temperature", "pressure", "framework_intact")
    }
    values = {
        **result.to_json(),
        "target_temperature_K": temperature_K,
        "length_ps": float(max(len(p) for p in positions) - 1) * interval,
        "equilibration_ps": float(np.sum(runs[0].is_equilibration)) * interval,
        "mean_temperature_K": float(scalars["temperature"].mean()),
        "mean_pressure_GPa": float(scalars["pressure"].mean()),
        "framework_broken": float(np.mean(scalars["framework_intact"] < 1)),
        "volume_A3": float(np.mean([np.abs(np.linalg.det(c)).mean() for c in cells])),
    }
    name = f"{temperature_K:g}"
    arrays = {
        f"{name}/lag_ps": result.lag_ps,
        f"{name}/msd_A2": result.msd_A2,
        f"{name}/msd_err_A2": result.msd_err_A2,
        **{f"{name}/species/{symbol}": msd for symbol, msd in msds.items()},
    }
    return values, arrays


def analyse(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """D at each temperature and the Arrhenius fit of one system."""
    runs, damaged = read_group(payload, context)
    points: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    temperatures = sorted({run.temperature_K for run in runs})
    for done, temperature in enumerate(temperatures):
        group = [run for run in runs if run.temperature_K == temperature]
        group = [run for run in group if (~run.is_equilibration).sum() > 2]
        if group:
            values, columns = _at_temperature(group, payload, temperature)
            points.append(values)
            arrays |= columns
        context.progress(done + 1, "diffusion")
    np.savez_compressed(context.workdir / "msd.npz", **arrays)
    fit = _arrhenius(points, runs, payload)
    return {
        "points": points,
        "arrhenius": fit,
        "damaged": damaged,
        "group": payload["group"],
        "file": relative_final(context, "msd.npz"),
        "text": _text(points, fit, payload["mobile_species"]),
    }


def _arrhenius(
    points: Sequence[Mapping[str, Any]], runs: Sequence[StoredRun], payload: Mapping[str, Json]
) -> dict[str, Any] | None:
    from ase.data import atomic_numbers

    from dasksse.analyse import fit_arrhenius
    from dasksse.errors import AnalysisError

    resolved = [p for p in points if p["D_m2_s"] is not None and p["D_err_m2_s"] is not None]
    if not resolved:
        return None
    mobile = runs[0].frames.numbers == atomic_numbers[payload["mobile_species"]]
    density = float(mobile.sum()) / float(np.mean([p["volume_A3"] for p in points]))
    try:
        fit = fit_arrhenius(
            np.array([p["target_temperature_K"] for p in resolved]),
            np.array([p["D_m2_s"] for p in resolved]),
            np.array([p["D_err_m2_s"] for p in resolved]),
            charge=payload["charge"],
            carrier_density_A3=density,
        )
    except AnalysisError:
        return None
    values: dict[str, Any] = fit.to_json()
    return values


def _text(
    points: Sequence[Mapping[str, Any]], fit: Mapping[str, Any] | None, mobile: str
) -> str:
    parts = []
    for point in points:
        at = f"{point['target_temperature_K']:g} K"
        if point["D_m2_s"] is None:
            parts.append(f"{at} not resolved")
        else:
            parts.append(f"{at} ({point['D_m2_s']:.1e} ± {point['D_err_m2_s']:.0e})")
    text = f"D({mobile}) in m²/s: {', '.join(parts)}"
    if fit is not None:
        text += f"; Ea {fit['Ea_eV']:.2f} ± {fit['Ea_err_eV']:.2f} eV"
    return text
