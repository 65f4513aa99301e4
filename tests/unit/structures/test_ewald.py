from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from dasksse.structures import ewald_energy

COULOMB_eV_A = 14.399645478


def test_rock_salt_has_its_madelung_energy() -> None:
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0] * 3, [0.5] * 3]
    )

    energy = ewald_energy(salt, {"Na": 1.0, "Cl": -1.0})

    assert energy == pytest.approx(-4 * 1.7475645946 * COULOMB_eV_A / 2.8, rel=1e-7)


def test_energy_grows_with_the_square_of_the_charges() -> None:
    zincblende = Structure.from_spacegroup(
        "F-43m", Lattice.cubic(5.4), ["Zn", "S"], [[0] * 3, [0.25] * 3]
    )

    single = ewald_energy(zincblende, {"Zn": 1.0, "S": -1.0})
    double = ewald_energy(zincblende, {"Zn": 2.0, "S": -2.0})

    np.testing.assert_allclose(double, 4 * single)
