"""From the staging folder of a writer into the store, without harm to what is there."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import RunFolderError, StoreError
from dasksse.store.allocation import valid_spec
from dasksse.store.folders import FileLock, RunFolder
from dasksse.store.layout import (
    STORE_NAME,
    ArraySpec,
    create_array,
    mark_version,
    open_store,
    require_group,
    store_path,
)
from dasksse.store.sealing import drop_consolidated, seal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray

FRAME_ARRAYS = ("positions", "cell", "centres", "scalars", "checksum")


@dataclass(frozen=True)
class RunFacts:
    """What a store says of one run beside its frames.

    Attributes
    ----------
    path
        Group in the store.
    run
        Index of the run in the group.
    n_frames
        Its frames.
    frame_interval_ps
        Time between frames [ps].
    temperature_K, pressure_GPa
        NaN where they are not known.
    replica
        Number among the runs of this temperature and pressure.
    attributes
        What the import remembers.
    """

    path: str
    run: int
    n_frames: int
    frame_interval_ps: float
    temperature_K: float
    pressure_GPa: float
    replica: int
    attributes: Mapping[str, Any]


@contextlib.contextmanager
def write_lock(store: Path) -> Iterator[None]:
    """Keep other imports out of a store.

    Raises
    ------
    RunFolderError
        When the store is that of a learning run, or another import writes to it.
    StoreError
        When its folder cannot be written.
    """
    run = RunFolder(store.absolute().parent)
    if store.name == STORE_NAME and run.resolved_config.is_file():
        msg = (
            f"{store}: this is the store of a run, which its driver alone writes; name another"
        )
        raise RunFolderError(msg)
    lock = FileLock(store.with_name(f"{store.name}.lock"))
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        is_free = lock.acquire()
    except OSError as error:
        msg = f"{store}: its folder cannot be written ({error.strerror}); name another"
        raise StoreError(msg) from error
    if not is_free:
        msg = f"another import writes to {store} ({lock.holder()}); wait for its end"
        raise RunFolderError(msg)
    try:
        yield
    finally:
        lock.path.unlink()
        lock.release()


def stage_group(part: Path, store: Path, path: str) -> zarr.Group:
    """Group in the staging store, with the arrays that the store has, empty.

    Parameters
    ----------
    part
        Staging folder; what an interrupted import left there is dropped.
    store
        The store.
    path
        Group in both.
    """
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    root = open_store(part)
    group = require_group(root, path)
    mark_version(root, group)
    for name in FRAME_ARRAYS:
        metadata = store / path / name / "zarr.json"
        if metadata.is_file():
            copy = store_path(part) / path / name / "zarr.json"
            copy.parent.mkdir()
            shutil.copyfile(metadata, copy)
    return group


def write_coordinates(
    group: zarr.Group, facts: RunFacts, *, order: NDArray[np.int64], numbers: NDArray[np.int64]
) -> None:
    """Coordinates of a new group with its first run.

    Parameters
    ----------
    group
        The group, its arrays of frames written.
    facts
        The run.
    order
        Place of each atom in the source, shape ``(atom,)``.
    numbers
        Atomic numbers as stored, shape ``(atom,)``.
    """
    n_quantities = group["scalars"].shape[2] if "scalars" in group else 0
    columns: dict[str, tuple[str, str, Any, str]] = {
        **_run_columns(facts),
        **_frame_columns(facts.n_frames, facts.frame_interval_ps),
        "atomic_number": ("atom", "i2", numbers, "1"),
        "source_index": ("atom", "i8", order, "1"),
        "element": ("element", "i2", np.unique(numbers), "1"),
        "quantity": ("quantity", "i4", np.arange(n_quantities), "1"),
    }
    for name, (dim, dtype, values, units) in columns.items():
        if len(values):
            spec = ArraySpec(
                (dim,), (len(values),), dtype, {"units": units}, per_run=False, grows=True
            )
            create_array(group, name, spec)[:] = values
    secondary = [name for name in columns if name not in {"element", "quantity"}]
    group.attrs.update(
        {
            "coordinates": " ".join(secondary),
            "frame_interval_ps": facts.frame_interval_ps,
            "runs": [dict(facts.attributes)],
        }
    )
    create_array(group, "n_valid", replace(valid_spec(1), grows=True))[:] = facts.n_frames


def _run_columns(facts: RunFacts) -> dict[str, tuple[str, str, Any, str]]:
    """Coordinates along the runs, with the value of this one."""
    return {
        "temperature_K": ("run", "f8", np.array([facts.temperature_K]), "K"),
        "pressure_GPa": ("run", "f8", np.array([facts.pressure_GPa]), "GPa"),
        "replica": ("run", "i4", np.array([facts.replica]), "1"),
    }


def _frame_columns(
    n_frames: int, frame_interval_ps: float
) -> dict[str, tuple[str, str, Any, str]]:
    """Coordinates along the frames."""
    return {
        "time_ps": ("frame", "f8", np.arange(n_frames) * frame_interval_ps, "ps"),
        "is_equilibration": ("frame", "i1", np.zeros(n_frames, dtype=np.int8), "1"),
    }


def commit(part: Path, store: Path, facts: RunFacts) -> None:
    """Move a finished run into the store; killed at any moment, the store has it or not.

    Parameters
    ----------
    part
        Staging folder.
    store
        The store; made when it is not there.
    facts
        The run.
    """
    staged = store_path(part)
    if not store.exists():
        seal(part)
        staged.rename(store)
        return
    root = open_store(store)
    if facts.path in root and "n_valid" in root[facts.path]:
        _append_run(staged / facts.path, store / facts.path, root[facts.path], facts)
    else:
        drop_consolidated(store)  # it hides groups that came later
        parent = facts.path.rpartition("/")[0]
        if parent:
            require_group(root, parent)
        shutil.rmtree(store / facts.path, ignore_errors=True)
        (staged / facts.path).rename(store / facts.path)
        mark_version(root, root[facts.path])
    seal(store)


def _append_run(staged: Path, place: Path, group: zarr.Group, facts: RunFacts) -> None:
    """One more run in a group that others read: ``n_valid``, written last, shows it.

    Shards of a run that the shapes do not reach are invisible, so they go first.
    """
    for name in FRAME_ARRAYS:
        shards = staged / name / "c" / str(facts.run)
        if shards.is_dir():
            target = place / name / "c" / str(facts.run)
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(exist_ok=True)
            shards.rename(target)
    n_frames = max(facts.n_frames, int(group["positions"].shape[1]))
    sizes = {"run": facts.run + 1, "frame": n_frames}
    arrays = dict(group.arrays())
    n_valid = arrays.pop("n_valid")
    for array in arrays.values():
        dims = array.metadata.dimension_names
        shape = tuple(sizes.get(d, n) for d, n in zip(dims, array.shape, strict=True))
        if shape != array.shape:
            array.resize(shape)
    for name, (_, _, values, _) in _frame_columns(n_frames, facts.frame_interval_ps).items():
        group[name][:] = values
    for name, (_, _, values, _) in _run_columns(facts).items():
        group[name][facts.run] = values[0]
    known = list(group.attrs["runs"])[: facts.run]
    known += [{}] * (facts.run - len(known))
    group.attrs["runs"] = [*known, dict(facts.attributes)]
    n_valid.resize((facts.run + 1,))
    n_valid[facts.run] = facts.n_frames


def check_fits(group: zarr.Group, wanted: Mapping[str, Any], place: str) -> None:
    """Refuse a group whose runs differ from a new one in what they share.

    Raises
    ------
    StoreError
        With what the group has, and what the run has.
    """
    found = {
        "layout version": int(group.attrs.get("layout_version", 1)),
        "number of atoms": group["atomic_number"].shape[0],
        "precision [Å]": float(group["positions"].attrs.get("scale_factor", 0.0)),
        "frame interval [ps]": float(group.attrs.get("frame_interval_ps", 0.0)),
    }
    for what, value in wanted.items():
        if not np.isclose(found[what], value, rtol=1e-6, atol=0.0):
            msg = (
                f"{place}: its runs have {what} {found[what]:g}, the new one {value:g}; give "
                "another group"
            )
            raise StoreError(msg)
