"""Labels from another store, or from the store of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.label.importing.labelled_frames import Reading
from dasksse.store.label_reader import read_stored_labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_store(path: Path, type_map: Sequence[str] | None = None) -> Reading:
    """Labels of a store with their provenance.

    Parameters
    ----------
    path
        The store (``*.zarr``).
    type_map
        Not used: the store knows its elements.

    Raises
    ------
    StoreError
        When it is no store, or cannot be read.
    """
    del type_map
    return Reading(tuple(labels for _, labels in read_stored_labels(path)))
