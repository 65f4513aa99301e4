"""Extended XYZ, and plain XYZ when the cell is given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import TrajectoryError
from dasksse.intake.scalars import STRESS_SIZES, scalar_columns, static_pressure_GPa
from dasksse.intake.source import Hints, Piece, Source
from dasksse.intake.species import element_numbers
from dasksse.intake.text import TextFile, line_ends, read_table, same_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

TITLE = "extended XYZ"
PLAIN = "species:S:1:pos:R:3"
_PAIR = re.compile(
    r"""([\w.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|\{([^}]*)\}|\[([^\]]*)\]|(\S+))"""
)
_TICKS_FS = {"time_fs": 1.0, "time_ps": 1000.0}
_STEPS = ("step", "md_step", "timestep")
_TARGETS = ("temperature_k", "target_temperature")
_ENERGIES = ("free_energy", "energy")
"""The energy that forces derive from comes first."""


@dataclass(frozen=True)
class _Frame:
    """What the second line of a frame says, keys in lower case, and where its atoms are."""

    said: Mapping[str, str]
    start: int
    end: int
    n_atoms: int


@dataclass(frozen=True)
class _Layout:
    """Columns of names and positions, and how many there are."""

    properties: str
    name: int
    xyz: int
    n_columns: int
    is_unwrapped: bool


def open_extxyz(path: Path, hints: Hints) -> Source:
    """Open a file; ``unwrapped_position`` is taken before ``pos``.

    Raises
    ------
    TrajectoryError
        When it holds no frame, or a species is unknown.
    """
    file = TextFile(path)
    groups = file.frame_groups(lambda text: _split(text, path))
    text, frames = next(groups, (b"", []))
    if not frames:
        msg = (
            f"{path}: holds no whole frame; extended XYZ has the number of atoms, a line with "
            "Lattice and Properties, and a row for each atom"
        )
        raise TrajectoryError(msg)
    said = frames[0].said
    layout = _layout(said.get("properties", PLAIN), path)
    column = _table(text, frames[:1], layout, {layout.name: str}, str(path))[layout.name]
    names = [str(word) for word in column]
    tick = next((key for key in (*_TICKS_FS, *_STEPS) if key in said), "")
    source = Source(
        path,
        TITLE,
        element_numbers(names, path, hints.species),
        iter(()),
        file.bytes_read,
        unwrapped_by="the property unwrapped_position" if layout.is_unwrapped else "",
        tick_fs=_TICKS_FS.get(tick),
        ticks_are_steps=tick in _STEPS,
        interval_fs=_number(frames[0], "dt_fs"),
        temperature_K=_number(frames[0], *_TARGETS),
    )
    if "f" in said.get("pbc", "").lower():
        source.notes.append("pbc says that it is not periodic; its cell is taken all the same")
    source.pieces = _pieces(
        chain([(text, frames)], groups),
        layout,
        names,
        tick=tick,
        file=file,
        notes=source.notes,
        is_angstrom=hints.length_unit in {None, "angstrom"},
    )
    return source


def _pieces(
    groups: Iterable[tuple[bytes, list[_Frame]]],
    layout: _Layout,
    names: list[str],
    *,
    tick: str,
    file: TextFile,
    notes: list[str],
    is_angstrom: bool,
) -> Iterator[Piece]:
    n_before = 0
    xyz = range(layout.xyz, layout.xyz + 3)
    for text, frames in groups:
        where = f"{file.path}: frames {n_before} to {n_before + len(frames) - 1}"
        for number, frame in enumerate(frames, start=n_before):
            _require_same(frame, layout, len(names), f"{file.path}: frame {number}")
        use = {layout.name: str, **dict.fromkeys(xyz, float)}
        table = _table(text, frames, layout, use, where)
        is_same = same_words(table[layout.name], names)
        if not is_same.all():
            frame, atom = np.argwhere(~is_same)[0]
            msg = (
                f"{file.path}: frame {n_before + frame}: atom {atom + 1} is not the "
                f"{names[atom]!r} of frame 0; the atoms must be the same, in the same order"
            )
            raise TrajectoryError(msg)
        positions = np.stack([table[column] for column in xyz], axis=1)
        yield Piece(
            positions.reshape(len(frames), len(names), 3),
            _numbers(frames, "lattice", 9),
            None if not tick else _numbers(frames, tick, 1),
            scalars=scalar_columns([_scalars(frame, is_angstrom) for frame in frames]),
        )
        n_before += len(frames)
    if file.cut_off:
        notes.append(f"{file.cut_off} after frame {n_before - 1} and left out")


def _split(text: bytes, path: Path) -> tuple[list[_Frame], int]:
    """Whole frames of a text, and where the rest begins."""
    ends = line_ends(text)
    frames: list[_Frame] = []
    line = used = 0
    while line + 1 < len(ends):
        count = text[used : ends[line]].strip()
        if not count.isdigit():
            if not count and not text[used:].strip():
                break
            msg = (
                f"{path}: found {count[:40]!r} where the number of atoms of a frame must stand"
            )
            raise TrajectoryError(msg)
        last = line + 1 + int(count)
        if last >= len(ends):
            break
        start = int(ends[line + 1]) + 1
        comment = text[ends[line] + 1 : start].decode(errors="replace")
        said = {
            m[1].lower(): next(filter(None, m.groups()[1:]), "")
            for m in _PAIR.finditer(comment)
        }
        used = int(ends[last]) + 1
        frames.append(_Frame(said, start, used, int(count)))
        line = last + 1
    return frames, used


def _layout(properties: str, path: Path) -> _Layout:
    words = properties.split(":")
    places: dict[str, int] = {}
    n_columns = 0
    for name, count in zip(words[::3], words[2::3], strict=False):
        places[name.lower()] = n_columns
        n_columns += int(count)
    words_at = next((places[key] for key in ("species", "element") if key in places), None)
    is_unwrapped = "unwrapped_position" in places
    xyz = places.get("unwrapped_position" if is_unwrapped else "pos")
    if words_at is None or xyz is None:
        msg = f"{path}: Properties={properties}: needed are species:S:1 and pos:R:3"
        raise TrajectoryError(msg)
    return _Layout(properties, words_at, xyz, n_columns, is_unwrapped)


def _table(
    text: bytes, frames: list[_Frame], layout: _Layout, use: Mapping[int, type], where: str
) -> dict[int, Any]:
    rows = b"".join([text[frame.start : frame.end] for frame in frames])
    return read_table(rows, layout.n_columns, use, where)


def _require_same(frame: _Frame, layout: _Layout, n_atoms: int, where: str) -> None:
    if frame.n_atoms != n_atoms:
        msg = (
            f"{where} has {frame.n_atoms} atoms, frame 0 has {n_atoms}; all must have the same"
        )
        raise TrajectoryError(msg)
    properties = frame.said.get("properties", PLAIN)
    if properties != layout.properties:
        msg = f"{where} has Properties={properties}, frame 0 has {layout.properties}"
        raise TrajectoryError(msg)


def _number(frame: _Frame, *keys: str) -> float | None:
    """The first number that a second line gives under one of some keys."""
    found = [values for key in keys if (values := _numbers([frame], key, 1)) is not None]
    return float(found[0][0]) if found else None


def _scalars(frame: _Frame, is_angstrom: bool) -> dict[str, float]:
    """What a second line says of temperature [K], energy [eV] and pressure [GPa].

    Stress [eV/Å³] has ASE's sign, the virial [eV] is ``-dE/d(strain)`` and goes before it; both
    are left alone where lengths have another unit, and theirs is not known.
    """
    found = {
        "temperature": _number(frame, "temperature"),
        "energy": _number(frame, *_ENERGIES),
        "pressure": _number(frame, "pressure_gpa"),
    }
    if found["pressure"] is None and is_angstrom:
        found["pressure"] = _static_pressure(frame)
    return {name: value for name, value in found.items() if value is not None}


def _static_pressure(frame: _Frame) -> float | None:
    cell, virial = _numbers([frame], "lattice", 9), _numbers([frame], "virial", 9)
    if virial is not None and cell is not None:
        return static_pressure_GPa(-virial / abs(np.linalg.det(cell[0])))
    for size in STRESS_SIZES:
        stress = _numbers([frame], "stress", size)
        if stress is not None:
            return static_pressure_GPa(stress)
    return None


def _numbers(frames: list[_Frame], key: str, count: int) -> NDArray[np.float64] | None:
    """Numbers that the second lines give; None when they lack it."""
    if key not in frames[0].said:
        return None
    rows = [frame.said.get(key, "").replace(",", " ").split() for frame in frames]
    try:
        values = np.array(rows, dtype=np.float64).reshape(len(frames), count)
    except ValueError:
        return None
    if count == 9:  # noqa: PLR2004 - a cell
        return values.reshape(-1, 3, 3)
    return values[:, 0] if count == 1 else values
