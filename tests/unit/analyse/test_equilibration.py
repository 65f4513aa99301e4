from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.equilibration import find_equilibration, stretch_mobility


def steady(seed: int, count: int = 2000) -> np.ndarray:
    """Numbers that remember the last ones a little, as energies do."""
    noise = np.random.default_rng(seed).normal(size=count + 10)
    return np.convolve(noise, np.exp(-np.arange(11) / 4), mode="valid")


def test_a_relaxing_start_is_cut() -> None:
    energy = steady(0) + 20.0 * np.exp(-np.arange(2000) / 60.0)

    found = find_equilibration(2000, {"energy": energy})

    assert 80 < found.n_frames < 500
    assert "energy" in found.reason
    assert str(found.n_frames) in found.reason


def test_a_steady_run_is_seldom_cut() -> None:
    cut = [find_equilibration(2000, {"energy": steady(seed)}).n_frames for seed in range(100)]

    assert np.count_nonzero(cut) <= 5


def test_the_latest_cut_of_all_numbers_counts() -> None:
    time = np.arange(2000)
    early = steady(1) + 20.0 * (time < 50)
    late = steady(2) + 20.0 * (time < 400)

    found = find_equilibration(2000, {"energy": early, "temperature": late})

    assert found.n_frames == pytest.approx(400, abs=5)
    assert found.reason.startswith("temperature")


def test_coarse_numbers_are_turned_into_frames() -> None:
    mobility = np.random.default_rng(3).normal(1.0, 0.1, 64) + 2.0 * (np.arange(64) < 8)

    assert 800 <= find_equilibration(6400, {"mobility": mobility}).n_frames <= 1200


@pytest.mark.parametrize("values", [np.arange(5.0), np.full(100, np.nan), np.ones(100)])
def test_numbers_that_say_nothing_cut_nothing(values: np.ndarray) -> None:
    assert find_equilibration(100, {"energy": values}).n_frames == 0


def test_without_any_number_nothing_is_cut() -> None:
    assert find_equilibration(100, {}).n_frames == 0


def test_mobility_is_the_squared_displacement_of_a_stretch() -> None:
    steps = np.random.default_rng(4).normal(0.0, 0.5, (3, 200, 6401))
    steps[..., :800] *= 2.0

    mobility = stretch_mobility(np.cumsum(steps, axis=-1))

    assert len(mobility) == 64
    assert mobility[:7].mean() == pytest.approx(4 * mobility[9:].mean(), rel=0.1)
    assert mobility[9:].mean() == pytest.approx(3 * 100 * 0.25, rel=0.1)
