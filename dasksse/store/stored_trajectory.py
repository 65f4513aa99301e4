"""Trajectories in a store, read a few atoms or frames at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StoreError
from dasksse.records.trajectory import ALL
from dasksse.store.allocation import is_set_aside
from dasksse.store.continued import CONTINUES, join_runs
from dasksse.store.encoding import (
    decode_positions,
    element_centres,
    elements_of,
    precision_of,
)
from dasksse.store.layout import NO_POSITION, open_store, store_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray

    from dasksse.records import Json
    from dasksse.store.continued import ContinuedTrajectory

_CELL_NOISE_A = 1e-6
_GAP_STRIDE = 64
_PIECE_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class StoredTrajectory:
    """One MD run of a store; :class:`~dasksse.records.trajectory.Trajectory` says what it does.

    Only the chunks that hold the asked atoms and frames are read. Can be pickled.

    Attributes
    ----------
    arrays
        Arrays of the group by name, each with ``run`` as the first dimension.
    run
        Which run.
    atom_block
        Atoms of a chunk: blocks that begin and end at multiples of it are read fastest.
    pressure_GPa
        Target pressure [GPa]; None where it is not known.
    attributes
        What an import remembered: source file, how it was unwrapped, notes.
    """

    name: str
    numbers: NDArray[np.int64]
    n_frames: int
    frame_interval_ps: float
    temperature_K: float | None
    n_equilibration: int
    arrays: Mapping[str, zarr.Array[Any]]
    run: int
    pressure_GPa: float | None = None
    attributes: Mapping[str, Json] = field(default_factory=dict)

    @property
    def atom_block(self) -> int:
        """Atoms of a chunk."""
        return int(self.arrays["positions"].chunks[2])

    @cached_property
    def is_npt(self) -> bool:
        """True when the cell varies by more than rounding."""
        return bool(np.ptp(self.cells(), axis=0).max() > _CELL_NOISE_A)

    def positions(
        self, atoms: slice | NDArray[np.int64] = ALL, frames: slice = ALL
    ) -> NDArray[np.floating]:
        """Unwrapped positions [Å], shape ``(frame, atom, xyz)``.

        In memory the frames of one coordinate are neighbours (where the store has them so).

        Raises
        ------
        StoreError
            When they cannot be read.
        """
        array = self.arrays["positions"]
        chosen = _as_slice(atoms)
        rows = self._rows(frames)
        if not isinstance(chosen, slice):
            stored = self._read("positions", (rows, chosen))
        else:
            n_frames = len(range(*rows.indices(self.n_frames)))
            n_atoms = len(range(*chosen.indices(len(self.numbers))))
            stored = np.empty((n_atoms, 3, n_frames), dtype=array.dtype).transpose(2, 0, 1)
            self._read("positions", (rows, chosen), out=stored)
        precision_A = precision_of(array)
        some = stored[::_GAP_STRIDE]
        if not (some != NO_POSITION if precision_A > 0 else np.isfinite(some)).all():
            raise self._error("positions", "a shard of them is missing")
        return decode_positions(stored, precision_A)

    def cells(self, frames: slice = ALL) -> NDArray[np.float64]:
        """Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``.

        Raises
        ------
        StoreError
            When they cannot be read.
        """
        cells: NDArray[np.float64] = self._read("cell", (self._rows(frames),))
        return cells

    def centres(self, frames: slice = ALL) -> Mapping[int, NDArray[np.float64]]:
        """Mean position of the atoms of each element [Å], ``(frame, xyz)`` by atomic number.

        Raises
        ------
        StoreError
            When they cannot be read.
        """
        if "centres" in self.arrays:
            values = self._read("centres", (self._rows(frames),))
        else:
            values = self._computed_centres[frames]
        elements = elements_of(self.numbers).tolist()
        return {number: values[:, index] for index, number in enumerate(elements)}

    @cached_property
    def _computed_centres(self) -> NDArray[np.float64]:
        """For stores of layout version 1, which have none: one pass over all positions."""
        step = max(1, _PIECE_BYTES // (24 * len(self.numbers)))
        pieces = (slice(first, first + step) for first in range(0, self.n_frames, step))
        parts = [element_centres(self.positions(ALL, p), self.numbers) for p in pieces]
        return np.concatenate(parts)

    def scalars(self, name: str) -> NDArray[np.float64] | None:
        """A number of each frame, ``(frame,)``, or None where no frame of the run has it.

        Raises
        ------
        StoreError
            When they cannot be read.
        """
        if name not in self.scalar_names:
            return None
        column: NDArray[np.float64] = self._read(
            "scalars", (slice(self.n_frames), self.scalar_names.index(name))
        )
        return None if np.isnan(column).all() else column

    @property
    def scalar_names(self) -> list[str]:
        """Names of the numbers that each frame has."""
        array = self.arrays.get("scalars")
        return [] if array is None else list(array.attrs["table"])

    def _rows(self, frames: slice) -> slice:
        return slice(*frames.indices(self.n_frames))

    def _read(
        self, name: str, selection: tuple[Any, ...], *, out: NDArray[Any] | None = None
    ) -> Any:  # noqa: ANN401 - an array of the type that is stored
        """Read frames of this run, whatever the codecs raise on damaged bytes."""
        from zarr.core.buffer import default_buffer_prototype

        array = self.arrays[name]
        try:
            if not all(isinstance(part, slice | int) for part in selection):
                return array.oindex[self.run, *selection]
            buffer = None
            if out is not None:
                buffer = default_buffer_prototype().nd_buffer.from_ndarray_like(out)
            return array.get_basic_selection((self.run, *selection), out=buffer)
        except Exception as error:
            raise self._error(name, str(error)) from error

    def _error(self, what: str, reason: str) -> StoreError:
        return StoreError(
            f"{self.name}: {what} cannot be read ({reason}); `dasksse verify` finds out which "
            "runs of a store are damaged"
        )


def _as_slice(atoms: slice | NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Indices of neighbours as the slice they are."""
    if isinstance(atoms, slice):
        return atoms
    chosen = np.asarray(atoms)
    if len(chosen) and (np.diff(chosen) == 1).all() and chosen[0] >= 0:
        return slice(int(chosen[0]), int(chosen[-1]) + 1)
    return chosen


