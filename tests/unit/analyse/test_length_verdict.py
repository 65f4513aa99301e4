"""Verdicts on made-up windows, whose answers follow by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.length_verdict import (
    LengthVerdict,
    TimeWindow,
    WindowSet,
    format_length,
    judge_length,
)


def window(
    length_ps: float, D: float | None, error: float = 0.0, **facts: object
) -> TimeWindow:
    values = {"upper_bound_m2_s": None, "regime": "diffusive"} | facts
    return TimeWindow(0.0, length_ps, D, None if D is None else error, **values)  # type: ignore[arg-type]


def judge(*nested: TimeWindow, sets: tuple[WindowSet, ...] = ()) -> LengthVerdict:
    return judge_length(nested, sets, tolerance=0.1, n_walkers=40)


def test_a_small_error_and_a_small_drift_are_converged() -> None:
    verdict = judge(window(500.0, 0.97, 0.1), window(1000.0, 1.0, 0.07))

    assert verdict.is_converged
    assert verdict.wanted_ps == 1000.0
    assert verdict.wanted_range_ps is None
    assert verdict.text == (
        "converged within 10 % at 1 ns: error 7 %; the first half alone gives 3 % less"
    )


def test_the_wanted_length_grows_with_the_square_of_the_error() -> None:
    verdict = judge(window(500.0, 1.0, 0.3), window(1000.0, 1.0, 0.2))

    assert verdict.state == "too_short"
    assert verdict.wanted_ps == pytest.approx(4000.0)
    low, high = verdict.wanted_range_ps or (0.0, 0.0)
    # 68 % interval of chi² of 4 degrees of freedom: 1.42 to 6.60
    assert low == pytest.approx(4000.0 * 4.0 / 6.6, rel=0.05)
    assert high == pytest.approx(4000.0 * 4.0 / 1.42, rel=0.1)
    assert not verdict.is_lower_bound
    assert "needs about 3 ns more (1.5 ns to 11 ns)" in verdict.text


def test_the_interval_of_the_length_contains_the_right_one_in_two_of_three_cases() -> None:
    rng = np.random.default_rng(1)
    n_windows, n_trials, true_error = 8, 2000, 0.25
    hits = 0
    for _ in range(n_trials):
        # eight windows of D = 1 with eight times the variance of the whole
        values = rng.normal(1.0, true_error * np.sqrt(n_windows), n_windows)
        stated = float(np.std(values, ddof=1))
        error = stated / np.sqrt(n_windows)
        apart = WindowSet(125.0, tuple(window(125.0, float(D), stated) for D in values))
        verdict = judge(window(500.0, 1.0, error), window(1000.0, 1.0, error), sets=(apart,))
        low, high = verdict.wanted_range_ps or (0.0, 0.0)
        hits += low <= 1000.0 * (true_error / 0.1) ** 2 <= high

    assert 0.64 < hits / n_trials < 0.75  # 68 %, and ends are rounded outwards


def test_a_drift_beyond_the_tolerance_asks_for_twice_the_length_at_least() -> None:
    noise = judge(window(500.0, 0.88, 0.13), window(1000.0, 1.0, 0.09))
    trend = judge(window(500.0, 1.30, 0.05), window(1000.0, 1.0, 0.04))

    for verdict in (noise, trend):
        assert verdict.state == "too_short"
        assert (verdict.wanted_ps, verdict.is_lower_bound) == (2000.0, True)
        assert "needs at least 1 ns more" in verdict.text
    assert "12 % less, which its error explains" in noise.text
    assert "30 % more, a trend beyond its error" in trend.text


def test_a_half_without_D_shows_nothing_of_the_drift() -> None:
    half = window(500.0, None, regime="subdiffusive", upper_bound_m2_s=2.0)

    verdict = judge(half, window(1000.0, 1.0, 0.05))

    assert (verdict.state, verdict.wanted_ps, verdict.drift) == ("too_short", 2000.0, None)
    assert "the first half alone is not diffusive" in verdict.text


def test_windows_that_scatter_more_than_their_errors_raise_the_error() -> None:
    values = [0.4, 1.6, 0.5, 1.5, 0.6, 1.4, 0.7, 1.3]
    scattered = WindowSet(125.0, tuple(window(125.0, D, 0.2) for D in values))
    nested = (window(500.0, 1.0, 0.1), window(1000.0, 1.0, 0.07))

    assert judge(*nested).is_converged
    verdict = judge(*nested, sets=(scattered,))

    assert not verdict.is_converged
    assert verdict.scatter_ratio == pytest.approx(np.std(values, ddof=1) / 0.2)
    assert verdict.relative_error == pytest.approx(0.07 * np.std(values, ddof=1) / 0.2)
    assert "windows scatter by 2.5 times their stated errors" in verdict.text


def test_windows_that_are_not_all_diffusive_do_not_test_errors() -> None:
    windows = [window(100.0, 1.0, 0.01), window(100.0, 9.0, 0.01), window(100.0, 5.0, 0.01)]
    few = WindowSet(100.0, tuple(windows))
    some = WindowSet(100.0, (*windows, window(100.0, None)))

    for one in (few, some):
        assert one.scatter_m2_s is None
        verdict = judge(window(500.0, 1.0, 0.1), window(1000.0, 1.0, 0.07), sets=(one,))
        assert verdict.is_converged
    assert some.mean_m2_s == pytest.approx(5.0)
    assert some.to_json()["n_diffusive"] == 3


@pytest.mark.parametrize(
    ("bound_m2_s", "wanted_ps"),
    [
        (None, 2000.0),  # nothing known: twice
        (1e-9, 2000.0),  # left quickly: twice
        # 6.25 Å² / 6 D = 1042 ps to leave a site, at most a third of the run
        (1e-11, 3200.0),
    ],
)
def test_without_D_ions_must_have_time_to_leave_their_sites(
    bound_m2_s: float | None, wanted_ps: float
) -> None:
    whole = window(1000.0, None, regime="not_diffusive", upper_bound_m2_s=bound_m2_s)

    verdict = judge(whole)

    assert (verdict.state, verdict.is_lower_bound) == ("not_diffusive", True)
    assert verdict.wanted_ps == pytest.approx(wanted_ps)
    assert verdict.text == (
        f"not diffusive within 1 ns: needs longer, at least {format_length(wanted_ps)}"
    )


def test_few_ions_need_longer_to_count_enough_jumps() -> None:
    whole = window(1000.0, None, regime="subdiffusive", upper_bound_m2_s=1e-10)

    few = judge_length([whole], (), tolerance=0.1, n_walkers=2)

    # 100 jumps of 2 ions, one of each in 104 ps
    assert few.wanted_ps == pytest.approx(5300.0)
    assert few.text.startswith("subdiffusive within 1 ns")


def test_a_verdict_is_plain_json() -> None:
    values = judge(window(500.0, 1.0, 0.3), window(1000.0, 1.0, 0.2)).to_json()

    assert values["state"] == "too_short"
    assert isinstance(values["wanted_range_ps"], list)
