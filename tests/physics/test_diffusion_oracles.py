from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.analyse.diffusion import estimate_diffusion

if TYPE_CHECKING:
    from dasksse.analyse.diffusion_result import DiffusionResult

INTERVAL_PS = 0.1
STEP_A = 0.3
D_WALK = STEP_A**2 / 2 / INTERVAL_PS * 1e-8
JUMP_A = 3.0


def estimate(*runs: np.ndarray, numbers: np.ndarray | None = None) -> DiffusionResult:
    return estimate_diffusion(
        runs,
        cells_per_run=[np.diag([20.0, 25.0, 30.0])] * len(runs),
        numbers=np.full(runs[0].shape[1], 3) if numbers is None else numbers,
        mobile="Li",
        temperature_K=700.0,
        frame_interval_ps=INTERVAL_PS,
        charge=1.0,
    )


def walk(rng: np.random.Generator, n_frames: int, n_ions: int) -> np.ndarray:
    return np.cumsum(rng.normal(0, STEP_A, (n_frames, n_ions, 3)), axis=0)


def hops(rng: np.random.Generator, n_frames: int, n_ions: int, rate: float) -> np.ndarray:
    """Ions that rattle in cages and leave them now and then: D = rate × 9 Å² / 6."""
    steps = np.zeros((n_frames, n_ions, 3))
    frame, ion = np.nonzero(rng.random((n_frames, n_ions)) < rate)
    axis, sign = rng.integers(0, 3, len(frame)), rng.choice([-JUMP_A, JUMP_A], len(frame))
    steps[frame, ion, axis] = sign
    return np.cumsum(steps, axis=0) + rng.normal(0, 0.4, (n_frames, n_ions, 3))


def anticorrelated(rng: np.random.Generator, n_frames: int, hurst: float) -> np.ndarray:
    """Fractional Brownian motion of 20 ions: MSD grows as lag to the power of 2 × hurst."""
    lag = np.arange(n_frames)
    noise = (np.abs(lag + 1.0) ** (2 * hurst) + np.abs(lag - 1.0) ** (2 * hurst)) / 2
    noise -= np.abs(lag) ** (2 * hurst)
    root = np.linalg.cholesky(noise[np.abs(lag[:, None] - lag)])
    steps = root @ rng.normal(0, STEP_A, (n_frames, 60))
    return np.cumsum(steps.reshape(n_frames, 20, 3), axis=0)


def test_a_random_walk_gives_the_diffusivity_it_was_made_with() -> None:
    result = estimate(walk(np.random.default_rng(0), 4000, 60))

    assert result.regime == "diffusive"
    assert result.D_m2_s == pytest.approx(D_WALK, rel=0.05)
    assert result.D_xyz_m2_s == pytest.approx([D_WALK] * 3, rel=0.1)
    assert result.log_slope == pytest.approx(1.0, abs=0.05)


def test_a_short_run_with_rare_hops_has_a_wide_error_or_only_a_bound() -> None:
    rng, rate = np.random.default_rng(3), 0.002
    D = rate * 1.5e-8 / INTERVAL_PS

    results = [estimate(hops(rng, 250, 20, rate)) for _ in range(60)]

    bounds = [r.upper_bound_m2_s for r in results if r.upper_bound_m2_s is not None]
    known = [r for r in results if r.D_m2_s is not None]
    assert len(bounds) + len(known) == 60
    assert np.mean(np.array(bounds) > D) > 0.9
    assert all(r.D_err_m2_s / r.D_m2_s > 0.2 for r in known)


def test_independent_ions_have_a_haven_ratio_of_one() -> None:
    rng = np.random.default_rng(5)

    result = estimate(*[walk(rng, 2000, 10) for _ in range(30)])

    assert result.haven_ratio == pytest.approx(1.0, abs=3 * result.haven_ratio_err)
    assert result.haven_ratio_err < 0.08
    assert result.sigma_collective_mS_cm == pytest.approx(
        result.sigma_mS_cm / result.haven_ratio
    )


def test_locked_ions_have_a_haven_ratio_of_one_over_their_number() -> None:
    result = estimate(np.repeat(walk(np.random.default_rng(6), 4000, 1), 8, axis=1))

    assert result.haven_ratio == pytest.approx(1 / 8)
    assert result.D_collective_m2_s == pytest.approx(8 * result.D_m2_s)


def test_conductivity_is_that_of_nernst_and_einstein() -> None:
    result = estimate(walk(np.random.default_rng(7), 1000, 20))

    density_m3 = 20 / (20.0 * 25.0 * 30.0) * 1e30
    expected_S_m = 1.602176634e-19**2 * density_m3 * result.D_m2_s / (1.380649e-23 * 700.0)
    assert result.sigma_mS_cm == pytest.approx(10 * expected_S_m, rel=1e-6)


def test_drift_and_a_framework_change_nothing() -> None:
    rng = np.random.default_rng(8)
    ions = walk(rng, 600, 20)
    lattice = np.tile(rng.uniform(0, 20, (1, 30, 3)), (600, 1, 1))
    drift = 0.05 * np.arange(600)[:, None, None] * np.array([1.0, -2.0, 0.5])
    numbers = np.array([3] * 20 + [16] * 30)

    crystal = estimate(np.concatenate([ions, lattice], axis=1) + drift, numbers=numbers)

    bare = estimate(ions)
    assert crystal.D_m2_s == pytest.approx(bare.D_m2_s)
    assert crystal.D_err_m2_s == pytest.approx(bare.D_err_m2_s)
    assert crystal.haven_ratio == pytest.approx(bare.haven_ratio)
    assert crystal.n_atoms_species == 20


def test_anisotropic_motion_is_resolved_by_axis() -> None:
    ions = walk(np.random.default_rng(9), 4000, 60) * np.array([0.0, 1.0, 2.0])

    result = estimate(ions)

    assert result.D_xyz_m2_s == pytest.approx([0.0, D_WALK, 4 * D_WALK], rel=0.1)
    assert sum(result.D_xyz_m2_s) / 3 == pytest.approx(result.D_m2_s)


def test_anticorrelated_motion_is_subdiffusive() -> None:
    result = estimate(anticorrelated(np.random.default_rng(10), 800, hurst=0.25))

    assert result.regime == "subdiffusive"
    assert result.D_m2_s is None
    assert result.log_slope < 0.8


def test_ballistic_motion_is_no_diffusion_and_bounds_nothing() -> None:
    velocities = np.random.default_rng(11).normal(0, 0.05, (1, 20, 3))

    result = estimate(np.arange(500)[:, None, None] * velocities)

    assert result.regime == "not_diffusive"
    assert result.log_slope == pytest.approx(2.0, abs=0.02)
    assert result.D_m2_s is None
    assert result.upper_bound_m2_s is None


def test_back_hops_are_waited_for() -> None:
    rng = np.random.default_rng(12)
    pairs = (np.cumsum(rng.random((4000, 60)) < 0.05, axis=0) % 2)[..., None] * [1.5, 0.0, 0.0]
    ions = hops(rng, 4000, 60, 0.004) + pairs

    result = estimate(ions)

    assert result.regime == "diffusive"
    assert result.fit_window_ps[0] > 1.0
    assert result.D_m2_s == pytest.approx(0.004 * 1.5e-7, abs=2.5 * result.D_err_m2_s)
