"""Structures whose pair distribution, displacements or amplitudes are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from scipy.stats import maxwell

from dasksse.analyse.rdf import radial_distributions
from dasksse.analyse.van_hove import distinct_van_hove, self_van_hove
from dasksse.analyse.vibration import framework_motion
from dasksse.records import MemoryTrajectory

SKEWED = np.array([[14.0, 0.0, 0.0], [5.0, 12.0, 0.0], [-4.0, 3.0, 13.0]])


def test_an_ideal_gas_has_a_g_of_1_within_its_errors() -> None:
    rng = np.random.default_rng(0)
    numbers = np.repeat([3, 16], [12, 30])
    run = MemoryTrajectory(numbers, rng.uniform(0, 1, (800, 42, 3)) @ SKEWED, SKEWED, 0.1)

    result = radial_distributions([run], bin_A=0.1)

    for entry in result.pairs:
        mean = entry.g[20:].mean()
        assert mean == pytest.approx(1.0, abs=0.01), entry.pair
        pulls = (entry.g[20:] - 1.0) / entry.g_err[20:]
        # scaled by Student's t of nine degrees of freedom
        assert 0.8 < np.sqrt(np.mean(pulls**2)) / np.sqrt(9 / 7) < 1.25, entry.pair
        assert np.isnan(entry.first_minimum_A) or entry.pair == "Li-Li"


@pytest.mark.parametrize(
    ("lattice", "squares", "shells", "first"),
    [
        ("fcc", (0.5, 1.0, 1.5, 2.0, 2.5), (12, 6, 24, 12), 12),
        ("bcc", (0.75, 1.0, 2.0, 2.75, 3.0), (8, 6, 12, 24), 8),
        ("sc", (1.0, 2.0, 3.0, 4.0), (6, 12, 8), 6),
    ],
)
def test_a_crystal_has_the_coordination_numbers_of_its_lattice(
    lattice: str, squares: tuple[float, ...], shells: tuple[int, ...], first: int
) -> None:
    atoms = bulk("Po", lattice, a=4.03, cubic=True).repeat(4)
    rng = np.random.default_rng(1)
    positions = atoms.positions + rng.normal(0.0, 0.015, (20, len(atoms), 3))
    run = MemoryTrajectory(atoms.numbers, positions, atoms.cell.array, 0.1)

    result = radial_distributions([run], ["Po-Po"])

    entry, radii = result["Po-Po"], 4.03 * np.sqrt(squares)
    gaps = 0.5 * (radii[1:] + radii[:-1])
    within = entry.neighbours[np.searchsorted(result.r_A, gaps) - 1]
    np.testing.assert_allclose(within, np.cumsum(shells), rtol=1e-12)
    assert entry.first_peak_A == pytest.approx(radii[0], abs=0.02)
    assert entry.coordination == pytest.approx(first)
    assert entry.coordination_err == pytest.approx(0.0, abs=1e-9)


def test_rock_salt_has_six_neighbours_either_way() -> None:
    atoms = bulk("LiCl", "rocksalt", a=5.13, cubic=True).repeat(3)
    order = np.argsort(atoms.numbers, kind="stable")
    rng = np.random.default_rng(2)
    positions = atoms.positions[order] + rng.normal(0.0, 0.12, (60, len(atoms), 3))
    run = MemoryTrajectory(atoms.numbers[order], positions, atoms.cell.array, 0.1)

    result = radial_distributions([run])

    assert result["Li-Cl"].first_peak_A == pytest.approx(2.565, abs=0.02)
    assert result["Li-Cl"].coordination == pytest.approx(6.0, abs=0.02)
    assert result["Li-Cl"].coordination_back == pytest.approx(6.0, abs=0.02)
    assert result["Li-Li"].first_peak_A == pytest.approx(5.13 / np.sqrt(2.0), abs=0.03)
    assert result["Li-Li"].coordination == pytest.approx(12.0, abs=0.1)


def test_a_gaussian_walk_has_the_van_hove_function_of_diffusion() -> None:
    rng = np.random.default_rng(3)
    steps = rng.normal(0.0, 0.25, (4000, 60, 3))
    run = MemoryTrajectory(np.full(60, 3), np.cumsum(steps, axis=0), SKEWED, 0.1)

    result = self_van_hove([run], "Li", [0.1, 0.5, 2.0], bin_A=0.1, reference="none")

    edges = 0.1 * np.arange(len(result.r_A) + 1)
    for lag, row, alpha in zip(
        [1, 5, 20], result.per_distance_1_A, result.non_gaussian, strict=True
    ):
        expected = np.diff(maxwell.cdf(edges, scale=0.25 * np.sqrt(lag))) / 0.1
        np.testing.assert_allclose(row, expected, atol=0.05 * expected.max())
        assert alpha == pytest.approx(0.0, abs=0.03)
    np.testing.assert_allclose(result.per_distance_1_A.sum(axis=1) * 0.1, 1.0)
    np.testing.assert_allclose(result.msd_A2, 3 * 0.25**2 * np.array([1, 5, 20]), rtol=0.03)


def test_others_are_anywhere_around_a_gas_particle_at_any_lag() -> None:
    rng = np.random.default_rng(4)
    start = rng.uniform(0, 1, (50, 3)) @ SKEWED
    positions = start + np.cumsum(rng.normal(0.0, 1.5, (2000, 50, 3)), axis=0)
    run = MemoryTrajectory(np.repeat([3, 16], [49, 1]), positions, SKEWED, 0.1)

    result = distinct_van_hove([run], "Li", [0.0, 1.0, 10.0], bin_A=0.5)

    np.testing.assert_allclose(result.g[:, 4:], 1.0, atol=0.1)


def test_an_einstein_crystal_has_the_amplitude_it_was_made_with() -> None:
    rng = np.random.default_rng(5)
    atoms = bulk("LiCl", "rocksalt", a=5.13, cubic=True).repeat(3)
    widths = np.where(atoms.numbers == 17, 0.12, 0.5)[:, None] * np.array([1.0, 1.0, 1.5])
    positions = atoms.positions + widths * rng.normal(size=(1500, len(atoms), 3))
    run = MemoryTrajectory(atoms.numbers, positions, atoms.cell.array, 0.1)

    chlorine = framework_motion([run], "Li")["Cl"]

    n_atoms = len(atoms) // 2  # their centre of mass stands still: one of them less vibrates
    expected = 0.12 * np.sqrt((1.0 + 1.0 + 1.5**2) * (1.0 - 1.0 / n_atoms))
    assert chlorine.amplitude_A == pytest.approx(expected, rel=0.003)
    assert abs(chlorine.amplitude_A - expected) < 4.0 * chlorine.amplitude_err_A
    assert chlorine.amplitude_xyz_A == pytest.approx([0.12, 0.12, 0.18], rel=0.01)
    assert chlorine.b_factor_A2 == pytest.approx(8 * np.pi**2 * expected**2 / 3, rel=0.006)
