"""D of generations side by side: when it is stable, and what it says when it is not."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dasksse.analyse.stability import DiffusionOfGeneration, TemperatureD, compare_generations
from dasksse.units import BOLTZMANN_EV_K

TEMPERATURES = (600.0, 800.0, 1000.0)


def generation(
    Ea_eV: float = 0.25,
    *,
    factor: float = 1.0,
    spread: float = 0.0,
    error: float = 0.03,
    n_models: int = 4,
) -> DiffusionOfGeneration:
    found = []
    for temperature_K in TEMPERATURES:
        D = factor * 1e-8 * np.exp(-Ea_eV / (BOLTZMANN_EV_K * temperature_K))
        values = D * np.exp(spread * np.linspace(-1.0, 1.0, 4))
        found.append(
            TemperatureD(
                temperature_K,
                tuple(values[:n_models].tolist()),
                tuple((error * values[:n_models]).tolist()),
                4,
            )
        )
    return DiffusionOfGeneration(0, tuple(found))


def judge(before: DiffusionOfGeneration | None, now: DiffusionOfGeneration) -> tuple[bool, str]:
    judged = compare_generations(before, now, tolerance=0.2, Ea_tolerance_eV=0.03)
    return judged.is_stable, judged.text


def test_equal_generations_are_stable_within_the_tolerance() -> None:
    assert judge(generation(), generation(factor=1.15))[0]


def test_the_first_generation_is_not_stable_by_itself() -> None:
    is_stable, text = judge(None, generation())

    assert not is_stable
    assert "no generation before" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"factor": 1.5}, r"at 600 K it changed by \+50 ± 2 %"),
        ({"spread": 0.6}, "at 600 K the models differ by 52 %"),
        ({"error": 0.6}, "its change is known to ± 3[0-9] % only"),
        ({"n_models": 3}, "at 600 K 3 of 4 models have a resolved D"),
        ({"n_models": 0}, "0 of 4 models"),
    ],
)
def test_it_says_what_is_not_stable(changes: dict[str, float], message: str) -> None:
    is_stable, text = judge(generation(), generation(**changes))  # type: ignore[arg-type]

    assert not is_stable
    assert re.search(message, text), text


def test_an_activation_energy_that_moves_while_d_stays_within_its_tolerance_is_found() -> None:
    # D crosses between 600 and 1000 K: 0.04 eV is 26 % in all, 13 % at either end
    pivot = float(np.exp(0.04 / (BOLTZMANN_EV_K * 750.0)))

    is_stable, text = judge(generation(), generation(0.29, factor=pivot))

    assert not is_stable
    assert text == "D is not stable: Ea changed by +0.040 ± 0.004 eV"


def test_the_activation_energy_is_that_of_the_line() -> None:
    found = generation(0.31).Ea_eV

    assert found is not None
    assert found[0] == pytest.approx(0.31, abs=1e-6)


def test_its_error_is_that_of_many_draws() -> None:
    rng = np.random.default_rng(5)
    energies, errors = [], []
    for _ in range(300):
        exact = generation()
        drawn = [
            TemperatureD(
                t.temperature_K,
                tuple(
                    float(d * np.exp(e / d * rng.normal()))
                    for d, e in zip(t.D_m2_s, t.D_err_m2_s, strict=True)
                ),
                t.D_err_m2_s,
                4,
            )
            for t in exact.temperatures
        ]
        found = DiffusionOfGeneration(0, tuple(drawn)).Ea_eV
        assert found is not None
        energies.append(found[0])
        errors.append(found[1])
    assert np.mean(energies) == pytest.approx(0.25, abs=0.002)
    # the error of a mean of four is found from their scatter: too small now and then
    assert np.median(errors) == pytest.approx(np.std(energies), rel=0.35)
