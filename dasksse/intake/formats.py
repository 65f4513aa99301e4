"""Formats of trajectories by name: how to tell them, and how to open them."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.errors import ConfigError, TrajectoryError
from dasksse.intake import (
    ase_trajectory,
    extxyz,
    lammps_dump,
    npz,
    packed,
    vasprun,
    xdatcar,
)
from dasksse.intake.text import TextFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dasksse.intake.source import Hints, Source

HEAD_BYTES = 4096


@dataclass(frozen=True)
class TrajectoryFormat:
    """An entry of the registry.

    Attributes
    ----------
    title
        Its name, for the user.
    names
        Patterns of usual file names, in lower case.
    head
        What the first 4 kB hold.
    open
        Opens a file, given what the user says of it.
    """

    title: str
    names: tuple[str, ...]
    head: re.Pattern[bytes]
    open: Callable[[Path, Hints], Source]


FORMATS: tuple[TrajectoryFormat, ...] = (
    TrajectoryFormat(
        lammps_dump.TITLE,
        ("*.dump", "*.lammpstrj", "dump.*"),
        re.compile(rb"\AITEM: "),
        lammps_dump.open_lammps_dump,
    ),
    TrajectoryFormat(
        vasprun.TITLE, ("vasprun*.xml",), re.compile(rb"<modeling>"), vasprun.open_vasprun
    ),
    TrajectoryFormat(
        xdatcar.TITLE,
        ("*xdatcar*",),
        re.compile(rb"^\s*(Direct|Cartesian) configuration=", re.MULTILINE),
        xdatcar.open_xdatcar,
    ),
    TrajectoryFormat(
        extxyz.TITLE,
        ("*.extxyz", "*.xyz"),
        re.compile(rb"\A\s*\d+[ \t]*\r?\n"),
        extxyz.open_extxyz,
    ),
    TrajectoryFormat(
        ase_trajectory.TITLE,
        ("*.traj",),
        re.compile(rb"\A- of UlmASE-Trajectory"),
        ase_trajectory.open_ase_trajectory,
    ),
    TrajectoryFormat(npz.TITLE, ("*.npz",), re.compile(rb"\APK\x03\x04"), npz.open_npz),
    TrajectoryFormat(
        "DCD", ("*.dcd",), re.compile(rb"\A....(....)?CORD", re.DOTALL), packed.open_dcd
    ),
    TrajectoryFormat("XTC", ("*.xtc",), re.compile(rb"\A\x00\x00\x07\xcb"), packed.open_xtc),
)
"""Adding a format is adding an entry."""


def open_source(path: Path, hints: Hints) -> Source:
    """Open a trajectory of any known format, told by its content, or else by its name.

    Raises
    ------
    ConfigError
        When there is no such file, or its format is not known.
    TrajectoryError
        When it cannot be used.
    """
    require_file(path)
    head = _head(path)
    name = path.name.lower()
    for suffix in (".gz", ".bz2", ".xz"):
        name = name.removesuffix(suffix)
    fits = [entry for entry in FORMATS if entry.head.search(head)]
    fits += [e for e in FORMATS if any(fnmatch.fnmatch(name, pattern) for pattern in e.names)]
    if not fits:
        known = ", ".join(entry.title for entry in FORMATS)
        msg = f"{path}: the format is not known; known are: {known}"
        raise ConfigError(msg)
    return fits[0].open(path, hints)


def require_file(path: Path) -> None:
    """Refuse what is no file.

    Raises
    ------
    ConfigError
        When nothing is there, or a folder.
    """
    if path.is_dir():
        msg = f"{path}: is a folder; needed are files, one or more for each run"
        raise ConfigError(msg)
    if not path.is_file():
        msg = f"{path}: no such file"
        raise ConfigError(msg)


def _head(path: Path) -> bytes:
    if not path.stat().st_size:
        msg = f"{path}: the file is empty"
        raise TrajectoryError(msg)
    return TextFile(path).read(HEAD_BYTES)
