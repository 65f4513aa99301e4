from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.errors import ConfigError, StructureError
from dasksse.select.descriptor import descriptor
from dasksse.select.diversity import DUPLICATE_DISTANCE, PICKERS, pick_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.records import Frames

METHODS = sorted(PICKERS)


def order_of(frames: Frames, method: str, *, seed: int = 2, n: int | None = None) -> list[int]:
    deviation = np.linspace(0.1, 0.9, len(frames))
    return pick_order(frames, method=method, seed=seed, n=n, deviation=deviation)


def brute_force_farthest(features: np.ndarray, first: int, n: int) -> list[int]:
    order = [first]
    while len(order) < n:
        distances = np.linalg.norm(features[:, None] - features[order], axis=2).min(axis=1)
        order.append(int(np.argmax(distances)))
    return order


def test_farthest_point_agrees_with_the_definition(make_frames: Callable[..., Frames]) -> None:
    frames = make_frames(40)

    order = pick_order(frames, method="farthest_point", seed=3, n=15)

    assert order == brute_force_farthest(descriptor(frames), order[0], 15)


def test_farthest_point_takes_an_outlier_before_a_crowd(
    make_frames: Callable[..., Frames],
) -> None:
    frames = make_frames(30, sigma_A=0.01)
    frames.positions[17, 0] += [0.0, 0.0, 1.0]

    order = pick_order(frames, method="farthest_point", seed=0, n=2)

    assert 17 in order


def test_farthest_point_starts_far_from_what_is_labelled(
    make_frames: Callable[..., Frames],
) -> None:
    frames = make_frames(20)
    features = descriptor(frames)
    labelled = [frames.take([0, 1]), frames.take([2, 3, 4])]

    order = pick_order(frames, method="farthest_point", seed=0, n=None, labelled=labelled)

    distances = np.linalg.norm(features[:, None] - features[:5], axis=2).min(axis=1)
    assert order[0] == np.argmax(distances)
    assert sorted(order) == list(range(5, 20))


def test_labelled_frames_are_compared_in_blocks_with_an_equal_result(
    make_frames: Callable[..., Frames], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, labelled = make_frames(20), [make_frames(7, seed=9)]
    whole = pick_order(frames, method="farthest_point", seed=0, n=8, labelled=labelled)

    monkeypatch.setattr("dasksse.select.diversity._BLOCK_VALUES", 30)
    in_blocks = pick_order(frames, method="farthest_point", seed=0, n=8, labelled=labelled)

    assert in_blocks == whole


def test_the_largest_deviation_comes_first(make_frames: Callable[..., Frames]) -> None:
    frames = make_frames(5).take([0, 1, 2, 3, 1])
    deviation = np.array([0.3, 0.5, 0.2, 0.4, 0.5])

    order = pick_order(frames, method="deviation", seed=0, n=3, deviation=deviation)

    assert order == [1, 3, 0]  # the last frame is equal to the first one taken
    with pytest.raises(ValueError, match="give the deviation"):
        pick_order(frames, method="deviation", seed=0, n=3)


@pytest.mark.parametrize("rows", [0, 3])
def test_labelled_frames_without_descriptor_are_as_good_as_none(
    make_frames: Callable[..., Frames], rows: int
) -> None:
    frames = make_frames(10)
    lost = make_frames(3, seed=9).take(range(rows))
    unknown = replace(lost, positions=np.full_like(lost.positions, np.nan))

    order = pick_order(frames, method="farthest_point", seed=4, n=5, labelled=[unknown])

    assert order == pick_order(frames, method="farthest_point", seed=4, n=5)


@pytest.mark.parametrize("method", METHODS)
def test_an_order_is_complete_and_repeatable(
    make_frames: Callable[..., Frames], method: str
) -> None:
    frames = make_frames(25)

    order = order_of(frames, method, seed=11)

    assert sorted(order) == list(range(25))
    assert order == order_of(frames, method, seed=11)
    assert (order == order_of(frames, method, seed=12)) is (method == "deviation")


@pytest.mark.parametrize("method", METHODS)
def test_a_short_order_begins_the_long_one(
    make_frames: Callable[..., Frames], method: str
) -> None:
    frames = make_frames(25)

    assert order_of(frames, method, n=6) == order_of(frames, method)[:6]


@pytest.mark.parametrize("method", METHODS)
def test_equal_frames_are_taken_once(make_frames: Callable[..., Frames], method: str) -> None:
    frames = make_frames(6).take([0, 1, 2, 1, 3, 0, 0])

    order = order_of(frames, method)

    assert sorted({0: 0, 1: 1, 2: 2, 3: 1, 4: 3, 5: 0, 6: 0}[i] for i in order) == [0, 1, 2, 3]


def test_farthest_point_knows_a_frame_by_its_environments(
    make_frames: Callable[..., Frames],
) -> None:
    frames = make_frames(3).take([0, 1, 2, 0])
    frames.positions[3] = frames.positions[3][[1, 0, 3, 2]] + 0.7  # like atoms, other place
    features = descriptor(frames)

    order = pick_order(frames, method="farthest_point", seed=2, n=None)

    assert len(order) == 3
    assert np.linalg.norm(features[3] - features[0]) < DUPLICATE_DISTANCE


@pytest.mark.parametrize("method", METHODS)
def test_frames_that_are_not_finite_are_never_taken(
    make_frames: Callable[..., Frames], method: str
) -> None:
    frames = make_frames(6)
    frames.positions[2, 1, 1] = np.nan
    frames.cells[4, 0, 0] = np.inf

    assert sorted(order_of(frames, method)) == [0, 1, 3, 5]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n_frames", "n"), [(0, None), (0, 4), (3, 0)])
def test_nothing_to_take_gives_an_empty_order(
    make_frames: Callable[..., Frames], method: str, n_frames: int, n: int | None
) -> None:
    assert order_of(make_frames(n_frames), method, n=n) == []


def test_only_unusable_frames_give_an_empty_order(make_frames: Callable[..., Frames]) -> None:
    frames = make_frames(2)

    lost = replace(frames, positions=np.full_like(frames.positions, np.nan))

    assert pick_order(lost, method="farthest_point", seed=0, n=None) == []


def test_an_unknown_method_is_refused_with_the_nearest_name(
    make_frames: Callable[..., Frames],
) -> None:
    with pytest.raises(
        ConfigError, match=r"'farthest-pt'.*\['deviation', 'farthest_point', 'random'\]"
    ) as caught:
        pick_order(make_frames(1), method="farthest-pt", seed=0, n=1)

    assert "nearest is 'farthest_point'" in str(caught.value)


def test_labelled_frames_of_other_species_are_refused(
    make_frames: Callable[..., Frames],
) -> None:
    frames = make_frames(3)
    others = replace(frames, numbers=np.full_like(frames.numbers, 11))

    with pytest.raises(StructureError, match="16 descriptor features"):
        pick_order(frames, method="farthest_point", seed=0, n=1, labelled=[others])
