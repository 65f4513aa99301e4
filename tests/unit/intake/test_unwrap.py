from __future__ import annotations

import itertools

import numpy as np
import pytest
from walks import CUBE, SKEWED, Walk, make_walk

from dasksse.analyse.displacement import to_displacements
from dasksse.errors import TrajectoryError
from dasksse.intake.lattice import in_one_basis
from dasksse.intake.unwrap import Unwrapper


def unwrap(
    walk: Walk, positions: np.ndarray, *, trusted: bool = False, cuts: tuple[int, ...] = ()
) -> tuple[np.ndarray, Unwrapper]:
    unwrapper = Unwrapper(walk.numbers)
    bounds = [0, *cuts, len(positions)]
    parts = [
        unwrapper.unwrap(
            positions[a:b],
            walk.cells[a:b],
            trusted=trusted,
            is_seam=False,
            first_frame=a,
            where="file",
        )
        for a, b in itertools.pairwise(bounds)
    ]
    return np.concatenate(parts), unwrapper


def moves(positions: np.ndarray) -> np.ndarray:
    return positions - positions[0]


@pytest.mark.parametrize("cell", [CUBE, SKEWED, CUBE @ [[0, 1, 0], [0, 0, 1], [1, 0, 0]]])
@pytest.mark.parametrize("cuts", [(), (1,), (7, 8, 9, 41)])
def test_wrapped_walks_are_restored_in_any_cell_and_across_pieces(
    cell: np.ndarray, cuts: tuple[int, ...]
) -> None:
    walk = make_walk(cell)

    found, unwrapper = unwrap(walk, walk.wrapped, cuts=cuts)

    assert np.ptp(walk.fractions, axis=0).max() > 0.3
    assert unwrapper.n_crossings > 10
    assert moves(found) == pytest.approx(moves(walk.unwrapped), abs=1e-9)


def test_rounding_fractions_of_a_very_skewed_cell_itself_would_have_failed() -> None:
    cell = np.array([[1, 0, 0], [3, 1, 0], [-2, 4, 1]]) @ SKEWED
    walk = make_walk(cell, step_A=0.4)
    fractions = walk.wrapped @ np.linalg.inv(cell)
    steps = np.diff(fractions, axis=0)
    rounded = (steps - np.rint(steps)) @ cell

    found, _ = unwrap(walk, walk.wrapped)

    assert not np.allclose(rounded, np.diff(walk.unwrapped, axis=0))
    assert moves(found) == pytest.approx(moves(walk.unwrapped), abs=1e-9)


@pytest.mark.parametrize("cell", [CUBE, SKEWED])
def test_a_breathing_cell_leaves_no_noise_in_the_mean_cell(cell: np.ndarray) -> None:
    walk = make_walk(cell, n_frames=3000, breathing=0.01, step_A=0.3)
    mean = walk.cells.mean(axis=0)

    found, unwrapper = unwrap(walk, walk.wrapped, cuts=(1000, 1500))

    assert np.abs(walk.fractions).max() > 1.5
    known = moves(walk.fractions) @ mean
    assert moves(to_displacements(found, walk.cells)) == pytest.approx(known, abs=1e-8)
    assert np.abs(moves(found) - known).max() > 0.05  # what the frame's own cell would add
    assert unwrapper.n_crossings > 100


