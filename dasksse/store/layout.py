"""Layout of a Zarr store: dimensions, units, chunks, shards, codecs and the version, only here.

The store is Zarr v3 and opens with plain :func:`xarray.open_datatree`. Trajectories of one
generation and system share a group ``/explore/<generation>/<system>``; production runs are in
``/production/<system>``; labels in ``/labels/<system>``. A shard holds whole frames of one MD
run, so that two processes never write one file.

Version 2 (a group says its own): positions are rounded to a precision and stored as integers,
in chunks of few atoms and many frames with the frame as the fastest axis; the mean position of
each element and a checksum go with each run. Groups of version 1 (float32 positions in chunks
of whole frames) are still read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import zarr

STORE_NAME = "data.zarr"
LAYOUT_VERSION = 2
DEFAULT_PRECISION_A = 1e-3
NO_POSITION = -(2**31)
"""Stored where there is no position; xarray shows NaN."""

SHARD_BYTES = 64 << 20
SMALL_SHARD_BYTES = 16 << 20
CHUNK_BYTES = 768 << 10
SMALL_CHUNK_BYTES = 128 << 10
NEIGHBOURS = 32
"""Atoms of a chunk, unless that makes it larger or smaller than these."""
CHUNK_FRAMES = 8192
MAX_CHUNKS_ALONG_FRAMES = 256
"""Of one shard: its index has 16 bytes for each chunk, used or not."""
_GROWING_CHUNK = {"run": 1024, "frame": 65536}
"""Chunk of a coordinate that grows: a chunk file is replaced as a whole."""

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

IMPORTED_SCALARS = ("temperature", "pressure", "energy")
"""Those that trajectories of other programs may have: measured temperature, static pressure,
potential energy. All three go with every imported run, NaN where they are not known, so that
the runs of a group may differ in what they have."""


def scalar_names(type_map: Sequence[str]) -> list[str]:
    """Names along the ``quantity`` dimension, the per-species deviations last."""
    return [*SCALARS, *(f"deviation_max_{element}" for element in type_map)]


@dataclass(frozen=True)
class ArraySpec:
    """Shape, dimensions and meaning of one array of a group.

    Attributes
    ----------
    dims, shape, dtype, attributes
        As xarray shows them.
    per_run
        One run, or part of its frames, is one shard; else the whole array is one chunk.
    grows
        Runs and frames may be added, so that chunks and shards are not cut to those there are.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    attributes: Mapping[str, Any]
    per_run: bool = True
    grows: bool = False

    @property
    def is_positions(self) -> bool:
        """True for an array that is read by atoms, all frames at once."""
        return self.dims == ("run", "frame", "atom", "xyz")


def frame_specs(
    shape: tuple[int, int],
    *,
    n_atoms: int,
    n_elements: int,
    precision_A: float = DEFAULT_PRECISION_A,
    lossless_dtype: str = "f8",
    grows: bool = False,
) -> dict[str, ArraySpec]:
    """Arrays that every trajectory has for each frame.

    Parameters
    ----------
    shape
        Number of runs and frames.
    n_atoms, n_elements
        Atoms of a frame and elements among them.
    precision_A
        Positions are rounded to multiples of this [Å]; 0 for no rounding.
    lossless_dtype
        Type of positions that are not rounded.
    grows
        Frames may be added.
    """
    named: dict[str, Any] = {"units": "angstrom", "long_name": "unwrapped positions"}
    if precision_A > 0:
        named |= {"scale_factor": precision_A, "_FillValue": NO_POSITION}
    dtype = "i4" if precision_A > 0 else lossless_dtype
    centre = {"units": "angstrom", "long_name": "mean position of the atoms of an element"}
    cell = {"units": "angstrom", "long_name": "cell vectors as rows"}
    kinds = {
        "positions": (("atom", "xyz"), (n_atoms, 3), dtype, named),
        "cell": (("lattice", "xyz"), (3, 3), "f8", cell),
        "centres": (("element", "xyz"), (n_elements, 3), "f8", centre),
    }
    return {
        name: ArraySpec(("run", "frame", *dims), (*shape, *rest), kind, facts, grows=grows)
        for name, (dims, rest, kind, facts) in kinds.items()
    }


def scalar_spec(
    shape: tuple[int, int], names: Sequence[str], *, grows: bool = False
) -> ArraySpec:
    """Numbers of each frame, named by the table in the attributes."""
    units = [SCALARS.get(n, "eV/angstrom" if n.startswith("deviation") else "") for n in names]
    facts = {
        "table": list(names),
        "units": units,
        "long_name": "per-frame scalars, see table",
    }
    dims = ("run", "frame", "quantity")
    return ArraySpec(dims, (*shape, len(names)), "f8", facts, grows=grows)


