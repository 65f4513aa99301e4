"""Formats of labels by name: how to tell them, and how to read them."""

from __future__ import annotations

import fnmatch
import gzip
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.label.importing.ase_database import read_ase_database
from dasksse.label.importing.cp2k_output import read_cp2k
from dasksse.label.importing.deepmd import read_deepmd_system
from dasksse.label.importing.extxyz import read_extxyz_file
from dasksse.label.importing.outcar import read_outcar
from dasksse.label.importing.stored import read_store
from dasksse.label.importing.vasprun import read_vasprun

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dasksse.label.importing.labelled_frames import Reading

HEAD_BYTES = 4096


@dataclass(frozen=True)
class LabelFormat:
    """An entry of the registry.

    Attributes
    ----------
    title
        Its name, for the user.
    names
        Patterns of file names, in lower case, that are looked at in folders.
    head
        What the first 4 kB of such a file hold.
    is_told_by_name
        The name alone is proof: a file that holds something else is damaged.
    read
        Reads a file or folder; the second argument is the type map, where it is needed.
    """

    title: str
    names: tuple[str, ...]
    head: re.Pattern[bytes]
    read: Callable[[Path, Sequence[str] | None], Reading]
    is_told_by_name: bool = False

    def has_name(self, path: Path) -> bool:
        """Whether a file's name is usual for this format."""
        return any(fnmatch.fnmatch(path.name.lower(), pattern) for pattern in self.names)


FORMATS: dict[str, LabelFormat] = {
    "vasprun": LabelFormat(
        "VASP vasprun.xml",
        ("vasprun*.xml", "vasprun*.xml.gz"),
        re.compile(rb"<modeling>"),
        read_vasprun,
        is_told_by_name=True,
    ),
    "outcar": LabelFormat(
        "VASP OUTCAR",
        ("*outcar", "*outcar.gz", "outcar*"),
        re.compile(rb"^ vasp\.\d"),
        read_outcar,
        is_told_by_name=True,
    ),
    "cp2k": LabelFormat(
        "CP2K output", ("*.out", "*.log", "*.txt"), re.compile(rb"\n CP2K\| version"), read_cp2k
    ),
    "extxyz": LabelFormat(
        "extended XYZ",
        ("*.extxyz", "*.xyz"),
        re.compile(rb"^\s*\d+\s*\n[^\n]*Lattice\s*=", re.IGNORECASE),
        read_extxyz_file,
    ),
    "ase": LabelFormat(
        "ASE database",
        ("*.db", "*.json"),
        re.compile(rb'^SQLite format 3\0|^\{"\d+": ?\{'),
        read_ase_database,
    ),
}
"""Files: adding a format is adding an entry."""

FOLDERS: dict[str, LabelFormat] = {
    "deepmd": LabelFormat("DeePMD-kit data", (), re.compile(rb""), read_deepmd_system),
    "dasksse": LabelFormat("dasksse store", (), re.compile(rb""), read_store),
}
"""Folders that are one data set."""


def format_of(path: Path, *, in_folder: bool) -> LabelFormat | None:
    """Format of a file; None when it is none of the known ones.

    Parameters
    ----------
    path
        The file.
    in_folder
        True for a file that was met in a folder: name and content must fit. A file that the
        user named is known by its content, and if that says nothing, by its name.
    """
    candidates = [entry for entry in FORMATS.values() if entry.has_name(path)]
    for entry in candidates:
        if entry.is_told_by_name:
            return entry
    if in_folder and not candidates:
        return None
    head = _head(path)
    for entry in candidates if in_folder else FORMATS.values():
        if entry.head.search(head):
            return entry
    return None if in_folder or not candidates else candidates[0]


def _head(path: Path) -> bytes:
    """First bytes of a file; none when it cannot be read, which its reader will say."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except (OSError, EOFError):
        return b""
