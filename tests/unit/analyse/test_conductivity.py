from __future__ import annotations

import pytest

from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.errors import AnalysisError


def test_conductivity_of_lithium_garnet_by_hand() -> None:
    # (1.602177e-19)^2 * 56/12.98^3 * 1e30 * 1e-12 / (1.380649e-23 * 300) = 0.1587 S/m
    sigma = nernst_einstein_mS_cm(
        1e-12, carrier_density_A3=56 / 12.98**3, temperature_K=300.0, charge=1.0
    )

    assert sigma == pytest.approx(1.587, rel=1e-3)


def test_conductivity_grows_with_the_square_of_the_charge_of_either_sign() -> None:
    facts = {"carrier_density_A3": 0.02, "temperature_K": 500.0}

    single = nernst_einstein_mS_cm(1e-10, charge=1.0, **facts)

    assert nernst_einstein_mS_cm(1e-10, charge=-2.0, **facts) == pytest.approx(4 * single)


@pytest.mark.parametrize(("density", "temperature"), [(0.02, 0.0), (-0.1, 300.0)])
def test_impossible_conditions_are_refused(density: float, temperature: float) -> None:
    with pytest.raises(AnalysisError, match="temperature above 0 K"):
        nernst_einstein_mS_cm(
            1e-10, carrier_density_A3=density, temperature_K=temperature, charge=1
        )
