"""Paths of ions: positions free of box noise and drift, a block of ions at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

from dasksse.analyse.displacement import maps_to_cell
from dasksse.analyse.msd import TURNED_FRAMES
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from dasksse.records import Trajectory

Reference = Literal["framework", "all", "none"] | tuple[str, ...]
"""Whose centre of mass stands still: that of all elements but the mobile one (of all atoms
where there is no other), of all atoms, nobody's, or that of these elements."""

MEMORY_BYTES = 256_000_000
"""Memory that the work on one block of ions may take where nothing else is said."""
NEIGHBOURS = 32
"""Atoms that a store keeps together: blocks end at multiples of it, to read nothing twice."""
LARGEST_BLOCK = 64
"""Most neighbours of a block: more make nothing faster, and fewer blocks feed fewer cores."""
FRAME_BYTES = 400
"""Memory per frame for transforms and sums, however few ions a block has."""
COLUMN_BYTES, READ_BYTES = 24, 36
"""Memory per frame and ion of a block, and per frame and atom while they are read."""
READ_SHARE = 0.25
"""Share of the memory for a piece of frames as they are read."""


@dataclass(frozen=True)
class IonPaths:
    """Where the atoms of one run are, relative to what should stand still.

    Attributes
    ----------
    run
        Trajectory.
    first_frame
        Frames before this one are left out.
    centres
        Centre of each element in the mean cell [Å], shape ``(frame, xyz)``.
    drift
        What is subtracted from the position of every atom [Å], shape ``(frame, xyz)``.
    mean_cell
        Mean of all cells [Å], shape ``(lattice, xyz)``.
    maps
        What takes positions to the same fractions of the mean cell, shape
        ``(frame, xyz, xyz)``; None where the cell does not vary.
    axes
        Directions that positions are projected on, as rows, shape ``(axis, xyz)``; None for
        x, y and z.
    """

    run: Trajectory
    first_frame: int
    centres: Mapping[str, NDArray[np.float64]]
    drift: NDArray[np.float64]
    mean_cell: NDArray[np.float64]
    maps: NDArray[np.float64] | None
    axes: NDArray[np.float64] | None = None

    @property
    def n_frames(self) -> int:
        """Frames that are left."""
        return len(self.drift)

    def columns(
        self, atoms: NDArray[np.int64], *, memory_bytes: int = MEMORY_BYTES
    ) -> NDArray[np.float64]:
        """Paths of some atoms, with the frames of a coordinate side by side in memory.

        Parameters
        ----------
        atoms
            Indices in ascending order, shape ``(ion,)``; neighbours are read fastest.
        memory_bytes
            Frames are read in pieces of at most a quarter of this.

        Returns
        -------
        NDArray[np.float64]
            Positions [Å], shape ``(axis, ion, frame)``.

        Raises
        ------
        AnalysisError
            If a position is not finite.
        """
        low, high = int(atoms[0]), int(atoms[-1]) + 1
        chosen = slice(None) if len(atoms) == high - low else atoms - low
        n_axes = 3 if self.axes is None else len(self.axes)
        columns = np.empty((n_axes, len(atoms), self.n_frames))
        n_read = int(READ_SHARE * memory_bytes) // (READ_BYTES * (high - low))
        for piece in _pieces(self.n_frames, max(n_read, TURNED_FRAMES)):
            frames = slice(self.first_frame + piece.start, self.first_frame + piece.stop)
            read = self.run.positions(slice(low, high), frames)
            for part in _pieces(len(read), TURNED_FRAMES):
                used = slice(piece.start + part.start, piece.start + part.stop)
                self._free(read[part, chosen], used, columns[..., used])
        if not np.isfinite(columns.sum(axis=-1)).all():
            raise self._not_finite(columns)
        return columns

    def charge_path(self, charges: Mapping[str, float]) -> NDArray[np.float64]:
        """Summed positions of all atoms with a charge, each times its charge.

        Parameters
        ----------
        charges
            Charge of each element that counts [e].

        Returns
        -------
        NDArray[np.float64]
            Charge times position [e Å], shape ``(axis, 1, frame)``.

        Raises
        ------
        AnalysisError
            If the run has no such element.
        """
        path = np.zeros_like(self.drift)
        for symbol, charge in charges.items():
            n_atoms = len(atoms_of(self.run, symbol))
            path += charge * n_atoms * (self.centres[symbol] - self.drift)
        axes = np.eye(3) if self.axes is None else self.axes
        return (axes @ path.T)[:, None, :]

    def _free(
        self, positions: NDArray[np.floating], frames: slice, out: NDArray[np.float64]
    ) -> None:
        """Write positions in the mean cell without drift as columns."""
        if self.maps is not None:
            positions = positions @ self.maps[frames]
        columns, drift = positions.transpose(2, 1, 0), self.drift[frames].T[:, None]
        if self.axes is None:
            np.subtract(columns, drift, out=out)
        else:
            out[:] = np.tensordot(self.axes, columns - drift, axes=1)

    def _not_finite(self, columns: NDArray[np.float64]) -> AnalysisError:
        bad = np.flatnonzero(~np.isfinite(columns).all(axis=(0, 1)))
        return AnalysisError(
            f"{self.run.name}: positions are not finite in {len(bad)} of {self.n_frames} "
            f"frames, first in frame {self.first_frame + bad[0]}: leave padding and blown-up "
            "frames out"
        )


