from __future__ import annotations

import numpy as np
import pytest

from dasksse.errors import StoreError
from dasksse.store.encoding import (
    RunDigest,
    decode_positions,
    element_centres,
    encode_positions,
)


def encoded(positions: np.ndarray, precision_A: float) -> np.ndarray:
    out = np.empty(positions.shape, dtype="i4" if precision_A else "f8")
    encode_positions(positions, precision_A=precision_A, out=out)
    return out


@pytest.mark.parametrize("precision_A", [1e-2, 1e-3, 1e-5])
def test_a_rounded_position_is_off_by_at_most_half_a_step(precision_A: float) -> None:
    positions = np.random.default_rng(1).uniform(-5000.0, 5000.0, (50, 7, 3))

    back = decode_positions(encoded(positions, precision_A), precision_A)

    assert np.abs(back - positions).max() <= 0.5 * precision_A * (1 + 1e-6)


def test_without_rounding_positions_come_back_to_the_bit() -> None:
    positions = np.random.default_rng(1).normal(size=(20, 5, 3))

    np.testing.assert_array_equal(decode_positions(encoded(positions, 0.0), 0.0), positions)


def test_the_largest_integer_is_stored_and_one_more_is_refused() -> None:
    edge = np.full((1, 1, 3), (2**31 - 1) * 1e-3)

    assert encoded(edge, 1e-3).max() == 2**31 - 1
    with pytest.raises(StoreError, match=r"frame 0, atom 0 .* reaches to 2\.15e\+06"):
        encoded(edge + 1e-3, 1e-3)


@pytest.mark.parametrize("precision_A", [1e-3, 0.0])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_position_that_is_no_number_is_named(bad: float, precision_A: float) -> None:
    positions = np.zeros((9000, 60, 3))
    positions[8500, 31, 1] = bad

    with pytest.raises(StoreError, match=r"frame 8500, atom 31 .* must be finite"):
        encoded(positions, precision_A)


def test_the_centre_of_an_element_is_the_mean_of_its_atoms() -> None:
    rng = np.random.default_rng(2)
    numbers = np.array([16, 3, 16, 3, 3])
    positions = rng.normal(size=(40, 5, 3))

    centres = element_centres(positions, numbers)

    np.testing.assert_allclose(centres[:, 0], positions[:, [1, 3, 4]].mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(centres[:, 1], positions[:, [0, 2]].mean(axis=1), rtol=1e-13)


def test_a_digest_does_not_depend_on_the_pieces() -> None:
    values = np.random.default_rng(3).normal(size=(30, 4, 3))
    whole, parts = RunDigest(np.array([3, 3, 16, 16])), RunDigest(np.array([3, 3, 16, 16]))

    whole.update("positions", values)
    for start in (0, 11, 12):
        parts.update("positions", values[start : {0: 11, 11: 12, 12: 30}[start]])

    np.testing.assert_array_equal(whole.value(), parts.value())


def test_a_digest_changes_with_one_bit_an_atom_or_the_name_of_an_array() -> None:
    numbers = np.array([3, 16])
    values = np.zeros((5, 2, 3), dtype="i4")
    other = values.copy()
    other[4, 1, 2] = 1
    cases = [(numbers, "positions", values), (numbers, "positions", other)]
    cases += [(numbers[::-1], "positions", values), (numbers, "cell", values)]

    found = set()
    for atoms, name, array in cases:
        digest = RunDigest(atoms)
        digest.update(name, array)
        found.add(digest.value().tobytes())

    assert len(found) == len(cases)


def test_all_ways_to_write_nan_have_one_digest() -> None:
    first, second = RunDigest(np.array([3])), RunDigest(np.array([3]))
    first.update("scalars", np.array([np.nan]))
    second.update("scalars", np.array([-np.nan]))

    np.testing.assert_array_equal(first.value(), second.value())
