from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from dasksse.config.schema import CationOrderingSection
from dasksse.errors import StructureError
from dasksse.structures import (
    make_supercell,
    minimum_distances,
    permute_cations,
    read_structure,
    scale_volume,
    start_set,
    to_atoms,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def lgps(crystals: Path) -> Atoms:
    return to_atoms(read_structure("Li10GeP2S12_ordered.cif", base_dir=crystals))


def test_supercell_repeats_atoms_and_cell(lgps: Atoms) -> None:
    repeated = make_supercell(lgps, (3, 3, 2))

    assert len(repeated) == 900
    np.testing.assert_allclose(repeated.cell.lengths(), lgps.cell.lengths() * [3, 3, 2])


def test_volume_is_scaled_with_fractions_kept(lgps: Atoms) -> None:
    scaled = scale_volume(lgps, 1.05)

    assert scaled.get_volume() == pytest.approx(1.05 * lgps.get_volume())
    np.testing.assert_allclose(
        scaled.positions, lgps.positions * 1.05 ** (1.0 / 3.0), atol=1e-9
    )


@pytest.mark.parametrize("site", ["M1", None])
def test_permutation_keeps_composition_and_places(lgps: Atoms, site: str | None) -> None:
    section = CationOrderingSection(species=("Ge", "P"), site=site, seed=3)
    crystal = make_supercell(lgps, (2, 2, 1))

    permuted = permute_cations(crystal, section)

    assert permuted.get_chemical_formula() == crystal.get_chemical_formula()
    assert permuted.get_chemical_symbols() != crystal.get_chemical_symbols()
    np.testing.assert_array_equal(permuted.positions, crystal.positions)
    untouched = ~np.isin(crystal.get_chemical_symbols(), ["Ge", "P"])
    np.testing.assert_array_equal(permuted.numbers[untouched], crystal.numbers[untouched])


def test_permutation_on_a_site_leaves_other_sites_alone(lgps: Atoms) -> None:
    crystal = make_supercell(lgps, (2, 2, 2))
    elsewhere = np.array([name.startswith("P2") for name in crystal.arrays["site_names"]])

    seeds = [CationOrderingSection(species=("Ge", "P"), site="M1", seed=s) for s in range(5)]
    permuted = [permute_cations(crystal, section) for section in seeds]

    assert elsewhere.sum() == 16
    assert all((p.numbers[elsewhere] == 15).all() for p in permuted)
    assert len({tuple(p.numbers) for p in permuted}) == 5


def test_permutation_depends_on_the_seed_alone(lgps: Atoms) -> None:
    section = CationOrderingSection(species=("Ge", "P"), seed=5)

    first, second = (permute_cations(lgps, section) for _ in range(2))

    assert first.get_chemical_symbols() == second.get_chemical_symbols()


def test_every_arrangement_of_the_shared_site_is_drawn(lgps: Atoms) -> None:
    found = {
        tuple(
            permute_cations(
                lgps, CationOrderingSection(species=("Ge", "P"), site="M1", seed=seed)
            ).numbers
        )
        for seed in range(80)
    }

    assert len(found) == 6


def test_structure_is_permuted_as_atoms_are(crystals: Path, lgps: Atoms) -> None:
    structure = read_structure("Li10GeP2S12_ordered.cif", base_dir=crystals)
    section = CationOrderingSection(species=("Ge", "P"), site="M1", seed=1)

    permuted = permute_cations(structure, section)

    symbols = permute_cations(lgps, section).get_chemical_symbols()
    assert [site.specie.symbol for site in permuted] == symbols
    assert [site.label for site in permuted] == [site.label for site in structure]


def test_exact_site_name_is_preferred_to_a_beginning() -> None:
    atoms = Atoms("NaKNaK", positions=np.eye(4, 3), cell=[9, 9, 9], pbc=True)
    atoms.new_array("site_names", np.array(["A1", "A1", "A12", "A12"]))

    changed = [
        permute_cations(atoms, CationOrderingSection(species=("Na", "K"), site="A1", seed=seed))
        for seed in range(20)
    ]

    assert all(list(c.numbers[2:]) == [11, 19] for c in changed)
    assert any(list(c.numbers[:2]) == [19, 11] for c in changed)


def test_unknown_site_is_refused_with_the_known_ones(lgps: Atoms) -> None:
    section = CationOrderingSection(species=("Ge", "P"), site="4x")

    with pytest.raises(StructureError, match=r"no site '4x' holds Ge or P; .*M1_1.*P2_1"):
        permute_cations(lgps, section)


@pytest.mark.parametrize(
    ("species", "site", "message"),
    [
        (("Ge", "P"), "P2", "site 'P2' holds P of"),
        (("Si", "Sn"), None, "the crystal holds none"),
    ],
)
def test_nothing_to_exchange_is_refused(
    lgps: Atoms, species: tuple[str, str], site: str | None, message: str
) -> None:
    with pytest.raises(StructureError, match=message):
        permute_cations(lgps, CationOrderingSection(species=species, site=site))


def test_start_set_begins_with_the_crystal_and_has_the_size_asked_for(lgps: Atoms) -> None:
    frames = start_set(
        lgps, n_frames=590, rattle_A=(0.02, 0.08), strain=0.03, min_distance_A=1.0, seed=1
    )

    assert len(frames) == 590
    np.testing.assert_array_equal(frames.positions[0], lgps.positions)
    np.testing.assert_array_equal(frames.cells[0], lgps.cell.array)
    np.testing.assert_array_equal(frames.numbers, lgps.numbers)
    assert minimum_distances(frames).min() >= 1.0
    assert len(set(frames.content_keys())) == 590


def test_strain_is_symmetric_uniform_and_within_its_bound(lgps: Atoms) -> None:
    frames = start_set(
        lgps, n_frames=400, rattle_A=(0.02, 0.08), strain=0.03, min_distance_A=1.0, seed=2
    )

    strains = np.linalg.inv(lgps.cell.array) @ frames.cells[1:] - np.eye(3)
    np.testing.assert_allclose(strains, np.swapaxes(strains, 1, 2), atol=1e-12)
    assert np.abs(strains).max() <= 0.03
    np.testing.assert_allclose(strains.std(axis=0), 0.03 / np.sqrt(3.0), rtol=0.12)
    np.testing.assert_allclose(strains.mean(axis=0), 0.0, atol=0.004)


def test_rattle_is_gaussian_with_a_width_from_the_range(lgps: Atoms) -> None:
    frames = start_set(
        make_supercell(lgps, (2, 2, 1)),
        n_frames=300,
        rattle_A=(0.02, 0.08),
        strain=0.0,
        min_distance_A=1.0,
        seed=3,
    )

    widths = (frames.positions[1:] - frames.positions[0]).std(axis=(1, 2))
    assert widths.min() == pytest.approx(0.02, abs=0.004)
    assert widths.max() == pytest.approx(0.08, abs=0.006)
    assert widths.mean() == pytest.approx(0.05, abs=0.004)


def test_longer_start_set_begins_with_the_shorter_one(lgps: Atoms) -> None:
    short, long = (
        start_set(
            lgps, n_frames=n, rattle_A=(0.02, 0.08), strain=0.03, min_distance_A=1.0, seed=4
        )
        for n in (5, 9)
    )

    np.testing.assert_array_equal(long.positions[:5], short.positions)


def test_frames_with_close_atoms_are_drawn_again() -> None:
    crystal = bulk("Cu", cubic=True)

    frames = start_set(
        crystal, n_frames=60, rattle_A=(0.2, 0.2), strain=0.0, min_distance_A=2.0, seed=0
    )
    unchecked = start_set(
        crystal, n_frames=60, rattle_A=(0.2, 0.2), strain=0.0, min_distance_A=0.1, seed=0
    )

    assert minimum_distances(unchecked).min() < 2.0
    assert minimum_distances(frames).min() >= 2.0


def test_crystal_with_closer_atoms_than_asked_is_refused() -> None:
    with pytest.raises(StructureError, match=r"crystal itself are 2.55 Å apart"):
        start_set(
            bulk("Cu"), n_frames=2, rattle_A=(0.1, 0.1), strain=0.0, min_distance_A=2.6, seed=0
        )


def test_perturbation_that_always_brings_atoms_too_close_is_refused() -> None:
    with pytest.raises(StructureError, match=r"frame 1 .* 200 draws.*itself are 2.55 Å"):
        start_set(
            bulk("Cu", cubic=True).repeat(2),
            n_frames=2,
            rattle_A=(1.0, 1.0),
            strain=0.0,
            min_distance_A=2.5,
            seed=0,
        )
