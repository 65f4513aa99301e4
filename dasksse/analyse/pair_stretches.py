"""Pairs of atoms counted over stretches of runs, a piece of their frames in memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.pair_counts import count_distances, turns
from dasksse.analyse.paths import NEIGHBOURS, atoms_of
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from dasksse.records import Trajectory

Couple = tuple[str, str]

MOST_FRAMES = 2000
"""Frames that are looked at where nothing else is said: more of them tell little more."""
LEAST_STRETCHES = 10
"""Runs are cut until there are so many stretches together: their scatter gives the errors."""
_CODED_BYTES = 12


def frames_to_look_at(
    runs: Sequence[Trajectory],
    *,
    every: int | None = None,
    first_frames: Sequence[int] | None = None,
) -> list[range]:
    """Frames of each run that :func:`radial_distributions` looks at, with the same arguments.

    Raises
    ------
    AnalysisError
        If a run has no frame left.
    """
    starts = [run.n_equilibration for run in runs] if first_frames is None else first_frames
    for run, first in zip(runs, starts, strict=True):
        if first >= run.n_frames:
            msg = f"{run.name}: all of {run.n_frames} frames are equilibration; discard less"
            raise AnalysisError(msg)
    n_left = sum(run.n_frames - first for run, first in zip(runs, starts, strict=True))
    step = -(-n_left // MOST_FRAMES) if every is None else every
    if step < 1:
        msg = f"every is {step}; allowed: 1, for all frames, or more"
        raise AnalysisError(msg)
    return [range(first, run.n_frames, step) for run, first in zip(runs, starts, strict=True)]


@dataclass(frozen=True)
class Stretch:
    """Pairs counted in some frames in a row.

    Attributes
    ----------
    n_frames
        Number of frames.
    counts
        Ordered pairs of the atoms of two elements by distance, summed over frames, shape
        ``(bin,)``.
    volumetric
        The same with each frame's counts times the volume of its cell [Å³].
    """

    n_frames: int
    counts: Mapping[Couple, NDArray[np.float64]]
    volumetric: Mapping[Couple, NDArray[np.float64]]


def split(frames: range, n_parts: int) -> Iterator[range]:
    """Parts of frames in a row, as equal as can be, none empty."""
    n_parts = min(n_parts, len(frames))
    ends = [len(frames) * part // n_parts for part in range(n_parts + 1)]
    for start, stop in pairwise(ends):
        yield frames[start:stop]


def count_pairs(
    run: Trajectory,
    couples: Sequence[Couple],
    frames: range,
    edges: NDArray[np.float64],
    memory_bytes: int,
    on_frame: Callable[[], None],
) -> Stretch:
    """Count pairs in some frames.

    Parameters
    ----------
    run
        Trajectory.
    couples
        Pairs of elements.
    frames
        Frames to look at.
    edges
        Edges of bins of one width from 0 [Å], shape ``(bin + 1,)``.
    memory_bytes
        Memory for frames that are held together.
    on_frame
        Called after each frame.

    Raises
    ------
    AnalysisError
        If an element is absent or a position is not finite.
    """
    counts = {couple: np.zeros(len(edges) - 1) for couple in couples}
    volumetric = {couple: np.zeros(len(edges) - 1) for couple in couples}
    symbols = sorted({symbol for couple in couples for symbol in couple})
    n_atoms = sum(len(atoms_of(run, symbol)) for symbol in symbols)
    step = max(1, int(0.5 * memory_bytes) // (_CODED_BYTES * n_atoms))
    for start in range(0, len(frames), step):
        piece = frames[start : start + step]
        cells = run.cells(slice(piece.start, piece.stop, piece.step))
        coded = {symbol: _coded(run, symbol, piece, cells) for symbol in symbols}
        for index, cell in enumerate(cells):
            volume = abs(np.linalg.det(cell))
            for couple in couples:
                first, second = couple
                found = count_distances(
                    coded[first][index],
                    coded[second][index],
                    cell,
                    r_max_A=edges[-1],
                    n_bins=len(edges) - 1,
                    same=first == second,
                )
                counts[couple] += found
                volumetric[couple] += volume * found
            on_frame()
    return Stretch(len(frames), counts, volumetric)


def _coded(
    run: Trajectory, symbol: str, frames: range, cells: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Coordinates of an element's atoms from :func:`turns`, shape ``(frame, xyz, atom)``."""
    atoms = atoms_of(run, symbol)
    inverse = np.linalg.inv(cells)
    coded = np.empty((len(frames), 3, len(atoms)), dtype=np.int32)
    filled = 0
    for block in np.split(atoms, np.flatnonzero(np.diff(atoms // NEIGHBOURS)) + 1):
        positions = run.positions(block, slice(frames.start, frames.stop, frames.step))
        if not np.isfinite(positions).all():
            bad = frames[int(np.argmin(np.isfinite(positions).all(axis=(1, 2))))]
            msg = f"{run.name}: positions of frame {bad} are not finite; leave the frame out"
            raise AnalysisError(msg)
        coded[:, :, filled : filled + len(block)] = turns(positions @ inverse).swapaxes(1, 2)
        filled += len(block)
    return coded
