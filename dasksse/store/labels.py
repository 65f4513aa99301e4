"""Labels in the store: appended by the driver alone, in order, ``n_valid`` written last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.store.layout import open_store, require_group

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray

    from dasksse.records import Labels

SHARD_FRAMES = 64
STATUS_TABLE = ("good", "failed")
ROLE_TABLE = ("start", "relax", "candidate", "check", "probe", "imported")


@dataclass(frozen=True)
class LabelBatch:
    """Labels of one unit and what they were made for."""

    key: str
    labels: Labels
    generation: int
    role: str


_ARRAYS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "positions": ("f8", ("atom", "xyz"), "angstrom"),
    "cell": ("f8", ("lattice", "xyz"), "angstrom"),
    "energy": ("f8", (), "eV"),
    "forces": ("f8", ("atom", "xyz"), "eV/angstrom"),
    "virial": ("f8", ("lattice", "xyz"), "eV"),
    "source": ("i2", (), "1"),
    "functional": ("i2", (), "1"),
    "is_surrogate": ("i1", (), "1"),
    "iteration": ("i4", (), "1"),
    "role": ("i1", (), "1"),
    "status": ("i1", (), "1"),
    "reject_reason": ("i2", (), "1"),
    "frame_key": ("u8", (), "1"),
    "unit_key": ("u8", (), "1"),
}


def _sizes(n_atoms: int) -> dict[str, int]:
    return {"atom": n_atoms, "xyz": 3, "lattice": 3}


def _require_arrays(group: zarr.Group, numbers: NDArray[np.int64]) -> None:
    if "n_valid" in group:
        return
    sizes = _sizes(len(numbers))
    for name, (dtype, dims, units) in _ARRAYS.items():
        if name in group:
            continue
        inner = tuple(sizes[dim] for dim in dims)
        kind = np.dtype(dtype).kind
        group.create_array(
            name,
            shape=(0, *inner),
            chunks=(SHARD_FRAMES, *inner),
            dtype=dtype,
            fill_value=np.nan if kind == "f" else (-1 if kind == "i" else 0),
            dimension_names=("frame", *dims),
            attributes={"units": units},
        )
    group["virial"].attrs["long_name"] = "W = -dE/d(strain) = -V * stress; NaN where none"
    for name, table in (("status", STATUS_TABLE), ("role", ROLE_TABLE)):
        group[name].attrs["table"] = list(table)
    for name in ("source", "functional", "reject_reason"):
        group[name].attrs["table"] = []
    if "atomic_number" not in group:
        numbers_array = group.create_array(
            "atomic_number",
            shape=numbers.shape,
            chunks=numbers.shape,
            dtype="i2",
            dimension_names=("atom",),
        )
        numbers_array[:] = numbers
    group.attrs["coordinates"] = "atomic_number"
    n_valid = group.create_array("n_valid", shape=(), chunks=(), dtype="i8")
    n_valid[...] = 0


def _codes(array: zarr.Array[Any], texts: Sequence[str]) -> NDArray[np.int64]:
    """Code texts by the array's table, growing it by what is new."""
    table: list[str] = list(array.attrs["table"])
    known = len(table)
    for text in texts:
        if text not in table:
            table.append(text)
    if len(table) > known:
        array.attrs["table"] = table
    return np.array([table.index(text) for text in texts])


def stored_units(run_dir: Path, system: str) -> set[str]:
    """Keys of the label units that are in the store already."""
    root = open_store(run_dir, mode="a")
    path = f"labels/{system}"
    if path not in root or "n_valid" not in root[path]:
        return set()
    group = root[path]
    count = int(group["n_valid"][...])
    return {f"{int(key):016x}" for key in np.unique(group["unit_key"][:count])}


def append_labels(run_dir: Path, system: str, batches: Sequence[LabelBatch]) -> None:
    """Append label batches of one system; those already stored are passed over.

    Only the driver calls this. Readers use the first ``n_valid`` frames; it is written last, so
    a driver killed while appending leaves no half batch behind.
    """
    present = stored_units(run_dir, system)
    new = []
    for batch in batches:
        if batch.key not in present and len(batch.labels):
            present.add(batch.key)
            new.append(batch)
    if not new:
        return
    group = require_group(open_store(run_dir), f"labels/{system}")
    _require_arrays(group, new[0].labels.frames.numbers)
    start = int(group["n_valid"][...])
    stop = start + sum(len(batch.labels) for batch in new)
    columns = {name: np.concatenate([_column(group, b, name) for b in new]) for name in _ARRAYS}
    for name, values in columns.items():
        array = group[name]
        array.resize((stop, *array.shape[1:]))
        array[start:stop] = values
    group["n_valid"][...] = stop


def _column(group: zarr.Group, batch: LabelBatch, name: str) -> NDArray[Any]:
    labels = batch.labels
    count = len(labels)
    plain: dict[str, Any] = {
        "positions": labels.frames.positions,
        "cell": labels.frames.cells,
        "energy": labels.energies,
        "forces": labels.forces,
        "virial": labels.virials,
        "is_surrogate": np.full(count, int(labels.is_surrogate)),
        "iteration": np.full(count, batch.generation),
        "role": np.full(count, ROLE_TABLE.index(batch.role)),
        "status": np.where(labels.is_good, 0, 1),
        "unit_key": np.full(count, int(batch.key, 16), dtype=np.uint64),
    }
    if name in plain:
        return np.asarray(plain[name])
    if name == "frame_key":
        return np.array([int(key, 16) for key in labels.frames.content_keys()], dtype=np.uint64)
    texts = {
        "source": [labels.source] * count,
        "functional": [labels.functional] * count,
        "reject_reason": list(labels.reasons) if labels.reasons else [""] * count,
    }[name]
    return _codes(group[name], texts)
