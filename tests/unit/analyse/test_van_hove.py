from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dasksse.analyse.rdf import radial_distributions
from dasksse.analyse.van_hove import distinct_van_hove, self_van_hove
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

CELL = np.array([[9.0, 0.0, 0.0], [2.0, 8.0, 0.0], [1.0, -1.5, 8.5]])
NUMBERS = np.repeat([3, 16], [40, 8])


def walk(n_frames: int, *, seed: int = 0, drift_A: float = 0.0, **facts: Any) -> Any:
    """Li that walk at random before S that stand still, all of it drifting."""
    rng = np.random.default_rng(seed)
    steps = np.where(NUMBERS == 3, 0.2, 0.0)[:, None] * rng.normal(size=(n_frames, 48, 3))
    positions = rng.uniform(0, 9, (48, 3)) + np.cumsum(steps, axis=0)
    positions += drift_A * np.arange(n_frames)[:, None, None]
    return MemoryTrajectory(NUMBERS, positions, CELL, 0.05, **facts)


def test_every_displacement_over_the_lag_is_counted() -> None:
    run = walk(40)

    result = self_van_hove([run], "Li", [0.15, 1.0], bin_A=0.05)

    np.testing.assert_allclose(result.lag_ps, [0.15, 1.0])
    for index, lag in enumerate([3, 20]):
        steps = run.all_positions[lag:, :40] - run.all_positions[:-lag, :40]
        distances = np.linalg.norm(steps, axis=2)
        edges = 0.05 * np.arange(len(result.r_A) + 1)
        expected = np.histogram(distances, edges)[0] / distances.size / 0.05
        np.testing.assert_allclose(result.per_distance_1_A[index], expected, atol=1e-9)
        assert result.msd_A2[index] == pytest.approx(np.mean(distances**2))
    np.testing.assert_allclose(result.per_distance_1_A.sum(axis=1) * 0.05, 1.0)


def test_drift_of_the_framework_is_no_displacement() -> None:
    calm = self_van_hove([walk(60)], "Li", [0.5])
    drifting = self_van_hove([walk(60, drift_A=0.3)], "Li", [0.5])

    np.testing.assert_allclose(drifting.msd_A2, calm.msd_A2)


def test_runs_are_pooled_by_their_origins_and_equilibration_is_left_out() -> None:
    short, long = walk(30, seed=1), walk(90, seed=2)
    waited = MemoryTrajectory(
        NUMBERS,
        np.concatenate([np.zeros((10, 48, 3)), long.all_positions]),
        CELL,
        0.05,
        n_equilibration=10,
    )

    both = self_van_hove([short, waited], "Li", [0.5])

    parts = [self_van_hove([run], "Li", [0.5]).msd_A2 for run in (short, long)]
    np.testing.assert_allclose(both.msd_A2, (20 * parts[0] + 80 * parts[1]) / 100)
    assert both.n_runs == 2


def test_little_memory_gives_the_same_numbers() -> None:
    little = self_van_hove([walk(50)], "Li", memory_bytes=60_000)
    much = self_van_hove([walk(50)], "Li")

    np.testing.assert_allclose(little.density_A3, much.density_A3)


def test_lags_reach_a_third_of_the_run_unasked() -> None:
    result = self_van_hove([walk(300)], "Li")

    assert len(result.lag_ps) == 5
    assert result.lag_ps[[0, -1]] == pytest.approx([0.05, 5.0])


def test_the_distinct_part_at_lag_0_is_the_radial_distribution() -> None:
    run = walk(30)

    result = distinct_van_hove([run], "Li", [0.0], bin_A=0.25)

    expected = radial_distributions([run], ["Li-Li"], r_max_A=3.75, bin_A=0.25)["Li-Li"].g
    np.testing.assert_allclose(result.g[0, : len(expected)], expected, rtol=1e-6)


def test_the_distinct_part_is_that_of_the_direct_sum_without_drift() -> None:
    calm, drifting = walk(30), walk(30, drift_A=0.3)

    result = distinct_van_hove([drifting], "Li", [0.2], bin_A=0.5)

    steps = calm.all_positions[4:, None, :40] - calm.all_positions[:-4, :40, None]
    fractions = steps @ np.linalg.inv(CELL)
    distances = np.linalg.norm((fractions - np.rint(fractions)) @ CELL, axis=-1)
    others = distances[:, ~np.eye(40, dtype=bool)]
    edges = 0.5 * np.arange(len(result.r_A) + 1)
    ideal = 40 * 39 / np.linalg.det(CELL) * 4 / 3 * np.pi * np.diff(edges**3) * 26
    np.testing.assert_allclose(result.g[0], np.histogram(others, edges)[0] / ideal, rtol=1e-6)


@pytest.mark.parametrize("lags_ps", [[], [0.0], [0.01], [2.0], [-1.0]])
def test_lags_outside_the_run_are_refused(lags_ps: list[float]) -> None:
    with pytest.raises(AnalysisError, match=r"allowed: from 0\.05 ps up to 1\.95 ps"):
        self_van_hove([walk(40)], "Li", lags_ps)


def test_what_cannot_be_is_refused() -> None:
    other = MemoryTrajectory(NUMBERS, walk(40).all_positions, CELL, 0.1)

    with pytest.raises(AnalysisError, match="no run"):
        self_van_hove([], "Li")
    with pytest.raises(AnalysisError, match="no 'Na' among the atoms"):
        self_van_hove([walk(40)], "Na")
    with pytest.raises(AnalysisError, match=r"every \[0\.05, 0\.1\] ps"):
        self_van_hove([walk(40), other], "Li")
    lone = MemoryTrajectory(np.array([3, 16]), walk(40).all_positions[:, :2], CELL, 0.1)
    with pytest.raises(AnalysisError, match="one Li ion has no others"):
        distinct_van_hove([lone], "Li", [0.0])
