"""Stated intervals hold the truth as often as they say. Bands allow for the chance of 400."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from diffusing_ions import (
    CASES,
    TO_M2_S,
    estimate,
    estimates,
    exclusion,
    hops,
    rattling,
    share_covered,
    small_steps,
)

if TYPE_CHECKING:
    from dasksse.analyse.diffusion_result import DiffusionResult

N_BOUNDS = 60


def share_diffusive(results: list[DiffusionResult]) -> float:
    return float(np.mean([result.regime == "diffusive" for result in results]))


@pytest.mark.parametrize("name", list(CASES))
def test_intervals_hold_the_truth_as_often_as_stated(name: str) -> None:
    case = CASES[name]

    results = estimates(name)

    D = case.D * TO_M2_S
    assert share_diffusive(results) > 0.9
    assert case.band68[0] <= share_covered(results, "D", D, 68) <= case.band68[1]
    assert case.band95[0] <= share_covered(results, "D", D, 95) <= case.band95[1]
    # one walker a run: its interval is wide, and its coverage known to be a little low or high
    collective = D / case.haven_ratio
    assert 0.60 <= share_covered(results, "D_collective", collective, 68) <= 0.75
    assert 0.91 <= share_covered(results, "D_collective", collective, 95) <= 0.99
    # takes both errors for independent, so that it is rather too wide
    assert share_covered(results, "haven_ratio", case.haven_ratio, 68) >= 0.63
    assert share_covered(results, "haven_ratio", case.haven_ratio, 95) >= 0.93


def test_ions_that_block_each_other_have_the_haven_ratio_of_a_lattice_gas() -> None:
    paths = exclusion(np.random.default_rng(0), 100, 300, size=4, n_tries=16)

    results = [estimate([path]) for path in paths]

    collective = 16 / 32 * 32 / 63 * 2.8**2 / 6.0
    tracer = 0.8553 * collective  # from 300 000 frames of 32 ions
    assert 0.55 <= share_covered(results, "D", tracer * TO_M2_S, 68) <= 0.8
    assert 0.55 <= share_covered(results, "D_collective", collective * TO_M2_S, 68) <= 0.8
    assert share_covered(results, "haven_ratio", tracer / collective, 95) >= 0.9


def test_walkers_in_a_closed_box_do_not_diffuse() -> None:
    rng = np.random.default_rng(1)
    results = []
    for side_A in (6.0, 10.0):
        paths = [small_steps(rng, 600, 20, 0.5) % (2 * side_A) for _ in range(N_BOUNDS // 2)]
        results += [estimate([np.minimum(path, 2 * side_A - path)]) for path in paths]

    assert share_diffusive(results) == 0.0
    assert all(result.upper_bound_m2_s is not None for result in results)


def test_ions_that_hop_back_for_long_have_a_bound_above_their_slow_diffusion() -> None:
    """Eight sites that are left once in 1000 frames, hops between them once in 50."""
    rng = np.random.default_rng(2)
    results = []
    for _ in range(N_BOUNDS):
        flips = np.cumsum(rng.random((500, 20, 3)) < 0.02 / 3, axis=0)
        sites = 2.5 * ((flips + rng.integers(2, size=(20, 3))) % 2)
        results.append(estimate([rattling(rng, hops(rng, 500, 20, 0.001, 5.0) + sites, 0.3)]))

    D = 0.001 * 5.0**2 / 6.0 * TO_M2_S
    bounds = [result.upper_bound_m2_s for result in results if result.upper_bound_m2_s]
    assert share_diffusive(results) <= 0.1
    assert np.mean(np.array(bounds) >= D) >= 0.9


@pytest.mark.parametrize("hurst", [0.25, 0.35])
def test_memory_without_end_is_no_diffusion(hurst: float) -> None:
    """Fractional Brownian motion: the MSD grows as the lag to the power of 2 × hurst."""
    rng, lag = np.random.default_rng(3), np.arange(400)
    noise = np.abs(lag + 1.0) ** (2 * hurst) + np.abs(lag - 1.0) ** (2 * hurst)
    noise = noise / 2 - lag ** (2 * hurst)
    root = np.linalg.cholesky(noise[np.abs(lag[:, None] - lag)])
    walks = [
        np.cumsum((root @ rng.normal(0, 0.5, (400, 60))).reshape(400, 20, 3), axis=0)
        for _ in range(N_BOUNDS)
    ]

    results = [estimate([walk]) for walk in walks]

    assert share_diffusive(results) <= 0.1
    assert np.mean([result.regime == "subdiffusive" for result in results]) >= 0.9
