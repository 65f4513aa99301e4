"""LAMMPS dumps, text: any columns of positions, any box, atoms in any order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import TrajectoryError
from dasksse.intake.lammps_atoms import KINDS, AtomNames
from dasksse.intake.lattice import box_matrix
from dasksse.intake.source import Hints, Piece, Source
from dasksse.intake.text import TextFile, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

TITLE = "LAMMPS dump"
UNITS: dict[str, tuple[str, float]] = {
    "metal": ("angstrom", 1000.0),
    "real": ("angstrom", 1.0),
    "electron": ("bohr", 1.0),
    "nano": ("nm", 1e6),
}
"""Unit of length, and of time in fs, by the name of a system of units."""
_ITEM = re.compile(rb"ITEM: ([^\n]*)\n")
_IMAGES = ("ix", "iy", "iz")
_POSITIONS: tuple[tuple[tuple[str, str, str], bool, bool], ...] = (
    (("xu", "yu", "zu"), False, True),
    (("xsu", "ysu", "zsu"), True, True),
    (("x", "y", "z"), False, False),
    (("xs", "ys", "zs"), True, False),
)
"""Columns, whether they are fractions of the box, and whether they are unwrapped."""


@dataclass(frozen=True)
class _Frame:
    """Items above the atoms by title, columns, and where the rows are."""

    items: Mapping[str, bytes]
    columns: tuple[str, ...]
    start: int
    end: int
    n_atoms: int


@dataclass(frozen=True)
class _Layout:
    """Columns that are read, and what they mean."""

    columns: tuple[str, ...]
    xyz: tuple[str, str, str]
    is_scaled: bool
    is_unwrapped: bool
    has_images: bool
    names: tuple[str, ...]


def open_lammps_dump(path: Path, hints: Hints) -> Source:
    """Open a file. Unwrapped columns go before image flags, image flags before wrapped ones.

    Raises
    ------
    TrajectoryError
        When it holds no frame or no positions, or species or units are unknown.
    """
    file = TextFile(path)
    incomplete: list[int] = []
    groups = file.frame_groups(lambda text: _split(text, path, incomplete))
    text, frames = next(groups, (b"", []))
    if not frames:
        msg = (
            f"{path}: holds no whole frame; a LAMMPS dump has ITEM: TIMESTEP, NUMBER OF ATOMS, "
            "BOX BOUNDS and ATOMS with a row for each atom"
        )
        raise TrajectoryError(msg)
    first = frames[0]
    layout = _layout(first.columns, path)
    atoms = AtomNames(path, hints)
    numbers = atoms.start(_table(text, [first], layout, str(path)))
    unit, time_fs = _units(first.items, path)
    has_time = "TIME" in first.items and time_fs is not None
    source = Source(
        path,
        TITLE,
        numbers,
        iter(()),
        file.bytes_read,
        unwrapped_by=_unwrapped_by(layout),
        length_unit=unit,
        tick_fs=time_fs if has_time else None,
        ticks_are_steps=not has_time,
    )
    flags = _box_item(first.items)[0].split()[-3:]
    if any(flag != "pp" for flag in flags):
        source.notes.append(
            f"boundaries {' '.join(flags)}: its box is taken as the cell anyway"
        )
    reader = _Reader(file, layout, atoms, "TIME" if has_time else "TIMESTEP")
    source.pieces = reader.pieces(chain([(text, frames)], groups), source.notes, incomplete)
    return source


@dataclass
class _Reader:
    """Turns frames of text into pieces."""

    file: TextFile
    layout: _Layout
    atoms: AtomNames
    tick: str
    _n_frames: int = 0
    _last_box: tuple[bytes, Array, Array] = (b"", np.eye(3), np.zeros(3))

    def pieces(
        self,
        groups: Iterable[tuple[bytes, list[_Frame]]],
        notes: list[str],
        incomplete: list[int],
    ) -> Iterator[Piece]:
        """Frames, atoms sorted by id; then notes on what was met."""
        for text, frames in groups:
            yield self._piece(text, frames)
            self._n_frames += len(frames)
        notes += self.atoms.notes()
        if incomplete:
            notes.append(f"{len(incomplete)} frames with missing rows are left out")
        if self.file.cut_off:
            notes.append(f"{self.file.cut_off} after frame {self._n_frames - 1} and left out")

    def _piece(self, text: bytes, frames: list[_Frame]) -> Piece:
        layout, path = self.layout, self.file.path
        for number, frame in enumerate(frames, start=self._n_frames):
            if frame.columns != layout.columns or frame.n_atoms != self.atoms.count:
                msg = (
                    f"{path}: frame {number} has {frame.n_atoms} atoms with columns "
                    f"{' '.join(frame.columns)}, frame 0 has {self.atoms.count} with "
                    f"{' '.join(layout.columns)}; all frames must have the same"
                )
                raise TrajectoryError(msg)
        where = f"{path}: frames {self._n_frames} to {self._n_frames + len(frames) - 1}"
        table = _table(text, frames, layout, where)
        self.atoms.sort(table, self._n_frames)
        shape = (len(frames), self.atoms.count, 3)
        positions = np.stack([table[name] for name in layout.xyz], axis=1).reshape(shape)
        boxes = [self._box(frame.items, path) for frame in frames]
        cells = np.array([cell for cell, _ in boxes])
        if layout.is_scaled:
            positions = positions @ cells
        else:
            positions -= np.array([origin for _, origin in boxes])[:, None]
        images = None
        if layout.has_images:
            images = np.stack([table[name] for name in _IMAGES], axis=1).reshape(shape)
        ticks = np.array([float(frame.items[self.tick]) for frame in frames])
        return Piece(positions, cells, ticks, images)

    def _box(self, items: Mapping[str, bytes], path: Path) -> tuple[Array, Array]:
        """Cell vectors as rows and origin; those of the frame before are remembered."""
        title, rows = _box_item(items)
        if rows != self._last_box[0]:
            try:
                values = np.array([row.split() for row in rows.split(b"\n")[:3]], dtype=float)
                self._last_box = rows, *_read_box(title, values)
            except (ValueError, IndexError) as error:
                msg = f"{path}: a frame has no readable ITEM: BOX BOUNDS ({error})"
                raise TrajectoryError(msg) from error
        return self._last_box[1:]


def _split(text: bytes, path: Path, incomplete: list[int]) -> tuple[list[_Frame], int]:
    """Whole frames of a text, and where the rest begins; adds the number of rows of others."""
    items: dict[str, bytes] = {}
    frames: list[_Frame] = []
    used = 0
    marks = list(_ITEM.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        title = mark[1].decode(errors="replace").strip()
        end = len(text) if following is None else following.start()
        if not title.startswith("ATOMS"):
            items[title] = text[mark.end() : end]
            continue
        try:
            n_atoms = int(items["NUMBER OF ATOMS"])
        except (KeyError, ValueError) as error:
            msg = f"{path}: a frame has no readable ITEM: NUMBER OF ATOMS"
            raise TrajectoryError(msg) from error
        n_rows = text.count(b"\n", mark.end(), end)
        if following is None:
            if n_rows < n_atoms:
                break
            end = text.rindex(b"\n") + 1
        if n_rows == n_atoms:
            columns = tuple(title.split()[1:])
            frames.append(_Frame(items, columns, mark.end(), end, n_atoms))
        else:
            incomplete.append(n_rows)
        items, used = {}, end
    return frames, used


def _layout(columns: tuple[str, ...], path: Path) -> _Layout:
    has_images = set(_IMAGES) <= set(columns)
    for xyz, is_scaled, is_unwrapped in _POSITIONS:
        if set(xyz) <= set(columns):
            return _Layout(
                columns,
                xyz,
                is_scaled,
                is_unwrapped,
                has_images and not is_unwrapped,
                tuple(name for name in KINDS if name in columns),
            )
    allowed = "; ".join(" ".join(xyz) for xyz, _, _ in _POSITIONS)
    msg = f"{path}: ITEM: ATOMS has columns {' '.join(columns)}, needed is one of: {allowed}"
    raise TrajectoryError(msg)


def _unwrapped_by(layout: _Layout) -> str:
    if layout.has_images:
        return f"image flags {' '.join(_IMAGES)}"
    return f"columns {' '.join(layout.xyz)}" if layout.is_unwrapped else ""


def _table(text: bytes, frames: list[_Frame], layout: _Layout, where: str) -> dict[str, Any]:
    """Wanted columns of some frames by name."""
    use: dict[str, type] = {name: KINDS[name] for name in layout.names}
    use |= dict.fromkeys(layout.xyz, float)
    if layout.has_images:
        use |= dict.fromkeys(_IMAGES, int)
    places = {name: layout.columns.index(name) for name in use}
    table = read_table(
        b"".join([text[frame.start : frame.end] for frame in frames]),
        len(layout.columns),
        {places[name]: kind for name, kind in use.items()},
        where,
    )
    return {name: table[place] for name, place in places.items()}


def _units(items: Mapping[str, bytes], path: Path) -> tuple[str, float | None]:
    """Unit of length, and of time in fs where the file names its units."""
    if "UNITS" not in items:
        return "angstrom", None
    name = items["UNITS"].decode().strip()
    if name not in UNITS:
        msg = f"{path}: ITEM: UNITS {name}: allowed are {', '.join(UNITS)}"
        raise TrajectoryError(msg)
    return UNITS[name]


def _box_item(items: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Title and rows of the box."""
    found = ((title, rows) for title, rows in items.items() if title.startswith("BOX BOUNDS"))
    return next(found, ("", b""))


def _read_box(title: str, rows: Array) -> tuple[Array, Array]:
    """Cell vectors as rows and origin of an orthogonal, a skewed or a general box."""
    if "abc" in title:
        return rows[:, :3], rows[:, 3]
    if rows.shape[1] == 2:  # noqa: PLR2004 - low and high
        return box_matrix(rows[:, 1] - rows[:, 0], (0.0, 0.0, 0.0)), rows[:, 0]
    low, high, (xy, xz, yz) = rows.T
    # the bounds are those of a box around the skewed one
    low = low - [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
    high = high - [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
    return box_matrix(high - low, (xy, xz, yz)), low
