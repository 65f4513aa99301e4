from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from ase.build import bulk
from pretender import TOY, toy
from studies import session
from study_player import StudyPlayer

from dasksse.errors import AnalysisError, StructureError
from dasksse.records import Frames, UnitContext
from dasksse.study.locality import Locality
from dasksse.study.locality_frames import by_element, central_atoms, draw, spread
from dasksse.study.protocol import Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.records import Unit
    from dasksse.study.outcome import Outcome

SALT_A = 5.3


def salt(repeats: int, a: float = SALT_A) -> Frames:
    atoms = bulk("LiCl", "rocksalt", a=a, cubic=True) * repeats
    return Frames(atoms.numbers, atoms.positions[None], atoms.cell.array[None])


def context(folder: Path) -> UnitContext:
    (folder / "work").mkdir(exist_ok=True)
    return UnitContext(folder, folder / "work", lambda *_: None)


def drawn(folder: Path, crystal: Frames, **changes: Any) -> tuple[dict[str, Any], Frames]:
    crystal.save(folder / "crystal.npz")
    payload = {
        "structure_file": "crystal.npz",
        "radii_A": [5.0, 3.0],
        "atoms_per_element": 1,
        "n_frames": 3,
        "rattle_A": 0.1,
        "min_distance_A": 1.0,
        "seed": 3,
    }
    record = draw({**payload, **changes}, context(folder))
    return record, Frames.load(folder / "work/frames.npz")


# --- frames ----------------------------------------------------------------------------------


def test_within_the_radius_nothing_moves_and_beyond_it_everything_does(tmp_path: Path) -> None:
    crystal = salt(2)

    record, frames = drawn(tmp_path, crystal)

    assert [(c["element"], c["radius_A"]) for c in record["centres"]] == [
        *(("Li", r) for r in (3.0, 5.0)),
        *(("Cl", r) for r in (3.0, 5.0)),
    ]
    images = crystal.cells[0, 0, 0] * np.stack(
        np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1
    ).reshape(-1, 1, 3)
    for centre in record["centres"]:
        vectors = crystal.positions[0] - crystal.positions[0, centre["atom"]]
        is_near = np.linalg.norm(vectors + images, axis=-1).min(axis=0) <= centre["radius_A"]
        at = slice(centre["first"], centre["first"] + 3)
        moved = np.linalg.norm(frames.positions[at] - crystal.positions, axis=-1)
        assert centre["n_fixed"] == is_near.sum()
        assert not moved[:, is_near].any()
        assert moved[:, ~is_near].all()


def test_displacements_have_the_width_that_was_asked_for(tmp_path: Path) -> None:
    crystal = salt(3)

    _, frames = drawn(tmp_path, crystal, radii_A=[3.0], n_frames=20, rattle_A=0.07)

    steps = frames.positions - crystal.positions
    assert np.std(steps[steps != 0.0]) == pytest.approx(0.07, rel=0.02)


def test_a_larger_radius_holds_back_more_of_the_same_displacements(tmp_path: Path) -> None:
    _, frames = drawn(tmp_path, salt(2), atoms_per_element=1)

    small, large = frames.positions[:3], frames.positions[3:6]
    is_free = (large != salt(2).positions).any(axis=-1)
    np.testing.assert_array_equal(small[is_free], large[is_free])


def test_a_radius_above_half_the_width_of_the_cell_is_left_out_and_said_so(
    tmp_path: Path,
) -> None:
    record, _ = drawn(tmp_path, salt(2), radii_A=[5.3, 5.31])

    assert {centre["radius_A"] for centre in record["centres"]} == {5.3}
    assert record["left_out"] == ["5.31 Å: the cell is only 10.60 Å wide, below 2 r"]


def test_atoms_that_cannot_be_kept_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StructureError, match=r"lower studies\.locality\.rattle_A"):
        drawn(tmp_path, salt(2), min_distance_A=2.64)


def test_central_atoms_have_different_surroundings_and_are_no_images_of_each_other() -> None:
    cell = salt(1)
    positions = cell.positions.copy()
    # one of four Li is different
    positions[0, 0, 0] += 0.4
    unit = bulk("LiCl", "rocksalt", a=SALT_A, cubic=True)
    unit.positions = positions[0]
    big = unit * (2, 2, 2)
    crystal = Frames(big.numbers, big.positions[None], big.cell.array[None])
    images_of_it = {8 * i for i in range(8)}

    for seed in range(5):
        chosen = central_atoms(crystal, per_element=2, seed=seed)

        li = [atom for atom in chosen if crystal.numbers[atom] == 3]
        assert len(set(chosen)) == 4
        assert len(images_of_it & set(li)) == 1


def test_an_element_with_few_atoms_gives_all_of_them() -> None:
    assert sorted(central_atoms(salt(1), per_element=9, seed=1)) == list(range(8))


# --- spread ----------------------------------------------------------------------------------


