"""Where labels are below a folder: files and data sets, each once, in a fixed order."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.errors import ConfigError
from dasksse.label.importing.formats import FOLDERS, FORMATS, LabelFormat, format_of
from dasksse.store.folders import RunFolder
from dasksse.store.layout import STORE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FP_FOLDER = "02.fp"
"""Folder of a DP-GEN iteration with its DFT calculations."""


@dataclass(frozen=True)
class LabelFile:
    """A file or folder with labels.

    Attributes
    ----------
    path
        Where it is.
    format
        How to read it.
    root
        Path that the user named, which it is or is below of.
    second
        Another file of the same calculation, read when the first one cannot be.
    """

    path: Path
    format: LabelFormat
    root: Path
    second: LabelFile | None = None

    @property
    def name(self) -> str:
        """Its path, from the folder above the one that the user named."""
        inside = self.path.relative_to(self.root).parts
        return "/".join((self.root.resolve().name, *inside))


def find_labels(paths: Sequence[Path]) -> Iterator[LabelFile]:
    """Labels at or below paths.

    Folders are searched whole, links included. Of VASP's files of one calculation
    ``vasprun.xml`` is taken, which has more digits than ``OUTCAR``. A DP-GEN iteration whose
    ``02.fp`` holds ``data.*`` is read from there and not from its tasks. Of a run of dasksse
    only the store is taken.

    Parameters
    ----------
    paths
        Files and folders.

    Raises
    ------
    ConfigError
        When nothing is at a path, or a file has no known format.
    """
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            msg = f"{path}: no such file or folder"
            raise ConfigError(msg)
        if path.is_dir():
            yield from _below(path, path, seen)
        elif _is_new(path, seen):
            found = format_of(path, in_folder=False)
            if found is None:
                known = ", ".join(entry.title for entry in (FORMATS | FOLDERS).values())
                msg = f"{path}: the format is not known; known are: {known}"
                raise ConfigError(msg)
            yield LabelFile(path, found, path)


def _is_new(path: Path, seen: set[Path]) -> bool:
    """Whether a file or folder was not met before, under any name."""
    real = path.resolve()
    if real in seen:
        return False
    seen.add(real)
    return True


def _below(folder: Path, root: Path, seen: set[Path]) -> Iterator[LabelFile]:
    if not _is_new(folder, seen):
        return
    if folder.suffix == ".zarr":
        yield LabelFile(folder, FOLDERS["dasksse"], root)
        return
    if RunFolder(folder).resolved_config.is_file():
        yield LabelFile(folder / STORE_NAME, FOLDERS["dasksse"], root)
        return
    if (folder / "type.raw").is_file():
        yield LabelFile(folder, FOLDERS["deepmd"], root)
        return
    with os.scandir(folder) as entries:
        inside = sorted((entry.name, entry.is_dir()) for entry in entries)
    yield from _calculations(
        [folder / name for name, is_dir in inside if not is_dir], root, seen
    )
    folders = [folder / name for name, is_dir in inside if is_dir and name[0] != "."]
    if folder.name == FP_FOLDER and any((path / "type.raw").is_file() for path in folders):
        folders = [path for path in folders if path.name.startswith("data.")]
    for path in folders:
        yield from _below(path, root, seen)


def _calculations(files: Sequence[Path], root: Path, seen: set[Path]) -> Iterator[LabelFile]:
    """Files with labels in one folder, those of one VASP calculation as one."""
    found = [
        LabelFile(path, entry, root)
        for path in files
        if (entry := format_of(path, in_folder=True)) is not None and _is_new(path, seen)
    ]
    outcars = {_tag(one.path): one for one in found if one.format is FORMATS["outcar"]}
    paired = set()
    for one in found:
        if one.format is FORMATS["vasprun"] and (second := outcars.get(_tag(one.path))):
            paired |= {one.path, second.path}
            yield LabelFile(one.path, one.format, root, second)
    yield from (one for one in found if one.path not in paired)


def _tag(path: Path) -> str:
    """What tells several calculations of one folder apart, such as *relax1*."""
    words = re.split(r"[._-]", path.name.lower())
    return ".".join(word for word in words if word not in {"vasprun", "outcar", "xml", "gz"})
