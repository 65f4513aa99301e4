from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.regime import cage_plateau, find_window, lag_grid


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
    lags = lag_grid(1000)
    spread = np.linspace(0.9, 1.1, 20)[:, None]

    window = find_window(lags, spread * lags**exponent, 1000)

    assert not window.is_linear
    assert window.exponent == pytest.approx(exponent, abs=0.05)


def test_the_window_starts_after_a_slow_relaxation() -> None:
    lags = lag_grid(4000)
    spread = np.linspace(0.9, 1.1, 20)[:, None]
    relaxing = 0.05 * lags + 6.0 * (1.0 - np.exp(-lags / 20.0))

    window = find_window(lags, spread * relaxing, 4000)

    assert window.is_linear
    assert window.start > 20
    assert window.stop <= 4000 / 3


def test_the_window_reaches_to_where_ions_have_left_their_sites() -> None:
    lags = lag_grid(1000)
    spread = np.linspace(0.9, 1.1, 20)[:, None]

    slow = find_window(lags, spread * 0.03 * lags, 1000)
    fast = find_window(lags, spread * 3.0 * lags, 1000)

    assert slow.stop >= 6.25 / 0.03
    assert fast.stop == 100