def test_spread_is_the_width_of_all_three_components_with_its_standard_error() -> None:
    rng = np.random.default_rng(1)
    n_frames = 10
    draws = rng.normal(5.0, 0.02, size=(4000, n_frames, 3))

    found = np.array([spread(forces) for forces in draws])

    assert np.sqrt(np.mean(found[:, 0] ** 2)) == pytest.approx(0.02 * np.sqrt(3), rel=0.01)
    assert np.std(found[:, 0]) == pytest.approx(found[:, 1].mean(), rel=0.05)


def test_elements_are_means_over_their_atoms_with_the_scatter_between_them() -> None:
    centre = {"radius_A": 6.0, "n_frames": 5, "error_eV_A": 0.003}
    rows = by_element(
        [
            {**centre, "element": "Li", "sigma_eV_A": 0.010},
            {**centre, "element": "Ge", "sigma_eV_A": 0.050},
            {**centre, "element": "Li", "sigma_eV_A": 0.014},
            {**centre, "element": "Li", "sigma_eV_A": None, "error_eV_A": None},
        ]
    )

    li, ge = rows
    assert (li["sigma_eV_A"], li["n_atoms"], li["n_frames"]) == (pytest.approx(0.012), 2, 10)
    assert li["scatter_eV_A"] == pytest.approx(0.004 / np.sqrt(2))
    assert li["error_eV_A"] == pytest.approx(0.003 / np.sqrt(2))
    assert (ge["element"], ge["scatter_eV_A"], ge["error_eV_A"]) == ("Ge", None, 0.003)


# --- the whole study -------------------------------------------------------------------------


def locality_of_toy(tmp_path: Path, *, rc_A: float, screening_per_A: float) -> Outcome:
    """The study with the toy calculator, from structure file to outcome."""
    values = yaml.safe_load(TOY.read_text())
    values["systems"][0]["structure"] = str(TOY.parent / values["systems"][0]["structure"])
    settings = values["label"]["calculator"]["settings"]
    settings |= {"rc_A": rc_A, "screening_per_A": screening_per_A}
    values["studies"] = {
        "locality": {
            "supercell": [3, 3, 3],
            "radii_A": [4.0, 5.5, 7.5],
            "n_frames": 6,
            "rattle_A": 0.05,
        }
    }
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(values))
    protocol = Protocol(
        [Locality()], root=tmp_path / "study", models=(), labels={}, base_dir=tmp_path
    )
    session(protocol, config, tmp_path / "study")
    return protocol.outcomes["locality"]


def sigmas(outcome: Outcome) -> dict[str, list[float]]:
    rows = outcome.values["rows"]
    return {
        element: [row["sigma_meV_A"] for row in rows if row["element"] == element]
        for element in ("Li", "Cl")
    }


def test_a_pair_potential_with_a_cutoff_below_the_radius_gives_zero(tmp_path: Path) -> None:
    outcome = locality_of_toy(tmp_path, rc_A=5.0, screening_per_A=0.1)

    for of_element in sigmas(outcome).values():
        assert of_element[0] > 1.0
        assert of_element[1:] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert outcome.tables[0].rows[1]["Li, σ [meV/Å]"] == "0"
    assert "surrogate" in outcome.verdict.text
    assert outcome.verdict.level == "care"
    json.dumps(outcome.to_json())


def test_long_ranged_forces_spread_less_the_larger_the_radius(tmp_path: Path) -> None:
    outcome = locality_of_toy(tmp_path, rc_A=10.0, screening_per_A=0.1)

    for of_element in sigmas(outcome).values():
        assert of_element == sorted(of_element, reverse=True)
        assert of_element[-1] > 0.1
        assert of_element[0] > 2.0 * of_element[-1]


SIGMAS = {"Li": 0.003, "Ge": 0.012, "P": 0.009, "S": 0.006}


def centres_of(radii_A: list[float]) -> list[dict[str, Any]]:
    """Sixteen frames for each of two atoms of an element and each radius."""
    return [
        {
            "element": element,
            "atom": 10 * place + number,
            "radius_A": radius_A,
            "n_fixed": 40,
            "first": 0,
            "n_frames": 16,
        }
        for place, element in enumerate(SIGMAS)
        for number in range(2)
        for radius_A in radii_A
    ]


def made_up(
    *, radii_A: list[float], left_out: list[str], is_surrogate: bool = False, **changes: Any
) -> StudyPlayer:
    def forces(unit: Unit) -> dict[str, Any]:
        found = [
            {
                **centre,
                "sigma_eV_A": SIGMAS[centre["element"]]
                * (6.0 / centre["radius_A"]) ** 2
                * (1.1 if centre["atom"] % 10 else 0.9),
                "error_eV_A": 0.001,
            }
            for centre in unit.payload["centres"]
        ]
        return {
            "centres": found,
            "source": "vasp 6",
            "functional": "PBE",
            "is_surrogate": is_surrogate,
        }

    def frames(unit: Unit) -> dict[str, Any]:
        centres = centres_of(radii_A)
        n_frames = sum(centre["n_frames"] for centre in centres)
        return {
            "file": "frames.npz",
            "n_frames": n_frames,
            "frame_keys": [f"frame-{number}" for number in range(n_frames)],
            "centres": centres,
            "left_out": left_out,
            "width_A": 17.4,
        }

    config = toy(select__trust={"low_eV_A": 0.12, "high_eV_A": 0.25}, **changes)
    return StudyPlayer(
        [Locality()],
        config,
        answers={
            "locality_frames:draw": frames,
            "label": lambda unit: {"n_good": len(unit.payload["indices"])},
            "locality_frames:from_labels": forces,
            "locality_frames:from_models": forces,
        },
    )


