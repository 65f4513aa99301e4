from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.label import KnownLabels, LabelLimits, label_frames, relax
from dasksse.records import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from ase import Atoms

    from dasksse.label import LabelCalculator


def n_computed(calculator: LabelCalculator) -> int:
    return len(calculator.calculator.asked)  # type: ignore[attr-defined]


def test_known_labels_are_given_and_the_others_computed(
    frames: Frames, toy: LabelCalculator, scripted: Callable[..., LabelCalculator]
) -> None:
    stored = label_frames(frames.take([0, 2]), toy)
    stored = replace(stored, source="scripted", functional="PBE", is_surrogate=False)
    calculator = scripted({})

    labels = label_frames(frames, KnownLabels(calculator, [stored]))

    assert n_computed(calculator) == 2
    np.testing.assert_array_equal(labels.forces[[0, 2]], stored.forces)
    np.testing.assert_array_equal(labels.virials[[0, 2]], stored.virials)
    assert np.isnan(labels.seconds).tolist() == [True, False, True, False]
    assert (labels.source, labels.functional, labels.is_surrogate) == ("scripted", "PBE", False)


@pytest.mark.parametrize(
    "change", [{"source": "another"}, {"functional": "PBEsol"}, {"is_surrogate": True}]
)
def test_labels_of_another_origin_are_not_taken(
    frames: Frames, scripted: Callable[..., LabelCalculator], change: dict[str, object]
) -> None:
    stored = replace(label_frames(frames, scripted({})), **change)  # type: ignore[arg-type]
    calculator = scripted({})

    label_frames(frames, KnownLabels(calculator, [stored]))

    assert n_computed(calculator) == len(frames)


def test_a_label_that_failed_or_has_no_virial_is_computed_again(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    failed = label_frames(frames.take([0]), scripted(RuntimeError("no SCF")))
    without = label_frames(frames.take([1]), scripted({}), virial=False)
    calculator = scripted({})
    known = KnownLabels(calculator, [failed, without])

    assert label_frames(frames.take([0, 1]), known).has_virial.all()
    assert n_computed(calculator) == 2
    assert not label_frames(frames.take([1]), known, virial=False).has_virial.any()
    assert n_computed(calculator) == 2  # a virial nobody asks for is not missed


def test_the_label_with_a_virial_is_preferred(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    one = frames.take([1])
    without, full = (label_frames(one, scripted({}), virial=asked) for asked in (False, True))
    calculator = scripted({})

    for stored in ([without, full], [full, without]):
        assert label_frames(one, KnownLabels(calculator, stored)).has_virial.all()

    assert n_computed(calculator) == 0


def test_the_limits_of_the_run_hold_for_known_labels(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    calculator = scripted({})
    stored = label_frames(frames, scripted({"forces": np.full((8, 3), 60.0)}))

    labels = label_frames(
        frames, KnownLabels(calculator, [stored]), limits=LabelLimits(max_force_eV_A=50.0)
    )

    assert not labels.is_good.any()
    assert n_computed(calculator) == 0


def test_atoms_in_a_neighbouring_cell_are_the_same_frame(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    stored = label_frames(frames, scripted({}))
    shifted = frames.positions.copy()
    shifted[:, 3] += frames.cells[:, 0]
    calculator = scripted({})

    label_frames(
        Frames(frames.numbers, shifted, frames.cells), KnownLabels(calculator, [stored])
    )

    assert n_computed(calculator) == 0


def test_a_relaxation_whose_labels_exist_is_repeated_without_computing(
    rock_salt: Atoms, toy: LabelCalculator
) -> None:
    start = rock_salt.copy()
    start.rattle(0.05, seed=3)
    first = relax(start, toy, max_steps=5, max_force_eV_A=1e-3, cell=True)

    again = relax(
        start,
        KnownLabels(toy, [first.labels]),
        max_steps=5,
        max_force_eV_A=1e-3,
        cell=True,
    )

    assert np.isnan(again.labels.seconds).all()
    assert not np.isnan(first.labels.seconds).any()
    np.testing.assert_array_equal(again.labels.forces, first.labels.forces)
    np.testing.assert_array_equal(again.atoms.positions, first.atoms.positions)
