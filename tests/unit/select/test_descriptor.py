from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dasksse.records import Frames
from dasksse.select.descriptor import CUTOFF_A, N_SHELLS, descriptor

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = st.integers(0, 2**32 - 1)
CELL = np.array([[5.0, 0.0, 0.0], [1.2, 4.6, 0.0], [-0.7, 0.9, 5.4]])


def random_frame(rng: np.random.Generator) -> Frames:
    """A triclinic cell with nine atoms of three species in arbitrary order."""
    numbers = rng.permutation([3, 3, 3, 3, 15, 15, 16, 16, 16])
    return Frames(numbers, (rng.random((9, 3)) @ CELL)[None], CELL[None])


def assert_same_environment(one: Frames, other: Frames) -> None:
    np.testing.assert_allclose(descriptor(one), descriptor(other), atol=2e-6)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_translation_leaves_it_as_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = random_frame(rng)

    moved = replace(frame, positions=frame.positions + rng.normal(0, 4, size=3))

    assert_same_environment(frame, moved)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_rotation_leaves_it_as_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = random_frame(rng)
    turn = Rotation.random(random_state=seed).as_matrix()

    turned = replace(frame, positions=frame.positions @ turn, cells=frame.cells @ turn)

    assert_same_environment(frame, turned)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_images_of_atoms_leave_it_as_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = random_frame(rng)
    shifts = rng.integers(-3, 4, size=(9, 3)) @ CELL

    unwrapped = replace(frame, positions=frame.positions + shifts)

    assert_same_environment(frame, unwrapped)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_exchange_of_like_atoms_leaves_it_as_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = random_frame(rng)
    order = np.arange(9)
    for number in np.unique(frame.numbers):
        mine = np.flatnonzero(frame.numbers == number)
        order[mine] = rng.permutation(mine)

    exchanged = replace(frame, positions=frame.positions[:, order])

    assert_same_environment(frame, exchanged)


def test_exchange_of_unlike_atoms_is_seen() -> None:
    frame = random_frame(np.random.default_rng(5))
    order = np.arange(9)
    lithium, sulphur = np.argmax(frame.numbers == 3), np.argmax(frame.numbers == 16)
    order[[lithium, sulphur]] = order[[sulphur, lithium]]

    exchanged = replace(frame, positions=frame.positions[:, order])

    assert np.abs(descriptor(frame) - descriptor(exchanged)).max() > 0.01


def test_a_pair_in_a_wide_cell_gives_the_formula() -> None:
    distance_A = 2.7
    positions = np.array([[[0.0, 0, 0], [distance_A, 0, 0]]])
    frame = Frames(np.array([3, 16]), positions, 30.0 * np.eye(3)[None])

    row = descriptor(frame)[0].reshape(2, 2, 2, N_SHELLS)  # centre, moment, neighbour, shell

    shells_A = np.linspace(1.5, 5.5, N_SHELLS)
    width_A = 4.0 / (N_SHELLS - 1)
    expected = np.exp(-((distance_A - shells_A) ** 2) / (2 * width_A**2))
    expected *= 0.5 * (1 + np.cos(np.pi * distance_A / CUTOFF_A))
    np.testing.assert_allclose(row[0, 0, 1], expected, atol=1e-12)
    np.testing.assert_allclose(row[1, 0, 0], expected, atol=1e-12)
    assert not row[:, 1].any()
    assert not row[0, 0, 0].any()


def test_an_atom_sees_its_own_images() -> None:
    frame = Frames(np.array([3]), np.zeros((1, 1, 3)), 2.5 * np.eye(3)[None])

    row = descriptor(frame)[0]

    assert row.max() > 0.5


def test_a_supercell_equals_its_unit_cell() -> None:
    frame = random_frame(np.random.default_rng(3))
    doubled_cell = CELL * np.array([[2.0], [1.0], [1.0]])
    positions = np.concatenate([frame.positions[0], frame.positions[0] + CELL[0]])
    doubled = Frames(np.tile(frame.numbers, 2), positions[None], doubled_cell[None])

    assert_same_environment(frame, doubled)


def test_blown_up_frames_become_nan_and_leave_the_others_alone(
    make_frames: Callable[..., Frames],
) -> None:
    frames = make_frames(5)
    frames.positions[1, 2, 0] = np.nan
    frames.cells[2] = np.inf
    frames.cells[3, 2] = frames.cells[3, 1]  # flat
    frames.cells[4] = 0.0

    rows = descriptor(frames)

    assert np.isnan(rows[1:]).all()
    np.testing.assert_array_equal(rows[0], descriptor(frames.take([0]))[0])


def test_no_frames_give_no_rows(make_frames: Callable[..., Frames]) -> None:
    assert descriptor(make_frames(0)).shape == (0, 2 * 2**2 * N_SHELLS)


def test_a_broken_bond_moves_it_more_than_a_rattle() -> None:
    rng = np.random.default_rng(8)
    frame = random_frame(rng)
    rattled = replace(frame, positions=frame.positions + rng.normal(0, 0.02, size=(1, 9, 3)))
    broken = replace(frame, positions=frame.positions.copy())
    broken.positions[0, 0] += [1.5, 0, 0]

    rows = [descriptor(one)[0] for one in (frame, rattled, broken)]

    assert np.linalg.norm(rows[2] - rows[0]) > 3 * np.linalg.norm(rows[1] - rows[0])
    assert np.linalg.norm(rows[1] - rows[0]) == pytest.approx(0.0, abs=1.0)
