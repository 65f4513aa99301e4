"""Room for MD runs in the store: groups that the driver makes, lets grow and sets aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.store.layout import (
    SCALARS,
    STORE_NAME,
    ArraySpec,
    create_array,
    open_store,
    require_group,
    scalar_names,
)

if TYPE_CHECKING:
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TrajectoryGroup:
    """What the driver must know to pre-allocate the runs of one system.

    Attributes
    ----------
    path
        Group in the store, such as ``explore/000/lgps``.
    numbers
        Atomic numbers, shape ``(atom,)``.
    type_map
        Elements of the model, in order.
    temperatures_K, pressures_GPa, replicas, seeds
        One value per run.
    n_frames
        Frames each run is planned to have.
    frame_interval_ps
        Time between frames [ps].
    equilibration_ps
        Frames before this time are equilibration.
    models
        Model files that drive the runs, from the run folder, the first one leading.
    """

    path: str
    numbers: tuple[int, ...]
    type_map: tuple[str, ...]
    temperatures_K: tuple[float, ...]
    pressures_GPa: tuple[float, ...]
    replicas: tuple[int, ...]
    seeds: tuple[int, ...]
    n_frames: int
    frame_interval_ps: float
    equilibration_ps: float
    models: tuple[str, ...] = ()

    @property
    def n_runs(self) -> int:
        """Number of runs."""
        return len(self.temperatures_K)


def _array_specs(spec: TrajectoryGroup) -> dict[str, ArraySpec]:
    runs, frames, atoms = spec.n_runs, spec.n_frames, len(spec.numbers)
    names = scalar_names(spec.type_map)
    units = [SCALARS.get(name, "eV/angstrom") for name in names]
    verdicts = {"table": ["accurate", "candidate", "failed"], "units": "1"}
    return {
        "positions": ArraySpec(
            ("run", "frame", "atom", "xyz"),
            (runs, frames, atoms, 3),
            "f4",
            {"units": "angstrom", "long_name": "unwrapped positions, atoms sorted by species"},
        ),
        "cell": ArraySpec(
            ("run", "frame", "lattice", "xyz"),
            (runs, frames, 3, 3),
            "f8",
            {"units": "angstrom", "long_name": "cell vectors as rows"},
        ),
        "scalars": ArraySpec(
            ("run", "frame", "quantity"),
            (runs, frames, len(names)),
            "f8",
            {"table": names, "units": units, "long_name": "per-frame scalars, see table"},
        ),
        "verdict": ArraySpec(("run", "frame"), (runs, frames), "i1", verdicts),
        "reason": ArraySpec(("run", "frame"), (runs, frames), "i1", {"units": "1"}),
        "unit_key": ArraySpec(
            ("run",), (runs,), "u8", {"long_name": "unit that wrote the run"}
        ),
    }


def _coordinates(spec: TrajectoryGroup) -> dict[str, tuple[str, str, NDArray[Any], str]]:
    times = np.arange(spec.n_frames) * spec.frame_interval_ps
    quantities = np.arange(len(scalar_names(spec.type_map)))
    return {
        "temperature_K": ("run", "f8", np.asarray(spec.temperatures_K), "K"),
        "pressure_GPa": ("run", "f8", np.asarray(spec.pressures_GPa), "GPa"),
        "replica": ("run", "i4", np.asarray(spec.replicas), "1"),
        "seed": ("run", "i8", np.asarray(spec.seeds), "1"),
        "time_ps": ("frame", "f8", times, "ps"),
        "is_equilibration": (
            "frame",
            "i1",
            (times < spec.equilibration_ps - 1e-9).astype("i1"),
            "1",
        ),
        "atomic_number": ("atom", "i2", np.asarray(spec.numbers), "1"),
        "quantity": ("quantity", "i4", quantities, "1"),
    }


def allocate(run_dir: Path, spec: TrajectoryGroup) -> None:
    """Create the group of a system with room for all its runs, or let it grow.

    Only the driver calls this. A group of other frames (another length or interval) is set
    aside under a name that says so, and taken back when those settings return. A group whose
    last piece, ``n_valid``, is missing was being made when the driver died and is made again.
    """
    root = open_store(run_dir)
    _set_aside(run_dir, root, spec)
    group = require_group(root, spec.path)
    for name, array in _array_specs(spec).items():
        if name not in group:
            create_array(group, name, array)
        elif group[name].shape[0] < spec.n_runs:
            group[name].resize((spec.n_runs, *group[name].shape[1:]))
    n_runs = int(group["positions"].shape[0])
    for name, (dim, dtype, values, units) in _coordinates(spec).items():
        _write_coordinate(group, name, dim, dtype, values, units, n_runs)
    secondary = " ".join(name for name in _coordinates(spec) if name != "quantity")
    group.attrs.update({"coordinates": secondary, "type_map": list(spec.type_map)})
    group.attrs["models"] = list(spec.models)
    if "n_valid" not in group:
        attributes = {"units": "1", "long_name": "frames that are data; the rest is padding"}
        array_spec = ArraySpec(("run",), (n_runs,), "i4", attributes, per_run=False)
        create_array(group, "n_valid", array_spec)[:] = 0
    elif group["n_valid"].shape[0] < n_runs:
        group["n_valid"].resize((n_runs,))
        group["n_valid"][:] = np.maximum(group["n_valid"][:], 0)


def _write_coordinate(
    group: zarr.Group,
    name: str,
    dim: str,
    dtype: str,
    values: NDArray[Any],
    units: str,
    n_runs: int,
) -> None:
    """Write a coordinate; runs that are no longer asked for keep theirs."""
    length = max(n_runs, len(values)) if dim == "run" else len(values)
    if name not in group:
        spec = ArraySpec((dim,), (length,), dtype, {"units": units}, per_run=False)
        create_array(group, name, spec)
    array = group[name]
    if array.shape[0] < length:
        array.resize((length,))
    current = np.array(array[:])
    if not np.array_equal(current[: len(values)], values):
        current[: len(values)] = values
        array[:] = current


def _set_aside(run_dir: Path, root: zarr.Group, spec: TrajectoryGroup) -> None:
    """Exchange a group of other frames for the one, if any, that fits."""
    if spec.path not in root or "n_valid" not in root[spec.path]:
        return
    group = root[spec.path]
    n_frames = int(group["positions"].shape[1])
    times = group["time_ps"][:]
    interval = float(times[1] - times[0]) if len(times) > 1 else spec.frame_interval_ps
    if n_frames == spec.n_frames and abs(interval - spec.frame_interval_ps) < 1e-9:  # noqa: PLR2004
        return
    place = run_dir / STORE_NAME / spec.path
    place.rename(place.with_name(_name_aside(spec.path, n_frames, interval)))
    kept = place.with_name(_name_aside(spec.path, spec.n_frames, spec.frame_interval_ps))
    if kept.is_dir():
        kept.rename(place)


def _name_aside(path: str, n_frames: int, interval_ps: float) -> str:
    return f"{path.rpartition('/')[2]}.{n_frames}x{interval_ps:g}ps"
