from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.vibration import framework_motion
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

CELL = np.diag([12.0, 13.0, 14.0])
NUMBERS = np.repeat([3, 15, 16], [10, 20, 40])
IS_S = NUMBERS == 16


def crystal(n_frames: int = 600, *, seed: int = 0, amplitude_A: float = 0.3) -> np.ndarray:
    """Atoms in harmonic wells: each coordinate is normal about its place."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0.0, 12.0, (70, 3))
    return places + rng.normal(0.0, amplitude_A / np.sqrt(3.0), (n_frames, 70, 3))


def run_of(positions: np.ndarray, cell: np.ndarray = CELL) -> MemoryTrajectory:
    return MemoryTrajectory(NUMBERS, positions, cell, 0.1)


def test_a_crystal_that_drifts_and_breathes_is_bounded() -> None:
    scale = np.random.default_rng(4).uniform(0.97, 1.03, (600, 1, 1))
    drift = np.linspace(0.0, 5.0, 600)[:, None, None]

    motion = framework_motion([run_of((crystal() + drift) * scale, CELL * scale)], "Li")

    assert motion.is_bounded
    assert motion.verdict == "framework bounded: P vibrates by 0.30 Å; S vibrates by 0.30 Å"
    assert [element.n_atoms for element in motion.elements] == [20, 40]
    assert motion["S"].share_left == 0.0
    assert motion["S"].msd_slope == pytest.approx(0.0, abs=0.02)
    assert motion["S"].shift_A < 0.1 * motion["S"].amplitude_A


def test_the_mobile_element_may_go_anywhere() -> None:
    positions = crystal()
    positions[:, NUMBERS == 3] += np.linspace(0.0, 50.0, 600)[:, None, None]

    motion = framework_motion([run_of(positions)], "Li")

    assert motion.is_bounded
    assert {element.symbol for element in motion.elements} == {"P", "S"}


def test_a_sublattice_that_melts_is_told() -> None:
    steps = np.random.default_rng(5).normal(0.0, 0.15, (600, 70, 3)) * IS_S[:, None]

    motion = framework_motion([run_of(crystal() + np.cumsum(steps, axis=0))], "Li")

    assert not motion.is_bounded
    assert motion["P"].msd_slope < motion["S"].msd_slope
    assert motion["S"].msd_slope == pytest.approx(1.0, abs=0.2)
    assert motion["S"].share_left > 0.8
    assert motion.verdict.startswith("framework not bounded: S diffuses: ")


def test_single_atoms_that_change_places_are_told() -> None:
    positions = crystal()
    positions[300:, [40, 50]] += [2.5, 0.0, 0.0]

    motion = framework_motion([run_of(positions)], "Li")

    assert motion["P"].is_bounded
    assert motion["S"].share_left == pytest.approx(2 / 40)
    assert motion["S"].largest_shift_A == pytest.approx(2.5, abs=0.2)
    assert "S moves: 5 % of its atoms left their places" in motion.verdict
    assert motion.verdict.endswith("; P vibrates by 0.30 Å")


def test_amplitudes_are_pooled_over_runs_about_the_mean_places_of_each() -> None:
    runs = [run_of(crystal(seed=seed, amplitude_A=a)) for seed, a in ((1, 0.2), (2, 0.4))]

    motion = framework_motion(runs, "Li")

    assert motion["S"].amplitude_A == pytest.approx(np.sqrt(0.5 * (0.2**2 + 0.4**2)), rel=0.02)
    assert motion.n_runs == 2


def test_atoms_that_do_not_move_at_all_are_bounded() -> None:
    positions = np.repeat(crystal(1), 100, axis=0)

    motion = framework_motion([run_of(positions)], "Li")

    assert motion.is_bounded
    assert motion["S"].amplitude_A == pytest.approx(0.0, abs=1e-6)


def test_little_memory_gives_the_same_numbers() -> None:
    run = run_of(crystal())

    little = framework_motion([run], "Li", memory_bytes=400_000)

    much = framework_motion([run], "Li")
    for one, other in zip(little.elements, much.elements, strict=True):
        assert one.amplitude_A == pytest.approx(other.amplitude_A)
        assert one.shift_A == pytest.approx(other.shift_A)
        assert one.msd_slope == pytest.approx(other.msd_slope)


def test_what_cannot_be_is_refused() -> None:
    lone = MemoryTrajectory(np.full(70, 3), crystal(), CELL, 0.1)

    with pytest.raises(AnalysisError, match="no run"):
        framework_motion([], "Li")
    with pytest.raises(AnalysisError, match="there is no framework"):
        framework_motion([lone], "Li")
    with pytest.raises(AnalysisError, match="needs at least 30"):
        framework_motion([run_of(crystal(29))], "Li")
