from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase.build import make_supercell

from dasksse.errors import LabelError
from dasksse.label import relax

if TYPE_CHECKING:
    from collections.abc import Callable

    from ase import Atoms

    from dasksse.label import LabelCalculator


def squeezed(rock_salt: Atoms) -> Atoms:
    """Far from its minimum: strained, sheared and rattled, forces of several eV/Å."""
    atoms = make_supercell(rock_salt, np.diag([2, 1, 1]))
    strain = np.array([[-0.08, 0.03, 0.0], [0.0, 0.05, 0.02], [0.01, 0.0, -0.06]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.2, seed=5)
    return atoms


def test_a_distorted_crystal_finds_back_to_its_minimum(
    rock_salt: Atoms, toy: LabelCalculator
) -> None:
    start = squeezed(rock_salt)
    toy_energy = relax(
        rock_salt, toy, max_steps=200, max_force_eV_A=1e-3, cell=True
    ).labels.energies[-1]

    relaxed = relax(start, toy, max_steps=200, max_force_eV_A=0.01, cell=True)

    assert np.abs(relaxed.labels.forces[0]).max() > 1.0
    assert relaxed.converged
    assert np.linalg.norm(relaxed.labels.forces[-1], axis=1).max() < 0.01
    assert np.abs(relaxed.labels.virials[-1]).max() / len(start) < 0.01
    assert relaxed.labels.energies[-1] / 16 == pytest.approx(toy_energy / 8, abs=2e-3)


def test_the_cell_stays_when_only_positions_relax(
    rock_salt: Atoms, toy: LabelCalculator
) -> None:
    start = squeezed(rock_salt)

    relaxed = relax(start, toy, max_steps=200, max_force_eV_A=0.02, cell=False)

    assert relaxed.converged
    np.testing.assert_array_equal(relaxed.atoms.cell.array, start.cell.array)
    assert relaxed.labels.has_virial.all()


def test_every_configuration_visited_is_a_label_once(
    rock_salt: Atoms, toy: LabelCalculator
) -> None:
    seen: list[int] = []

    relaxed = relax(
        squeezed(rock_salt),
        toy,
        max_steps=30,
        max_force_eV_A=1e-6,
        cell=True,
        on_step=seen.append,
    )

    labels = relaxed.labels
    assert not relaxed.converged
    assert relaxed.steps == 30
    assert seen == list(range(1, len(labels) + 1))
    assert len(set(labels.frames.content_keys())) == len(labels) == 31
    assert labels.is_good.all()
    np.testing.assert_array_equal(labels.frames.positions[-1], relaxed.atoms.positions)
    np.testing.assert_array_equal(labels.frames.cells[-1], relaxed.atoms.cell.array)


def test_the_labels_are_those_of_their_configurations(
    rock_salt: Atoms, toy: LabelCalculator
) -> None:
    from dasksse.label import label_frames

    labels = relax(squeezed(rock_salt), toy, max_steps=5, max_force_eV_A=1e-3, cell=True).labels

    again = label_frames(labels.frames, toy)

    assert labels.energies == pytest.approx(again.energies, abs=1e-8)
    assert np.abs(labels.forces - again.forces).max() < 1e-8
    assert np.abs(labels.virials - again.virials).max() < 1e-8
    assert (labels.source, labels.is_surrogate) == (toy.source, True)


def test_the_crystal_handed_in_is_left_as_it_is(rock_salt: Atoms, toy: LabelCalculator) -> None:
    start = squeezed(rock_salt)
    before = start.copy()

    relaxed = relax(start, toy, max_steps=3, max_force_eV_A=1e-3, cell=True)

    assert start == before
    assert start.calc is None
    assert relaxed.atoms.calc is None


def test_a_relaxed_crystal_takes_no_step(rock_salt: Atoms, toy: LabelCalculator) -> None:
    relaxed = relax(rock_salt, toy, max_steps=50, max_force_eV_A=0.05, cell=False)

    assert relaxed.converged
    assert relaxed.steps == 0
    assert len(relaxed.labels) == 1


def test_a_code_runs_once_per_configuration(
    rock_salt: Atoms, scripted: Callable[..., LabelCalculator]
) -> None:
    calculator = scripted(*({"forces": np.eye(8, 3) / (n + 1)} for n in range(4)))

    relax(rock_salt, calculator, max_steps=3, max_force_eV_A=0.01, cell=False)

    assert calculator.calculator.asked == [["energy", "forces", "stress"]] * 4


def test_positions_relax_without_a_virial(
    rock_salt: Atoms, scripted: Callable[..., LabelCalculator]
) -> None:
    calculator = scripted({"forces": np.zeros((8, 3))}, gives_virial=False)

    relaxed = relax(rock_salt, calculator, max_steps=3, max_force_eV_A=0.01, cell=False)

    assert relaxed.converged
    assert relaxed.labels.is_good.all()
    assert not relaxed.labels.has_virial.any()


def test_the_cell_cannot_relax_without_a_stress(
    rock_salt: Atoms, scripted: Callable[..., LabelCalculator]
) -> None:
    with pytest.raises(LabelError, match="no stress, so the cell cannot relax"):
        relax(
            rock_salt,
            scripted({}, gives_virial=False),
            max_steps=3,
            max_force_eV_A=0.01,
            cell=True,
        )


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (RuntimeError("SCF did not converge"), "RuntimeError: SCF did not converge"),
        ({"energy": np.nan}, "not finite"),
        ({"stress": np.full(6, np.inf)}, "not finite"),
    ],
)
def test_a_failing_calculator_ends_the_relaxation_with_its_reason(
    rock_salt: Atoms, scripted: Callable[..., LabelCalculator], second: Any, message: str
) -> None:
    calculator = scripted({"forces": np.eye(8, 3)}, second)

    with pytest.raises(LabelError, match=message) as caught:
        relax(rock_salt, calculator, max_steps=9, max_force_eV_A=0.01, cell=True)

    assert "configuration 1 of the relaxation" in str(caught.value)
    assert caught.value.program == "scripted"


def test_lack_of_memory_is_not_turned_into_a_label_error(
    rock_salt: Atoms, scripted: Callable[..., LabelCalculator]
) -> None:
    with pytest.raises(MemoryError):
        relax(rock_salt, scripted(MemoryError()), max_steps=1, max_force_eV_A=0.01, cell=False)


def test_a_cell_relaxation_is_silent(rock_salt: Atoms, toy: LabelCalculator) -> None:
    large = squeezed(make_supercell(rock_salt, np.diag([1, 2, 2])))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        relaxed = relax(large, toy, max_steps=3, max_force_eV_A=0.01, cell=True)

    assert relaxed.steps == 3