def test_a_flip_of_the_cell_is_no_jump() -> None:
    walk = make_walk(SKEWED, breathing=0.002)
    flips = np.tile(np.eye(3), (60, 1, 1))
    flips[20:40] = [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    flips[40:] = [[1, 0, 0], [1, 1, 0], [-1, 1, 1]]
    flipped = flips @ walk.cells

    cells = np.concatenate(
        [
            in_one_basis(flipped[:30], None, "file"),
            in_one_basis(flipped[30:], walk.cells[29], "file"),
        ]
    )

    assert cells == pytest.approx(walk.cells, abs=1e-9)


def test_a_cell_that_becomes_another_lattice_is_refused() -> None:
    cells = np.stack([CUBE, 2.0 * CUBE])
    with pytest.raises(TrajectoryError, match="file: the cell changes by more than half"):
        in_one_basis(cells, None, "file")


def one_step(length_A: float) -> Walk:
    walk = make_walk(n_frames=10, step_A=0.05)
    fractions = walk.fractions.copy()
    fractions[6:, 3] += np.array([length_A, 0.0, 0.0]) / 9.0 - (fractions[6] - fractions[5])[3]
    return Walk(walk.numbers, fractions, walk.cells)


@pytest.mark.parametrize(("length_A", "is_fine"), [(3.1, True), (3.2, False), (4.6, False)])
def test_one_step_above_035_of_the_smallest_width_is_doubtful(
    length_A: float, is_fine: bool
) -> None:
    walk = one_step(length_A)

    found, unwrapper = unwrap(walk, walk.wrapped)

    longest = unwrapper.steps.longest
    assert (longest.frame, longest.atom) == (6, 3)
    assert longest.length_A == pytest.approx(min(length_A, 9.0 - length_A))
    assert (unwrapper.steps.doubt() == "") is is_fine
    if is_fine:
        assert moves(found) == pytest.approx(moves(walk.unwrapped), abs=1e-9)
    else:
        text = unwrapper.steps.doubt()
        assert "into frame 6 atom 4 (Li) moves by" in text
        assert "the limit is 3.15 Å (0.35 of the smallest width of the cell, 9.00 Å)" in text


def jumping(share: float, n_frames: int) -> Walk:
    """Li that jump by 0.3 of the width in a share of all intervals, each by itself."""
    rng = np.random.default_rng(3)
    walk = make_walk(n_frames=n_frames, step_A=0.0)
    steps = np.zeros((n_frames, 8, 3))
    steps[..., 0] = (
        0.3 * (rng.random((n_frames, 8)) < share) * rng.choice([-1, 1], (n_frames, 8))
    )
    fractions = walk.fractions.copy()
    fractions[:, :8] += np.cumsum(steps, axis=0)
    return Walk(walk.numbers, fractions, walk.cells)


def test_a_thick_tail_of_long_steps_is_doubtful_and_a_thin_one_is_not() -> None:
    n_steps = 8 * 2000
    doubts = {}
    for share in (0.002, 0.05):
        walk = jumping(share, 2000)
        _, unwrapper = unwrap(walk, walk.wrapped)
        assert unwrapper.steps.longest.share < 0.35
        doubts[share] = unwrapper.steps.doubt()

    assert doubts[0.002] == ""
    assert (
        f"of {n_steps - 8} steps of Li are longer than 0.25 of the smallest width"
        in doubts[0.05]
    )
    assert f"the limit is {(n_steps - 8) ** 0.5:.0f}" in doubts[0.05]


def test_two_long_steps_in_one_interval_would_be_seen_as_another_image() -> None:
    # what the limit of the tail is there for
    walk = jumping(0.05, 2000)
    every_second = walk.part(slice(None, None, 2))

    found, unwrapper = unwrap(every_second, every_second.wrapped)

    assert not np.allclose(moves(found), moves(every_second.unwrapped))
    assert unwrapper.steps.doubt() != ""


def test_positions_said_to_be_unwrapped_are_left_alone() -> None:
    walk = make_walk(step_A=2.0)  # far too coarse to be unwrapped

    found, unwrapper = unwrap(walk, walk.unwrapped, trusted=True)

    assert unwrapper.steps.doubt() != ""
    assert np.array_equal(found, walk.unwrapped)


def test_positions_said_to_be_unwrapped_that_jump_by_the_cell_are_refused() -> None:
    walk = make_walk()
    with pytest.raises(
        TrajectoryError, match=r"file: into frame \d+ atom \d+ jumps by .*--wrapped"
    ):
        unwrap(walk, walk.wrapped, trusted=True)


def test_a_frame_is_a_repeat_up_to_lattice_vectors() -> None:
    walk = make_walk(SKEWED)
    _, unwrapper = unwrap(walk, walk.unwrapped)

    assert unwrapper.is_repeat(walk.wrapped[-1], walk.cells[-1])
    assert not unwrapper.is_repeat(walk.wrapped[-2], walk.cells[-2])
