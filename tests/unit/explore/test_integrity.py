from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from scipy.spatial.transform import Rotation

from dasksse.config.schema import PolyhedronSection
from dasksse.errors import StructureError
from dasksse.explore.integrity import Framework

STRUCTURES = Path(__file__).parents[3] / "../shared/structures"
CELL = np.array([[12.0, 0.0, 0.0], [1.5, 11.0, 0.0], [-2.0, 1.0, 13.0]])
CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3.0)
PS_A, GES_A = 2.05, 2.20


def crystal() -> Atoms:
    """PS4, GeS4, a lone S and two Li in a triclinic cell: atoms 0-4, 5-9, 10, 11-12."""
    centres = np.array([[0.2, 0.2, 0.2], [0.7, 0.7, 0.7]]) @ CELL
    positions = np.concatenate(
        [
            centres[:1],
            centres[0] + PS_A * CORNERS,
            centres[1:],
            centres[1] + GES_A * CORNERS,
            np.array([[0.2, 0.7, 0.2], [0.7, 0.2, 0.5], [0.5, 0.2, 0.8]]) @ CELL,
        ]
    )
    return Atoms("PS4GeS4SLi2", positions=positions, cell=CELL, pbc=True)


def watcher(atoms: Atoms, *, mobile: str = "Li", polyhedra: object = None) -> Framework:
    return Framework.from_structure(
        atoms.numbers, atoms.positions, np.array(atoms.cell), mobile=mobile, polyhedra=polyhedra
    )


def still(n_frames: int, atoms: Atoms | None = None) -> tuple[np.ndarray, np.ndarray]:
    atoms = crystal() if atoms is None else atoms
    positions = np.repeat(atoms.positions[None], n_frames, axis=0)
    return positions, np.repeat(np.array(atoms.cell)[None], n_frames, axis=0)


def test_units_are_found_with_cut_offs_from_the_mean_bond() -> None:
    framework = watcher(crystal())

    assert framework.units == {"GeS4": 1, "PS4": 1}
    assert framework.bonds.tolist() == [[0, i] for i in range(1, 5)] + [
        [5, i] for i in range(6, 10)
    ]
    np.testing.assert_allclose(framework.cutoffs_A, [1.4 * PS_A] * 4 + [1.4 * GES_A] * 4)
    assert framework.atoms.tolist() == list(range(11))


def test_the_start_structure_itself_is_intact() -> None:
    state = watcher(crystal()).watch(*still(2))

    assert state.intact.tolist() == [True, True]
    assert state.broken_units.tolist() == [0, 0]
    np.testing.assert_allclose(state.drift_A, 0.0, atol=1e-10)
    np.testing.assert_allclose(state.framework_rmsd_A, 0.0, atol=1e-10)


def test_a_tetrahedron_that_rotates_stays_intact() -> None:
    positions, cells = still(13)
    turns = Rotation.from_rotvec(np.linspace(0, 2 * np.pi, 13)[:, None] * [0.6, 0.0, 0.8])
    for frame, turn in enumerate(turns.as_matrix()):
        positions[frame, 1:5] = positions[frame, 0] + PS_A * CORNERS @ turn

    state = watcher(crystal()).watch(positions, cells)

    assert state.intact.all()
    assert state.framework_rmsd_A[6] > 1.0


def test_a_ligand_exchanged_between_two_centres_breaks_both() -> None:
    positions, cells = still(3)
    positions[1, [1, 6]] = positions[1, [6, 1]]

    state = watcher(crystal()).watch(positions, cells)

    assert state.intact.tolist() == [True, False, True]
    assert state.broken_units.tolist() == [0, 2, 0]


def test_a_ligand_exchanged_with_a_lone_anion_breaks_one_unit() -> None:
    positions, cells = still(1)
    positions[0, [1, 10]] = positions[0, [10, 1]]

    assert watcher(crystal()).watch(positions, cells).broken_units.tolist() == [1]


@pytest.mark.parametrize(("stretch", "intact"), [(1.39, True), (1.41, False)])
def test_a_bond_breaks_at_1_4_times_its_mean(stretch: float, *, intact: bool) -> None:
    positions, cells = still(1)
    positions[0, 2] = positions[0, 0] + stretch * PS_A * CORNERS[1]

    assert watcher(crystal()).watch(positions, cells).intact.tolist() == [intact]


