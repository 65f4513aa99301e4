"""Consolidated metadata: written when a store is complete, dropped when it changes."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

from dasksse.store.folders import write_json
from dasksse.store.layout import store_path

if TYPE_CHECKING:
    from pathlib import Path


def drop_consolidated(where: Path) -> None:
    """Remove consolidated metadata: groups added later would not be seen through it.

    Parameters
    ----------
    where
        Run folder or store (``*.zarr``).
    """
    path = store_path(where) / "zarr.json"
    if not path.is_file():
        return
    metadata = json.loads(path.read_text())
    if metadata.pop("consolidated_metadata", None) is not None:
        write_json(path, metadata)


def is_sealed(where: Path) -> bool:
    """True when a store has consolidated metadata."""
    path = store_path(where) / "zarr.json"
    return path.is_file() and bool(json.loads(path.read_text()).get("consolidated_metadata"))


def seal(where: Path) -> None:
    """Consolidate the metadata of a store, so that opening it takes one read.

    Parameters
    ----------
    where
        Run folder or store (``*.zarr``); without a store nothing is done.
    """
    import zarr

    if not (store_path(where) / "zarr.json").is_file():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata is outside the v3 text
        zarr.consolidate_metadata(store_path(where))
