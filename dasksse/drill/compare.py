"""What differs between two runs: frames, labels, selection, models."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from dasksse.records import file_digest
from dasksse.store.folders import ATTEMPTS, RunFolder
from dasksse.store.layout import STORE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

SELECTION_KINDS = ("select", "probe")
MD_ARRAYS = (
    "positions",
    "cell",
    "centres",
    "scalars",
    "checksum",
    "n_valid",
    "verdict",
    "reason",
)
LABEL_ARRAYS = (
    "frame_key",
    "role",
    "status",
    "positions",
    "cell",
    "energy",
    "forces",
    "virial",
)

Arrays = dict[str, "NDArray[Any]"]


def compare_runs(calm: Path, disturbed: Path) -> list[str]:
    """What differs between two finished runs of one configuration, one text each.

    Frames with all their scalars and verdicts and the labels by frame are taken from the
    stores, selections and the list of units from the units' records, models from their last
    checkpoints. Nothing is rounded: equal means equal to the bit.

    Parameters
    ----------
    calm
        Run folder of the run that nothing disturbed.
    disturbed
        The other run folder.
    """
    return [
        *_compare_units(RunFolder(calm), RunFolder(disturbed)),
        *_compare_stores(_read_store(calm), _read_store(disturbed)),
    ]


def differing_models(calm: Path, disturbed: Path) -> set[str]:
    """Keys of the trainings that ended with other parameters.

    The last checkpoints are compared. Frozen models cannot be: they hold the paths of their
    training data, and TensorFlow writes their attributes in random order.
    """
    ours, theirs = _parameters(RunFolder(calm)), _parameters(RunFolder(disturbed))
    return {key for key, digests in ours.items() if theirs.get(key, digests) != digests}


def _parameters(folder: RunFolder) -> dict[str, list[str]]:
    """Digests of the parameters that every training ended with, by key."""
    found = {}
    for (_, key), value in _values(folder, ("train",)).items():
        checkpoint = folder.root / value["checkpoint"]
        files = sorted(checkpoint.parent.glob(f"{checkpoint.name}.data-*"))
        found[key] = [file_digest(path) for path in files]
    return found


def models_differ_where_hit(calm: Path, disturbed: Path) -> bool:
    """True when models differ, and it began with trainings that were begun more than once."""
    folder = RunFolder(disturbed)
    differing = differing_models(calm, disturbed)
    generation = {key: int(folder.unit_result("train", key)["generation"]) for key in differing}
    first = [key for key in differing if generation[key] == min(generation.values())]
    return bool(first) and all(_attempts(folder, key) > 1 for key in first)


def _attempts(folder: RunFolder, key: str) -> int:
    return (folder.unit("train", key) / ATTEMPTS).read_bytes().count(b"\n")


def _values(folder: RunFolder, kinds: tuple[str, ...]) -> dict[tuple[str, str], Any]:
    return {
        (kind, key): folder.unit_result(kind, key)["value"]
        for kind, key in folder.done_units()
        if kind in kinds
    }


def _compare_units(calm: RunFolder, disturbed: RunFolder) -> Iterator[str]:
    ours, theirs = set(calm.done_units()), set(disturbed.done_units())
    for kind, key in sorted(ours ^ theirs):
        where = "calm" if (kind, key) in ours else "disturbed"
        yield f"{kind} {key} is in the {where} run alone"
    for key in sorted(differing_models(calm.root, disturbed.root)):
        yield f"train {key}: other parameters"
    selected = _values(disturbed, SELECTION_KINDS)
    for (kind, key), value in _values(calm, SELECTION_KINDS).items():
        if (kind, key) in selected and selected[kind, key] != value:
            yield f"{kind} {key}: another selection"


def _read_store(run_dir: Path) -> dict[str, Arrays]:
    """Arrays to compare of every group with frames; labels in an order of their own."""
    content: dict[str, Arrays] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a run without sealed metadata is slow, not wrong
        tree = xarray.open_datatree(run_dir / STORE_NAME, engine="zarr", decode_times=False)
    for path in tree.groups:
        data = tree[path].to_dataset()
        if "frame_key" in data:
            valid = data.isel(frame=slice(int(data["n_valid"])))
            keys = [valid[name].values for name in ("role", "unit_key", "frame_key")]
            content[path] = {
                name: valid[name].values[np.lexsort(keys)] for name in LABEL_ARRAYS
            }
        elif "n_valid" in data:
            content[path] = {name: data[name].values for name in MD_ARRAYS if name in data}
    tree.close()
    return content


def _compare_stores(calm: dict[str, Arrays], disturbed: dict[str, Arrays]) -> Iterator[str]:
    for path in sorted(calm.keys() ^ disturbed.keys()):
        where = "calm" if path in calm else "disturbed"
        yield f"{path} is in the {where} run alone"
    for path in sorted(calm.keys() & disturbed.keys()):
        for name, values in calm[path].items():
            if text := _difference(values, disturbed[path][name]):
                yield f"{path} {name}: {text}"


def _difference(ours: NDArray[Any], theirs: NDArray[Any]) -> str:
    """How two arrays differ; empty when they are equal, NaN to NaN."""
    if ours.shape != theirs.shape:
        return f"shape {ours.shape} in the calm run, {theirs.shape} in the disturbed one"
    is_equal = ours == theirs
    if ours.dtype.kind == "f":
        is_equal |= np.isnan(ours) & np.isnan(theirs)
    n_different = int(np.sum(~is_equal))
    if not n_different:
        return ""
    place = tuple(int(i[0]) for i in np.nonzero(~is_equal))
    return (
        f"{n_different} of {ours.size} values differ, the first at {place}: "
        f"{ours[place]} in the calm run, {theirs[place]} in the disturbed one"
    )
