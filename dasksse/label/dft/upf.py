"""Pseudopotentials in UPF files: type and functional, and whether they suit the labels."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from dasksse.config.schema import Element
from dasksse.errors import ConfigError
from dasksse.label.dft.element_files import ElementFiles, FolderPath
from dasksse.label.dft.settings import DISPERSION, DftSettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_OWN_NAMES = {
    "PBE": "PBE",
    "SLA PW PBX PBC": "PBE",
    "SLA PW PBE PBE": "PBE",
    "PBESOL": "PBEsol",
    "SLA PW PSX PSC": "PBEsol",
    "PZ": "LDA",
    "LDA": "LDA",
    "SLA PZ": "LDA",
    "PW": "LDA",
    "SLA PW": "LDA",
    "SCAN": "SCAN",
    "R2SCAN": "r2SCAN",
}
"""Functionals as UPF files write them, terms that stand for none left out."""

_ALSO_SUITED = {"SCAN": ("PBE",), "r2SCAN": ("PBE", "SCAN")}
"""Pseudopotentials of other functionals that are in common use, for want of own ones."""


class UpfSettings(DftSettings):
    """Settings of engines that read UPF files."""

    pseudo_dir: FolderPath | None = Field(
        default=None,
        description="Folder of the pseudopotentials (UPF), absolute or beginning with ~ or "
        "$NAME.",
    )
    pseudopotentials: dict[Element, str] = Field(
        default_factory=dict,
        description="File by element, absolute or in `pseudo_dir`. When absent, the only UPF "
        "file in `pseudo_dir` whose name begins with the element's symbol.",
    )
    any_pseudo_functional: bool = Field(
        default=False,
        description="Accept pseudopotentials that were made for another functional. Without it "
        "they are refused, except those of PBE for SCAN and r2SCAN.",
    )

    @property
    def bare_functional(self) -> str:
        """The functional without dispersion."""
        return self.functional.removesuffix(DISPERSION)


@dataclass(frozen=True)
class Upf:
    """What the header of a UPF file says; empty where it says nothing.

    Attributes
    ----------
    element
        Symbol.
    kind
        ``NC``, ``US`` or ``PAW``.
    functional
        Functional it was made for, by the names of the settings where it has one there.
    """

    element: str = ""
    kind: str = ""
    functional: str = ""


def pseudopotentials(settings: UpfSettings) -> ElementFiles:
    """The pseudopotential files that settings name."""
    return ElementFiles(
        what="pseudopotential",
        folder_key="pseudo_dir",
        named_key="pseudopotentials",
        folder=settings.pseudo_dir,
        named=settings.pseudopotentials,
        suffixes=(".upf",),
    )


@functools.lru_cache(maxsize=128)
def read_upf(path: Path) -> Upf:
    """Read the header of a UPF file of version 1 or 2.

    Parameters
    ----------
    path
        The file.
    """
    header = ""
    with path.open(errors="replace") as stream:
        for line in stream:
            if header or "<PP_HEADER" in line:
                header += line
                if "/>" in line or "</PP_HEADER" in line:
                    break
    return _version_2(header) if "pseudo_type" in header else _version_1(header)


def _version_2(header: str) -> Upf:
    values = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', header))
    return Upf(
        values.get("element", "").strip(),
        _kind(values.get("pseudo_type", "")),
        _functional(values.get("functional", "")),
    )


def _version_1(header: str) -> Upf:
    def value(label: str) -> str:
        found = re.search(rf"^(.*?)\s*{label}", header, re.MULTILINE)
        return found[1].strip() if found else ""

    functional = " ".join(value("Exchange-Correlation").split()[:4])
    return Upf(
        value("Element"), _kind(value("(?:Norm|Ultra|Projector)")), _functional(functional)
    )


def _kind(text: str) -> str:
    kind = text.strip().upper()
    return {"USPP": "US", "SL": "NC", "1/R": "NC"}.get(kind, kind)


def _functional(text: str) -> str:
    terms = [term for term in re.split(r"[\s+-]+", text.upper()) if term]
    name = " ".join(term for term in terms if term not in {"NOGX", "NOGC"})
    return _OWN_NAMES.get(name, name)


def check_upf(settings: UpfSettings, element: str) -> Upf:
    """Read the pseudopotential of an element and refuse one that does not suit.

    Raises
    ------
    ConfigError
        There is none, it is of another element, or it was made for another functional.
    """
    path = pseudopotentials(settings).find(element)
    upf = read_upf(path)
    if upf.element and upf.element.capitalize() != element:
        msg = (
            f"label.calculator.settings.pseudopotentials.{element}: {path} is a "
            f"pseudopotential of {upf.element}"
        )
        raise ConfigError(msg)
    wanted = settings.bare_functional
    suited = (wanted, *_ALSO_SUITED.get(wanted, ()))
    if upf.functional not in ("", *suited) and not settings.any_pseudo_functional:
        msg = (
            f"label.calculator.settings.functional: found {wanted!r}, but the pseudopotential "
            f"{path} was made for {upf.functional}; give one made for {' or '.join(suited)}, "
            "or set `any_pseudo_functional: true`"
        )
        raise ConfigError(msg)
    return upf


def missing_upfs(settings: UpfSettings, elements: Iterable[str]) -> list[str]:
    """One text for each element without a pseudopotential that suits."""
    texts = []
    for element in elements:
        try:
            check_upf(settings, element)
        except ConfigError as error:
            texts.append(str(error))
    return texts
