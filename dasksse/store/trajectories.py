"""MD runs in the store: pre-allocated by the driver, each written whole by one task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StoreError
from dasksse.records import Frames
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
    from collections.abc import Mapping, Sequence
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


def write_run(
    run_dir: Path, path: str, run: int, *, key: str, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Publish one whole run: every array of it, one shard each, the unit's key last.

    Parameters
    ----------
    run_dir
        Run folder.
    path
        Group in the store.
    run
        Index of the run.
    key
        Key of the unit that made it.
    arrays
        ``positions (frame, atom, xyz)``, ``cell (frame, lattice, xyz)`` and
        ``scalars (frame, quantity)``; padded to the allocated number of frames.
    """
    group = open_store(run_dir, mode="r+")[path]
    for name, values in arrays.items():
        target = group[name]
        padded = np.full(target.shape[1:], np.nan, dtype=target.dtype)
        padded[: len(values)] = values
        target[run] = padded
    group["unit_key"][run] = int(key, 16)


def commit_runs(run_dir: Path, path: str, finished: Mapping[int, tuple[str, int]]) -> list[str]:
    """Write how many frames of each run are data; the driver alone does this.

    Parameters
    ----------
    run_dir
        Run folder.
    path
        Group in the store.
    finished
        Key of the finished unit and its number of frames, by run. Runs without one get 0.

    Returns
    -------
    list[str]
        Keys of finished units whose frames another unit has overwritten since, as happens
        when a configuration is changed and changed back: they must be done again.
    """
    group = open_store(run_dir, mode="r+")[path]
    values = group["n_valid"][:]
    stored = group["unit_key"][:]
    wanted = np.zeros_like(values)
    overwritten = []
    for run, (key, count) in finished.items():
        if int(stored[run]) == int(key, 16):
            wanted[run] = count
        else:
            overwritten.append(key)
    if (wanted != values).any():
        group["n_valid"][:] = wanted
    return overwritten


def write_verdicts(
    run_dir: Path,
    path: str,
    *,
    verdict: NDArray[np.int8],
    reason: NDArray[np.int8],
    attributes: Mapping[str, Any],
) -> None:
    """Store each frame's verdict and reason, arrays of shape ``(run, frame)``, -1 for none."""
    group = open_store(run_dir, mode="r+")[path]
    for name, values in (("verdict", verdict), ("reason", reason)):
        group[name][:] = values
    group["verdict"].attrs.update(attributes["verdict"])
    group["reason"].attrs.update(attributes["reason"])


@dataclass(frozen=True)
class StoredRun:
    """One run read back: only frames that are data.

    Attributes
    ----------
    frames
        Configurations; positions unwrapped.
    scalars
        Per-frame scalars by name, each of shape ``(frame,)``.
    temperature_K
        Target temperature [K].
    """

    run: int
    frames: Frames
    scalars: dict[str, NDArray[np.float64]]
    temperature_K: float
    pressure_GPa: float
    frame_interval_ps: float
    is_equilibration: NDArray[np.bool_]


def read_runs(
    run_dir: Path, path: str, n_valid: Mapping[int, int] | None = None
) -> tuple[list[StoredRun], list[str]]:
    """Read runs of a group; a damaged one is named and left out.

    Parameters
    ----------
    run_dir
        Run folder.
    path
        Group in the store.
    n_valid
        Valid frames per run; the store's own when None.

    Returns
    -------
    tuple[list[StoredRun], list[str]]
        The runs that could be read, and one text for each that could not.
    """
    group = _open_group(run_dir, path)
    counts = dict(enumerate(group["n_valid"][:])) if n_valid is None else dict(n_valid)
    times = group["time_ps"][:]
    runs: list[StoredRun] = []
    damaged: list[str] = []
    for run, count in sorted(counts.items()):
        if count <= 0:
            continue
        try:
            runs.append(_read_run(group, run, int(count), times))
        except Exception as error:  # noqa: BLE001 - codecs raise what they like on bad bytes
            damaged.append(f"{path} run {run}: shard cannot be read ({error})")
    return runs, damaged


def _open_group(run_dir: Path, path: str) -> zarr.Group:
    try:
        group: zarr.Group = open_store(run_dir, mode="r")[path]
    except (KeyError, FileNotFoundError) as error:
        msg = f"no group {path!r} in {run_dir / 'data.zarr'}"
        raise StoreError(msg) from error
    return group


def _read_run(group: zarr.Group, run: int, count: int, times: NDArray[Any]) -> StoredRun:
    names: Sequence[str] = group["scalars"].attrs["table"]
    scalars = group["scalars"][run, :count]
    positions = np.asarray(group["positions"][run, :count], dtype=float)
    if not np.isfinite(positions).all():
        msg = f"frames 0-{count} hold gaps"
        raise ValueError(msg)
    return StoredRun(
        run=run,
        frames=Frames(
            np.asarray(group["atomic_number"][:], dtype=int),
            positions,
            np.asarray(group["cell"][run, :count]),
        ),
        scalars={name: scalars[:, i] for i, name in enumerate(names)},
        temperature_K=float(group["temperature_K"][run]),
        pressure_GPa=float(group["pressure_GPa"][run]),
        frame_interval_ps=float(times[1] - times[0]) if len(times) > 1 else 0.0,
        is_equilibration=np.asarray(group["is_equilibration"][:count], dtype=bool),
    )


def read_verdicts(run_dir: Path, path: str) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Verdict and reason of every frame, each ``(run, frame)``, -1 where there is none."""
    group = _open_group(run_dir, path)
    return np.asarray(group["verdict"][:]), np.asarray(group["reason"][:])


def read_scalar(run_dir: Path, path: str, name: str) -> list[tuple[float, NDArray[np.float64]]]:
    """Target temperature [K] and one scalar ``(frame,)`` of every run that can be read."""
    group = _open_group(run_dir, path)
    column = list(group["scalars"].attrs["table"]).index(name)
    columns = []
    for run, count in enumerate(group["n_valid"][:]):
        try:
            values = np.asarray(group["scalars"][run, : int(count)])[:, column]
        except Exception:  # noqa: BLE001, S112 - a damaged shard is named by the selection
            continue
        if count > 0:
            columns.append((float(group["temperature_K"][run]), values))
    return columns