def follow(
    run: Trajectory,
    mobile: str,
    *,
    reference: Reference = "framework",
    first_frame: int | None = None,
    axes: NDArray[np.float64] | None = None,
) -> IonPaths:
    """Paths of a run's atoms, relative to what should stand still.

    Parameters
    ----------
    run
        Trajectory.
    mobile
        Symbol of the mobile element.
    reference
        Whose centre of mass stands still.
    first_frame
        Frames before this one are left out; the planned equilibration where it is None.
    axes
        Directions to project on, as rows of length 1, shape ``(axis, xyz)``.

    Raises
    ------
    AnalysisError
        If an element is absent, fewer than two frames are left or a cell has no volume.

    Notes
    -----
    With a variable cell, positions are mapped to the same fractions of the mean cell: fractions
    times the frame's own cell would add the breathing of the box, multiplied by the number of
    boxes an ion has crossed.
    """
    first = start_of(run, first_frame)
    frames = slice(first, None)
    centres = {chemical_symbols[z]: path for z, path in run.centres(frames).items()}
    cells = run.cells(frames)
    mean_cell = cells.mean(axis=0)
    maps = maps_to_cell(cells, mean_cell) if run.is_npt else None
    if maps is not None:
        centres = {s: np.einsum("fx,fxy->fy", path, maps) for s, path in centres.items()}
    drift = np.zeros((len(cells), 3))
    if standing := _standing(run, mobile, reference):
        weights = np.array([len(atoms_of(run, s)) * _mass(s) for s in standing])
        paths = [centres[symbol] for symbol in standing]
        drift = np.einsum("e,efx->fx", weights / weights.sum(), paths)
        drift -= drift[0]
    return IonPaths(run, first, centres, drift, mean_cell, maps, axes)


def start_of(run: Trajectory, first_frame: int | None = None) -> int:
    """First frame that is used: the given one, or the one after the planned equilibration.

    Raises
    ------
    AnalysisError
        If fewer than two frames are left.
    """
    first = run.n_equilibration if first_frame is None else first_frame
    if run.n_frames - first < 2:  # noqa: PLR2004 - one frame has no displacement
        msg = (
            f"{run.name}: {run.n_frames} frames, of which {first} are equilibration; a "
            "displacement needs at least 2 others: run longer or discard less"
        )
        raise AnalysisError(msg)
    return first


