from __future__ import annotations

import numpy as np
import pytest
from lattice_walks import UNIT_CELL, Walk, walk_run

from dasksse.analyse.alignment import (
    best_offset,
    cell_difference,
    framework_offset,
    framework_orbits,
)
from dasksse.analyse.density_sites import density_sites
from dasksse.analyse.paths import MEMORY_BYTES, follow
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

ROCK_SALT = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], dtype=float)


def test_a_small_offset_is_found_to_its_last_digit() -> None:
    cell = 5.0 * np.eye(3)
    anchors = np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.1], [0.4, 0.9, 0.8]])

    offset, misfit_A = best_offset(anchors @ cell + [0.1, -0.2, 0.05], anchors, cell)

    np.testing.assert_allclose(offset, [0.1, -0.2, 0.05], atol=1e-9)
    assert misfit_A < 1e-9


def test_another_origin_is_found() -> None:
    cell = 8.0 * UNIT_CELL / 3.0
    rng = np.random.default_rng(1)
    anchors = rng.uniform(size=(20, 3))
    shift = np.array([2.9, 1.7, -3.3])

    offset, misfit_A = best_offset(anchors @ cell + shift, anchors, cell)

    assert misfit_A < 1e-6
    whole = (offset - shift) @ np.linalg.inv(cell)
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-6)


def test_a_framework_elsewhere_is_refused_with_its_distance() -> None:
    walk = Walk(n_frames=200)
    sites = density_sites([walk_run(walk)], "Li")
    run = walk_run(walk)
    positions = run.all_positions.copy()
    rng = np.random.default_rng(2)
    positions[:, walk.n_ions :] += rng.uniform(-1.7, 1.7, (18, 3))
    moved = MemoryTrajectory(run.numbers, positions, run.all_cells, run.frame_interval_ps)

    with pytest.raises(
        AnalysisError, match=r"framework does not fit .* 18 atoms are \d\.\d\d Å"
    ):
        framework_offset(follow(moved, "Li"), sites, memory_bytes=MEMORY_BYTES)


def test_another_cell_is_refused_with_the_difference() -> None:
    walk = Walk(n_frames=200)
    run = walk_run(walk)
    sites = density_sites([run], "Li")
    larger = MemoryTrajectory(run.numbers, run.all_positions, 1.1 * run.all_cells, 0.1)

    with pytest.raises(AnalysisError, match=r"trajectory: the cell does not fit .* \+10\.0 %"):
        framework_offset(follow(larger, "Li"), sites, memory_bytes=MEMORY_BYTES)


def test_turned_cells_are_equal_and_strained_ones_are_not() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))

    assert cell_difference(UNIT_CELL @ turn, 1.03 * UNIT_CELL) is None
    assert "-9.1 %" in str(cell_difference(UNIT_CELL, UNIT_CELL * 1.1))
    assert "allowed are 5 % and 3°" in str(cell_difference(np.eye(3), UNIT_CELL))


def test_symmetry_of_the_framework_groups_sites() -> None:
    cell = 5.6 * np.eye(3)
    octahedra = ROCK_SALT + np.array([0.5, 0.0, 0.0])
    tetrahedra = np.array([[0.25, 0.25, 0.25], [0.75, 0.75, 0.75], [0.27, 0.75, 0.25]])
    noise = np.random.default_rng(0).normal(0.0, 0.003, ROCK_SALT.shape)
    frame = (cell, ROCK_SALT + noise, np.full(4, 17))

    groups = framework_orbits(np.concatenate([octahedra, tetrahedra]), frame)

    assert len(set(groups[:4])) == 1
    assert len(set(groups[4:])) == 1
    assert groups[0] != groups[4]
