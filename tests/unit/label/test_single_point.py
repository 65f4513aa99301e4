from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms

from dasksse.label import LabelLimits, Place, label_frames
from dasksse.records import Frames, Labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dasksse.label import LabelCalculator


def test_every_frame_gets_the_calculators_own_energy_forces_and_virial(
    frames: Frames, toy: LabelCalculator
) -> None:
    atoms = Atoms(frames.numbers, frames.positions[2], cell=frames.cells[2], pbc=True)
    atoms.calc = toy.calculator

    labels = label_frames(frames, toy)

    assert labels.is_good.all()
    assert labels.has_virial.all()
    assert labels.reasons == ("",) * 4
    assert labels.energies[2] == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    assert labels.forces[2] == pytest.approx(atoms.get_forces(), abs=1e-9)
    stress = atoms.get_stress(voigt=False)
    assert labels.virials[2] == pytest.approx(-stress * atoms.get_volume(), abs=1e-9)


def test_labels_carry_the_provenance_of_their_calculator(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    labels = label_frames(frames, scripted({}))

    assert (labels.source, labels.functional, labels.is_surrogate) == ("scripted", "PBE", False)


def test_labels_survive_saving_and_loading(
    frames: Frames, scripted: Callable[..., LabelCalculator], tmp_path: Path
) -> None:
    labels = label_frames(frames, scripted({}, RuntimeError("no SCF")))
    labels.save(tmp_path / "labels.npz")

    loaded = Labels.load(tmp_path / "labels.npz")

    assert loaded.reasons == labels.reasons
    assert (loaded.source, loaded.is_surrogate) == (labels.source, labels.is_surrogate)
    for name in ("energies", "forces", "virials"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(labels, name))
    np.testing.assert_array_equal(loaded.frames.positions, frames.positions)


def test_a_frame_that_raises_has_a_reason_and_stops_no_other(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    labels = label_frames(frames, scripted({}, RuntimeError("SCF did not converge"), {}))

    assert labels.is_good.tolist() == [True, False, True, True]
    assert labels.reasons == ("", "RuntimeError: SCF did not converge", "", "")
    assert np.isnan(labels.energies[1])
    assert np.isnan(labels.forces[1]).all()
    assert np.isnan(labels.virials[1]).all()


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"energy": np.nan}, "energy or forces are not finite"),
        ({"forces": np.full((8, 3), np.inf)}, "energy or forces are not finite"),
        ({"stress": np.full(6, np.nan)}, "virial is not finite"),
        (
            {"forces": np.full((8, 3), -60.0)},
            "force component of 60.0 eV/Å is above the cap of 50 eV/Å",
        ),
    ],
)
def test_a_useless_result_is_refused_with_its_reason(
    frames: Frames,
    scripted: Callable[..., LabelCalculator],
    result: dict[str, Any],
    reason: str,
) -> None:
    labels = label_frames(frames, scripted(result, {}), limits=LabelLimits(50.0))

    assert labels.reasons == (reason, "", reason, "")
    assert labels.is_good.tolist() == [False, True, False, True]
    assert labels.has_virial.tolist() == [False, True, False, True]


def test_forces_that_do_not_add_up_to_nothing_are_refused(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    forces = np.zeros((8, 3))
    forces[0, 2] = 8 * 0.02
    balanced = forces - forces.mean(axis=0)

    labels = label_frames(
        frames,
        scripted({"forces": forces}, {"forces": balanced}),
        limits=LabelLimits(50.0, 0.01),
    )

    refusal = "net force of 0.02 eV/Å per atom is above 0.01 eV/Å: not converged"
    assert labels.reasons == (refusal, "", refusal, "")
    assert labels.is_good.tolist() == [False, True, False, True]


def test_a_failed_frame_leaves_nothing_behind(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    twice = frames.take([0, 0])

    labels = label_frames(twice, scripted({"energy": np.nan}, {"energy": -2.0}))
    after_error = label_frames(twice, scripted(RuntimeError("once"), {"energy": -2.0}))

    assert labels.is_good.tolist() == [False, False]  # the same question is not asked twice
    assert after_error.energies.tolist()[1:] == [-2.0]


@pytest.mark.parametrize("fatal", [KeyboardInterrupt(), MemoryError("out of memory")])
def test_interrupts_and_lack_of_memory_are_not_swallowed(
    frames: Frames, scripted: Callable[..., LabelCalculator], fatal: BaseException
) -> None:
    with pytest.raises(type(fatal)):
        label_frames(frames, scripted({}, fatal))


def test_the_virial_is_nan_where_it_is_not_given(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    calculator = scripted({}, gives_virial=False)

    labels = label_frames(frames, calculator)

    assert labels.is_good.all()
    assert not labels.has_virial.any()
    assert all("stress" not in asked for asked in calculator.calculator.asked)


def test_the_virial_is_nan_where_it_is_not_asked_for(
    frames: Frames, toy: LabelCalculator
) -> None:
    labels = label_frames(frames, toy, virial=False)

    assert labels.is_good.all()
    assert not labels.has_virial.any()


def test_a_code_runs_once_per_frame_for_all_properties(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    calculator = scripted({})

    label_frames(frames, calculator)

    assert calculator.calculator.asked == [["energy", "forces", "stress"]] * len(frames)


def test_the_energy_is_the_one_the_forces_derive_from(
    rock_salt: Atoms, scripted: Callable[..., LabelCalculator]
) -> None:
    energy = (
        scripted({"energy": -1.0, "free_energy": -1.2}).single_point(rock_salt, Place()).energy
    )
    plain = scripted({"energy": -1.0}).single_point(rock_salt, Place()).energy

    assert (energy, plain) == (-1.2, -1.0)


def test_progress_counts_failed_frames_too(
    frames: Frames, scripted: Callable[..., LabelCalculator]
) -> None:
    done: list[int] = []

    label_frames(frames, scripted({}, RuntimeError("no")), on_frame=done.append)

    assert done == [1, 2, 3, 4]


def test_no_frames_give_no_labels(frames: Frames, toy: LabelCalculator) -> None:
    labels = label_frames(frames.take([]), toy)

    assert len(labels) == 0
    assert labels.forces.shape == (0, frames.n_atoms, 3)


def test_threads_that_share_a_calculator_do_not_mix_up_their_frames(
    frames: Frames, toy: LabelCalculator
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    many = Frames(
        frames.numbers, np.tile(frames.positions, (10, 1, 1)), np.tile(frames.cells, (10, 1, 1))
    )
    expected = label_frames(many, toy)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: label_frames(many, toy), range(4)))

    for labels in results:
        np.testing.assert_array_equal(labels.energies, expected.energies)
        np.testing.assert_array_equal(labels.forces, expected.forces)
