from __future__ import annotations

import numpy as np
import pytest
from lattice_walks import MULTIPLES, UNIT_CELL, Walk, walk_run

from dasksse.analyse.density_sites import density_sites
from dasksse.analyse.stays import follow_sites
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

WALK = Walk(n_frames=2000)


def off_corners(fractions: np.ndarray) -> np.ndarray:
    points = fractions * MULTIPLES
    return (points - np.rint(points)) @ UNIT_CELL


def test_folding_gives_each_copy_of_a_site_the_same_class() -> None:
    sites = density_sites([walk_run(WALK)], "Li", supercell=(3, 3, 2))

    assert len(sites) == 18
    assert np.ptp(off_corners(sites.fractions), axis=0).max() < 1e-9
    assert len(sites.anchors) == 18


def test_a_run_with_another_origin_is_brought_to_the_sites_of_the_first() -> None:
    first, second = walk_run(WALK), walk_run(WALK, shift_A=0.3, name="shifted")
    sites = density_sites([first], "Li")

    history = follow_sites([first, second], sites)

    half = len(history.site) // 2
    np.testing.assert_array_equal(history.site[:half], history.site[half:])
    np.testing.assert_array_equal(history.entry[:half], history.entry[half:])


def test_ions_without_a_framework_have_sites_too() -> None:
    rng = np.random.default_rng(0)
    corners = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3) * 3.0
    positions = corners + rng.normal(0.0, 0.2, (400, 27, 3))
    run = MemoryTrajectory(np.full(27, 3), positions, 9.0 * np.eye(3), 0.1)

    sites = density_sites([run], "Li")

    assert len(sites) == 27
    assert sites.classes == ("A",)
    assert sites.anchors.shape == (0, 3)


def test_a_liquid_has_no_sites() -> None:
    rng = np.random.default_rng(0)
    positions = rng.uniform(0.0, 9.0, (4000, 30, 3))
    positions[:, 20:] = positions[:1, 20:]
    run = MemoryTrajectory(np.repeat([3, 16], [20, 10]), positions, 9.0 * np.eye(3), 0.1)

    with pytest.raises(AnalysisError, match=r"no sites of Li found.*as in a liquid"):
        density_sites([run], "Li")


def test_a_shoulder_is_no_site_of_its_own() -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    along = np.where(rng.random(n) < 0.5, 0.0, rng.uniform(0.0, 2.5, n))
    ion = np.column_stack([5.0 + along, np.full(n, 5.0), np.full(n, 5.0)])
    ion += rng.normal(0.0, 0.25, (n, 3))
    still = np.broadcast_to([0.0, 0.0, 0.0], (n, 3))
    positions = np.stack([ion, still], axis=1)
    run = MemoryTrajectory(np.array([3, 16]), positions, 10.0 * np.eye(3), 0.1)

    sites = density_sites([run], "Li")

    assert len(sites) == 1
    np.testing.assert_allclose(sites.fractions @ sites.cell, [[5.1, 5.0, 5.0]], atol=0.15)
