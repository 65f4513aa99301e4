from __future__ import annotations

from dataclasses import replace

import numpy as np

from dasksse.label.importing.compositions import Compositions
from dasksse.records import Frames, Labels

RNG = np.random.default_rng(1)


def labels(numbers: list[int], n_frames: int = 2) -> Labels:
    shape = (n_frames, len(numbers), 3)
    return Labels(
        Frames(
            np.array(numbers),
            RNG.normal(size=shape),
            np.tile(5.0 * np.eye(3), (n_frames, 1, 1)),
        ),
        RNG.normal(size=n_frames),
        RNG.normal(size=shape),
        np.full((n_frames, 3, 3), np.nan),
        "VASP",
        "PBE",
        is_surrogate=False,
    )


def in_order(part: Labels, order: list[int]) -> Labels:
    frames = part.frames
    return replace(
        part,
        frames=Frames(frames.numbers[order], frames.positions[:, order], frames.cells),
        forces=part.forces[:, order],
    )


def test_atoms_are_brought_into_the_order_of_the_first_labels() -> None:
    first, second = labels([3, 3, 15, 16]), labels([3, 3, 15, 16])
    systems = Compositions()

    name, _, _ = systems.add(first)
    again, ordered, _ = systems.add(in_order(second, [3, 0, 2, 1]))  # S Li P Li

    assert name == again == "Li2PS"
    assert ordered.frames.numbers.tolist() == [3, 3, 15, 16]
    np.testing.assert_array_equal(ordered.frames.positions, second.frames.positions)
    np.testing.assert_array_equal(ordered.forces, second.forces)


def test_equal_frames_are_taken_once_whatever_the_order_of_their_atoms() -> None:
    part = labels([3, 3, 15, 16])
    systems = Compositions()

    _, new, n_known = systems.add(part)
    _, none, n_again = systems.add(in_order(part, [2, 0, 3, 1]))

    assert (len(new), n_known) == (2, 0)
    assert (len(none), n_again) == (0, 2)


def test_frames_of_an_existing_system_are_known_and_give_the_order() -> None:
    part = labels([16, 3, 3, 15])
    known = {("0" * 16, "PBE", False)}
    key = part.frames.content_keys()[1]
    systems = Compositions({"lgps": (part.frames.numbers, known | {(key, "PBE", False)})})

    name, new, n_known = systems.add(in_order(part, [1, 2, 3, 0]))

    assert name == "lgps"
    assert new.frames.numbers.tolist() == [16, 3, 3, 15]
    assert (len(new), n_known) == (1, 1)
    assert new.energies.tolist() == [part.energies[0]]


def test_the_same_frame_with_another_functional_is_another_label() -> None:
    part = labels([3, 17])
    systems = Compositions()
    systems.add(part)

    _, other, _ = systems.add(replace(part, functional="PBEsol"))
    _, surrogate, _ = systems.add(replace(part, is_surrogate=True))

    assert len(other) == len(surrogate) == 2


def test_cells_of_other_sizes_are_systems_of_their_own() -> None:
    systems = Compositions()

    names = [systems.add(labels(numbers))[0] for numbers in ([3, 17], [3, 3, 17, 17])]

    assert names == ["LiCl", "Li2Cl2"]
