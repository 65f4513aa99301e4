from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.experiment import read_experiment_csv
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str) -> Path:
    path = folder / "exp.csv"
    path.write_text(text)
    return path


def test_measured_D_is_read_with_its_source(tmp_path: Path) -> None:
    text = "T_K,D_cm2_s,D_err_cm2_s,source\n300,2e-8,1e-9,NMR\n350,9e-8,,NMR\n"

    first, second = read_experiment_csv(write(tmp_path, text))

    assert first.D_m2_s == pytest.approx(2e-12)
    assert first.D_err_m2_s == pytest.approx(1e-13)
    assert (first.source, first.from_conductivity) == ("NMR", False)
    assert second.D_err_m2_s is None


def test_a_conductivity_becomes_the_D_of_independent_carriers(tmp_path: Path) -> None:
    path = write(tmp_path, "T_K,sigma_S_cm\n300,0.012\n")

    (point,) = read_experiment_csv(path, squared_charge_density_A3=0.02)

    sigma = nernst_einstein_mS_cm(
        point.D_m2_s, carrier_density_A3=0.02, temperature_K=300.0, charge=1.0
    )
    assert sigma == pytest.approx(12.0)
    assert point.from_conductivity


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "T_K,D\n300,1\n",
            r"exp\.csv: found the columns T_K, D; needed: T_K and one of D_m2_s",
        ),
        ("T_K,D_m2_s,sigma_S_cm\n300,1,1\n", "needed: T_K and one of"),
        ("T_K,sigma_S_cm\n300,1\n", "sigma_S_cm needs the density of carriers"),
        ("T_K,D_m2_s\n300,\n", r"exp\.csv:2: needs a number above 0 in T_K and D_m2_s"),
        ("T_K,D_m2_s\n300,-1\n", r"exp\.csv:2: D_m2_s is '-1'"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_experiment_csv(write(tmp_path, text))
