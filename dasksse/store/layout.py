"""Layout of a run's Zarr store: dimensions, units, chunks, shards and the version, only here.

The store is Zarr v3 and opens with plain :func:`xarray.open_datatree`. Trajectories of one
generation and system share a group ``/explore/<generation>/<system>``; production runs are in
``/production/<system>``; labels in ``/labels/<system>``. One MD run is one shard per array, so
that two processes never write one file; a byte cap splits long runs along frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import zarr

STORE_NAME = "data.zarr"
LAYOUT_VERSION = 1
CHUNK_BYTES = 4 << 20
SHARD_BYTES = 512 << 20

SCALARS: dict[str, str] = {
    "deviation_max": "eV/angstrom",
    "deviation_min": "eV/angstrom",
    "deviation_avg": "eV/angstrom",
    "temperature": "K",
    "pressure": "GPa",
    "energy": "eV",
    "framework_intact": "1",
    "framework_drift": "angstrom",
    "framework_rmsd": "angstrom",
    "min_distance": "angstrom",
}
"""Per-frame scalars and their units; maxima per species follow: ``deviation_max_Li`` ..."""


def scalar_names(type_map: Sequence[str]) -> list[str]:
    """Names along the ``quantity`` dimension, the per-species deviations last."""
    return [*SCALARS, *(f"deviation_max_{element}" for element in type_map)]


@dataclass(frozen=True)
class ArraySpec:
    """Shape, dimensions and meaning of one array of a group."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    attributes: Mapping[str, Any]
    per_run: bool = True


def _chunks_and_shards(spec: ArraySpec) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """One run per shard; frames cut so that chunks and shards stay below their caps."""
    if not spec.per_run:
        return tuple(max(1, n) for n in spec.shape), None
    if "frame" not in spec.dims:
        return (1, *spec.shape[1:]), None
    row_bytes = int(np.prod(spec.shape[2:], dtype=int)) * np.dtype(spec.dtype).itemsize
    n_frames = max(1, spec.shape[1])
    chunk_frames = min(n_frames, max(1, CHUNK_BYTES // row_bytes))
    shard_frames = min(n_frames, max(1, SHARD_BYTES // row_bytes))
    shard_frames = -(-shard_frames // chunk_frames) * chunk_frames
    rest = spec.shape[2:]
    return (1, chunk_frames, *rest), (1, shard_frames, *rest)


def create_array(group: zarr.Group, name: str, spec: ArraySpec) -> zarr.Array[Any]:
    """Create one array of the layout: sharded by run, shuffled, compressed, checksummed."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    chunks, shards = _chunks_and_shards(spec)
    dtype = np.dtype(spec.dtype)
    return group.create_array(
        name,
        shape=spec.shape,
        chunks=chunks,
        shards=shards,
        dtype=dtype,
        compressors=[BloscCodec(cname="zstd", clevel=5, shuffle="shuffle"), Crc32cCodec()],
        fill_value=np.nan if dtype.kind == "f" else (-1 if dtype.kind == "i" else 0),
        dimension_names=spec.dims,
        attributes=dict(spec.attributes),
    )


def store_path(where: Path) -> Path:
    """Path of a store: that of a run folder, or the path itself when it ends in ``.zarr``."""
    return where if where.suffix == ".zarr" else where / STORE_NAME


def open_store(where: Path, *, mode: str = "a") -> zarr.Group:
    """Open the root group of a store; created with its version when absent.

    Parameters
    ----------
    where
        Run folder, or the path of a store of its own (``*.zarr``).
    mode
        ``a`` to write, ``r`` to read.
    """
    import zarr

    root = zarr.open_group(store_path(where), mode=mode, use_consolidated=False)
    if mode == "a" and "layout_version" not in root.attrs:
        root.attrs.update({"layout_version": LAYOUT_VERSION, "title": "dasksse run"})
    return root


def require_group(root: zarr.Group, path: str) -> zarr.Group:
    """Open a group, creating it and its parents one level at a time."""
    group = root
    for part in path.strip("/").split("/"):
        group = group.require_group(part)
    return group
