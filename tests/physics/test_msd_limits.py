from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.displacement import remove_drift, to_displacements
from dasksse.analyse.msd import mean_squared_displacement, msd_per_axis
from dasksse.analyse.paths import axes_along
from dasksse.analyse.sample import sample_trajectories
from dasksse.records import MemoryTrajectory


def test_ballistic_motion_grows_as_the_square_of_the_lag() -> None:
    velocity = np.array([0.1, -0.2, 0.3])
    positions = np.arange(50)[:, None, None] * velocity

    msd = mean_squared_displacement(positions)

    np.testing.assert_allclose(msd, 0.14 * np.arange(50) ** 2, atol=1e-9)


def test_a_random_walk_grows_linearly_with_its_diffusivity_along_each_axis() -> None:
    sigma = np.array([0.3, 0.1, 0.5])
    steps = np.random.default_rng(7).normal(0, sigma, size=(400, 500, 3))

    msd = msd_per_axis(np.cumsum(steps, axis=0))

    np.testing.assert_allclose(msd[1:20], np.arange(1, 20)[:, None] * sigma**2, rtol=0.05)


def test_a_static_crystal_in_a_breathing_triclinic_cell_does_not_move() -> None:
    rng = np.random.default_rng(8)
    images = rng.integers(-20, 20, size=(30, 3))  # ions far from home feel the box most
    fractions = images + rng.uniform(size=(30, 3))
    cells = np.array([[8.0, 0, 0], [1.5, 7.0, 0], [-0.7, 2.0, 9.0]]) + rng.normal(
        0, 0.05, (200, 3, 3)
    )
    positions = fractions @ cells

    msd = mean_squared_displacement(to_displacements(positions, cells))

    assert mean_squared_displacement(positions)[1:].min() > 0.5
    np.testing.assert_allclose(msd, 0.0, atol=1e-9)


def test_hops_in_a_breathing_cell_are_those_in_the_mean_cell() -> None:
    rng = np.random.default_rng(9)
    fractions = np.cumsum(rng.normal(0, 0.02, (300, 10, 3)), axis=0)
    cells = np.diag([9.0, 10.0, 11.0]) * (1 + rng.normal(0, 0.01, (300, 1, 1)))

    msd = mean_squared_displacement(to_displacements(fractions @ cells, cells))

    np.testing.assert_allclose(
        msd, mean_squared_displacement(fractions @ cells.mean(axis=0)), atol=1e-8
    )


def test_drift_of_the_framework_leaves_no_trace() -> None:
    rng = np.random.default_rng(10)
    positions = np.zeros((100, 12, 3))
    positions[:, :4] = np.cumsum(rng.normal(size=(100, 4, 3)), axis=0)
    drifting = positions + 0.3 * np.arange(100)[:, None, None]

    freed = remove_drift(drifting, mask=np.arange(12) >= 4)

    np.testing.assert_allclose(
        mean_squared_displacement(freed[:, :4]),
        mean_squared_displacement(positions[:, :4]),
        atol=1e-8,
    )


def test_msd_does_not_depend_on_the_origin_or_the_order_of_atoms() -> None:
    rng = np.random.default_rng(11)
    positions = np.cumsum(rng.normal(size=(60, 30, 3)), axis=0)

    moved = positions[:, rng.permutation(30)] + rng.uniform(-50, 50, size=(1, 1, 3))

    assert mean_squared_displacement(moved) == pytest.approx(
        mean_squared_displacement(positions), rel=1e-9
    )


def test_a_channel_along_c_of_an_oblique_breathing_drifting_cell_conducts_along_c_alone() -> (
    None
):
    rng = np.random.default_rng(12)
    numbers = np.array([3] * 30 + [16] * 10)
    fractions = np.tile(rng.uniform(-3, 3, (40, 3)), (2000, 1, 1))
    fractions[:, :30, 2] += np.cumsum(rng.normal(0, 0.05, (2000, 30)), axis=0)
    fractions += np.cumsum(rng.normal(0, 0.02, (2000, 1, 3)), axis=0)
    cell = np.array([[8.0, 0, 0], [1.5, 7.0, 0], [-2.7, 2.0, 9.0]])
    cells = cell + rng.normal(0, 0.05, (2000, 3, 3))
    run = MemoryTrajectory(numbers, fractions @ cells, cells, 0.1)
    c = cells.mean(axis=0)[2]

    sample = sample_trajectories([run], "Li", axes=axes_along(c))

    np.testing.assert_allclose(sample.msd_xyz[:, :2], 0.0, atol=1e-9)
    per_lag = 0.05**2 * np.linalg.norm(c) ** 2
    np.testing.assert_allclose(sample.msd_xyz[1:50, 2], np.arange(1, 50) * per_lag, rtol=0.1)


def test_locked_and_exchanging_ions_bound_the_collective_displacement() -> None:
    """Ions in a row that move as one carry n times as much; pairs that swap carry nothing."""
    rng = np.random.default_rng(13)
    walk = np.cumsum(rng.normal(0, 0.3, (500, 1, 3)), axis=0)
    framework = np.zeros((500, 4, 3))
    numbers = np.array([11] * 8 + [8] * 4)
    cell = 30.0 * np.eye(3)
    locked = np.concatenate([np.repeat(walk, 8, axis=1), framework], axis=1)
    swapping = locked.copy()
    swapping[:, 1:8:2] *= -1.0

    row, pairs = (
        sample_trajectories([MemoryTrajectory(numbers, positions, cell, 0.1)], "Na")
        for positions in (locked, swapping)
    )

    np.testing.assert_allclose(row.collective_xyz, 8.0 * row.msd_xyz, atol=1e-9)
    np.testing.assert_allclose(pairs.collective_xyz, 0.0, atol=1e-9)
    np.testing.assert_allclose(pairs.msd_xyz, row.msd_xyz, atol=1e-9)