@dataclass(frozen=True)
class StoredGroup:
    """Runs of one system.

    Attributes
    ----------
    path
        Group in the store, such as ``production/lgps``.
    system
        Name of the system, the last part of the path.
    runs
        Runs with data, in their order in the store.
    """

    path: str
    system: str
    runs: tuple[StoredTrajectory | ContinuedTrajectory, ...]


def open_trajectories(where: Path) -> list[StoredGroup]:
    """Trajectories of a run's production, or of any other store.

    Exploration is left out; runs without frames, which are being written or have failed, are
    passed over. A run that was continued is one trajectory.

    Parameters
    ----------
    where
        Run folder, or a store (``*.zarr``).

    Raises
    ------
    StoreError
        When there is no store, none that this version reads, or no finished run in it.
    """
    path = store_path(where)
    if not (path / "zarr.json").is_file():
        msg = (
            f"{path}: no store is there; `dasksse import` makes one of trajectories, and a run "
            "has one in data.zarr"
        )
        raise StoreError(msg)
    root = open_store(path, mode="r")
    found = dict(trajectory_groups(root))
    groups = [
        StoredGroup(name, name.rpartition("/")[2], tuple(_runs(path, name, root)))
        for name, group in found.items()
        if not (name.startswith("explore/") or is_set_aside(name) or CONTINUES in group.attrs)
    ]
    groups = [group for group in groups if group.runs]
    if not groups:
        there = ", ".join(found) or "none"
        msg = (
            f"{path}: no finished trajectory outside /explore; groups of trajectories: {there}"
        )
        raise StoreError(msg)
    return groups


def trajectory_groups(group: zarr.Group, path: str = "") -> Iterator[tuple[str, zarr.Group]]:
    """Path and group of all trajectories below a group, by name."""
    for name, inner in sorted(group.groups()):
        below = f"{path}/{name}".strip("/")
        if below == "labels":
            continue
        if "n_valid" in inner and "positions" in inner:
            yield below, inner
        else:
            yield from trajectory_groups(inner, below)


def open_run(store: Path, path: str, run: int) -> StoredTrajectory | ContinuedTrajectory:
    """One run of a group by its number, with its continuations.

    Raises
    ------
    StoreError
        When there is no such run, or it has no frames.
    """
    root = open_store(store, mode="r")
    if path in root:
        for trajectory in _runs(store_path(store), path, root):
            if trajectory.run == run:
                return trajectory
    msg = f"{store_path(store)}: no run {run} with data in a group {path!r}"
    raise StoreError(msg)


def run_attributes(store: Path, path: str) -> list[Mapping[str, Json]]:
    """What imports remembered of each run of a group; nothing of runs without frames.

    Parameters
    ----------
    store
        The store; nothing is known where there is none.
    path
        Group in the store.

    Raises
    ------
    StoreError
        When a later version of dasksse wrote the store.
    """
    root = open_store(store, mode="r") if store.is_dir() else {}
    if path not in root or "n_valid" not in root[path]:
        return []
    about = root[path].attrs.get("runs", [])
    counts = root[path]["n_valid"][:].tolist()
    about = [*about, *({} for _ in counts[len(about) :])]
    return [facts if count > 0 else {} for facts, count in zip(about, counts, strict=False)]


def _runs(
    store: Path, path: str, root: zarr.Group
) -> Iterator[StoredTrajectory | ContinuedTrajectory]:
    return join_runs(root, path, partial(_read_runs, store))


def _read_runs(store: Path, path: str, group: zarr.Group) -> Iterator[StoredTrajectory]:
    members = dict(group.arrays())
    coordinates = {
        name: members[name][:]
        for name in (
            "atomic_number",
            "temperature_K",
            "pressure_GPa",
            "time_ps",
            "is_equilibration",
        )
    }
    arrays = {name: array for name, array in members.items() if array.ndim > 1}
    times = coordinates["time_ps"]
    interval_ps = float(times[1] - times[0]) if len(times) > 1 else 0.0
    about: list[Mapping[str, Any]] = group.attrs.get("runs", [])
    for run, count in enumerate(members["n_valid"][:].tolist()):
        if count > 0:
            yield StoredTrajectory(
                name=f"{store}/{path} run {run}",
                numbers=np.asarray(coordinates["atomic_number"], dtype=np.int64),
                n_frames=count,
                frame_interval_ps=float(group.attrs.get("frame_interval_ps", interval_ps)),
                temperature_K=_known(coordinates["temperature_K"][run]),
                pressure_GPa=_known(coordinates["pressure_GPa"][run]),
                n_equilibration=int(coordinates["is_equilibration"][:count].sum()),
                arrays=arrays,
                run=run,
                attributes=about[run] if run < len(about) else {},
            )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
