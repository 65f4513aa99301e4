"""What VASP's output says about functional and cut-off, for the provenance of its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.label.importing.labelled_frames import UNKNOWN_FUNCTIONAL

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_GGA = {"PE": "PBE", "PS": "PBEsol", "CA": "LDA", "91": "PW91", "RP": "RPBE", "RE": "revPBE"}
_BY_POTENTIAL = {"PAW_PBE": "PBE", "PAW_GGA": "PW91", "PAW": "LDA"}
_BY_METAGGA = {"SCAN": "SCAN", "R2SCA": "r2SCAN", "R2SCAN": "r2SCAN"}
_DISPERSIONS = {0: "", 1: "+D2", 10: "+D2", 11: "+D3(0)", 12: "+D3"}
_NONE = {"", "-", "--", "NONE", "F", ".FALSE."}


def functional_of(tags: Mapping[str, str], potentials: list[str]) -> str:
    """Functional of a VASP calculation in dasksse's names; ``unknown`` for all others.

    Parameters
    ----------
    tags
        Values of ``GGA``, ``METAGGA``, ``LHFCALC``, ``LUSE_VDW`` and ``IVDW``, as far as given.
    potentials
        Titles of the POTCAR files: without GGA tag they decide.
    """
    if any(tags.get(name, "F").strip(". ").upper() == "T" for name in ("LHFCALC", "LUSE_VDW")):
        return UNKNOWN_FUNCTIONAL
    metagga, gga = (tags.get(name, "").strip().upper() for name in ("METAGGA", "GGA"))
    if metagga not in _NONE:
        name = _BY_METAGGA.get(metagga)
    elif gga not in _NONE:
        name = _BY_GGA.get(gga)
    else:
        families = {title.split()[0] for title in potentials if title.split()}
        name = _BY_POTENTIAL.get(families.pop()) if len(families) == 1 else None
    dispersion = _DISPERSIONS.get(int(tags.get("IVDW", "0")))
    if name is None or dispersion is None:
        return UNKNOWN_FUNCTIONAL
    return name + dispersion


def source_of(version: str, encut_eV: str) -> str:
    """Name of the calculator, with the cut-off that decides its energies."""
    return f"VASP {version.strip()}, ENCUT {float(encut_eV):g} eV"
