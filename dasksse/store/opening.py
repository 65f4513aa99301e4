"""A store as an :class:`xarray.DataTree`: lazy, without padding, quantities named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray

from dasksse.errors import StoreError
from dasksse.store.layout import open_store, store_path
from dasksse.store.sealing import is_sealed

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK_BYTES = 64 << 20


def open_tree(where: Path) -> xarray.DataTree:
    """Open a store for analysis with xarray; :func:`dasksse.open` is the same.

    Parameters
    ----------
    where
        Run folder, or a store (``*.zarr``).

    Returns
    -------
    xarray.DataTree
        Nothing but coordinates is read yet. Frames that are no data are NaN; labels end with
        the last one. ``quantity`` holds the names of the scalars.

    Raises
    ------
    StoreError
        When there is no store, or a later version of dasksse wrote it.
    """
    path = store_path(where)
    if not (path / "zarr.json").is_file():
        msg = f"{path}: no store is there"
        raise StoreError(msg)
    open_store(path, mode="r")
    tree = xarray.open_datatree(path, engine="zarr", consolidated=is_sealed(path))
    return tree.map_over_datasets(_clean)


def _clean(data: xarray.Dataset) -> xarray.Dataset:
    """One group: chunked, padding masked, quantities named."""
    if "n_valid" not in data:
        return data
    if "run" not in data.dims:
        return data.isel(frame=slice(int(data["n_valid"])))
    if "scalars" in data:
        data = data.assign_coords(quantity=data["scalars"].attrs["table"])
    chunks = _chunks(data["positions"])
    frame = xarray.DataArray(np.arange(data.sizes["frame"]), dims="frame")
    is_data = (frame < data["n_valid"]).drop_vars(data.coords, errors="ignore")
    lazy = {}
    for name, variable in data.data_vars.items():
        if {"run", "frame"} <= set(variable.dims):
            lazy[name] = variable.chunk(
                {dim: chunks.get(str(dim), -1) for dim in variable.dims}
            )
            if variable.dtype.kind == "f":
                lazy[name] = lazy[name].where(is_data)
    return data.assign(lazy)


def _chunks(positions: xarray.DataArray) -> dict[str, int]:
    """Whole chunks of the store, as many blocks of atoms as make a good task."""
    stored = positions.encoding["preferred_chunks"]
    frames = stored["frame"]
    blocks = max(1, _CHUNK_BYTES // (24 * frames * stored["atom"]))
    return {"run": 1, "frame": frames, "atom": blocks * stored["atom"]}
