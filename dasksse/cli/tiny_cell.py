"""A small crystal of the elements of a run, for one label in passing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

TETRAHEDRAL = 0.95
"""Bonds of fluorite are that much shorter than sums of radii, which hold for six neighbours."""


def tiny_cell(elements: Sequence[str], mobile: str, mobile_charge: float) -> Atoms | None:
    """Salt of the mobile ion with the most electronegative other element.

    Parameters
    ----------
    elements
        Symbols of the chemical elements of the run.
    mobile
        The mobile species, one of them.
    mobile_charge
        Its charge [e].

    Returns
    -------
    ase.Atoms
        Cubic cell of rock salt (8 atoms) or of fluorite or antifluorite (12 atoms), such as
        Li2S, with bonds from ionic radii; None when charges or radii allow none of these.
    """
    from ase.build import bulk
    from pymatgen.core import Element

    others = [Element(symbol) for symbol in elements if symbol != mobile]
    if not others:
        return None
    ion, partner = Element(mobile), max(others, key=lambda element: float(element.X))
    charges = [q for q in partner.common_oxidation_states if q * mobile_charge < 0]
    if not charges:
        return None
    charge = max(charges, key=abs)
    radii = ion.ionic_radii.get(round(mobile_charge)), partner.ionic_radii.get(charge)
    if None in radii:
        return None
    bond_A = float(sum(radii))
    if abs(charge) == abs(mobile_charge):
        return bulk(f"{ion}{partner}", "rocksalt", a=2.0 * bond_A, cubic=True)
    single, double = (partner, ion) if abs(charge) > abs(mobile_charge) else (ion, partner)
    if max(abs(charge), abs(mobile_charge)) != 2 * min(abs(charge), abs(mobile_charge)):
        return None
    a = TETRAHEDRAL * bond_A * 4.0 / 3.0**0.5
    return bulk(f"{single}{double}2", "fluorite", a=a, cubic=True)
