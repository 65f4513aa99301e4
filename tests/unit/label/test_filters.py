"""Filters of labels: what each rule refuses, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms

from dasksse.config.schema import FiltersSection
from dasksse.label import LabelPart, Reference, filter_labels
from dasksse.records import Frames, Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.label import Filtered

REFERENCE_DATA = Path(__file__).parents[3] / "../shared/refdata/lgps_huang2021_pbe"

SIDE_A = 8.0
BOND_A = 2.0
CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3.0)
SYMBOLS = ["P", "S", "S", "S", "S", "P", "S", "S", "S", "S", "Li", "Li"]


def two_units() -> Atoms:
    """Two PS4 units, one of them across the faces of the cell, and two Li."""
    centres = np.array([[0.0, 0.0, 0.0], [4.0, 4.0, 4.0]])
    places = [place for c in centres for place in (c, *(c + BOND_A * CORNERS))]
    places += [[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]]
    return Atoms(SYMBOLS, positions=places, cell=[SIDE_A] * 3, pbc=True)


ATOMS = two_units()
BONDS = np.array([(0, i) for i in range(1, 5)] + [(5, i) for i in range(6, 10)])


def reference(**changes: Any) -> Reference:
    values: dict[str, Any] = {
        "frame": frames_of(ATOMS.positions[None]),
        "bonds": BONDS,
        "cutoffs_A": np.full(len(BONDS), 1.4 * BOND_A),
        "framework": np.arange(10),
    }
    return Reference(**(values | changes))


def frames_of(positions: NDArray[np.float64], scale: float = 1.0) -> Frames:
    cells = np.tile(scale * ATOMS.cell.array, (len(positions), 1, 1))
    return Frames(ATOMS.numbers, np.asarray(positions, float), cells)


def labels_of(
    frames: Frames,
    *,
    energies: Any = None,
    forces: Any = None,
    source: str = "code",
) -> Labels:
    n_frames = len(frames)
    return Labels(
        frames,
        np.zeros(n_frames) if energies is None else np.asarray(energies, float),
        np.zeros((n_frames, frames.n_atoms, 3)) if forces is None else forces,
        np.full((n_frames, 3, 3), np.nan),
        source,
        "PBE",
        is_surrogate=False,
    )


def part(
    labels: Labels,
    *,
    system: str = "LPS",
    temperature_K: float = np.nan,
    is_sampled: bool = True,
) -> LabelPart:
    return LabelPart(system, labels, np.full(len(labels), temperature_K), is_sampled)


def one_frame(move: dict[int, Any] | None = None, scale: float = 1.0) -> LabelPart:
    """The structure with some atoms moved [Å]."""
    positions = ATOMS.positions.copy()
    for atom, by in (move or {}).items():
        positions[atom] += by
    return part(labels_of(frames_of(positions[None] * scale, scale)))


def filtered(*parts: LabelPart, known: Reference | None = None, **rules: Any) -> Filtered:
    references = {} if known is None else {"LPS": known}
    return filter_labels(parts, FiltersSection(**rules), references)


def random_frames(n_frames: int, seed: int = 0) -> Frames:
    rng = np.random.default_rng(seed)
    return frames_of(ATOMS.positions + rng.normal(scale=0.01, size=(n_frames, len(ATOMS), 3)))


# --- distances -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "is_refused"),
    [
        (2.01, True),
        (1.99, False),
        ({"P-S": 2.01}, True),
        ({"P-P": 4.0}, False),
        ({"O-O": 4.0}, False),
    ],
)
def test_the_closest_pair_is_held_against_one_number_or_that_of_its_elements(
    limit: Any, is_refused: bool
) -> None:
    result = filtered(one_frame(), min_distance_A=limit)

    assert bool(result.rejected) is is_refused


def test_the_reason_names_elements_distance_and_limit() -> None:
    beside = ATOMS.positions[1] + [1.0, 0.0, 0.0] - ATOMS.positions[10]

    (rejected,) = filtered(one_frame({10: beside}), min_distance_A={"S-Li": 1.5}).rejected

    assert rejected.rule == "min_distance_A"
    assert rejected.reason in {
        f"{pair} distance of 1.00 Å is below 1.50 Å" for pair in ("Li-S", "S-Li")
    }


def test_atoms_that_are_close_through_a_face_of_the_cell_are_seen() -> None:
    moved = one_frame({10: [3.5, 0.0, 0.0]})  # Li at x = 7.5, P of the next cell at x = 8

    assert filtered(moved, min_distance_A=0.6).counts == {"min_distance_A": 1}


def test_auto_takes_six_tenths_of_the_sum_of_covalent_radii() -> None:
    limit = 0.6 * (1.28 + 1.07)  # Li and P
    near, far = (one_frame({10: [d - 4.0, 0.0, 0.0]}) for d in (limit - 0.01, limit + 0.01))

    refused = filtered(near, min_distance_A="auto").rejected

    assert f"is below {limit:.2f} Å" in refused[0].reason
    pairs = [text.reason.split()[0] for text in filtered(far, min_distance_A="auto").rejected]
    assert "Li-P" not in pairs
    assert "P-Li" not in pairs


# --- guards that need the structure ----------------------------------------------------------


@pytest.mark.parametrize(("scale", "n"), [(0.9, 1), (0.99, 0), (1.05, 0), (1.2, 1)])
def test_volume_is_compared_with_the_structure(scale: float, n: int) -> None:
    result = filtered(one_frame(scale=scale), known=reference(), volume_ratio=(0.9, 1.25))

    assert len(result.rejected) == n
    if n:
        assert f"volume is {scale**3:.3f} of that of the structure" in result.rejected[0].reason


@pytest.mark.parametrize(("change", "n"), [(0.19, 0), (0.21, 1), (-0.19, 0), (-0.21, 1)])
@pytest.mark.parametrize("corner", [1, 6], ids=["across a face", "inside"])
def test_a_bond_may_change_by_a_fifth_either_way(change: float, n: int, corner: int) -> None:
    moved = one_frame({corner: change * BOND_A * CORNERS[0]})

    result = filtered(moved, known=reference(), max_bond_change=0.2)

    assert len(result.rejected) == n
    if n:
        assert f"{100 * change:+.0f} % from the 2.00 Å" in result.rejected[0].reason


def test_rules_on_the_framework_do_not_look_at_the_mobile_atoms() -> None:
    moved = one_frame({10: [0.0, 2.0, 2.0], 11: [3.0, 0.0, 1.0]})

    result = filtered(
        moved,
        known=reference(),
        max_bond_change=0.2,
        max_broken_share=0.0,
        max_framework_rmsd_A=0.1,
    )

    assert result.rejected == ()


def test_units_with_a_broken_bond_are_counted_each_once() -> None:
    moved = one_frame({1: 1.0 * CORNERS[0], 2: 1.0 * CORNERS[1]})  # one unit, two bonds

    refused = filtered(moved, known=reference(), max_broken_share=0.4).rejected

    assert "1 of 2 framework units are broken" in refused[0].reason
    assert filtered(moved, known=reference(), max_broken_share=0.5).rejected == ()


def test_a_framework_that_left_its_places_is_molten() -> None:
    rng = np.random.default_rng(3)
    moves = rng.normal(scale=0.7, size=(10, 3))
    still = ATOMS.get_masses()[:10] @ moves / ATOMS.get_masses()[:10].sum()
    rmsd = np.sqrt(np.mean(np.sum((moves - still) ** 2, axis=1)))
    frame = one_frame(dict(enumerate(moves)))

    refused = filtered(frame, known=reference(), max_framework_rmsd_A=rmsd - 1e-6).rejected

    assert f"framework atoms are {rmsd:.2f} Å" in refused[0].reason
    kept = filtered(frame, known=reference(), max_framework_rmsd_A=rmsd + 1e-6)
    assert kept.rejected == ()


def test_drift_breathing_and_other_images_are_no_melting() -> None:
    rng = np.random.default_rng(5)
    images = SIDE_A * rng.integers(-2, 3, size=(len(ATOMS), 3))
    positions = 1.05 * (ATOMS.positions + images + np.array([3.9, 1.0, -2.0]))
    frame = part(labels_of(frames_of(positions[None], 1.05)))

    assert filtered(frame, known=reference(), max_framework_rmsd_A=1e-6).rejected == ()


@pytest.mark.parametrize(
    ("known", "note"),
    [
        (None, "max_bond_change did nothing for LPS: its structure is not known"),
        (
            reference(bonds=np.empty((0, 2), int), cutoffs_A=np.empty(0)),
            "max_bond_change did nothing for LPS: its structure has no rigid unit such as PS4",
        ),
    ],
)
def test_a_rule_that_cannot_act_says_so(known: Reference | None, note: str) -> None:
    result = filtered(one_frame(), one_frame(), known=known, max_bond_change=0.2)

    assert result.notes == (note,)
    assert len(result.kept) == 2


def test_labels_are_not_compared_with_a_structure_of_other_atoms() -> None:
    other = Frames(ATOMS.numbers[::-1], ATOMS.positions[None], ATOMS.cell.array[None])

    result = filtered(
        one_frame(scale=2.0), known=reference(frame=other), volume_ratio=(0.9, 1.1)
    )

    assert result.rejected == ()
    assert "has other atoms than these labels" in result.notes[0]


# --- distributions ---------------------------------------------------------------------------

SPREAD = np.linspace(-1.0, 1.0, 21)
"""Median 0, interquartile range 1."""


def energies_part(energies: Any, seed: int = 0, **about: Any) -> LabelPart:
    """Labels of given energies per atom [eV]."""
    energies = np.asarray(energies, float)
    frames = random_frames(len(energies), seed)
    return part(labels_of(frames, energies=energies * len(ATOMS)), **about)


@pytest.mark.parametrize(("factor", "n"), [(2.0, 2), (2.6, 1), (3.1, 0)])
def test_energies_far_from_the_median_are_refused_on_both_sides(factor: float, n: int) -> None:
    values = np.concatenate([SPREAD, SPREAD, [-2.5, 3.0]])
    assert np.percentile(values, [25, 50, 75]) == pytest.approx([-0.5, 0.0, 0.5], abs=0.05)

    result = filtered(energies_part(values, temperature_K=600.0), energy_iqr=factor)

    assert len(result.rejected) == n


def test_the_reason_of_an_outlier_names_value_limits_and_group() -> None:
    values = np.concatenate([SPREAD, SPREAD, [7.0]])

    (rejected,) = filtered(energies_part(values, temperature_K=600.0), energy_iqr=2.0).rejected

    assert rejected.rule == "energy_iqr"
    assert "energy of 7.0000 eV/atom is outside -2.1000 to 2.1000" in rejected.reason
    assert rejected.reason.endswith("of 43 frames, LPS at 600 K")


def test_statistics_are_never_taken_over_temperatures_or_systems() -> None:
    cold = energies_part(0.01 * SPREAD, temperature_K=300.0)
    warm = energies_part(0.01 * SPREAD + 1.0, seed=1, temperature_K=600.0)
    hot = energies_part(0.01 * SPREAD + 2.0, seed=2, temperature_K=600.0, system="LGPS")

    assert filtered(cold, warm, hot, energy_iqr=2.0).rejected == ()

    pooled = energies_part(
        np.concatenate([0.01 * SPREAD, 0.01 * SPREAD, 0.01 * SPREAD, 0.01 * SPREAD + 1.0])
    )
    assert filtered(pooled, energy_iqr=2.0).counts == {"energy_iqr": len(SPREAD)}


def test_statistics_are_taken_over_all_parts_of_a_temperature() -> None:
    parts = [energies_part([e], seed=i, temperature_K=600.0) for i, e in enumerate(SPREAD)]

    result = filtered(*parts, energies_part([9.0], temperature_K=600.0), energy_iqr=2.0)

    assert [len(result.rejected), len(result.kept)] == [1, len(SPREAD)]


def test_statistics_are_never_taken_over_sources() -> None:
    frames = random_frames(2 * len(SPREAD))
    energies = len(ATOMS) * np.concatenate([0.01 * SPREAD, 0.01 * SPREAD + 100.0])
    whole = labels_of(frames, energies=energies)
    first, second = np.split(np.arange(len(frames)), 2)
    other = whole.take(second)
    other = Labels(**{**vars(other), "source": "other code"})

    assert filtered(part(whole.take(first)), part(other), energy_iqr=2.0).rejected == ()


def test_perturbed_and_relaxed_crystals_are_no_sample_of_a_distribution() -> None:
    values = np.concatenate([SPREAD, [50.0]])

    result = filtered(energies_part(values, is_sampled=False), energy_iqr=2.0)

    assert result.rejected == ()
    assert result.notes == ()


def test_a_small_group_is_left_alone_and_that_is_said() -> None:
    values = np.concatenate([SPREAD, [50.0]])

    result = filtered(
        energies_part(values, temperature_K=600.0),
        energy_iqr=2.0,
        force_iqr=10.0,
        min_frames=23,
    )

    assert result.rejected == ()
    assert result.notes == (
        "energy_iqr and force_iqr did nothing for LPS at 600 K: 22 frames, 23 are needed",
    )


def test_one_wild_force_component_refuses_its_frame() -> None:
    rng = np.random.default_rng(11)
    forces = rng.normal(size=(30, len(ATOMS), 3))
    spread = np.subtract(*np.percentile(forces, [75, 25]))
    forces[7, 3, 1] = -10.5 * spread
    labels = labels_of(random_frames(30), forces=forces)

    result = filtered(part(labels), force_iqr=10.0)

    (rejected,) = result.rejected
    assert rejected.frame_key == labels.frames.content_keys()[7]
    assert f"force component of {forces[7, 3, 1]:.2f} eV/Å is outside" in rejected.reason
    assert "LPS at temperatures not known" in rejected.reason


def test_what_a_rule_on_one_frame_refused_does_not_shape_the_distribution() -> None:
    """Half the frames are broken and at high energy; they must not widen the limits."""
    sound = energies_part(np.append(SPREAD, 2.5), temperature_K=600.0)
    broken = energies_part(np.full(20, 100.0), seed=1, temperature_K=600.0)
    broken.labels.frames.positions[:, 10] = broken.labels.frames.positions[:, 11]

    result = filtered(sound, broken, min_distance_A=0.6, energy_iqr=2.0)

    assert result.counts == {"energy_iqr": 1, "min_distance_A": 20}


# --- all together ----------------------------------------------------------------------------


def test_every_frame_is_kept_or_rejected_once_and_no_label_is_touched() -> None:
    rng = np.random.default_rng(1)
    labels = labels_of(
        random_frames(40), energies=rng.standard_cauchy(40), forces=rng.normal(size=(40, 12, 3))
    )
    before = labels.energies.copy()

    result = filtered(part(labels), min_distance_A=1.97, energy_iqr=1.0, force_iqr=1.0)

    kept = [key for one in result.kept for key in one.labels.frames.content_keys()]
    gone = [one.frame_key for one in result.rejected]
    assert len(result.counts) > 1
    assert sum(result.counts.values()) == len(gone)
    assert sorted(kept + gone) == sorted(labels.frames.content_keys())
    np.testing.assert_array_equal(labels.energies, before)


def test_the_order_of_the_parts_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    parts = [
        energies_part(rng.standard_cauchy(9), seed=i, temperature_K=300.0 + 100 * (i % 2))
        for i in range(6)
    ]

    results = [filtered(*order, energy_iqr=2.0) for order in (parts, parts[::-1])]

    keys = [{one.frame_key for one in result.rejected} for result in results]
    assert keys[0] == keys[1] != set()


def test_nothing_is_refused_when_all_rules_are_off() -> None:
    close = one_frame({10: [-3.9, 0.0, 0.0]}, scale=1.5)

    result = filtered(close, known=reference())

    assert result.kept[0].labels.frames.content_keys() == close.labels.frames.content_keys()
    assert result.rejected == result.notes == ()


# --- true DFT labels -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def huang_parts() -> list[LabelPart]:
    """Labels of Huang et al., each set a system of its own."""
    numbers = np.array([3, 32, 15, 16])
    parts = []
    for folder in sorted(path.parent for path in REFERENCE_DATA.rglob("type.raw")):
        types = np.loadtxt(folder / "type.raw", dtype=int)
        arrays = {
            name: np.concatenate([np.load(f) for f in sorted(folder.glob(f"set.*/{name}.npy"))])
            for name in ("coord", "box", "energy", "force")
        }
        n = len(arrays["energy"])
        name = folder.relative_to(REFERENCE_DATA).as_posix()
        frames = Frames(
            numbers[types],
            arrays["coord"].reshape(n, -1, 3).astype(float),
            arrays["box"].reshape(n, 3, 3).astype(float),
        )
        labels = labels_of(
            frames,
            energies=arrays["energy"].reshape(n),
            forces=arrays["force"].reshape(n, -1, 3).astype(float),
            source="VASP",
        )
        is_sampled = not name.endswith("LiGePS-init.system")
        parts.append(part(labels, system=name, is_sampled=is_sampled))
    return parts


@pytest.mark.refdata
def test_true_labels_pooled_would_lose_the_start_set_and_grouped_do_not(
    huang_parts: list[LabelPart],
) -> None:
    """Why statistics keep to one system: over a mixed set they tell temperature, not error."""
    parts = huang_parts
    energies = np.concatenate([p.labels.energies / p.labels.frames.n_atoms for p in parts])
    lower, median, upper = np.percentile(energies, [25, 50, 75])
    low = median - 2.0 * (upper - lower)
    is_lost = [p.labels.energies / p.labels.frames.n_atoms < low for p in parts]
    assert 0.14 < np.concatenate(is_lost).mean() < 0.16
    assert next(
        lost.all() for lost, p in zip(is_lost, parts, strict=True) if "init.system" in p.system
    )

    result = filtered(*parts, energy_iqr=2.0)

    lost_systems = [one.system for one in result.rejected]
    assert not any("init.system" in system for system in lost_systems)
    assert len(lost_systems) < 0.05 * len(energies)


@pytest.mark.refdata
def test_no_true_label_is_below_the_automatic_distances(
    huang_parts: list[LabelPart],
) -> None:
    result = filtered(*huang_parts, min_distance_A="auto")

    assert result.rejected == ()
    assert sum(len(one.labels) for one in result.kept) == 5418


@pytest.mark.refdata
def test_forces_of_true_labels_are_hardly_ever_outside_ten_ranges(
    huang_parts: list[LabelPart],
) -> None:
    result = filtered(*huang_parts, force_iqr=10.0)

    assert 0 < len(result.rejected) < 0.005 * 5418
