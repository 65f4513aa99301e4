"""dasksse: from a crystal to a checked potential and D(T) with error bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse._version import __version__

if TYPE_CHECKING:
    from os import PathLike

    import xarray

__all__ = ["__version__", "open"]


def open(path: str | PathLike[str]) -> xarray.DataTree:  # noqa: A001 - dasksse.open
    """Open a run folder or a store (``*.zarr``) with xarray, lazily.

    Parameters
    ----------
    path
        Run folder or store.

    Returns
    -------
    xarray.DataTree
        Padding is NaN, and ``quantity`` holds the names of the scalars.

    Raises
    ------
    StoreError
        When there is no store, or a later version of dasksse wrote it.
    """
    from pathlib import Path

    from dasksse.store.opening import open_tree

    return open_tree(Path(path))