def test_two_broken_bonds_of_one_centre_are_one_broken_unit() -> None:
    positions, cells = still(1)
    positions[0, [1, 2]] = positions[0, 0] + 2 * PS_A * CORNERS[:2]

    assert watcher(crystal()).watch(positions, cells).broken_units.tolist() == [1]


def test_bonds_across_the_faces_are_found_and_watched() -> None:
    atoms = crystal()
    atoms.translate([-0.2, -0.2, -0.2] @ CELL)
    atoms.wrap()
    positions, cells = still(2, crystal())

    framework = watcher(atoms)
    state = framework.watch(positions, cells)

    assert framework.units == {"GeS4": 1, "PS4": 1}
    assert state.intact.all()


def test_a_mobile_ion_may_go_anywhere() -> None:
    positions, cells = still(2)
    positions[1, 11:] += [30.0, -20.0, 7.0]

    state = watcher(crystal()).watch(positions, cells)

    assert state.intact.all()
    np.testing.assert_allclose(state.drift_A, 0.0, atol=1e-10)
    np.testing.assert_allclose(state.framework_rmsd_A, 0.0, atol=1e-10)


def test_a_moving_frame_of_reference_is_drift_and_no_melting() -> None:
    positions, cells = still(30)
    positions += np.arange(30)[:, None, None] * np.array([0.3, 0.4, 0.0])

    state = watcher(crystal()).watch(positions, cells)

    np.testing.assert_allclose(state.drift_A, 0.5 * np.arange(30), atol=1e-10)
    np.testing.assert_allclose(state.framework_rmsd_A, 0.0, atol=1e-10)
    assert state.intact.all()


def test_displacement_of_one_atom_gives_drift_by_mass_and_the_rest_as_rmsd() -> None:
    atoms = crystal()
    positions, cells = still(1)
    positions[0, 10] += [0.0, 0.9, 0.0]

    state = watcher(atoms).watch(positions, cells)

    masses = atoms.get_masses()[:11]
    drift = 0.9 * masses[10] / masses.sum()
    rest = np.full(11, -drift)
    rest[10] += 0.9
    assert state.drift_A[0] == pytest.approx(drift)
    assert state.framework_rmsd_A[0] == pytest.approx(np.sqrt(np.mean(rest**2)))


def test_random_displacements_give_the_rmsd_they_were_made_with() -> None:
    rng = np.random.default_rng(4)
    positions, cells = still(400)
    positions[1:] += rng.normal(0, 0.1, size=(399, 13, 3))

    state = watcher(crystal()).watch(positions, cells)

    # the centre of mass takes about one of eleven atoms' freedom
    expected = 0.1 * np.sqrt(3 * (1 - 1 / 11))
    assert np.sqrt(np.mean(state.framework_rmsd_A[1:] ** 2)) == pytest.approx(
        expected, rel=0.03
    )


def test_a_breathing_cell_is_no_displacement() -> None:
    positions, cells = still(2)
    positions[1] *= 1.03
    cells[1] *= 1.03

    state = watcher(crystal()).watch(positions, cells)

    np.testing.assert_allclose(state.framework_rmsd_A, 0.0, atol=1e-10)
    assert state.intact.all()


def test_other_images_in_the_first_frame_are_no_displacement() -> None:
    positions, cells = still(3)
    shifts = np.random.default_rng(6).integers(-2, 3, size=(13, 3)) @ CELL
    positions += shifts

    state = watcher(crystal()).watch(positions, cells)

    np.testing.assert_allclose(state.framework_rmsd_A, 0.0, atol=1e-10)
    assert state.intact.all()


