"""POTCAR files: which one for an element, where it lies, and whether it fits the functional."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dasksse.errors import ConfigError, ProgramMissingError
from dasksse.process import NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Release = Literal["original", "52", "54", "64"]

RECOMMENDED = {
    "Ba": "Ba_sv", "Be": "Be_sv", "Ca": "Ca_sv", "Cr": "Cr_pv", "Cs": "Cs_sv", "Cu": "Cu_pv",
    "Dy": "Dy_3", "Er": "Er_3", "Fe": "Fe_pv", "Fr": "Fr_sv", "Ga": "Ga_d", "Ge": "Ge_d",
    "Hf": "Hf_pv", "Ho": "Ho_3", "In": "In_d", "K": "K_sv", "Li": "Li_sv", "Lu": "Lu_3",
    "Mg": "Mg_pv", "Mn": "Mn_pv", "Mo": "Mo_pv", "Na": "Na_pv", "Nb": "Nb_pv", "Nd": "Nd_3",
    "Ni": "Ni_pv", "Os": "Os_pv", "Pb": "Pb_d", "Pm": "Pm_3", "Po": "Po_d", "Pr": "Pr_3",
    "Ra": "Ra_sv", "Rb": "Rb_sv", "Re": "Re_pv", "Rh": "Rh_pv", "Ru": "Ru_pv", "Sc": "Sc_sv",
    "Sm": "Sm_3", "Sn": "Sn_d", "Sr": "Sr_sv", "Ta": "Ta_pv", "Tb": "Tb_3", "Tc": "Tc_pv",
    "Ti": "Ti_pv", "Tl": "Tl_d", "Tm": "Tm_3", "V": "V_pv", "W": "W_sv", "Y": "Y_sv",
    "Yb": "Yb_3", "Zr": "Zr_sv",
}  # fmt: skip
"""Choice of the Materials Project for release 54; other elements go by their symbol."""

ENVIRONMENT = ("VASP_PP_PATH", "PMG_VASP_PSP_DIR")
"""Variables of ASE and pymatgen that name the folder of the POTCAR files."""

_FOLDERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("PBE", "64"): ("potpaw_PBE.64", "POT_PAW_PBE_64"),
    ("PBE", "54"): ("potpaw_PBE.54", "POT_GGA_PAW_PBE_54", "POTPAW_PBE_54"),
    ("PBE", "52"): ("potpaw_PBE.52", "POT_GGA_PAW_PBE_52", "POTPAW_PBE_52"),
    ("PBE", "original"): ("potpaw_PBE", "POT_GGA_PAW_PBE"),
    ("LDA", "64"): ("potpaw_LDA.64", "POT_LDA_PAW_64"),
    ("LDA", "54"): ("potpaw_LDA.54", "POT_LDA_PAW_54", "POTPAW_LDA_54"),
    ("LDA", "52"): ("potpaw_LDA.52", "POT_LDA_PAW_52", "POTPAW_LDA_52"),
    ("LDA", "original"): ("potpaw_LDA", "potpaw", "POT_LDA_PAW"),
}
"""Folders of a family and release, as VASP's archives, ASE and pymatgen name them."""

_LEXCH = {"PBE": "PE", "LDA": "CA"}
META_GGAS = ("SCAN", "r2SCAN")
_SETTINGS = "label.calculator.settings"


def family_of(functional: str) -> str:
    """POTCAR files a functional is used with: ``LDA`` for LDA, ``PBE`` for all others."""
    return "LDA" if functional == "LDA" else "PBE"


def potcar_name(element: str, choice: Mapping[str, str]) -> str:
    """Name of the POTCAR of an element: the user's choice, else the recommended one."""
    return choice.get(element) or RECOMMENDED.get(element, element)


