from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.msd import msd_per_axis
from dasksse.analyse.sample import msd_error, sample_runs
from dasksse.analyse.slope import (
    JUMP_LENGTH_A,
    collective_slope,
    effective_jumps,
    slope_bound,
    tracer_slope,
)


def walk(n_frames: int, n_ions: int, *, seed: int, step: float = 1.0) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(0, step, (n_frames, n_ions, 3))
    return np.cumsum(steps, axis=0)


def test_runs_are_weighted_by_their_time_origins() -> None:
    long, short = walk(90, 4, seed=0), walk(60, 4, seed=1)

    sample = sample_runs([long, short])

    expected = 80 / 130 * msd_per_axis(long)[10] + 50 / 130 * msd_per_axis(short)[10]
    np.testing.assert_allclose(sample.msd_xyz[10], expected)
    assert (sample.n_frames, sample.n_runs, sample.n_walkers) == (60, 2, 8)


def test_jumps_are_counted_from_the_total_squared_displacement() -> None:
    sample = sample_runs([walk(100, 5, seed=2)])

    assert effective_jumps(sample, slope=0.25) == pytest.approx(
        0.25 * 100 * 5 / JUMP_LENGTH_A**2
    )


def test_few_jumps_floor_the_error() -> None:
    sample = sample_runs([walk(200, 20, seed=3, step=0.05)])

    slope = tracer_slope(sample, np.arange(1, 20))

    assert slope.error >= slope.value / np.sqrt(effective_jumps(sample, slope.value))


def test_a_slope_that_still_changes_widens_the_error() -> None:
    sample, lags = sample_runs([walk(400, 30, seed=4)]), np.arange(1, 40)

    steady = tracer_slope(sample, lags)
    changing = tracer_slope(sample, lags, slope_change=0.3)

    assert changing.value == steady.value
    assert changing.error == pytest.approx(np.hypot(steady.error, 0.3 * steady.value))


def test_ions_that_move_in_blocks_have_the_error_of_fewer_ions() -> None:
    few = walk(4000, 3, seed=5)
    lags = np.arange(1, 50)

    free = tracer_slope(sample_runs([walk(4000, 60, seed=6)]), lags)
    locked = tracer_slope(sample_runs([np.repeat(few, 20, axis=1)]), lags)

    assert locked.error > 2.0 * free.error


def test_the_collective_slope_of_independent_ions_is_the_tracer_slope() -> None:
    sample, lags = (
        sample_runs([walk(4000, 10, seed=seed) for seed in range(5)]),
        np.arange(1, 9),
    )

    collective, tracer = collective_slope(sample, lags), tracer_slope(sample, lags)

    assert collective.value == pytest.approx(tracer.value, abs=3 * collective.error)
    assert collective.error < 0.1 * collective.value


def test_an_immobile_species_is_bounded_by_the_jumps_it_could_have_missed() -> None:
    sample = sample_runs([np.zeros((100, 6, 3))])

    bound = slope_bound(sample, tracer_slope(sample, np.arange(1, 30)))

    assert bound == pytest.approx(3.0 * JUMP_LENGTH_A**2 / 600)


def test_the_msd_error_is_the_spread_between_samples() -> None:
    samples = [sample_runs([walk(100, 10, seed=seed)]) for seed in range(300)]

    spread = np.std([sample.msd_xyz.sum(axis=1)[20] for sample in samples])

    stated = np.mean([msd_error(sample)[20] for sample in samples])
    assert stated == pytest.approx(spread, rel=0.15)


def test_the_msd_error_of_a_lone_ion_is_that_of_a_random_walk() -> None:
    samples = [sample_runs([walk(400, 1, seed=seed)]) for seed in range(300)]

    spread = np.std([sample.msd_xyz.sum(axis=1)[30] for sample in samples])

    stated = np.mean([msd_error(sample)[30] for sample in samples])
    assert stated == pytest.approx(spread, rel=0.15)
