from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.msd import msd_per_axis
from dasksse.analyse.sample import Sample, msd_error, sample_runs
from dasksse.analyse.slope import (
    JUMP_LENGTH_A,
    Reach,
    countable_jumps,
    effective_jumps,
    reach_of,
    slope_bound,
    spread_of,
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


def relative_error(sample: Sample, start: int = 1, stop: int = 40) -> float:
    reach = reach_of(sample)
    line = reach.fit(start, stop)
    return spread_of(reach, line.weights, line, start=start).error / line.slope


def test_the_error_is_the_spread_between_samples() -> None:
    samples = [sample_runs([walk(300, 10, seed=seed)]) for seed in range(200)]

    slopes = [reach_of(sample).fit(1, 40).slope for sample in samples]

    stated = np.mean([relative_error(sample) for sample in samples])
    assert stated == pytest.approx(np.std(slopes) / 3.0, rel=0.2)


def test_smooth_walks_have_no_jumps_to_count() -> None:
    reach = reach_of(sample_runs([walk(2000, 20, seed=3)]))

    assert countable_jumps(reach, reach.fit(1, 100), 1) > 20_000


def test_rare_jumps_of_any_length_are_counted() -> None:
    rng = np.random.default_rng(4)
    jumps = (rng.random((4000, 20, 3)) < 0.005) * rng.choice([-1.0, 1.0], (4000, 20, 3))
    reach = reach_of(sample_runs([np.cumsum(jumps, axis=0)]))

    counted = countable_jumps(reach, reach.fit(5, 400), 5)

    assert counted == pytest.approx(np.count_nonzero(jumps), rel=0.1)


def test_ions_that_move_in_blocks_have_the_error_of_fewer_ions() -> None:
    free = relative_error(sample_runs([walk(4000, 60, seed=6)]))
    locked = relative_error(sample_runs([np.repeat(walk(4000, 3, seed=5), 20, axis=1)]))

    assert locked > 3.0 * free


def test_uneven_ions_and_uneven_runs_have_a_larger_error() -> None:
    even = [walk(400, 10, seed=seed) for seed in range(4)]
    uneven_ions = [run * np.linspace(0.1, 1.5, 10)[:, None] for run in even]
    uneven_runs = [run * factor for run, factor in zip(even, [0.7, 0.9, 1.1, 1.3], strict=True)]

    smallest = relative_error(sample_runs(even))

    assert relative_error(sample_runs(uneven_ions)) > 1.5 * smallest
    assert relative_error(sample_runs(uneven_runs)) > 3.0 * smallest


def test_stretches_are_joined_where_lags_are_long() -> None:
    reach = reach_of(sample_runs([walk(300, 5, seed=7)]))
    short, long = (np.zeros_like(reach.msd_xyz) for _ in range(2))
    short[0], long[-1] = 1.0, 1.0

    n_short, n_long = (reach.of_each_stretch(weights).shape[1] for weights in (short, long))

    assert n_short > n_long
    assert np.isfinite(reach.of_each_stretch(long)).all()


def bound_of(reach: Reach) -> float:
    line = reach.fit(1, 30)
    return slope_bound(reach, line, spread_of(reach, line.weights, line, start=1))


def test_an_immobile_species_is_bounded_by_the_jumps_it_could_have_missed() -> None:
    reach = reach_of(sample_runs([np.zeros((100, 6, 3))]))

    assert bound_of(reach) == pytest.approx(3.0 * JUMP_LENGTH_A**2 / 600)


def test_a_bound_is_above_the_slope() -> None:
    reaches = [reach_of(sample_runs([walk(100, 5, seed=seed)])) for seed in range(100)]

    assert np.mean([bound_of(reach) > 3.0 for reach in reaches]) >= 0.95


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
