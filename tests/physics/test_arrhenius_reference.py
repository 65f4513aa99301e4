from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dasksse.analyse.arrhenius import fit_arrhenius
from dasksse.units import BOLTZMANN_EV_K

FILE = (
    Path(__file__).parents[2]
    / "../shared/refdata/mogroup_aimd_llzo/test_files/arrhenius/D_T.csv"
)
CUBIC_LLZO_LI_PER_A3 = 56 / 12.98**3

pytestmark = [
    pytest.mark.refdata,
    pytest.mark.skipif(not FILE.exists(), reason=f"no reference data at {FILE}"),
]


@pytest.fixture
def llzo() -> np.ndarray:
    """Temperature [K], D and its error [m²/s] of ab initio MD of cubic LLZO."""
    return np.loadtxt(FILE, delimiter=",", skiprows=1).T * [[1.0], [1e-4], [1e-4]]


def test_the_published_fit_of_garnet_is_reproduced(llzo: np.ndarray) -> None:
    fit = fit_arrhenius(*llzo, charge=1.0, carrier_density_A3=CUBIC_LLZO_LI_PER_A3)

    assert fit.Ea_eV == pytest.approx(0.25814, abs=1e-5)
    assert fit.Ea_err_eV == pytest.approx(0.01683, abs=1e-5)
    assert fit.D_m2_s == pytest.approx(6.8075e-13, rel=1e-4)
    assert fit.sigma_mS_cm == pytest.approx(1.0804, abs=1e-4)
    assert fit.one_line_ok is True


def test_the_published_interval_is_ours_without_the_correlation(llzo: np.ndarray) -> None:
    fit = fit_arrhenius(*llzo, charge=1.0, carrier_density_A3=CUBIC_LLZO_LI_PER_A3)
    at_infinity = fit_arrhenius(*llzo, at_K=1e12)  # where ln D is the intercept
    intercept_error = np.log(at_infinity.D_high_m2_s / at_infinity.D_m2_s)
    slope_error = fit.Ea_err_eV / (BOLTZMANN_EV_K * 300.0)

    uncorrelated = np.exp(np.hypot(intercept_error, slope_error))

    assert fit.sigma_mS_cm is not None
    assert fit.sigma_mS_cm / uncorrelated == pytest.approx(0.545, abs=1e-3)
    assert fit.sigma_mS_cm * uncorrelated == pytest.approx(2.141, abs=1e-3)
    assert 1.0 < fit.D_high_m2_s / fit.D_m2_s < uncorrelated


def test_equal_relative_errors_are_plain_least_squares(llzo: np.ndarray) -> None:
    temperature, D, _ = llzo

    assert fit_arrhenius(temperature, D, 0.2 * D).Ea_eV == pytest.approx(0.2482, abs=1e-4)
