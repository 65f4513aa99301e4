from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.regime import cage_plateau, find_window, lag_grid, log_slope
from dasksse.analyse.sample import Sample
from dasksse.analyse.slope import Reach, reach_of

N_STRETCHES = 16


def reach(msd: np.ndarray, *, non_gaussian: float = 0.0) -> Reach:
    """Twenty ions in a run whose MSDs are all this [Å²], but for a factor."""
    n_frames = len(msd)
    grid = lag_grid(n_frames)
    spread = np.linspace(0.9, 1.1, 20)
    by_axis = np.repeat(msd[:, None] / 3, 3, axis=1)
    blocks = np.linspace(0.99, 1.01, N_STRETCHES)
    sample = Sample(
        n_frames=n_frames,
        n_runs=1,
        msd_xyz=by_axis,
        collective_xyz=by_axis,
        grid=grid,
        walker_xyz=spread[:, None, None] * by_axis[grid],
        block_xyz=blocks[:, None, None] * by_axis[grid],
        run_of_walker=np.zeros(20, dtype=int),
        run_of_block=np.zeros(N_STRETCHES, dtype=int),
        fourth_power=(1.0 + non_gaussian) * msd[grid] ** 2 / 0.6,
        collective_block_xyz=blocks[:, None, None] * by_axis[grid],
        frames_per_run=np.array([n_frames]),
    )
    return reach_of(sample)


def test_the_grid_holds_every_lag_once_from_first_to_last() -> None:
    lags = lag_grid(500)

    assert lags[0] == 1
    assert lags[-1] == 499
    assert (np.diff(lags) > 0).all()


def test_a_straight_line_above_a_cage_shows_its_plateau() -> None:
    lags = lag_grid(200)

    settled, plateau = cage_plateau(lags, 0.5 + 0.001 * lags)

    assert settled == 1
    assert plateau == pytest.approx(0.5, rel=0.02)


def test_a_random_walk_has_no_plateau() -> None:
    lags = lag_grid(200)

    assert cage_plateau(lags, 0.3 * lags) == (0, 0.0)


@pytest.mark.parametrize("exponent", [0.5, 2.0])
def test_a_power_law_keeps_its_exponent_and_is_no_line(exponent: float) -> None:
    curve = reach(np.arange(4000.0) ** exponent)

    window = find_window(curve)

    assert not window.is_linear
    assert log_slope(curve, window) == pytest.approx(exponent, abs=0.05)


def test_a_straight_line_starts_at_once() -> None:
    window = find_window(reach(0.3 * np.arange(1000.0)))

    assert window.is_linear
    assert window.start == 1
    assert window.slope_change == 0.0


def test_the_window_starts_well_after_a_slow_relaxation() -> None:
    lags = np.arange(4000.0)

    window = find_window(reach(0.05 * lags + 6.0 * (1.0 - np.exp(-lags / 20.0))))

    assert window.is_linear
    assert window.start > 60
    assert window.line.slope == pytest.approx(0.05, rel=0.05)
    assert window.stop <= 4000 / 3


def test_a_relaxation_as_long_as_the_run_is_found_out() -> None:
    lags = np.arange(1000.0)

    assert not find_window(reach(0.05 * lags + 60.0 * (1.0 - np.exp(-lags / 150.0)))).is_linear


def test_where_ions_jump_the_window_starts_when_they_have_jumped() -> None:
    lags = np.arange(4000.0)

    smooth, jumping = (
        find_window(reach(0.1 * lags, non_gaussian=value)) for value in (0.0, 3.0)
    )

    assert smooth.start < 6.25 / 0.1 <= jumping.start


def test_ions_that_have_not_left_their_sites_do_not_diffuse() -> None:
    """A line as straight as can be: a single hop forth and back would look like it."""
    window = find_window(reach(0.01 * np.arange(1000.0), non_gaussian=3.0))

    assert not window.is_linear
