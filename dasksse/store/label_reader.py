"""Labels read back from a store: of a run, or one that ``dasksse import-labels`` wrote."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StoreError
from dasksse.records import Frames, Labels, content_key
from dasksse.store.labels import STATUS_TABLE
from dasksse.store.layout import open_store, store_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray

    FrameIdentity = tuple[str, str, bool]
    """Content key of a frame, functional of its label, and whether a surrogate gave it."""

_GOOD = STATUS_TABLE.index("good")
_REJECTED = STATUS_TABLE.index("rejected")
_PROVENANCE = ("source", "functional", "is_surrogate")


def read_stored_labels(store: Path) -> list[tuple[str, Labels]]:
    """Labels with values, those that a run's filters kept out of training included.

    Parameters
    ----------
    store
        The store (``*.zarr``) or the run folder it is in.

    Returns
    -------
    list[tuple[str, Labels]]
        System and labels, by system and then by source, functional and surrogate or not.

    Raises
    ------
    StoreError
        When it is no store, or cannot be read.
    """
    return [
        (system, labels)
        for system, group in _label_groups(store)
        for labels in _by_provenance(group)
    ]


def stored_frames(store: Path) -> dict[str, tuple[NDArray[np.int64], set[FrameIdentity]]]:
    """Atomic numbers and the labelled frames of each system.

    Parameters
    ----------
    store
        The store (``*.zarr``) or the run folder it is in.

    Returns
    -------
    dict[str, tuple[NDArray, set[FrameIdentity]]]
        Atomic numbers of shape ``(atom,)`` and what is known of each frame, by system.

    Raises
    ------
    StoreError
        When it is no store, or cannot be read.
    """
    frames = {}
    for system, group in _label_groups(store):
        chosen = _with_values(group)
        keys = group["frame_key"][:][chosen]
        functionals = _texts(group, "functional")[chosen]
        surrogates = group["is_surrogate"][:][chosen]
        frames[system] = (
            _numbers(group),
            {
                (f"{int(key):016x}", str(functional), bool(surrogate))
                for key, functional, surrogate in zip(
                    keys, functionals, surrogates, strict=True
                )
            },
        )
    return frames


def label_origins(store: Path) -> Counter[tuple[str, str, bool]]:
    """Number of labelled frames by source, functional, and surrogate or not.

    Parameters
    ----------
    store
        The store (``*.zarr``) or the run folder it is in.

    Raises
    ------
    StoreError
        When it is no store, or cannot be read.
    """
    origins: Counter[tuple[str, str, bool]] = Counter()
    for _, group in _label_groups(store):
        chosen = _with_values(group)
        sources, functionals = (_texts(group, name)[chosen] for name in _PROVENANCE[:2])
        surrogates = group["is_surrogate"][:][chosen].astype(bool)
        origins.update(zip(sources, functionals, surrogates.tolist(), strict=True))
    return origins


def labels_digest(store: Path) -> str:
    """Digest of the labels with values: it changes when labels are added.

    Parameters
    ----------
    store
        The store (``*.zarr``) or the run folder it is in.

    Raises
    ------
    StoreError
        When it is no store, or cannot be read.
    """
    parts = []
    for system, group in _label_groups(store):
        chosen = _with_values(group)
        columns = [group[name][:][chosen] for name in ("frame_key", "energy")]
        columns += [_texts(group, name)[chosen].tolist() for name in _PROVENANCE[:2]]
        parts.append([system, *columns])
    return content_key(*parts)


def _label_groups(store: Path) -> Iterator[tuple[str, zarr.Group]]:
    """Groups of labels by system; those without a finished frame left out."""
    path = store_path(store)
    if not (path / "zarr.json").is_file():
        msg = (
            f"{path}: no store is there; `dasksse import-labels` makes one, and a run has one "
            "in data.zarr"
        )
        raise StoreError(msg)
    try:
        root = open_store(store, mode="r")
        groups = dict(root["labels"].groups()) if "labels" in root else {}
        for system in sorted(groups):
            if "n_valid" in groups[system] and int(groups[system]["n_valid"][...]) > 0:
                yield system, groups[system]
    except (KeyError, ValueError, OSError) as error:
        msg = f"{path}: the labels cannot be read: {error}"
        raise StoreError(msg) from error


def _numbers(group: zarr.Group) -> NDArray[np.int64]:
    return np.asarray(group["atomic_number"][:], dtype=np.int64)


def _with_values(group: zarr.Group) -> NDArray[np.int64]:
    """Indices of frames with a label, whether training uses it or not."""
    status = group["status"][: int(group["n_valid"][...])]
    return np.flatnonzero((status == _GOOD) | (status == _REJECTED))


def _texts(group: zarr.Group, name: str) -> NDArray[Any]:
    return np.array(group[name].attrs["table"], dtype=object)[group[name][:]]


def _by_provenance(group: zarr.Group) -> Iterator[Labels]:
    chosen = _with_values(group)
    columns = [group[name][:][chosen] for name in _PROVENANCE]
    kinds = np.stack(columns, axis=1)
    for kind in dict.fromkeys(map(tuple, kinds.tolist())):
        rows = chosen[(kinds == kind).all(axis=1)]
        yield Labels(
            Frames(_numbers(group), group["positions"][:][rows], group["cell"][:][rows]),
            group["energy"][:][rows],
            group["forces"][:][rows],
            group["virial"][:][rows],
            str(group["source"].attrs["table"][kind[0]]),
            str(group["functional"].attrs["table"][kind[1]]),
            bool(kind[2]),
            seconds=_optional(group, "label_time", rows),
            memory_bytes=_optional(group, "label_memory", rows),
        )


def _optional(group: zarr.Group, name: str, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Values of an array that older stores do not have."""
    return group[name][:][rows] if name in group else np.empty(0)