def test_frames_that_are_not_finite_are_broken_and_leave_the_others_alone() -> None:
    positions, cells = still(6)
    positions[0, 3, 1] = np.nan
    positions[2, 12] = np.inf  # a mobile ion
    cells[3] = np.nan
    cells[4] = 0.0

    state = watcher(crystal()).watch(positions, cells)

    good = [1, 5]
    bad = [0, 2, 3, 4]
    assert np.flatnonzero(state.intact).tolist() == good
    assert state.broken_units[bad].tolist() == [2] * 4
    assert np.isnan(state.framework_rmsd_A[bad]).all()
    assert np.isnan(state.drift_A[bad]).all()
    np.testing.assert_allclose(state.framework_rmsd_A[good], 0.0, atol=1e-10)


@pytest.mark.parametrize("n_frames", [0, 2])
def test_no_good_frame_at_all_is_no_error(n_frames: int) -> None:
    positions, cells = still(n_frames)

    state = watcher(crystal()).watch(np.full_like(positions, np.nan), cells)

    assert state.intact.tolist() == [False] * n_frames


def test_looking_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    positions, cells = still(9)
    positions += rng.normal(0, 0.5, size=positions.shape)
    positions[0, 0, 0] = np.nan
    framework = watcher(crystal())
    whole = framework.watch(positions, cells)

    monkeypatch.setattr("dasksse.explore.integrity._BLOCK_ATOMS", 30)
    in_blocks = framework.watch(positions, cells)

    for name, value in vars(whole).items():
        np.testing.assert_array_equal(getattr(in_blocks, name), value)
    assert 0 < whole.intact.sum() < 9


def test_single_precision_positions_are_taken() -> None:
    positions, cells = still(2)

    state = watcher(crystal()).watch(positions.astype(np.float32), cells.astype(np.float32))

    assert state.intact.all()
    np.testing.assert_allclose(state.framework_rmsd_A, 0.0, atol=1e-5)


def test_a_cell_thinner_than_two_bonds_is_watched_by_true_minimum_images() -> None:
    skew = np.array([[5.0, 0.0, 0.0], [4.0, 3.6, 0.0], [0.0, 0.0, 9.0]])
    atoms = Atoms("PS", positions=[[0, 0, 0], [-1.7, 1.2, 0.0]], cell=skew, pbc=True)
    framework = watcher(
        atoms, polyhedra=[PolyhedronSection(centre="P", ligand="S", cutoff_A=2.4)]
    )
    positions, cells = still(2, atoms)
    positions[1, 1] += skew[1] - 2 * skew[0]

    assert framework.watch(positions, cells).intact.all()


def test_a_listed_unit_is_followed_with_its_cut_off_and_others_are_not() -> None:
    listed = [PolyhedronSection(centre="P", ligand="S", cutoff_A=2.5)]

    framework = watcher(crystal(), polyhedra=listed)

    assert framework.units == {"PS4": 1}
    np.testing.assert_array_equal(framework.cutoffs_A, [2.5] * 4)


def test_a_listed_unit_without_cut_off_takes_it_from_the_mean_bond() -> None:
    framework = watcher(crystal(), polyhedra=[PolyhedronSection(centre="Ge", ligand="S")])

    np.testing.assert_allclose(framework.cutoffs_A, [1.4 * GES_A] * 4)


def test_listed_units_of_absent_elements_are_passed_over() -> None:
    listed = [PolyhedronSection(centre=one, ligand="S") for one in ("Sn", "P")]

    assert watcher(crystal(), polyhedra=listed).units == {"PS4": 1}


def test_units_that_are_all_absent_are_refused() -> None:
    with pytest.raises(StructureError, match=r"none of \[Sn-S, Zr-O\] is in"):
        watcher(
            crystal(),
            polyhedra=[
                PolyhedronSection(centre="Sn", ligand="S"),
                PolyhedronSection(centre="Zr", ligand="O"),
            ],
        )


def test_a_listed_unit_without_bonds_is_refused() -> None:
    with pytest.raises(StructureError, match="no Ge-P bond"):
        watcher(crystal(), polyhedra=[PolyhedronSection(centre="Ge", ligand="P")])


def test_a_cut_off_below_a_bond_of_the_start_structure_is_refused() -> None:
    with pytest.raises(StructureError, match=r"2\.05 Å long, beyond its cutoff_A of 1\.9 Å"):
        watcher(crystal(), polyhedra=[PolyhedronSection(centre="P", ligand="S", cutoff_A=1.9)])


