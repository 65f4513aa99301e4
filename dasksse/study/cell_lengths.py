"""Mean cell of NpT runs, on a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dasksse.study.usable import broke_off

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.records import Json, Trajectory, UnitContext

FEWEST_FRAMES = 20
"""A mean cell needs at least so many frames after equilibration."""
LARGEST_DRIFT = 0.05
"""Share by which the volume may change from the first to the last quarter of a run."""
LARGEST_SWELLING = 1.25
"""Mean volume over that of the structure: no crystal expands so much before it melts."""
EQUAL_LENGTHS = 0.02
"""a and b that differ by less are those of a tetragonal or hexagonal crystal."""
EQUAL_ANGLES_DEG = 2.0
SIZES = ("a_A", "b_A", "ab_A", "c_A", "volume_A3")


class _Run(NamedTuple):
    """One run without its equilibration, and why it must not be used."""

    run: Trajectory
    first_frame: int
    left_out: str


def measure(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Mean cell of one repeat of the structure file at each temperature.

    Parameters
    ----------
    payload
        Keys of :meth:`dasksse.study.bench.Bench.frames`; ``temperatures_K`` of each run,
        ``structure_file``, ``supercell``, ``mobile_species`` and ``high_eV_A``, the upper
        trust level [eV/Å].
    context
        Of the unit.
    """
    from dasksse.loop.stages.diffusion import read_runs
    from dasksse.loop.stages.structures import read_atoms

    runs, notes = read_runs(payload, context)
    structure = read_atoms(context.run_dir / payload["structure_file"])
    notes += [
        f"{temperature_K:g} K: run {number} was lost"
        for number, temperature_K in enumerate(payload["temperatures_K"])
        if not payload["n_valid"].get(str(number))
    ]
    points = []
    for temperature_K in sorted({run.temperature_K or 0.0 for run in runs}):
        judged = [
            _judged(run, payload, structure.get_volume())
            for run in runs
            if (run.temperature_K or 0.0) == temperature_K
        ]
        notes += [f"{temperature_K:g} K: {one.left_out}" for one in judged if one.left_out]
        points.append({"temperature_K": temperature_K, **_point(judged, payload)})
    return {
        "points": points,
        "notes": notes,
        "a_equals_b": _a_equals_b(structure, payload["supercell"]),
    }


def _a_equals_b(structure: Atoms, supercell: Sequence[int]) -> bool:
    """Whether a and b are the same by symmetry, as far as the cell shows it."""
    a, b, _, alpha, beta, _ = structure.cell.cellpar()
    ratio = (a / supercell[0]) / (b / supercell[1])
    return bool(abs(ratio - 1.0) < EQUAL_LENGTHS and abs(alpha - beta) < EQUAL_ANGLES_DEG)


def _judged(run: Trajectory, payload: Mapping[str, Json], volume_A3: float) -> _Run:
    """A run from where its volume is steady, with what speaks against it."""
    from dasksse.analyse.equilibration import find_equilibration

    volumes = np.abs(np.linalg.det(run.cells()))
    planned = min(run.n_equilibration, run.n_frames)
    found = find_equilibration(run.n_frames - planned, {"volume": volumes[planned:]})
    first = planned + found.n_frames
    return _Run(run, first, _why_not(run, first, volumes, payload, volume_A3))


