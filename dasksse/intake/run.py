"""Frames of one run out of one or more files: in Å, evenly spaced, unwrapped, checked."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

from dasksse.errors import TrajectoryError
from dasksse.intake.clock import Clock
from dasksse.intake.lattice import LENGTH_UNITS_A, in_one_basis, require_cells
from dasksse.intake.plausibility import check_lengths, check_time
from dasksse.intake.selection import selected_parts
from dasksse.intake.steps import MAX_STEP, Step
from dasksse.intake.unwrap import Unwrapper
from dasksse.units import FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.intake.selection import Part, Selection
    from dasksse.intake.source import Hints, Piece, Source

    Array = NDArray[np.float64]

CHECKED_FRAMES = 200
"""Frames whose speeds are looked at."""
CONSTANT_CELL_A = 1e-4
CONSTANT_TEMPERATURE_K = 1e-3
TRUSTED, WRAPPED, OUTSIDE, INSIDE = "unwrapped", "wrapped", "continuous", "no crossing"


class RunReader:
    """One run, to be read once.

    Parameters
    ----------
    paths
        Its files, in the order of time.
    hints
        What the user says of them.
    selection
        Frames that are wanted.

    Attributes
    ----------
    numbers
        Atomic numbers, shape ``(atom,)``.
    interval_ps
        Time between the wanted frames [ps].
    temperature_K
        Temperature [K]; None where neither user nor file says it.
    pressure_GPa
        Target pressure [GPa]; None where the user does not say it.
    scalar_names
        Numbers of each frame that the files gave so far.
    n_read, n_frames
        Frames read and not left out, and of these given out.
    is_npt
        Whether the cell varied so far.
    sources
        The files opened so far.
    notes
        What is odd about the run.

    Raises
    ------
    ConfigError
        When a file is not there or of no known format.
    TrajectoryError
        When atoms, cell or times are not known, or units cannot be meant.
    """

    def __init__(self, paths: Sequence[Path], hints: Hints, selection: Selection) -> None:
        self._hints = hints
        self._every = selection.every
        parts = selected_parts(paths, hints, selection)
        first = next(parts, None)
        if first is None:
            msg = f"{paths[0]}: no frames in {selection.start}:{selection.stop or ''}"
            raise TrajectoryError(msg)
        self._parts = chain([first], parts)
        self._clock = Clock(hints)
        self._clock.start(first.source, first.piece if len(first.piece) > 1 else first.whole)
        self.interval_ps = self._clock.interval_fs * selection.every / FS_PER_PS
        self.numbers = first.source.numbers
        self.temperature_K = self._temperature(first)
        self.pressure_GPa = hints.pressure_GPa
        self._unwrapper = Unwrapper(self.numbers)
        self._last_cell: Array | None = None
        self._cell_low, self._cell_high = np.full((3, 3), np.inf), np.full((3, 3), -np.inf)
        self.scalar_names: list[str] = []
        self._temperature_sum, self._n_temperatures = 0.0, 0
        self._trusted_by: dict[str, None] = {}
        self.n_read = self.n_frames = 0
        self.sources: list[Source] = []
        self.notes: list[str] = []

    @property
    def is_npt(self) -> bool:
        """Whether the cell varied so far."""
        return bool((self._cell_high - self._cell_low).max() > CONSTANT_CELL_A)

    @property
    def longest_step(self) -> Step:
        """The longest step of nearest images."""
        return self._unwrapper.steps.longest

    @property
    def mean_temperature_K(self) -> float | None:
        """Mean of the temperatures measured in the frames [K], where the files give them."""
        count = self._n_temperatures
        return self._temperature_sum / count if count else None

    def bytes_read(self) -> int:
        """How much of the files has been read [bytes]."""
        done = sum(source.path.stat().st_size for source in self.sources[:-1])
        return done + (self.sources[-1].bytes_read() if self.sources else 0)

    def frames(self) -> Iterator[tuple[Array, Array, Mapping[str, Array]]]:
        """Unwrapped positions and cells [Å] of frames, with their scalars by name.

        Shapes are ``(frame, atom, xyz)``, ``(frame, lattice, xyz)`` and ``(frame,)``.

        Raises
        ------
        TrajectoryError
            When a frame cannot be used, or the run cannot be unwrapped with certainty.
        """
        for part in self._parts:
            positions, cells, scalars = self._ready(part)
            if not len(positions):
                continue
            if self.n_read == 0:
                self._check_units(part.source, positions, cells)
            chosen = slice(-self.n_read % self._every, None, self._every)
            self.n_read += len(positions)
            self.n_frames += len(positions[chosen])
            self._take_note_of(scalars)
            yield (
                positions[chosen],
                cells[chosen],
                {name: column[chosen] for name, column in scalars.items()},
            )
        if self.n_frames < 2:  # noqa: PLR2004 - nothing moves
            msg = f"{self.sources[0].path}: found {self.n_frames} frame, needed are 2 or more"
            raise TrajectoryError(msg)

    def unwrapping(self) -> tuple[str, str]:
        """State of the positions in the files, in a word and in a sentence."""
        step = self.longest_step
        longest = f"longest step {step.length_A:.2f} Å"
        if self._trusted_by:
            return TRUSTED, f"unwrapped by {' and '.join(self._trusted_by)}; {longest}"
        limit = f"{longest} of {MAX_STEP * step.width_A:.2f} Å allowed"
        if crossings := self._unwrapper.n_crossings:
            return WRAPPED, f"wrapped: {crossings} crossings undone by nearest images; {limit}"
        if self._unwrapper.leaves_cell:
            return OUTSIDE, f"unwrapped already, without jumps; {limit}"
        return INSIDE, f"no atom crosses a border of the cell; {limit}"

    def _temperature(self, first: Part) -> float | None:
        """Temperature said by user or file, or measured as one and the same."""
        if self._hints.temperature_K is not None:
            return self._hints.temperature_K
        measured = first.piece.scalars.get("temperature")
        if first.source.temperature_K is None and measured is not None:
            is_constant = len(measured) > 1 and np.ptp(measured) < CONSTANT_TEMPERATURE_K
            return float(measured[0]) if is_constant else None
        return first.source.temperature_K

    def _take_note_of(self, scalars: Mapping[str, Array]) -> None:
        self.scalar_names += [name for name in scalars if name not in self.scalar_names]
        measured = scalars.get("temperature", np.empty(0))
        known = measured[np.isfinite(measured)]
        self._temperature_sum += float(known.sum())
        self._n_temperatures += len(known)

    def _ready(self, part: Part) -> tuple[Array, Array, Mapping[str, Array]]:
        """Frames of a part that are no repeats, unwrapped, their cells and their numbers."""
        source, piece = part.source, part.piece
        is_seam = part.begins and bool(self.sources)
        if part.begins:
            self._begin(source)
        has_ticks = not part.begins or self._clock.begin_file(source, piece)
        piece = self._clock.without_repeats(source, piece, part.first_frame)
        if not len(piece):
            return piece.positions, np.empty((0, 3, 3)), {}
        first_frame = part.first_frame + len(part.piece) - len(piece)
        positions, cells = self._in_angstrom(source, piece, first_frame)
        if is_seam and not has_ticks and self._unwrapper.is_repeat(positions[0], cells[0]):
            source.notes.append("its first frame is the last one of the file before, left out")
            positions, cells, piece = positions[1:], cells[1:], piece.take(slice(1, None))
            first_frame += 1
        unwrapped = self._unwrapped(source, positions, cells, first_frame, is_seam=is_seam)
        return unwrapped, cells, piece.scalars

    def _begin(self, source: Source) -> None:
        if not np.array_equal(source.numbers, self.numbers):
            msg = (
                f"{source.path}: found {len(source.numbers)} atoms, needed are the "
                f"{len(self.numbers)} of {self.sources[0].path} in the same order"
            )
            raise TrajectoryError(msg)
        self.sources.append(source)

    def _in_angstrom(
        self, source: Source, piece: Piece, first_frame: int
    ) -> tuple[Array, Array]:
        """Positions with the image counts of the file, and cells, both finite [Å]."""
        cells = require_cells(
            piece.cells,
            self._hints.cell,
            len(piece),
            path=source.path,
            first_frame=first_frame,
        )
        positions = piece.positions
        if piece.images is not None and self._hints.is_unwrapped is not False:
            positions = positions + piece.images @ cells
        is_finite = np.isfinite(positions).all(axis=2)
        if not is_finite.all():
            frame, atom = (int(index) for index in np.argwhere(~is_finite)[0])
            msg = (
                f"{source.path}: frame {first_frame + frame}: the position of atom {atom + 1} "
                f"({chemical_symbols[self.numbers[atom]]}) is missing or not finite; leave "
                "such frames out with --frames A:B"
            )
            raise TrajectoryError(msg)
        factor = LENGTH_UNITS_A[self._hints.length_unit or source.length_unit]
        where = f"{source.path}: frame {first_frame} and later"
        cells = in_one_basis(cells * factor, self._last_cell, where)
        self._last_cell = cells[-1]
        self._cell_low = np.minimum(self._cell_low, cells.min(axis=0))
        self._cell_high = np.maximum(self._cell_high, cells.max(axis=0))
        return positions * factor if factor != 1.0 else positions, cells

    def _unwrapped(
        self, source: Source, positions: Array, cells: Array, first_frame: int, *, is_seam: bool
    ) -> Array:
        if not len(positions):
            return positions
        trusted = bool(source.unwrapped_by)
        if self._hints.is_unwrapped is not None:
            trusted = self._hints.is_unwrapped
        if trusted:
            self._trusted_by[source.unwrapped_by or "--unwrapped"] = None
        unwrapped = self._unwrapper.unwrap(
            positions,
            cells,
            trusted=trusted,
            is_seam=is_seam,
            first_frame=first_frame,
            where=str(source.path),
        )
        doubt = self._unwrapper.steps.doubt()
        if doubt and not trusted:
            msg = (
                f"{source.path}: too coarse in time to be unwrapped: {doubt}; a wrong image "
                "could not be seen afterwards. Write frames more often, or unwrapped positions "
                "or image counts (LAMMPS: xu yu zu or ix iy iz); if these are unwrapped, say "
                "--unwrapped"
            )
            raise TrajectoryError(msg)
        return unwrapped

    def _check_units(self, source: Source, positions: Array, cells: Array) -> None:
        try:
            self.notes += check_lengths(positions[0], cells[0])
            self.notes += check_time(
                np.diff(positions[: CHECKED_FRAMES + 1], axis=0),
                self.numbers,
                self._clock.interval_fs,
                self.temperature_K,
            )
        except TrajectoryError as error:
            msg = f"{source.path}: {error}"
            raise TrajectoryError(msg) from error
