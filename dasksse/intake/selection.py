"""Which frames of a run are wanted, and the pieces of its files that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.errors import ConfigError
from dasksse.intake.formats import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dasksse.intake.source import Hints, Piece, Source


@dataclass(frozen=True)
class Selection:
    """Frames that are wanted.

    Attributes
    ----------
    start, stop
        First frame and the one after the last, counted from 0 over all files of the run; None
        for no end.
    every
        Of these every n-th, after unwrapping.
    """

    start: int = 0
    stop: int | None = None
    every: int = 1

    def __post_init__(self) -> None:
        """Refuse what selects nothing."""
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            msg = (
                f"--frames {self.start}:{'' if self.stop is None else self.stop}: allowed are "
                "A:B with 0 <= A < B, A: and :B"
            )
            raise ConfigError(msg)
        if self.every < 1:
            msg = f"--every {self.every}: allowed are 1 and more"
            raise ConfigError(msg)


ALL_FRAMES = Selection()


def parse_frames(text: str) -> tuple[int, int | None]:
    """First frame and the one after the last, from ``A:B``, ``A:`` or ``:B``.

    Raises
    ------
    ConfigError
        When it is none of these.
    """
    start, colon, stop = text.partition(":")
    numbers = [word for word in (start.strip(), stop.strip()) if word]
    if not colon or not all(word.isdigit() for word in numbers):
        msg = f"--frames {text!r}: allowed are A:B, A: and :B, counted from 0, such as 1000:"
        raise ConfigError(msg)
    return int(start or 0), int(stop) if stop.strip() else None


@dataclass(frozen=True)
class Part:
    """Wanted frames of a piece.

    Attributes
    ----------
    source
        The file.
    piece
        Frames, in the units of the file.
    whole
        All frames of the piece.
    first_frame
        Number of the first one in its file.
    begins
        Whether nothing of the file came before.
    """

    source: Source
    piece: Piece
    whole: Piece
    first_frame: int
    begins: bool


def selected_parts(paths: Sequence[Path], hints: Hints, selection: Selection) -> Iterator[Part]:
    """Wanted frames of successive files, piece by piece; stops reading after the last one."""
    n_before = 0
    for path in paths:
        source = open_source(path, hints)
        n_in_file, begins = 0, True
        for piece in source.pieces:
            start = max(0, selection.start - n_before)
            stop = len(piece) if selection.stop is None else selection.stop - n_before
            if stop <= 0:
                return
            chosen = piece.take(slice(start, stop))
            if len(chosen):
                yield Part(source, chosen, piece, n_in_file + start, begins)
                begins = False
            n_in_file += len(piece)
            n_before += len(piece)
