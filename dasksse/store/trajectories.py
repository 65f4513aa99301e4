"""MD runs in the store: each written whole by one task, read back frame by frame of data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StoreError
from dasksse.records import Frames
from dasksse.store.continued import CONTINUED_KEY
from dasksse.store.encoding import (
    RunDigest,
    decode_positions,
    element_centres,
    encode_positions,
    precision_of,
)
from dasksse.store.layout import NO_POSITION, STORE_NAME, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray


def write_run(
    run_dir: Path,
    path: str,
    run: int,
    *,
    key: str,
    arrays: Mapping[str, NDArray[Any]],
    continued_key: str = "",
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
        ``positions (frame, atom, xyz)`` [Å] in full precision, ``cell (frame, lattice, xyz)``
        [Å] and ``scalars (frame, quantity)``; padded to the allocated number of frames.
    continued_key
        Key of the unit that made what the run goes on from; empty for one from the start.

    Raises
    ------
    StoreError
        When a position cannot be stored.
    """
    group = open_store(run_dir, mode="r+")[path]
    numbers = np.asarray(group["atomic_number"][:], dtype=np.int64)
    digest = RunDigest(numbers)
    values = dict(arrays)
    if "centres" in group:  # groups of layout version 1 have none
        values["centres"] = element_centres(values["positions"], numbers)
    for name, frames in values.items():
        try:
            write_frames(group[name], run, frames, digest=digest, name=name)
        except StoreError as error:
            msg = f"{path} run {run}: {error}"
            raise StoreError(msg) from error
    if "checksum" in group:
        group["checksum"][run] = digest.value()
    if continued_key:
        group[CONTINUED_KEY][run] = int(continued_key, 16)
    group["unit_key"][run] = int(key, 16)


def write_frames(
    target: zarr.Array[Any],
    run: int,
    values: NDArray[Any],
    *,
    digest: RunDigest,
    name: str,
) -> None:
    """Write all frames of a run, shard by shard; what is left of the array is padding."""
    n_allocated = target.shape[1]
    step = target.shards[1] if target.shards else n_allocated
    for start in range(0, n_allocated, step):
        part = values[start : start + step]
        shape = (min(step, n_allocated - start), *target.shape[2:])
        stored = np.full(shape, target.fill_value, dtype=target.dtype)
        if name == "positions":
            encode_positions(
                part,
                precision_A=precision_of(target),
                out=stored[: len(part)],
                first_frame=start,
            )
        else:
            stored[: len(part)] = part
        digest.update(name, stored[: len(part)])
        target[run, start : start + len(stored)] = stored


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


def read_positions(
    array: zarr.Array[Any], selection: tuple[int | slice, ...]
) -> NDArray[np.floating]:
    """Positions [Å] of a part of an array.

    Raises
    ------
    ValueError
        When a shard of them is missing.
    """
    stored = np.asarray(array[selection])
    precision_A = precision_of(array)
    is_there = stored != NO_POSITION if precision_A > 0 else np.isfinite(stored)
    if not is_there.all():
        msg = "positions hold gaps: a shard is missing"
        raise ValueError(msg)
    return decode_positions(stored, precision_A)


def _read_run(group: zarr.Group, run: int, count: int, times: NDArray[Any]) -> StoredRun:
    names: Sequence[str] = group["scalars"].attrs["table"]
    scalars = group["scalars"][run, :count]
    positions = read_positions(group["positions"], (run, slice(count)))
    return StoredRun(
        run=run,
        frames=Frames(
            np.asarray(group["atomic_number"][:], dtype=int),
            np.asarray(positions, dtype=np.float64),
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
