"""Whether a framework has melted: units may turn, atoms may not wander."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dasksse.analyse.paths import IonPaths
from dasksse.analyse.transport import choose_frames
from dasksse.analyse.turning_units import turn_reaches
from dasksse.analyse.vibration import framework_motion, melted_elements
from dasksse.records import MemoryTrajectory

N_FRAMES, N_UNITS, SPACING_A = 600, 8, 7.5
BOND_A = 2.05
CELL = 2.0 * SPACING_A * np.eye(3)
CORNERS = BOND_A / np.sqrt(3.0) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
EDGE_A = np.sqrt(8.0 / 3.0) * BOND_A
PLACES = SPACING_A * (np.indices((2, 2, 2)).reshape(3, -1).T + 0.5)


def walk(rng: np.random.Generator, n_atoms: int, step_A: float) -> np.ndarray:
    """Random walks, shape ``(frame, atom, xyz)``."""
    return np.cumsum(rng.normal(0.0, step_A, (N_FRAMES, n_atoms, 3)), axis=0)


def turning(rng: np.random.Generator, step: float) -> np.ndarray:
    """Corners of each unit, which turns at random, shape ``(frame, unit, corner, xyz)``."""
    corners = np.empty((N_FRAMES, N_UNITS, 4, 3))
    at = [Rotation.identity()] * N_UNITS
    for frame in range(N_FRAMES):
        at = [Rotation.from_rotvec(rng.normal(0.0, step, 3)) * each for each in at]
        corners[frame] = [each.apply(CORNERS) for each in at]
    return corners


def thiophosphate(
    *, turn: float = 0.0, carry_A: float = 0.0, wander_A: float = 0.0, seed: int = 0
) -> MemoryTrajectory:
    """Li that diffuses among PS4 that turn, wander as a whole, or lose their S."""
    rng = np.random.default_rng(seed)
    units = PLACES + walk(rng, N_UNITS, carry_A)
    corners = units[:, :, None] + turning(rng, turn)
    sulphur = corners.reshape(N_FRAMES, -1, 3) + walk(rng, 4 * N_UNITS, wander_A)
    lithium = rng.uniform(0.0, 15.0, (1, 6, 3)) + walk(rng, 6, 0.3)
    positions = np.concatenate([lithium, units, sulphur], axis=1)
    positions += rng.normal(0.0, 0.1, positions.shape)
    numbers = np.repeat([3, 15, 16], [6, N_UNITS, 4 * N_UNITS])
    return MemoryTrajectory(numbers, positions, CELL, 0.1, 600.0)


def melted(*runs: MemoryTrajectory) -> tuple[str, ...] | None:
    return melted_elements(choose_frames(runs, "Li", equilibration_ps=0.0), "Li")


def test_a_framework_that_vibrates_is_whole() -> None:
    assert melted(thiophosphate()) == ()


@pytest.mark.parametrize("turn", [0.03, 0.06, 0.1, 0.3, 1.0])
def test_units_that_turn_have_not_melted(turn: float) -> None:
    run = thiophosphate(turn=turn)

    assert melted(run) == ()
    assert framework_motion([run], "Li")["S"].share_left > 0.0 or turn > 0.2


def test_slow_turns_look_like_diffusion_and_are_told_apart() -> None:
    motion = framework_motion([thiophosphate(turn=0.06)], "Li")

    assert motion["S"].diffuses
    assert motion["S"].share_beyond == 0.0
    assert "S moves, no farther than its units turn: " in motion.verdict
    assert not motion.is_bounded


def test_corners_that_change_places_have_not_melted() -> None:
    run = thiophosphate()
    sulphur = run.all_positions[:, -4 * N_UNITS :].reshape(N_FRAMES, N_UNITS, 4, 3)
    for unit in range(N_UNITS):
        sulphur[60 * (unit + 1) :, unit] = sulphur[60 * (unit + 1) :, unit][:, [1, 2, 3, 0]]

    motion = framework_motion([run], "Li")

    assert motion["S"].largest_shift_A == pytest.approx(EDGE_A, abs=0.3)
    assert motion.melted == ()


def test_sulphur_that_diffuses_has_melted_and_phosphorus_has_not() -> None:
    assert melted(thiophosphate(wander_A=0.2)) == ("S",)
    assert melted(thiophosphate(wander_A=0.2, turn=0.1)) == ("S",)


def test_whole_units_that_diffuse_have_melted() -> None:
    assert melted(thiophosphate(carry_A=0.25, turn=0.1)) == ("P", "S")


def test_a_melt_of_ions_without_bonds_is_found() -> None:
    rng = np.random.default_rng(3)
    places = np.indices((4, 4, 4)).reshape(3, -1).T * 3.0
    positions = places + rng.normal(0.0, 0.2, (N_FRAMES, 64, 3))
    numbers = np.repeat([3, 17], [32, 32])
    crystal = MemoryTrajectory(numbers, positions, 12.0 * np.eye(3), 0.1)
    liquid = MemoryTrajectory(numbers, positions + walk(rng, 64, 0.1), 12.0 * np.eye(3), 0.1)

    assert melted(crystal) == ()
    assert melted(liquid) == ("Cl",)


def test_some_atoms_of_each_element_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = choose_frames([thiophosphate(wander_A=0.2)], "Li", equilibration_ps=0.0)
    read, looked_at = IonPaths.columns, []

    def noted(self: IonPaths, atoms: np.ndarray, **settings: int) -> np.ndarray:
        looked_at.extend(atoms.tolist())
        return read(self, atoms, **settings)

    monkeypatch.setattr("dasksse.analyse.vibration.ENOUGH_ATOMS", 8)
    monkeypatch.setattr("dasksse.analyse.paths.LARGEST_BLOCK", 4)
    monkeypatch.setattr(IonPaths, "columns", noted)

    assert melted_elements(usage, "Li") == ("S",)
    assert 8 <= len({atom for atom in looked_at if atom >= 6 + N_UNITS}) <= 16


def test_what_cannot_be_known_is_none() -> None:
    run = thiophosphate()
    alone = MemoryTrajectory(np.full(46, 3), run.all_positions, CELL, 0.1)
    short = MemoryTrajectory(run.numbers, run.all_positions[:25], CELL, 0.1)

    assert melted(alone) is None
    assert melted(short) is None


def test_a_turn_reaches_across_the_unit_wherever_the_cell_cuts_it() -> None:
    numbers = np.array([15, 16, 16, 16, 16, 16, 19])
    free, ion = [[7.5, 7.5, 7.5]], [[2.0, 2.0, 2.0]]
    positions = np.concatenate([np.zeros((1, 3)), CORNERS, free, ion])

    for shift in (0.0, 4.0):
        reaches = turn_reaches(numbers, positions + shift, CELL)
        np.testing.assert_allclose(reaches[:5], EDGE_A)
        np.testing.assert_allclose(reaches[5:], 0.0)


def test_a_network_cannot_turn() -> None:
    places = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]) * 4.0

    reaches = turn_reaches(np.array([40, 8, 8, 8]), places, 4.0 * np.eye(3))

    np.testing.assert_array_equal(reaches, 0.0)
