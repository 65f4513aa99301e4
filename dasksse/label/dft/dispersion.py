"""Grimme's D3 correction with Becke-Johnson damping, added to the answer of any engine."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import ProgramMissingError
from dasksse.label.dft.settings import DISPERSION
from dasksse.process import NOT_FOUND
from dasksse.units import virial_from_stress

if TYPE_CHECKING:
    from ase import Atoms

    from dasksse.label.contract import Answer

_INSTALL = 'pip install "dasksse[d3]"'


def check_dispersion(functional: str) -> None:
    """Stop before hours of DFT when the correction after them cannot be computed.

    Parameters
    ----------
    functional
        Name with or without ``+D3``.

    Raises
    ------
    ProgramMissingError
        The package dftd3 is needed and not installed.
    """
    if missing_dispersion(functional):
        raise ProgramMissingError("dftd3", NOT_FOUND, "", _INSTALL)


def missing_dispersion(functional: str) -> list[str]:
    """What a functional with dispersion needs and does not find here, with the fix.

    Parameters
    ----------
    functional
        Name with or without ``+D3``.
    """
    if not functional.endswith(DISPERSION) or importlib.util.find_spec("dftd3") is not None:
        return []
    return [f"{functional}: package dftd3 is not installed; {_INSTALL}"]


def add_dispersion(atoms: Atoms, answer: Answer, functional: str) -> Answer:
    """Add energy, forces and virial of D3(BJ) to an answer; two-body terms only.

    Parameters
    ----------
    atoms
        The periodic configuration that was computed.
    answer
        Answer of the bare functional.
    functional
        Its name; it decides the damping parameters.

    References
    ----------
    Grimme, Ehrlich, Goerigk, J. Comput. Chem. 32, 1456 (2011), doi:10.1002/jcc.21759.
    """
    from dftd3.ase import DFTD3

    copy = atoms.copy()
    copy.calc = DFTD3(method=functional, damping="d3bj")
    virial = answer.virial
    if virial is not None:
        virial = virial + virial_from_stress(copy.get_stress(), copy.get_volume())
    return replace(
        answer,
        energy=answer.energy + float(copy.get_potential_energy()),
        forces=answer.forces + np.asarray(copy.get_forces()),
        virial=virial,
    )