RADII = [5.5, 6.0, 6.5, 7.0]


def test_all_frames_are_labelled_without_virial_and_without_a_cap_on_forces() -> None:
    study = made_up(radii_A=RADII, left_out=[], label__batch_size=5)

    study.conclude()

    labels = study.asked("label")
    indices = sorted(index for unit in labels for index in unit.payload["indices"])
    assert indices == list(range(len(SIGMAS) * 2 * len(RADII) * 16))
    assert all(not unit.payload["virial"] for unit in labels)
    assert all(unit.payload["max_force_eV_A"] > 1e6 for unit in labels)
    (reduction,) = study.asked("locality_frames:from_labels")
    assert sorted(i for _, part in reduction.payload["units"] for i in part) == indices


def test_the_verdict_is_about_the_radius_at_the_cutoff_against_the_trust_level() -> None:
    study = made_up(
        radii_A=RADII,
        left_out=["9 Å: the cell is only 17.40 Å wide, below 2 r"],
        train__descriptor={"type": "se_e2_a", "rcut": 6.0},
    )

    outcome = study.conclude()

    assert outcome.verdict.level == "trust"
    assert "beyond 6 Å by 0.1 Å" in outcome.verdict.text
    assert "Ge 12.0 ± 0.7" in outcome.verdict.text
    assert "10 % of the lower trust level (120 meV/Å)" in outcome.verdict.text
    assert outcome.notes == ("Left out: 9 Å: the cell is only 17.40 Å wide, below 2 r.",)
    assert outcome.values["published"] == {
        "material": "Li10GeP2S12",
        "low_meV_A": 5.0,
        "high_meV_A": 10.0,
    }
    assert outcome.tables[0].rows[0]["paper, all elements [meV/Å]"] == "around 5 to 10"
    Locality().draw(outcome.values).savefig("/dev/null", format="png")


def test_forces_of_the_models_need_no_labels_and_are_said_to_be_of_the_models() -> None:
    study = made_up(
        radii_A=[6.0],
        left_out=[],
        is_surrogate=True,
        train__descriptor={"type": "se_e2_a", "rcut": 6.0},
        studies={"locality": {"forces_from": "models"}},
    )

    outcome = study.conclude()

    assert not study.asked("label")
    assert outcome.verdict.level == "care"
    assert "shows the models, not the material" in outcome.verdict.text


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ("locality_frames:draw", "No frames: it died"),
        ("locality_frames:from_labels", "No forces: it died"),
    ],
)
def test_a_failed_stage_gives_an_outcome_without_numbers(stage: str, text: str) -> None:
    study = made_up(radii_A=[6.0], left_out=[])
    study.answers[stage] = lambda _: "it died\nlong log"

    outcome = study.conclude()

    assert (outcome.verdict.level, outcome.verdict.text) == ("doubt", text)
    with pytest.raises(AnalysisError, match="two frames"):
        Locality().draw(outcome.values)


def test_frames_without_label_are_counted_and_their_units_not_read() -> None:
    study = made_up(radii_A=[6.0], left_out=[], label__batch_size=16)
    forces_of_all = study.answers["locality_frames:from_labels"]
    lost: list[str] = []

    def label(unit: Unit) -> dict[str, Any] | str:
        if unit.payload["indices"][0] != 16:
            return {"n_good": 16}
        lost.append(unit.key)
        return "not self-consistent"

    def forces(unit: Unit) -> dict[str, Any]:
        found: dict[str, Any] = forces_of_all(unit)  # type: ignore[assignment]
        found["centres"][1] |= {"n_frames": 0, "sigma_eV_A": None, "error_eV_A": None}
        return found

    study.answers |= {"label": label, "locality_frames:from_labels": forces}

    outcome = study.conclude()

    (reduction,) = study.asked("locality_frames:from_labels")
    assert len(lost) == 1
    assert lost[0] not in [key for key, _ in reduction.payload["units"]]
    assert outcome.notes == ("16 of 128 frames have no label.",)
    assert outcome.values["rows"][0]["n_atoms"] == 1


def test_no_sphere_that_fits_is_said(tmp_path: Path) -> None:
    outcome = made_up(radii_A=[], left_out=["9 Å: the cell is too small"]).conclude()

    assert outcome.verdict.text == "No sphere fits the cell, which is 17.40 Å wide."
    assert outcome.notes == ("Left out: 9 Å: the cell is too small.",)


def test_labels_that_are_needed_are_known_before() -> None:
    config = toy(studies={"locality": {"n_frames": 7, "radii_A": [5, 6]}})

    assert Locality().n_labels(config) == 2 * 2 * 7
