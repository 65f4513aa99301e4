"""MD runs in the store: each written whole by one task, read back frame by frame of data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StoreError
from dasksse.records import Frames
from dasksse.store.layout import STORE_NAME, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray


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
        msg = f"no group {path!r} in {run_dir / STORE_NAME}"
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
