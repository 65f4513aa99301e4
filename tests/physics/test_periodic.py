from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from dasksse.records import Frames
from dasksse.structures import (
    closest_pair,
    minimum_distance,
    minimum_distances,
    minimum_image,
    neighbour_pairs,
    unwrap_minimum_image,
    wrap,
)

SKEWED = np.array([[10.0, 0.0, 0.0], [6.0, 1.0, 0.0], [-23.0, 4.0, 7.0]])
CELLS = {
    "cubic": np.eye(3) * 5.0,
    "hexagonal": np.array([[4.0, 0.0, 0.0], [-2.0, 3.4641, 0.0], [0.0, 0.0, 9.0]]),
    "triclinic": np.array([[7.0, 0.0, 0.0], [3.3, 5.0, 0.0], [-2.9, 2.2, 6.0]]),
    "left-handed": np.diag([5.0, 6.0, -7.0]),
    "skewed": SKEWED,
}


def brute_force_image(vector: np.ndarray, cell: np.ndarray, reach: int = 14) -> float:
    shifts = np.array(list(itertools.product(range(-reach, reach + 1), repeat=3)))
    return float(np.linalg.norm(vector + shifts @ cell, axis=1).min())


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_minimum_image_is_the_shortest_of_all_images(cell: np.ndarray) -> None:
    vectors = np.random.default_rng(3).uniform(-0.5, 0.5, size=(60, 3)) @ cell

    images = minimum_image(vectors, cell)

    shortest = [brute_force_image(vector, cell) for vector in vectors]
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), shortest, atol=1e-9)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_minimum_image_differs_from_the_vector_by_whole_cells(cell: np.ndarray) -> None:
    vectors = np.random.default_rng(4).normal(0.0, 30.0, size=(50, 2, 3))

    images = minimum_image(vectors, cell)

    shifts = (vectors - images) @ np.linalg.inv(cell)
    assert images.shape == vectors.shape
    np.testing.assert_allclose(shifts, np.rint(shifts), atol=1e-8)


def test_vector_that_rounding_in_a_skewed_cell_gets_wrong_is_shortened() -> None:
    cell = np.array([[10.0, 0.0, 0.0], [6.0, 1.0, 0.0], [0.0, 0.0, 20.0]])

    image = minimum_image(np.array([2.94, 0.49, 0.0]), cell)

    np.testing.assert_allclose(image, [0.94, -1.51, 0.0], atol=1e-12)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_wrapping_keeps_atoms_inside_the_cell_and_their_distances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positions = rng.normal(0.0, 40.0, size=(8, 3))

    wrapped = wrap(positions, SKEWED)

    fractions = wrapped @ np.linalg.inv(SKEWED)
    assert fractions.min() > -1e-9
    assert fractions.max() < 1.0 + 1e-9
    np.testing.assert_allclose(minimum_image(wrapped - positions, SKEWED), 0.0, atol=1e-7)


def test_random_walk_wrapped_into_a_triclinic_cell_unwraps_to_itself() -> None:
    rng = np.random.default_rng(11)
    cell = CELLS["triclinic"]
    walk = np.cumsum(rng.normal(0.0, 0.4, size=(600, 5, 3)), axis=0)
    wrapped = np.array([wrap(frame, cell) for frame in walk])

    unwrapped = unwrap_minimum_image(wrapped, cell)

    crossed = np.ptp(walk @ np.linalg.inv(cell), axis=0).max()
    assert crossed > 2.0
    np.testing.assert_allclose(unwrapped - unwrapped[0], walk - walk[0], atol=1e-9)


def test_breathing_box_adds_no_noise_to_an_atom_at_rest_far_from_home() -> None:
    lengths = 10.0 + 0.05 * np.sin(np.arange(400))
    cells = lengths[:, None, None] * np.eye(3)
    walk = np.zeros((400, 1, 3))
    walk[:100, 0, 0] = np.linspace(0.0, 95.0, 100)
    walk[100:, 0, 0] = 95.0
    wrapped = np.mod(walk, lengths[:, None, None])

    unwrapped = unwrap_minimum_image(wrapped, cells)

    at_rest = np.diff(unwrapped[101:, 0, 0])
    assert np.abs(at_rest).max() < 10 * np.abs(np.diff(lengths)).max()
    assert np.abs(unwrapped[:, 0, 1:]).max() == 0.0


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_neighbour_pairs_are_those_of_ase(cell: np.ndarray) -> None:
    positions = np.random.default_rng(5).normal(0.0, 20.0, size=(6, 3))

    first, second, vectors = neighbour_pairs(positions, cell, 6.5)

    i, j, expected = primitive_neighbor_list("ijD", (True,) * 3, cell, positions, 6.5)
    ours = np.column_stack([first, second, np.round(vectors, 6) + 0.0])
    theirs = np.column_stack([i, j, np.round(expected, 6) + 0.0])
    np.testing.assert_allclose(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


@pytest.mark.parametrize("n_atoms", [1, 2, 7, 40])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_minimum_distance_is_that_of_all_images(cell: np.ndarray, n_atoms: int) -> None:
    positions = np.random.default_rng(n_atoms).normal(0.0, 9.0, size=(n_atoms, 3))

    distance = minimum_distance(positions, cell)

    _, _, vectors = neighbour_pairs(positions, cell, distance + 0.5)
    assert distance == pytest.approx(np.linalg.norm(vectors, axis=1).min())


def test_single_atom_is_closest_to_its_own_image_by_the_shortest_lattice_vector() -> None:
    first, second, distance = closest_pair([[1.0, 2.0, 3.0]], SKEWED)

    assert (first, second) == (0, 0)
    assert distance == pytest.approx(brute_force_nonzero(SKEWED))


def brute_force_nonzero(cell: np.ndarray) -> float:
    shifts = np.array(list(itertools.product(range(-14, 15), repeat=3)))
    lengths = np.linalg.norm(shifts @ cell, axis=1)
    return float(lengths[lengths > 0].min())


def test_closest_pair_across_a_face_is_found_and_named() -> None:
    positions = np.array([[0.1, 2.5, 2.5], [2.5, 2.5, 2.5], [4.8, 2.5, 2.5]])

    first, second, distance = closest_pair(positions, np.eye(3) * 5.0)

    assert {first, second} == {0, 2}
    assert distance == pytest.approx(0.3)


def test_two_atoms_in_one_place_are_a_pair_of_different_atoms_at_distance_zero() -> None:
    positions = np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0], [1.0, 1.0, 1.0]])

    first, second, distance = closest_pair(positions, np.eye(3) * 5.0)

    assert {first, second} == {0, 2}
    assert distance == 0.0


@pytest.mark.parametrize(
    ("positions", "cell"),
    [
        ([[np.nan, 0.0, 0.0], [1.0, 1.0, 1.0]], np.eye(3) * 5.0),
        ([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], np.diag([5.0, 5.0, np.inf])),
        ([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], np.diag([5.0, 5.0, 0.0])),
    ],
)
def test_frame_of_a_blow_up_has_distance_zero(positions: list, cell: np.ndarray) -> None:
    distance = minimum_distance(positions, cell)

    assert distance == 0.0


def test_minimum_distances_take_the_cell_of_each_frame() -> None:
    positions = np.tile([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]], (2, 1, 1))
    cells = np.stack([np.eye(3) * 6.0, np.eye(3) * 3.0])

    distances = minimum_distances(Frames(np.array([3, 17]), positions, cells))

    np.testing.assert_allclose(distances, [2.0, 1.0])
