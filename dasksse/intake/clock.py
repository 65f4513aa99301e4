"""Time between frames: given, read, or counted in MD steps; even, and without repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import TrajectoryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.intake.source import Hints, Piece, Source

UNEVEN = 0.1
"""Ticks may miss even ones by this share of their distance: times in files are rounded."""
SAME_INTERVAL = 0.01


class Clock:
    """Time between the frames of one run, which must stay the same.

    Parameters
    ----------
    hints
        What the user says of the files.

    Attributes
    ----------
    interval_fs
        Time between frames [fs].
    """

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._stride: float | None = None
        self._last: float | None = None
        self.interval_fs = 0.0

    def start(self, source: Source, piece: Piece) -> None:
        """Find the time between frames from the first frames of the first file.

        Raises
        ------
        TrajectoryError
            When neither file nor user gives it.
        """
        if piece.ticks is not None:
            gaps = np.diff(piece.ticks)
            gaps = gaps[gaps > 0.0]
            near = gaps[np.abs(gaps - gaps[:1]) <= UNEVEN * gaps[:1]]
            self._stride = float(near.mean()) if len(near) else None
        said, given = self._said(source), self._hints.dt_fs
        if given is not None and said is not None and abs(given - said) > SAME_INTERVAL * said:
            source.notes.append(
                f"the file says {said:g} fs between frames; --dt-fs {given:g} is taken"
            )
        interval = said if given is None else given
        if interval is None or not 0.0 < interval < np.inf:
            msg = f"{source.path}: no time between frames; give it [fs] as --dt-fs"
            if source.ticks_are_steps:
                msg += ", or the time step of the MD [fs] as --md-step-fs"
            elif self._hints.md_step_fs is not None:
                msg += " (the file does not number MD steps, so that --md-step-fs is no help)"
            raise TrajectoryError(msg)
        self.interval_fs = interval

    def begin_file(self, source: Source, piece: Piece) -> bool:
        """Go on with another file; whether its ticks tell which frames are repeats."""
        if piece.ticks is not None and self._last is not None:
            if piece.ticks[0] > min(0.0, self._last):
                return True
            source.notes.append("its steps begin anew; it is taken to follow on")
        self._last = None
        return False

    def without_repeats(self, source: Source, piece: Piece, first_frame: int) -> Piece:
        """Frames that are later than all before.

        Parameters
        ----------
        source
            The file.
        piece
            Its next frames.
        first_frame
            Number of the first one in the file, for messages.

        Raises
        ------
        TrajectoryError
            When the kept frames are not evenly spaced.
        """
        if piece.ticks is None:
            return piece
        before = -np.inf if self._last is None else self._last
        latest = np.maximum.accumulate(np.concatenate([[before], piece.ticks]))
        is_new = piece.ticks > latest[:-1]
        if not is_new.all():
            n_repeats = np.count_nonzero(~is_new)
            source.notes.append(f"{n_repeats} frames left out: their times were there before")
        new = piece.take(is_new)
        if len(new):
            self._require_even(
                source, piece.ticks[is_new], first_frame + np.flatnonzero(is_new)
            )
            self._last = float(piece.ticks[is_new][-1])
        return new

    def _require_even(
        self, source: Source, ticks: NDArray[np.float64], frames: NDArray[np.int64]
    ) -> None:
        gaps = np.diff(ticks, prepend=[] if self._last is None else [self._last])
        stride = self._stride or 0.0
        uneven = np.flatnonzero(np.abs(gaps - stride) > UNEVEN * stride)
        if len(uneven):
            index = int(uneven[0]) - len(gaps)
            unit = "MD steps" if source.ticks_are_steps else "time"
            msg = (
                f"{source.path}: frames are not evenly spaced: {stride:g} from one to the next "
                f"at first, {gaps[index]:g} before frame {frames[index]} at {ticks[index]:g} "
                f"({unit}); take an even part with --frames A:B"
            )
            raise TrajectoryError(msg)

    def _said(self, source: Source) -> float | None:
        """Time between frames [fs] by the file, or by its steps."""
        tick_fs = source.tick_fs
        if source.ticks_are_steps and self._hints.md_step_fs is not None:
            tick_fs = self._hints.md_step_fs
        if tick_fs is None or self._stride is None:
            return source.interval_fs
        return self._stride * tick_fs
