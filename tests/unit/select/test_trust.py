from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from dasksse.config.schema import TrustSection
from dasksse.errors import AnalysisError, ConfigError
from dasksse.select.trust import (
    ACCURATE,
    CANDIDATE,
    FAILED,
    Shares,
    Verdict,
    auto_levels,
    classify,
    pooled_shares,
    shares,
    weighted_mean,
)


@pytest.mark.parametrize(
    ("deviation", "accurate", "candidate", "failed"),
    [
        (
            [0.90, 0.10, 0.91, 0.11, 0.50, 0.12, 0.51, 0.52, 0.92],
            {1, 3, 5},
            {4, 6, 7},
            {0, 2, 8},
        ),
        (
            [0.40, 0.20, 0.80, 0.81, 0.82, 0.21, 0.41, 0.22, 0.42],
            {1, 5, 7},
            {0, 6, 8},
            {2, 3, 4},
        ),
    ],
)
def test_the_worked_example_is_parted_at_0_3_and_0_6(
    deviation: list[float], accurate: set[int], candidate: set[int], failed: set[int]
) -> None:
    verdicts = classify(np.array(deviation), low_eV_A=0.3, high_eV_A=0.6)

    assert set(np.flatnonzero(verdicts == ACCURATE)) == accurate
    assert set(np.flatnonzero(verdicts == CANDIDATE)) == candidate
    assert set(np.flatnonzero(verdicts == FAILED)) == failed


def test_a_level_itself_belongs_to_the_worse_side() -> None:
    deviation = np.array([0.12, np.nextafter(0.12, 0), 0.25, np.nextafter(0.25, 0)])

    verdicts = classify(deviation, low_eV_A=0.12, high_eV_A=0.25)

    assert verdicts.tolist() == [CANDIDATE, ACCURATE, FAILED, CANDIDATE]


def test_a_deviation_that_is_not_finite_has_failed() -> None:
    verdicts = classify(np.array([np.nan, np.inf, -np.inf]), low_eV_A=0.1, high_eV_A=0.2)

    assert verdicts.tolist() == [FAILED] * 3


def test_verdict_codes_are_stable_because_they_are_stored() -> None:
    assert [(one.name, int(one)) for one in Verdict] == [
        ("ACCURATE", 0),
        ("CANDIDATE", 1),
        ("FAILED", 2),
    ]


@pytest.mark.parametrize(
    ("low", "high"), [(0.3, 0.3), (0.0, 0.3), (0.3, np.inf), (np.nan, 0.3), (0.4, 0.3)]
)
def test_levels_out_of_order_are_refused(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match="0 < low < high"):
        classify(np.zeros(1), low_eV_A=low, high_eV_A=high)


def test_frames_never_reached_count_as_failed() -> None:
    verdicts = np.array([ACCURATE, ACCURATE, CANDIDATE, FAILED])

    part = shares(verdicts, 10)

    assert part == Shares(accurate=0.2, candidate=0.1, failed=0.7, n_frames=4, n_planned=10)


def test_runs_lost_altogether_have_failed() -> None:
    part = shares(np.array([], dtype=int), 5)

    assert part == Shares(accurate=0.0, candidate=0.0, failed=1.0, n_frames=0, n_planned=5)


@pytest.mark.parametrize(("n_frames", "n_planned"), [(3, 2), (0, 0)])
def test_a_plan_smaller_than_what_was_reached_is_refused(n_frames: int, n_planned: int) -> None:
    with pytest.raises(AnalysisError, match=f"{n_frames} frames were reached"):
        shares(np.zeros(n_frames, dtype=int), n_planned)


def test_pooled_shares_are_those_of_all_frames_together() -> None:
    small, large = np.array([ACCURATE, FAILED]), np.array([ACCURATE, CANDIDATE, CANDIDATE])

    pooled = pooled_shares([asdict(shares(small, 2)), asdict(shares(large, 6))])

    together = shares(np.concatenate([small, large]), 8)
    assert pooled == pytest.approx(
        {
            "accurate": together.accurate,
            "candidate": together.candidate,
            "failed": together.failed,
        }
    )


def test_a_weighted_mean_of_nothing_is_zero() -> None:
    assert weighted_mean([], "broken", weight="n_frames") == 0.0
    assert weighted_mean([{"broken": 0.5, "n_frames": 0}], "broken", weight="n_frames") == 0.0


def test_automatic_levels_lie_above_the_training_error() -> None:
    section = TrustSection(mode="auto", auto_factor=1.2, auto_width_eV_A=0.2)

    low, high = auto_levels(0.1, section)

    assert low == pytest.approx(0.12)
    assert high == pytest.approx(0.32)


@pytest.mark.parametrize("rmse", [np.nan, 0.0, -0.1, np.inf])
def test_automatic_levels_need_a_training_error(rmse: float) -> None:
    with pytest.raises(ConfigError, match="finite training force error above 0"):
        auto_levels(rmse, TrustSection(mode="auto"))
