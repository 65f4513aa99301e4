"""Whether a store still holds what was written: every run against its checksum."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.store.encoding import RunDigest
from dasksse.store.layout import open_store
from dasksse.store.stored_trajectory import trajectory_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import zarr

OK = "ok"
DAMAGED = "damaged"
INCOMPLETE = "incomplete"
NO_CHECKSUM = "no checksum"

_CHECKED = ("positions", "cell", "centres", "scalars")
_WITHOUT_CHECKSUM = ("verdict", "reason")
_PIECE_FRAMES = 4096


@dataclass(frozen=True)
class Finding:
    """State of one run, or of the labels of one system.

    Attributes
    ----------
    group
        Group in the store.
    run
        Index of the run; None for labels, and for a group whose coordinates are damaged.
    state
        ``ok``, ``damaged``, ``incomplete`` (no frame of it is data: not finished, or failed) or
        ``no checksum`` (layout version 1: it can be read, no more is known).
    n_frames
        Frames that are data.
    reason
        What is wrong with it.
    """

    group: str
    run: int | None
    state: str
    n_frames: int
    reason: str = ""


def frames_to_check(where: Path) -> int:
    """Frames of all runs and labels of a store, for a progress bar."""
    total = 0
    for _, group in _groups(where):
        with contextlib.suppress(Exception):  # a damaged group is named by the check
            total += int(np.maximum(group["n_valid"][...], 0).sum())
    return total


def verify_store(
    where: Path, *, on_frames: Callable[[int], None] = lambda _: None
) -> Iterator[Finding]:
    """Check every run and the labels of every system.

    Parameters
    ----------
    where
        Run folder, or a store (``*.zarr``).
    on_frames
        Called with the number of frames that were checked since the last call.

    Raises
    ------
    StoreError
        When a later version of dasksse wrote the store.
    """
    for path, group in _groups(where):
        if path.startswith("labels/"):
            finding = _check_labels(path, group)
            on_frames(finding.n_frames)
            yield finding
            continue
        try:
            columns = {n: array[:] for n, array in group.arrays() if array.ndim == 1}
        except Exception as error:  # noqa: BLE001 - codecs raise what they like on bad bytes
            yield Finding(path, None, DAMAGED, 0, f"a coordinate cannot be read: {error}")
            continue
        for run, count in enumerate(columns["n_valid"].tolist()):
            yield _check_run(path, group, run, count, on_frames)


def _groups(where: Path) -> Iterator[tuple[str, zarr.Group]]:
    root = open_store(where, mode="r")
    yield from trajectory_groups(root)
    if "labels" in root:
        for system, group in sorted(root["labels"].groups()):
            if "n_valid" in group:
                yield f"labels/{system}", group


def _check_run(
    path: str, group: zarr.Group, run: int, count: int, on_frames: Callable[[int], None]
) -> Finding:
    if count <= 0:
        return Finding(path, run, INCOMPLETE, 0)
    try:
        digest = _digest(group, run, count, on_frames)
        for name in _WITHOUT_CHECKSUM:
            if name in group:
                group[name][run, :count]
        if "checksum" not in group:
            return Finding(path, run, NO_CHECKSUM, count)
        stored = group["checksum"][run]
    except Exception as error:  # noqa: BLE001 - codecs raise what they like on bad bytes
        return Finding(path, run, DAMAGED, count, f"cannot be read: {error}")
    if not np.array_equal(stored, digest.value()):
        return Finding(path, run, DAMAGED, count, "other values than were written")
    return Finding(path, run, OK, count)


def _digest(
    group: zarr.Group, run: int, count: int, on_frames: Callable[[int], None]
) -> RunDigest:
    digest = RunDigest(group["atomic_number"][:])
    for name in _CHECKED:
        if name not in group:
            continue
        array = group[name]
        step = array.shards[1] if array.shards else _PIECE_FRAMES
        for start in range(0, count, step):
            stop = min(start + step, count)
            stored = array[run, start:stop]
            if name == "positions":
                _require_frames(stored)
                on_frames(stop - start)
            digest.update(name, stored)
    return digest


def _require_frames(stored: Any) -> None:  # noqa: ANN401 - integers or floating-point numbers
    """Catch a missing shard of floating-point positions, which has no checksum in version 1."""
    if stored.dtype.kind == "f" and not np.isfinite(stored).all():
        msg = "positions hold gaps: a shard is missing"
        raise ValueError(msg)


def _check_labels(path: str, group: zarr.Group) -> Finding:
    count = 0
    try:
        count = int(group["n_valid"][...])
        for _, array in group.arrays():
            array[...]
    except Exception as error:  # noqa: BLE001 - codecs raise what they like on bad bytes
        return Finding(path, None, DAMAGED, count, f"cannot be read: {error}")
    return Finding(path, None, OK, count)