def test_positions_of_another_structure_are_refused() -> None:
    positions, cells = still(2)

    with pytest.raises(StructureError, match=r"\(frame, 13, 3\)"):
        watcher(crystal()).watch(positions[:, 1:], cells)


def test_a_metal_has_no_units_and_stays_intact() -> None:
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.symbols[0] = "Li"
    positions, cells = still(2, atoms)
    positions[1, 5] += 0.5

    framework = watcher(atoms)
    state = framework.watch(positions, cells)

    assert framework.units == {}
    assert state.intact.all()
    assert state.framework_rmsd_A[1] > 0.05


def test_without_any_framework_there_is_no_displacement_to_speak_of() -> None:
    atoms = bulk("Li", cubic=True) * (2, 2, 2)

    state = watcher(atoms).watch(*still(2, atoms))

    assert state.intact.all()
    assert np.isnan(state.drift_A).all()
    assert np.isnan(state.framework_rmsd_A).all()


def test_sulphur_is_a_centre_among_oxygen() -> None:
    positions = np.concatenate([np.zeros((1, 3)), 1.48 * CORNERS, [[4.0, 4.0, 4.0]]])
    atoms = Atoms("SO4Li", positions=positions, cell=8.0 * np.eye(3), pbc=True)

    assert watcher(atoms).units == {"SO4": 1}


def test_a_unit_with_two_kinds_of_ligand_is_one_unit() -> None:
    atoms = crystal()
    atoms.symbols[1] = "Cl"

    framework = watcher(atoms)

    assert framework.units == {"GeS4": 1, "PS3Cl": 1}


def test_the_first_gap_ends_the_shell_before_the_covalent_radii_do() -> None:
    atoms = crystal()
    atoms.positions[10] = atoms.positions[0] + [0.0, 0.0, -2.62]

    assert watcher(atoms).units == {"GeS4": 1, "PS4": 1}


def test_a_cage_of_eight_and_a_lone_pair_are_no_rigid_units() -> None:
    cube = 2.5 * np.concatenate([CORNERS, -CORNERS])
    positions = np.concatenate([np.zeros((1, 3)), cube, [[7.0, 7.0, 7.0], [8.5, 7.0, 7.0]]])
    atoms = Atoms("LaO8PO", positions=positions + 3.0, cell=14.0 * np.eye(3), pbc=True)

    unasked = watcher(atoms)
    asked = watcher(atoms, polyhedra=[PolyhedronSection(centre="La", ligand="O")])

    assert unasked.units == {}
    assert asked.units == {"LaO8": 1}


def test_a_framework_survives_pickling() -> None:
    framework = pickle.loads(pickle.dumps(watcher(crystal())))

    assert framework.watch(*still(1)).intact.all()


@pytest.mark.parametrize(
    ("name", "mobile", "units"),
    [
        ("Li10GeP2S12", "Li", {"GeS4": 2, "PS4": 4}),
        ("Li10GeP2S12_P42mc_template", "Li", {"GeS4": 2, "PS4": 4}),
        ("Li10SiP2S12", "Li", {"PS4": 4, "SiS4": 2}),
        ("Li10SnP2S12", "Li", {"PS4": 4, "SnS4": 2}),
        ("Li9.54Si1.74P1.44S11.7Cl0.3", "Li", {"PS4": 3, "SiS3Cl": 1, "SiS4": 2}),
        ("Li7La3Zr2O12", "Li", {"ZrO6": 16}),
        ("Na3Zr2Si2PO12", "Na", {"PO4": 4, "SiO4": 8, "ZrO6": 8}),
    ],
)
def test_units_of_real_electrolytes_are_found_and_survive_thermal_motion(
    name: str, mobile: str, units: dict[str, int]
) -> None:
    path = STRUCTURES / f"POSCAR_{name}"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the project")
    atoms = read(path, format="vasp")
    positions, cells = still(50, atoms)
    positions[1:] += np.random.default_rng(2).normal(0, 0.06, size=positions[1:].shape)

    framework = watcher(atoms, mobile=mobile)
    state = framework.watch(positions, cells)

    assert framework.units == units
    assert state.intact.all()
