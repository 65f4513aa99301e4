"""Pseudopotential and orbital files: one per element, found, checked, digested, linked."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from dasksse.errors import ConfigError
from dasksse.records.data import content_key, file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DIGEST_LENGTH = 8
_WHERE = "label.calculator.settings"


def _check_folder(text: str) -> str:
    if not text.startswith(("/", "~", "$")):
        msg = (
            f"{text!r} is a relative path, which means another folder on every machine; give "
            "an absolute path, or one that begins with ~ or with $NAME of the environment"
        )
        raise ValueError(msg)
    return text


FolderPath = Annotated[str, AfterValidator(_check_folder)]
"""A folder that is the same wherever labels are computed."""


@dataclass(frozen=True)
class ElementFiles:
    """Files of one kind, one per element.

    Either every element is named in a mapping, or the file is the only one in a folder whose
    name begins with the element's symbol.

    Attributes
    ----------
    what
        What such a file holds, for the user.
    folder_key, named_key
        Settings that give the folder and the mapping.
    folder
        Folder of the files; None when the mapping holds absolute paths.
    named
        File by element, absolute or in the folder; empty to search the folder.
    suffixes
        Endings of such files, in lower case.
    """

    what: str
    folder_key: str
    named_key: str
    folder: str | None
    named: Mapping[str, str]
    suffixes: tuple[str, ...]

    def find(self, element: str) -> Path:
        """File of an element.

        Raises
        ------
        ConfigError
            There is none, or more than one.
        """
        if self.named:
            return self._named_file(element)
        names = [path for path in self._in_folder() if _is_of(element, path.name)]
        if len(names) == 1:
            return names[0]
        found = ", ".join(path.name for path in names) or "none"
        msg = (
            f"{_WHERE}.{self.folder_key}: {self.what} of {element}: one file named {element} "
            f"followed by no letter, ending in {' or '.join(self.suffixes)}, is expected in "
            f"{self._root()}, found: {found}; name the files in `{self.named_key}`"
        )
        raise ConfigError(msg)

    def missing(self, elements: Iterable[str]) -> list[str]:
        """One text for each element without its file."""
        texts = []
        for element in elements:
            try:
                self.find(element)
            except ConfigError as error:
                texts.append(str(error))
        return texts

    def fingerprint(self) -> str:
        """Names and digests of the files: equal text, equal files.

        Without a mapping it is one digest of all such files in the folder.

        Raises
        ------
        ConfigError
            A file or the folder is not there.
        """
        if not self.named:
            digests = [(path.name, file_digest(path)) for path in self._in_folder()]
            return f"{self._root().name} {content_key(digests)[:_DIGEST_LENGTH]}"
        files = {element: self.find(element) for element in sorted(self.named)}
        return " ".join(
            f"{element}:{path.name}:{file_digest(path)[:_DIGEST_LENGTH]}"
            for element, path in files.items()
        )

    def link(self, elements: Iterable[str], folder: Path) -> dict[str, str]:
        """Link the files of some elements into a folder; names of the links by element."""
        names = {}
        for element in elements:
            source = self.find(element)
            # the element comes first: two elements may have files of the same name
            names[element] = f"{element}-{source.name}"
            link = folder / names[element]
            link.unlink(missing_ok=True)
            link.symlink_to(source)
        return names

    def _named_file(self, element: str) -> Path:
        if element not in self.named:
            msg = (
                f"{_WHERE}.{self.named_key}: names no {self.what} of {element}, only of "
                f"{', '.join(sorted(self.named))}; add it"
            )
            raise ConfigError(msg)
        name = Path(os.path.expandvars(self.named[element])).expanduser()
        path = name if name.is_absolute() else self._root() / name
        if not path.is_file():
            msg = f"{_WHERE}.{self.named_key}.{element}: no such file: {path}"
            raise ConfigError(msg)
        return path

    def _root(self) -> Path:
        if self.folder is None:
            msg = (
                f"{_WHERE}.{self.folder_key}: missing; give the folder of the {self.what} "
                f"files, or absolute paths in `{self.named_key}`"
            )
            raise ConfigError(msg)
        return Path(os.path.expandvars(self.folder)).expanduser()

    def _in_folder(self) -> list[Path]:
        root = self._root()
        if not root.is_dir():
            msg = f"{_WHERE}.{self.folder_key}: no such folder: {root}"
            raise ConfigError(msg)
        return sorted(path for path in root.iterdir() if path.suffix.lower() in self.suffixes)


def _is_of(element: str, name: str) -> bool:
    """Whether a name begins with the symbol: ``S.upf`` and ``s_pbe.upf``, not ``Si.upf``."""
    return re.match(rf"{element}[^a-z]", name, re.IGNORECASE) is not None
