"""VASP's XDATCAR, with a fixed or a variable cell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import TrajectoryError
from dasksse.intake.source import Hints, Piece, Source
from dasksse.intake.species import element_numbers
from dasksse.intake.text import TextFile, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

TITLE = "VASP XDATCAR"
_CONFIGURATION = re.compile(rb"^[ \t]*(Direct|Cartesian) configuration=[^\n]*\n", re.MULTILINE)
_HEADER_LINES = 7


@dataclass(frozen=True)
class _Header:
    """Cell [Å], scale, and a name for each atom."""

    cell: Array
    scale: float
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Frame:
    """Header above a frame, empty when it has none, and where its rows are."""

    header: bytes
    start: int
    end: int
    is_direct: bool


def open_xdatcar(path: Path, hints: Hints) -> Source:
    """Open a file.

    Raises
    ------
    TrajectoryError
        When it holds no frame, no cell, or a species is unknown.
    """
    file = TextFile(path)
    splitter = _Splitter(path)
    groups = file.frame_groups(splitter.split)
    text, frames = next(groups, (b"", []))
    if not frames:
        msg = f"{path}: holds no whole frame; an XDATCAR of VASP 5 or later is needed"
        raise TrajectoryError(msg)
    header = _read_header(frames[0].header, path)
    numbers = element_numbers(header.names, path, hints.species)
    source = Source(path, TITLE, numbers, iter(()), file.bytes_read)
    source.pieces = _pieces(chain([(text, frames)], groups), header, file, source.notes)
    return source


def _pieces(
    groups: Iterable[tuple[bytes, list[_Frame]]],
    first: _Header,
    file: TextFile,
    notes: list[str],
) -> Iterator[Piece]:
    header, n_before, n_atoms = first, 0, len(first.names)
    for text, frames in groups:
        where = f"{file.path}: frames {n_before} to {n_before + len(frames) - 1}"
        rows = read_rows(b"".join([text[f.start : f.end] for f in frames]), 3, where)
        places = rows.reshape(len(frames), n_atoms, 3)
        cells = np.empty((len(frames), 3, 3))
        for index, frame in enumerate(frames):
            if frame.header:
                header = _read_header(frame.header, file.path)
                if header.names != first.names:
                    msg = (
                        f"{file.path}: frame {n_before + index} has other atoms "
                        f"({len(header.names)}) than frame 0 ({n_atoms})"
                    )
                    raise TrajectoryError(msg)
            cells[index] = header.cell
            if not frame.is_direct:
                places[index] *= header.scale
        is_direct = np.array([frame.is_direct for frame in frames])
        positions = places @ np.where(is_direct[:, None, None], cells, np.eye(3))
        yield Piece(positions, cells)
        n_before += len(frames)
    if file.cut_off:
        notes.append(f"{file.cut_off} after frame {n_before - 1} and left out")


class _Splitter:
    """Finds frames in a text: the header is written once, or above each of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._n_atoms = 0

    def split(self, text: bytes) -> tuple[list[_Frame], int]:
        """Whole frames, and where the rest begins."""
        marks = list(_CONFIGURATION.finditer(text))
        frames: list[_Frame] = []
        used = 0
        for mark, following in zip(marks, [*marks[1:], None], strict=False):
            header = text[used : mark.start()]
            if header.strip():
                self._n_atoms = len(_read_header(header, self._path).names)
            end = len(text) if following is None else following.start()
            n_lines = text.count(b"\n", mark.end(), end)
            if n_lines < self._n_atoms and following is None:
                break
            n_more = n_lines - self._n_atoms
            if n_more not in {0, _HEADER_LINES} and following is not None:
                msg = (
                    f"{self._path}: found {n_lines} lines after {mark[0].strip().decode()!r}, "
                    f"allowed are {self._n_atoms} atoms, then {_HEADER_LINES} lines of a new "
                    "cell or none"
                )
                raise TrajectoryError(msg)
            end = _before_last_lines(text, end, n_more)
            frames.append(_Frame(header, mark.end(), end, mark[1] == b"Direct"))
            used = end
        return frames, used


def _before_last_lines(text: bytes, end: int, n_lines: int) -> int:
    """Where the last lines of a part of a text begin; what follows them is no whole line."""
    place = text.rfind(b"\n", 0, end)
    for _ in range(n_lines):
        place = text.rfind(b"\n", 0, place)
    return place + 1


def _read_header(header: bytes, path: Path) -> _Header:
    lines = header.decode(errors="replace").split("\n")[-_HEADER_LINES - 1 : -1]
    try:
        scale = float(lines[1])
        vectors = np.array([line.split() for line in lines[2:5]], dtype=np.float64)
        counts = [int(word) for word in lines[6].split()]
        if scale < 0.0:
            scale = float((-scale / abs(np.linalg.det(vectors))) ** (1.0 / 3.0))
        # Li_sv, and Li/<hash> of recent versions
        kinds = [re.split("[_/]", word)[0] for word in lines[5].split()]
        names = tuple(
            name for name, count in zip(kinds, counts, strict=True) for _ in range(count)
        )
        cell = scale * vectors.reshape(3, 3)
    except (ValueError, IndexError) as error:
        msg = (
            f"{path}: found no header of a title, a scale, three vectors, elements and their "
            f"numbers above the positions, as VASP 5 and later write ({error})"
        )
        raise TrajectoryError(msg) from error
    return _Header(cell, scale, names)