def checksum_spec(n_runs: int) -> ArraySpec:
    """SHA-256 of what is stored of each run; zeros for none."""
    facts = {"units": "1", "long_name": "SHA-256 of the frames that are data"}
    return ArraySpec(("run", "byte"), (n_runs, 32), "u1", facts)


def frame_chunks(spec: ArraySpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of chunk and shard of an array of frames: one run, whole frames in a shard.

    Positions are cut into blocks of atoms as well, so that a few atoms are read without the
    others.
    """
    inner = spec.shape[2:]
    row_bytes = int(np.prod(inner, dtype=int)) * np.dtype(spec.dtype).itemsize
    cap = SHARD_BYTES if spec.is_positions else SMALL_SHARD_BYTES
    n_frames = max(1, spec.shape[1])
    most = max(1, cap // row_bytes)
    chunk_frames = _even_part(min(n_frames, most), CHUNK_FRAMES)
    wanted = MAX_CHUNKS_ALONG_FRAMES * chunk_frames if spec.grows else n_frames
    shard_frames = -(-min(wanted, most) // chunk_frames) * chunk_frames
    if not spec.is_positions:
        return (1, chunk_frames, *inner), (1, shard_frames, *inner)
    column_bytes = chunk_frames * row_bytes // inner[0]
    atoms = max(_power_of_2(SMALL_CHUNK_BYTES // column_bytes), NEIGHBOURS)
    atoms = min(atoms, _power_of_2(CHUNK_BYTES // column_bytes), inner[0])
    all_atoms = -(-inner[0] // atoms) * atoms
    return (1, chunk_frames, atoms, 3), (1, shard_frames, all_atoms, 3)


def _power_of_2(number: int) -> int:
    """Largest power of two that is not above the number, at least 1."""
    return 1 << (max(1, number).bit_length() - 1)


def _chunks_and_shards(spec: ArraySpec) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    if not spec.per_run:
        least = _GROWING_CHUNK if spec.grows else {}
        sizes = zip(spec.dims, spec.shape, strict=True)
        return tuple(max(least.get(dim, 1), n) for dim, n in sizes), None
    if "frame" not in spec.dims:
        return (1, *spec.shape[1:]), None
    return frame_chunks(spec)


def _even_part(total: int, largest: int) -> int:
    """Size of equal parts, the last one perhaps smaller, none above the largest."""
    n_parts = -(-total // largest)
    return -(-total // n_parts)


def create_array(group: zarr.Group, name: str, spec: ArraySpec) -> zarr.Array[Any]:
    """Create one array of the layout: sharded by run, shuffled, compressed, checksummed.

    Level 2 of zstd after a shuffle of bytes is the smallest of what keeps up with MD and with
    analyses, see ``tests/benchmarks/store_size.py``.
    """
    from zarr.codecs import BloscCodec, Crc32cCodec, TransposeCodec

    chunks, shards = _chunks_and_shards(spec)
    dtype = np.dtype(spec.dtype)
    fill = {"f": np.nan, "i": -1}.get(dtype.kind, 0)
    return group.create_array(
        name,
        shape=spec.shape,
        chunks=chunks,
        shards=shards,
        dtype=dtype,
        filters=[TransposeCodec(order=(0, 2, 3, 1))] if spec.is_positions else None,
        compressors=[BloscCodec(cname="zstd", clevel=2, shuffle="shuffle"), Crc32cCodec()],
        fill_value=spec.attributes.get("_FillValue", fill),
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
        ``a`` to write, ``r`` to read, ``r+`` to write into a store that is there.

    Raises
    ------
    StoreError
        When there is none to read, or a later version of dasksse wrote it.
    """
    import zarr

    path = store_path(where)
    try:
        root = zarr.open_group(path, mode=mode, use_consolidated=False)
    except FileNotFoundError as error:
        found = "a file" if path.is_file() else "a folder without zarr.json"
        msg = f"{path}: no store: found {found if path.exists() else 'nothing'} there"
        raise StoreError(msg) from error
    if mode == "a" and "layout_version" not in root.attrs:
        root.attrs.update({"layout_version": LAYOUT_VERSION, "title": "dasksse run"})
    version = int(root.attrs.get("layout_version", 1))
    if version > LAYOUT_VERSION:
        msg = (
            f"{path}: found a store of layout version {version}; this dasksse "
            f"reads versions 1 to {LAYOUT_VERSION}: take the version that wrote it, or later"
        )
        raise StoreError(msg)
    return root


def mark_version(root: zarr.Group, group: zarr.Group) -> None:
    """Say which layout a new group has; older groups beside it keep theirs."""
    group.attrs["layout_version"] = LAYOUT_VERSION
    if root.attrs.get("layout_version") != LAYOUT_VERSION:
        root.attrs["layout_version"] = LAYOUT_VERSION


def require_group(root: zarr.Group, path: str) -> zarr.Group:
    """Open a group, creating it and its parents one level at a time."""
    group = root
    for part in path.strip("/").split("/"):
        group = group.require_group(part)
    return group
