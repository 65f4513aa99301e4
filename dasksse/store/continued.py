"""Runs that were continued: parts in groups of their own, read as one trajectory.

A group says in ``continued_in`` which one holds the next parts of its runs, in the same order.
Each of those keeps, in ``continued_key``, the unit that wrote what it goes on from: where a run
was done anew since, its old continuation is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.records.trajectory import ALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import zarr
    from numpy.typing import NDArray

    from dasksse.records import Json
    from dasksse.store.stored_trajectory import StoredTrajectory

CONTINUES, CONTINUED_IN, CONTINUED_KEY = "continues", "continued_in", "continued_key"
"""Attributes that name the group before and behind, and the array of units."""


@dataclass(frozen=True, eq=False)
class ContinuedTrajectory:
    """Parts of one MD run behind one another, as one trajectory. Can be pickled.

    :class:`~dasksse.records.trajectory.Trajectory` says what it does; whatever describes a run
    as a whole is that of the first part.

    Attributes
    ----------
    parts
        The parts, in order.
    """

    parts: tuple[StoredTrajectory, ...]

    @property
    def name(self) -> str:
        """Where it begins."""
        return self.parts[0].name

    @property
    def run(self) -> int:
        """Number of the run in its group."""
        return self.parts[0].run

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Atomic numbers, shape ``(atom,)``."""
        return self.parts[0].numbers

    @property
    def n_frames(self) -> int:
        """Frames of all parts."""
        return sum(part.n_frames for part in self.parts)

    @property
    def frame_interval_ps(self) -> float:
        """Time between frames [ps]."""
        return self.parts[0].frame_interval_ps

    @property
    def temperature_K(self) -> float | None:
        """Target temperature [K]."""
        return self.parts[0].temperature_K

    @property
    def pressure_GPa(self) -> float | None:
        """Target pressure [GPa]."""
        return self.parts[0].pressure_GPa

    @property
    def is_npt(self) -> bool:
        """True when the cell varies."""
        return any(part.is_npt for part in self.parts)

    @property
    def n_equilibration(self) -> int:
        """Frames of equilibration."""
        return sum(part.n_equilibration for part in self.parts)

    @property
    def atom_block(self) -> int:
        """Atoms of a chunk."""
        return self.parts[0].atom_block

    @property
    def attributes(self) -> Mapping[str, Json]:
        """What an import remembered."""
        return self.parts[0].attributes

    @property
    def scalar_names(self) -> list[str]:
        """Names of the numbers that each frame has."""
        return self.parts[0].scalar_names

    def positions(
        self, atoms: slice | NDArray[np.int64] = ALL, frames: slice = ALL
    ) -> NDArray[np.floating]:
        """Unwrapped positions [Å], shape ``(frame, atom, xyz)``.

        In memory the frames of one coordinate are neighbours.

        Raises
        ------
        StoreError
            When they cannot be read.
        """
        pieces = [part.positions(atoms, local).T for part, local in self._split(frames)]
        return np.concatenate(pieces, axis=-1).T

    def cells(self, frames: slice = ALL) -> NDArray[np.float64]:
        """Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``.

        Raises
        ------
        StoreError
            When they cannot be read.
        """
        return np.concatenate([part.cells(local) for part, local in self._split(frames)])

    def centres(self, frames: slice = ALL) -> Mapping[int, NDArray[np.float64]]:
        """Mean position of the atoms of each element [Å], ``(frame, xyz)`` by atomic number.

        Raises
        ------
        StoreError
            When they cannot be read.
        """
        pieces = [part.centres(local) for part, local in self._split(frames)]
        return {number: np.concatenate([p[number] for p in pieces]) for number in pieces[0]}

    def scalars(self, name: str) -> NDArray[np.float64] | None:
        """A number of each frame, such as ``deviation_max``, shape ``(frame,)``, or None.

        Raises
        ------
        StoreError
            When they cannot be read.
        """
        columns = [part.scalars(name) for part in self.parts]
        known = [column for column in columns if column is not None]
        return np.concatenate(known) if len(known) == len(columns) else None

    def _split(self, frames: slice) -> Iterator[tuple[StoredTrajectory, slice]]:
        """Parts with frames of a slice of positive step, one at least, and which these are."""
        first, last, step = frames.indices(self.n_frames)
        start, is_empty = 0, True
        for part in self.parts:
            begin = first - start
            if begin < 0:
                begin %= step
            end = min(last - start, part.n_frames)
            if begin < end:
                is_empty = False
                yield part, slice(begin, end, step)
            start += part.n_frames
        if is_empty:
            yield self.parts[0], slice(0, 0)


def join_runs(
    root: zarr.Group,
    path: str,
    read: Callable[[str, zarr.Group], Iterable[StoredTrajectory]],
) -> Iterator[StoredTrajectory | ContinuedTrajectory]:
    """Runs of a group, each with its continuations.

    Parameters
    ----------
    root
        Root group of the store.
    path
        Group in the store.
    read
        Reads the runs with data of a group, given its path.
    """
    group = root[path]
    parts = {part.run: [part] for part in read(path, group)}
    n_parts = 1
    while (path := group.attrs.get(CONTINUED_IN, "")) and path in root:
        following = root[path]
        before, expected = group["unit_key"][:], following[CONTINUED_KEY][:]
        for part in read(path, following):
            run = part.run
            is_whole = len(parts.get(run, ())) == n_parts
            if is_whole and run < len(before) and before[run] == expected[run]:
                parts[run].append(part)
        group, n_parts = following, n_parts + 1
    for run_parts in parts.values():
        yield run_parts[0] if len(run_parts) == 1 else ContinuedTrajectory(tuple(run_parts))
