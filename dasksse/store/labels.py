"""Labels in the store: appended by the driver alone, in order, ``n_valid`` written last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.store.layout import STORE_NAME, open_store, require_group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray

    from dasksse.records import Labels

SHARD_FRAMES = 64
STATUS_TABLE = ("good", "failed", "rejected")
"""A rejected label carries its values: a filter keeps it out of training."""
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
    "label_time": ("f8", (), "s"),
    "label_memory": ("f8", (), "bytes"),
    "frame_key": ("u8", (), "1"),
    "unit_key": ("u8", (), "1"),
}


def _sizes(n_atoms: int) -> dict[str, int]:
    return {"atom": n_atoms, "xyz": 3, "lattice": 3}


def _require_arrays(group: zarr.Group, numbers: NDArray[np.int64]) -> None:
    """Create what is not there: all arrays, or those that came with a later version.

    What an older store does not know of its frames is the fill value.
    """
    sizes = _sizes(len(numbers))
    n_frames = group["frame_key"].shape[0] if "frame_key" in group else 0
    for name, (dtype, dims, units) in _ARRAYS.items():
        if name in group:
            continue
        inner = tuple(sizes[dim] for dim in dims)
        kind = np.dtype(dtype).kind
        group.create_array(
            name,
            shape=(n_frames, *inner),
            chunks=(SHARD_FRAMES, *inner),
            dtype=dtype,
            fill_value=np.nan if kind == "f" else (-1 if kind == "i" else 0),
            dimension_names=("frame", *dims),
            attributes={"units": units},
        )
    if "n_valid" in group:
        return
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


@dataclass(frozen=True)
class LabelFacts:
    """How labels of one system, source and functional came about.

    Attributes
    ----------
    n_atoms
        Atoms of a frame.
    source, functional, is_surrogate
        As in :class:`dasksse.records.Labels`.
    reasons
        Why a frame is not learned from, shape ``(frame,)``; empty for a good label.
    is_rejected
        True where a filter keeps a good label out of training, shape ``(frame,)``.
    seconds, memory_bytes
        Time [s] and largest memory of each, shape ``(frame,)``; NaN where not known.
    """

    n_atoms: int
    source: str
    functional: str
    is_surrogate: bool
    reasons: NDArray[np.str_]
    is_rejected: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    memory_bytes: NDArray[np.float64]


def read_label_facts(run_dir: Path) -> list[LabelFacts]:
    """What a store knows of its labels, failed ones included; nothing without a store."""
    if not (run_dir / STORE_NAME / "zarr.json").is_file():
        return []
    root = open_store(run_dir, mode="r")
    if "labels" not in root:
        return []
    return [
        facts
        for _, group in sorted(root["labels"].groups())
        if "n_valid" in group
        for facts in _facts(group)
    ]


def _facts(group: zarr.Group) -> Iterator[LabelFacts]:
    count = int(group["n_valid"][...])
    unknown = np.full(count, np.nan)
    seconds, memory_bytes = (
        group[name][:count] if name in group else unknown
        for name in ("label_time", "label_memory")
    )
    names = ("source", "functional", "reject_reason")
    tables = [np.array(group[name].attrs["table"], dtype=str) for name in names]
    sources, functionals, reasons = (group[name][:count] for name in names)
    status = group["status"][:count]
    for source, functional in sorted(set(zip(sources, functionals, strict=True))):
        chosen = (sources == source) & (functionals == functional)
        yield LabelFacts(
            n_atoms=group["atomic_number"].shape[0],
            source=str(tables[0][source]),
            functional=str(tables[1][functional]),
            is_surrogate=bool(group["is_surrogate"][:count][chosen].any()),
            reasons=tables[2][reasons[chosen]],
            is_rejected=status[chosen] == STATUS_TABLE.index("rejected"),
            seconds=seconds[chosen],
            memory_bytes=memory_bytes[chosen],
        )


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
        "label_time": labels.seconds,
        "label_memory": labels.memory_bytes,
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


def mark_rejected(run_dir: Path, system: str, reasons: Mapping[str, str]) -> None:
    """Say which good labels the newest training set leaves out; earlier marks are taken back.

    Only the driver calls this; repeats change nothing. The reason of a frame that the same rule
    refuses again stays as it was: limits move from generation to generation, and the table of
    texts would grow with each.

    Parameters
    ----------
    run_dir
        Run folder.
    system
        Name of the system.
    reasons
        Why, by content key of the frame: the rule, a colon, what was found.
    """
    good, _, rejected = range(len(STATUS_TABLE))
    group = open_store(run_dir, mode="a").get(f"labels/{system}")
    if group is None or "n_valid" not in group:
        return
    count = int(group["n_valid"][...])
    before = group["status"][:count]
    keys = [f"{int(key):016x}" for key in group["frame_key"][:count]]
    is_refused = np.array([key in reasons for key in keys], dtype=bool)
    status = np.where(
        np.isin(before, (good, rejected)), np.where(is_refused, rejected, good), before
    )
    codes = group["reject_reason"][:count]
    known = group["reject_reason"].attrs["table"]
    texts = [reasons.get(key, "") for key in keys]
    has_other_rule = [
        text.partition(":")[0] != known[code].partition(":")[0]
        for text, code in zip(texts, codes, strict=True)
    ]
    changed = np.flatnonzero((status != before) | ((status == rejected) & has_other_rule))
    if not len(changed):
        return
    group["status"].attrs["table"] = list(STATUS_TABLE)  # older stores know no rejected ones
    codes[changed] = _codes(group["reject_reason"], [texts[i] for i in changed])
    group["reject_reason"][:count] = codes
    group["status"][:count] = status
