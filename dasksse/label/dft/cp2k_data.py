"""What CP2K's installation offers: its version, and basis and pseudopotential per element."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dasksse.errors import ConfigError
from dasksse.label.dft.cp2k_sections import parse_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dasksse.label.dft.cp2k_sections import InputSection
    from dasksse.label.dft.cp2k_settings import Cp2kSettings

DATA_VARIABLE = "CP2K_DATA_DIR"
"""CP2K's own variable for the folder of its data."""

_VERSION_PATIENCE_S = 60.0
_NAMES_LINE = re.compile(r"^\s*([A-Z][a-z]?)\s+([A-Za-z]\S*(?:\s+\S+)*)\s*$")
_WITH_CHARGE = re.compile(r"(\S+)-q(\d+)$")


@dataclass(frozen=True)
class Installation:
    """What ``--version`` tells.

    Attributes
    ----------
    version
        Version; empty where the program cannot be started.
    data_dir
        Folder of basis sets and potentials it was built with; None where it is not told.
    flags
        Libraries it was built with.
    """

    version: str = ""
    data_dir: Path | None = None
    flags: tuple[str, ...] = ()


@functools.cache
def installation(command: tuple[str, ...]) -> Installation:
    """Ask a CP2K what it is; it is not started under any prefix."""
    try:
        told = subprocess.run(  # noqa: S603 - the user's command, never a shell string
            [*command, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_PATIENCE_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return Installation()
    version = re.search(r"CP2K version (\S+)", told)
    flags = re.search(r"cp2kflags: (.*)", told)
    # long lines are broken anywhere
    folder = re.search(r'__DATA_DIR="([^"]+)"', re.sub(r"\n\s*", "", told))
    return Installation(
        version=version[1] if version else "",
        data_dir=Path(folder[1]) if folder else None,
        flags=tuple(flags[1].split()) if flags else (),
    )


@dataclass(frozen=True)
class Kind:
    """Basis and pseudopotential of an element.

    Attributes
    ----------
    basis, potential
        CP2K's names.
    basis_file, potential_file
        Their files.
    n_electrons
        Valence electrons; 0 where they are not known.
    """

    basis: str
    basis_file: str
    potential: str
    potential_file: str
    n_electrons: int

    def under(self, root: Path) -> Kind:
        """The same with its files in a folder; as it is where the folder is ``.``."""
        return replace(
            self,
            basis_file=str(root / self.basis_file),
            potential_file=str(root / self.potential_file),
        )


@dataclass(frozen=True)
class Family:
    """Where the basis sets and potentials of a functional are.

    Attributes
    ----------
    bases
        Names of basis sets without their charge, the preferred first.
    basis_files
        Files they are in.
    potential
        Name of the pseudopotential without its charge.
    potential_file
        Its file.
    """

    bases: tuple[str, ...]
    basis_files: tuple[str, ...]
    potential: str
    potential_file: str


def family(functional: str, basis: str) -> Family:
    """Basis sets and potentials for a functional.

    Parameters
    ----------
    functional
        Name as in the settings. PBEsol takes the potentials of PBE and r2SCAN those of SCAN:
        there are none of their own.
    basis
        Size of the basis: ``SZV``, ``DZVP``, ``TZVP`` or ``TZV2P``.
    """
    if functional in {"SCAN", "r2SCAN"}:
        names = (f"{basis}-MOLOPT-SCAN-GTH",)
        return Family(names, ("BASIS_MOLOPT_UZH",), "GTH-SCAN", "POTENTIAL_UZH")
    return Family(
        bases=tuple(f"{basis}-MOLOPT-{kind}" for kind in ("SR-GTH", "PBE-GTH", "GTH")),
        basis_files=("BASIS_MOLOPT", "BASIS_MOLOPT_UCL", "BASIS_MOLOPT_UZH"),
        potential="GTH-PADE" if functional == "LDA" else "GTH-PBE",
        potential_file="GTH_POTENTIALS",
    )


def data_folder(command: tuple[str, ...], data_dir: str | None) -> Path:
    """Folder of CP2K's data.

    Parameters
    ----------
    command
        How CP2K is started.
    data_dir
        The user's folder, if any.

    Raises
    ------
    ConfigError
        It is not known or not there.
    """
    key = "label.calculator.settings.data_dir"
    found = data_dir or os.environ.get(DATA_VARIABLE) or installation(command).data_dir
    if found is None:
        msg = (
            f"{key}: missing, {DATA_VARIABLE} is not set, and {command[0]} does not tell where "
            "its data are; give the folder that holds BASIS_MOLOPT and GTH_POTENTIALS"
        )
        raise ConfigError(msg)
    folder = Path(os.path.expandvars(found)).expanduser()
    if not folder.is_dir():
        msg = (
            f"{key}: no folder {folder}; give the folder that holds BASIS_MOLOPT and "
            f"GTH_POTENTIALS, or set {DATA_VARIABLE}"
        )
        raise ConfigError(msg)
    return folder


def find_kinds(settings: Cp2kSettings, symbols: Iterable[str]) -> dict[str, Kind]:
    """Basis and potential of every element.

    An element has those of the template where that names both, else those made for the same
    number of electrons, the pair with most of them.

    Parameters
    ----------
    settings
        Checked settings.
    symbols
        Symbols, each as often as one likes.

    Raises
    ------
    ConfigError
        An element has none; names all such elements. Or CP2K's data are not found.
    """
    own = _kinds_of_template(settings.input)
    elements = list(dict.fromkeys(symbols))
    others = [element for element in elements if element not in own]
    folder = data_folder(settings.command, settings.data_dir) if others else Path()
    wanted = family(settings.functional, settings.basis)
    found = {element: _find(element, wanted, folder) for element in others}
    lacking = [element for element, kind in found.items() if kind is None]
    if lacking:
        msg = (
            f"CP2K has no basis {' or '.join(wanted.bases)} with a pseudopotential "
            f"{wanted.potential} for {', '.join(lacking)} in {', '.join(wanted.basis_files)} "
            f"and {wanted.potential_file} of {folder}; choose another `basis` or `functional`, "
            "or name both in `input`: &FORCE_EVAL &SUBSYS &KIND"
        )
        raise ConfigError(msg)
    # CP2K does not search the user's folder by itself
    root = folder if settings.data_dir is not None else Path()
    there = {element: kind.under(root) for element, kind in found.items() if kind is not None}
    return {element: (own | there)[element] for element in elements}


def _kinds_of_template(text: str) -> dict[str, Kind]:
    """Basis and potential of the elements for which a template names both."""
    kinds = {}
    for force_eval in _sections(parse_input(text), "FORCE_EVAL"):
        for subsys in _sections(force_eval, "SUBSYS"):
            for kind in _sections(subsys, "KIND"):
                named = dict(_split(line) for line in kind.keywords)
                if {"BASIS_SET", "POTENTIAL"} <= named.keys():
                    charge = re.search(r"-q(\d+)$", named["POTENTIAL"])
                    kinds[kind.parameter] = Kind(
                        basis=named["BASIS_SET"],
                        basis_file="",
                        potential=named["POTENTIAL"],
                        potential_file="",
                        n_electrons=int(charge[1]) if charge else 0,
                    )
    return kinds


def _sections(section: InputSection, name: str) -> Iterator[InputSection]:
    return (inner for inner in section.sections if inner.name == name)


def _split(line: str) -> tuple[str, str]:
    key, _, value = line.partition(" ")
    return key.upper(), value.strip()


def _find(element: str, wanted: Family, folder: Path) -> Kind | None:
    charges = _names(folder / wanted.potential_file).get((element, wanted.potential), ())
    for n_electrons in sorted(charges, reverse=True):
        for basis in wanted.bases:
            for file in wanted.basis_files:
                if n_electrons in _names(folder / file).get((element, basis), ()):
                    return Kind(
                        f"{basis}-q{n_electrons}",
                        file,
                        f"{wanted.potential}-q{n_electrons}",
                        wanted.potential_file,
                        n_electrons,
                    )
    return None


@functools.cache
def _names(file: Path) -> Mapping[tuple[str, str], frozenset[int]]:
    """Electrons of every entry of a data file, by element and name without the charge."""
    entries: dict[tuple[str, str], frozenset[int]] = {}
    text = file.read_text(errors="replace") if file.is_file() else ""
    for line in text.splitlines():
        match = _NAMES_LINE.match(line)
        for name in match[2].split() if match else ():
            charged = _WITH_CHARGE.match(name)
            if match and charged:
                key = match[1], charged[1]
                entries[key] = entries.get(key, frozenset()) | {int(charged[2])}
    return entries