def _why_not(
    run: Trajectory,
    first: int,
    volumes: NDArray[np.float64],
    payload: Mapping[str, Json],
    volume_A3: float,
) -> str:
    """Why a run is no crystal in equilibrium; empty if it is."""
    from dasksse.analyse.diffusion_points import BROKEN_LIMIT
    from dasksse.analyse.transport import Usage
    from dasksse.analyse.vibration import melted_elements

    if end := broke_off(run, payload["n_planned"]):
        return f"a run {end}"
    steady = volumes[first:]
    if len(steady) < FEWEST_FRAMES:
        return f"{len(steady)} frames after equilibration, needed: {FEWEST_FRAMES}"
    quarter = len(steady) // 4
    drift = steady[-quarter:].mean() / steady[:quarter].mean() - 1.0
    swelling = steady.mean() / volume_A3
    if abs(drift) > LARGEST_DRIFT:
        return f"the volume ran away, by {100.0 * drift:+.0f} % within the run"
    if swelling > LARGEST_SWELLING:
        return f"the volume ran away to {swelling:.2f} times that of the structure"
    usage = Usage((run,), (first,), ())
    intact = usage.mean_of("framework_intact")
    if intact is not None and 1.0 - intact > BROKEN_LIMIT:
        return f"framework broken in {100.0 * (1.0 - intact):.0f} % of frames"
    melted = melted_elements(usage, payload["mobile_species"])
    return f"framework melted: {', '.join(melted)}" if melted else ""


def _point(judged: Sequence[_Run], payload: Mapping[str, Json]) -> dict[str, Any]:
    """Means over the runs at one temperature; over those left out where there are no others."""
    good = [one for one in judged if not one.left_out]
    used = [one for one in good or judged if one.run.n_frames - one.first_frame > 1]
    series = [_sizes(one, payload["supercell"]) for one in used]
    point: dict[str, Any] = {
        "left_out": "" if good else "; ".join(one.left_out for one in judged),
        "n_runs": len(good),
        "length_ps": sum(
            (one.run.n_frames - 1 - one.first_frame) * one.run.frame_interval_ps for one in used
        ),
        "equilibration_ps": max(
            (one.first_frame * one.run.frame_interval_ps for one in used), default=None
        ),
    }
    for key in SIZES:
        value, error, n_independent = _pooled([columns[key] for columns in series])
        point |= {key: value, _error_key(key): error}
        if key == "volume_A3":
            point["n_independent"] = n_independent
    for key, scalar in (("mean_temperature_K", "temperature"), ("pressure_GPa", "pressure")):
        value, error, _ = _pooled([_scalar(one, scalar) for one in used])
        point |= {key: value, _error_key(key): error}
    deviations = np.concatenate([np.empty(0), *(_scalar(one, "deviation_max") for one in used)])
    is_known = len(deviations) > 0 and not np.isnan(deviations).all()
    point["untrusted_fraction"] = (
        float(np.mean(~(deviations < payload["high_eV_A"]))) if is_known else None
    )
    return point


def _error_key(key: str) -> str:
    """Name of the error of a quantity: before its unit."""
    name, unit = key.rsplit("_", 1)
    return f"{name}_err_{unit}"


def _sizes(one: _Run, supercell: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Lengths [Å] and volume [Å³] of one repeat in each frame, shape ``(frame,)``."""
    cells = one.run.cells(slice(one.first_frame, None))
    a, b, c = (np.linalg.norm(cells, axis=2) / supercell).T
    volume = np.abs(np.linalg.det(cells)) / np.prod(supercell)
    return dict(zip(SIZES, (a, b, 0.5 * (a + b), c, volume), strict=True))


def _scalar(one: _Run, name: str) -> NDArray[np.float64]:
    values = one.run.scalars(name)
    return np.empty(0) if values is None else values[one.first_frame :]


def _pooled(
    columns: Sequence[NDArray[np.float64]],
) -> tuple[float | None, float | None, float | None]:
    """Mean over runs, each weighted by its frames, its error and independent values."""
    from dasksse.analyse.correlated_mean import correlated_mean

    finite = [column[np.isfinite(column)] for column in columns]
    parts = [(len(column), correlated_mean(column)) for column in finite if len(column)]
    if not parts:
        return None, None, None
    weights = np.array([count for count, _ in parts], dtype=float)
    weights /= weights.sum()
    mean = float(weights @ [part.mean for _, part in parts])
    error = float(np.sqrt(weights**2 @ [part.error**2 for _, part in parts]))
    n_independent = float(sum(part.n_independent for _, part in parts))
    if not np.isfinite(error):
        return mean, None, None
    return mean, error, n_independent
