"""Meshes of k-points from a largest distance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import kptdensity2monkhorstpack
from hypothesis import given
from hypothesis import strategies as st

from dasksse.label.dft.settings import DftSettings, k_mesh

SPACINGS_PER_A = (0.6, 0.26, 0.1)


def brute_force_mesh(cell: np.ndarray, spacing_per_A: float) -> tuple[int, ...]:
    """Count up each direction until the step between neighbours is small enough."""
    volume = np.dot(cell[0], np.cross(cell[1], cell[2]))
    mesh = []
    for i in range(3):
        reciprocal = 2 * math.pi * np.cross(cell[(i + 1) % 3], cell[(i + 2) % 3]) / volume
        n = 1
        while np.linalg.norm(reciprocal) / n > spacing_per_A * (1 + 1e-9):
            n += 1
        mesh.append(n)
    return tuple(mesh)


def test_lgps_of_fifty_atoms_has_the_mesh_of_huang_2021() -> None:
    lgps = np.diag([8.69, 8.69, 12.60])

    assert k_mesh(lgps, DftSettings().kspacing_per_A) == (3, 3, 2)


@given(
    noise=st.lists(st.floats(-0.4, 0.4), min_size=9, max_size=9),
    lengths=st.lists(st.floats(2.0, 25.0), min_size=3, max_size=3),
    spacing=st.sampled_from(SPACINGS_PER_A),
)
def test_a_triclinic_mesh_is_the_coarsest_that_keeps_to_the_distance(
    noise: list[float], lengths: list[float], spacing: float
) -> None:
    # diagonally dominant, so never flat
    shape = np.eye(3) + np.reshape(noise, (3, 3)) * (1 - np.eye(3))
    cell = np.array(lengths)[:, None] * shape

    assert k_mesh(cell, spacing) == brute_force_mesh(cell, spacing)


@pytest.mark.parametrize("spacing", SPACINGS_PER_A)
def test_ase_gives_the_same_mesh(spacing: float) -> None:
    cell = np.array([[4.0, 0.3, -0.2], [1.7, 6.1, 0.4], [-0.5, 2.2, 11.3]])
    atoms = Atoms(cell=cell, pbc=True)

    assert k_mesh(cell, spacing) == tuple(
        kptdensity2monkhorstpack(atoms, 1.0 / spacing, even=False)
    )


def test_turning_the_crystal_leaves_the_mesh() -> None:
    cell = np.array([[4.0, 0.3, -0.2], [1.7, 6.1, 0.4], [-0.5, 2.2, 11.3]])
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]

    assert k_mesh(cell @ rotation, 0.2) == k_mesh(cell, 0.2)


def test_a_distance_that_divides_evenly_takes_no_point_more() -> None:
    length = 2 * math.pi / (3 * 0.26)  # reciprocal vector of three spacings, up to rounding

    assert k_mesh(np.eye(3) * length, 0.26) == (3, 3, 3)


def test_no_distance_is_gamma_alone() -> None:
    assert k_mesh(np.eye(3) * 3.0, None) == (1, 1, 1)