class PotcarLibrary:
    """The POTCAR files of one functional.

    Parameters
    ----------
    folder
        Folder that holds them; by the environment when None.
    release
        Release of the files.
    functional
        Functional they are used with.
    choice
        Name of the POTCAR by element, over :data:`RECOMMENDED`.
    """

    def __init__(
        self, folder: str | None, release: Release, functional: str, choice: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._family = family_of(functional)
        self._release = release
        self._functional = functional
        self._choice = choice

    def read(self, elements: Sequence[str]) -> str:
        """POTCAR of a cell whose elements come in this order.

        Raises
        ------
        ProgramMissingError
            A file is not there.
        ConfigError
            A file is not one for this element and functional.
        """
        texts = []
        for element in elements:
            path = self._find(element)
            if path is None:
                title = f"the POTCAR of {element}"
                raise ProgramMissingError(title, NOT_FOUND, "", self._not_found(element))
            text = _text(path)
            wrong = self._wrong(path, text, element)
            if wrong:
                raise ConfigError(wrong)
            texts.append(text)
        return "".join(texts)

    def problems(self, elements: Sequence[str]) -> list[str]:
        """One text per element whose POTCAR is missing or unfit, with the fix."""
        found = []
        for element in elements:
            path = self._find(element)
            if path is None:
                found.append(f"POTCAR of {element}: {self._not_found(element)}")
            else:
                found.append(self._wrong(path, _text(path), element))
        return [text for text in found if text]

    def _find(self, element: str) -> Path | None:
        return next((path for path in self._places(element) if path.is_file()), None)

    def _places(self, element: str) -> list[Path]:
        """Where the POTCAR of an element may lie, the likeliest first."""
        name = potcar_name(element, self._choice)
        files = (f"{name}/POTCAR", f"POTCAR.{name}")
        return [
            root / folder / f"{file}{ending}"
            for root in _roots(self._folder)
            for folder in (*_FOLDERS[self._family, self._release], "")
            for file in files
            for ending in ("", ".gz")
        ]

    def _not_found(self, element: str) -> str:
        """What was looked for, and how to mend it."""
        places = [str(path) for path in self._places(element) if path.suffix != ".gz"]
        if not places:
            return (
                f"no folder to look in; set {_SETTINGS}.potcar_dir, or one of "
                f"{', '.join(ENVIRONMENT)} in the environment of the workers"
            )
        return (
            f"{potcar_name(element, self._choice)} of {self._family} release "
            f"{self._release} not found, looked for {', '.join(places)} (each also as .gz); "
            f"set {_SETTINGS}.potcar_dir, potcar_release, or potcars: "
            f"{{{element}: NAME}}"
        )

    def _wrong(self, path: Path, text: str, element: str) -> str:
        """Why a file cannot be used; empty when it can."""
        title = re.search(r"TITEL\s*=\s*(\S+)\s+(\S+)", text)
        if title is None:
            return f"{path}: has no line TITEL, so it is no POTCAR"
        if re.split(r"[_.\d]", title[2])[0] != element:
            return (
                f"{path}: is for {title[2]}, not for {element} (TITEL); mend "
                f"{_SETTINGS}.potcars.{element}"
            )
        generated = re.search(r"LEXCH\s*=\s*(\S+)", text)
        if generated is None or generated[1].upper() != _LEXCH[self._family]:
            return (
                f"{path}: LEXCH is {generated[1] if generated else 'missing'}, but functional "
                f"{self._functional} needs {self._family} POTCAR files "
                f"(LEXCH {_LEXCH[self._family]}); set {_SETTINGS}.potcar_dir to a folder that "
                f"holds {' or '.join(_FOLDERS[self._family, self._release])}"
            )
        if self._functional in META_GGAS and "kinetic energy-density" not in text:
            return (
                f"{path}: has no kinetic energy density of the core, which {self._functional} "
                "needs; use release 54 or 64"
            )
        return ""


def _roots(folder: str | None) -> list[Path]:
    """Folders to look in: the user's own, or those of ASE and pymatgen."""
    named = [folder] if folder else [os.environ.get(name) for name in ENVIRONMENT]
    if not any(named):
        from pymatgen.core import SETTINGS  # reads the user's .pmgrc.yaml

        named = [SETTINGS.get("PMG_VASP_PSP_DIR")]
    return [Path(os.path.expandvars(name)).expanduser() for name in named if name]


def _text(path: Path) -> str:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="latin-1") as stream:
            return stream.read()
    return path.read_text(encoding="latin-1")
