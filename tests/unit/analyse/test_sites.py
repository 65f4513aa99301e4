from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.sites import NearestPoint, Sites, merge_close, numbered_classes
from dasksse.errors import AnalysisError
from dasksse.structures.periodic import minimum_image

SKEWED = np.array([[4.0, 0.0, 0.0], [3.1, 4.2, 0.0], [-2.5, 1.9, 5.0]])


def two_sites(distance_A: float = 2.0) -> Sites:
    return Sites(
        species="Li",
        cell=10.0 * np.eye(3),
        fractions=np.array([[0.0, 0.0, 0.0], [distance_A / 10.0, 0.0, 0.0]]),
        classes=("a", "b"),
        class_of=np.array([0, 1]),
        anchors=np.empty((0, 3)),
        source="test",
    )


def test_the_nearest_point_is_that_of_all_images_in_a_skewed_cell() -> None:
    rng = np.random.default_rng(0)
    points, places = rng.uniform(size=(7, 3)), rng.uniform(-2.0, 2.0, size=(200, 3))

    found, distances, vectors = NearestPoint(points, SKEWED, 6.0)(places)

    apart = minimum_image((places[:, None] - points) @ SKEWED, SKEWED)
    expected = np.linalg.norm(apart, axis=-1)
    np.testing.assert_array_equal(found, expected.argmin(axis=1))
    np.testing.assert_allclose(distances, expected.min(axis=1))
    np.testing.assert_allclose(vectors, apart[np.arange(200), found], atol=1e-9)


def test_points_out_of_reach_are_not_found() -> None:
    found, distances, vectors = NearestPoint(np.zeros((1, 3)), 10.0 * np.eye(3), 1.0)(
        np.array([[0.05, 0.0, 0.0], [0.95, 0.0, 0.0], [0.5, 0.5, 0.5]])
    )

    assert found.tolist() == [0, 0, -1]
    np.testing.assert_allclose(vectors[:2], [[0.5, 0, 0], [-0.5, 0, 0]], atol=1e-12)
    assert np.isinf(distances[2])
    assert np.isnan(vectors[2]).all()


def test_close_points_belong_to_the_heaviest_one_across_the_face_of_the_cell() -> None:
    fractions = np.array([[0.02, 0, 0], [0.97, 0, 0], [0.5, 0, 0], [0.07, 0, 0]])

    owners = merge_close(fractions, 10.0 * np.eye(3), np.array([2.0, 1.0, 1.0, 3.0]), 0.7)

    assert owners.tolist() == [3, 1, 2, 3]


def test_classes_are_named_from_the_heaviest_on() -> None:
    names, class_of = numbered_classes(np.array([7, 7, 2, 5]), np.array([1.0, 3.0, 5.0, 0.1]))

    assert names == ("A", "B", "C")
    assert class_of.tolist() == [1, 1, 0, 2]


def test_cores_are_smaller_than_half_the_smallest_distance() -> None:
    assert two_sites(2.0).core_radius_A() == pytest.approx(0.8)
    assert two_sites(4.5).core_radius_A() == pytest.approx(1.5)
    assert two_sites(2.0).core_radius_A(0.9) == 0.9


@pytest.mark.parametrize("radius_A", [0.0, -1.0, 1.1])
def test_a_radius_that_lets_cores_overlap_is_refused(radius_A: float) -> None:
    with pytest.raises(AnalysisError, match=r"above 0 and up to 1\.00 Å, half the smallest"):
        two_sites(2.0).core_radius_A(radius_A)


def test_labels_count_the_sites_of_each_class() -> None:
    sites = two_sites()
    assert sites.labels == ["a.1", "b.1"]
    assert sites.multiplicities.tolist() == [1, 1]