def atoms_of(run: Trajectory, symbol: str) -> NDArray[np.int64]:
    """Indices of the atoms of an element, shape ``(atom,)``.

    Raises
    ------
    AnalysisError
        If there are none.
    """
    atoms = np.flatnonzero(run.numbers == atomic_numbers.get(symbol, -1))
    if not len(atoms):
        present = ", ".join(sorted(chemical_symbols[number] for number in set(run.numbers)))
        msg = f"{run.name}: no {symbol!r} among the atoms; elements present: {present}"
        raise AnalysisError(msg)
    return atoms


def ion_blocks(
    atoms: NDArray[np.int64], n_frames: int, *, memory_bytes: int = MEMORY_BYTES
) -> list[NDArray[np.int64]]:
    """Split atoms into blocks of neighbours whose paths fit into memory.

    Parameters
    ----------
    atoms
        Indices in ascending order, shape ``(atom,)``.
    n_frames
        Number of frames.
    memory_bytes
        Memory that the work on one block may take.

    Raises
    ------
    AnalysisError
        If not even one ion fits.
    """
    room = (1.0 - READ_SHARE) * memory_bytes / n_frames - FRAME_BYTES
    width = min(int(room / COLUMN_BYTES), LARGEST_BLOCK)
    if width < 1:
        needed = (FRAME_BYTES + COLUMN_BYTES) * n_frames / (1.0 - READ_SHARE)
        msg = (
            f"memory of {memory_bytes / 1e6:.0f} MB is too little for the path of one ion over "
            f"{n_frames} frames: allow at least {np.ceil(needed / 1e6):.0f} MB"
        )
        raise AnalysisError(msg)
    together = max(width // NEIGHBOURS, 1) * NEIGHBOURS
    n_parts = -(-together // width)
    keys = atoms // together * n_parts + atoms % together * n_parts // together
    return np.split(atoms, np.flatnonzero(np.diff(keys)) + 1)


def axes_along(direction: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
    """Three directions at right angles, the last of them along a given one.

    Parameters
    ----------
    direction
        Any vector, such as a lattice vector: with c, the last axis is c and the first two span
        the plane across it.

    Returns
    -------
    NDArray[np.float64]
        Unit vectors as rows, shape ``(axis, xyz)``.

    Raises
    ------
    AnalysisError
        If the vector has no length.
    """
    last = unit_vectors([direction])[0]
    helper = np.eye(3)[np.argmin(np.abs(last))]
    first = unit_vectors([np.cross(helper, last)])[0]
    return np.stack([first, np.cross(last, first), last])


def unit_vectors(
    directions: Sequence[Sequence[float] | NDArray[np.floating]],
) -> NDArray[np.float64]:
    """Directions as rows of length 1, shape ``(direction, xyz)``.

    Raises
    ------
    AnalysisError
        If a vector has no length or not three components.
    """
    rows = np.asarray(directions, dtype=np.float64)
    if rows.shape[1:] != (3,) or not np.all(lengths := np.linalg.norm(rows, axis=1)):
        msg = f"directions must be vectors of three components and some length, found {rows}"
        raise AnalysisError(msg)
    return np.asarray(rows / lengths[:, None])


def _standing(run: Trajectory, mobile: str, reference: Reference) -> tuple[str, ...]:
    """Elements whose centre of mass stands still."""
    atoms_of(run, mobile)
    elements = tuple(chemical_symbols[number] for number in np.unique(run.numbers))
    if isinstance(reference, tuple):
        for symbol in reference:
            atoms_of(run, symbol)
        return reference
    others = tuple(symbol for symbol in elements if symbol != mobile)
    choices = {"framework": others or elements, "all": elements, "none": ()}
    if reference not in choices:
        msg = (
            f"reference is {reference!r}, must be one of {', '.join(choices)}, or a tuple of "
            "elements"
        )
        raise AnalysisError(msg)
    return choices[reference]


def _mass(symbol: str) -> float:
    return float(atomic_masses[atomic_numbers[symbol]])


def _pieces(n_frames: int, step: int) -> Iterator[slice]:
    for start in range(0, n_frames, step):
        yield slice(start, min(start + step, n_frames))
