from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from pretender import TOY, toy
from studies import session
from study_player import MODELS, StudyPlayer

from dasksse.errors import AnalysisError
from dasksse.records import Frames, Labels, UnitContext, content_key
from dasksse.records.formula import reduced_formula
from dasksse.study.accuracy import Accuracy
from dasksse.study.accuracy_points import points
from dasksse.study.protocol import Protocol
from dasksse.train.evaluate import Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dasksse.records import Unit

LGPS, SNPS = "imported/a.Ge2Li20P4S24", "imported/c.Li10P2S12Sn"


# --- materials -------------------------------------------------------------------------------


def test_a_material_is_the_reduced_formula_in_the_order_of_the_type_map() -> None:
    type_map = ["Li", "Ge", "P", "S"]
    assert reduced_formula("Ge2Li20P4S24", type_map) == "Li10GeP2S12"
    assert reduced_formula("Cl4Li4", []) == "ClLi"
    assert reduced_formula("Ge8Li80P16S95", type_map) == "Li80Ge8P16S95"


# --- points ----------------------------------------------------------------------------------


def evaluation(folder: Path, *, n_frames: int, n_atoms: int) -> UnitContext:
    rng = np.random.default_rng(2)
    energy = rng.normal(-4.0, 0.010, size=n_frames)
    force = rng.normal(0.0, 0.8, size=n_frames * n_atoms * 3)
    number = np.tile(np.repeat([3] * (n_atoms // 2) + [17] * (n_atoms // 2), 3), n_frames)
    np.savez(
        folder / "evaluation.npz",
        **{
            "ClLi/energy_label": energy,
            "ClLi/energy_model": energy + 0.002,
            "ClLi/force_label": force,
            "ClLi/force_model": force + np.where(number == 3, 0.05, -0.1),
            "ClLi/force_number": number,
            "ClLi/deviation": np.zeros(n_frames),
        },
    )
    return UnitContext(folder, folder, lambda *_: None)


def test_errors_by_element_and_spreads_are_those_of_all_points(tmp_path: Path) -> None:
    context = evaluation(tmp_path, n_frames=400, n_atoms=10)
    payload = {"file": "evaluation.npz", "n_energies": 30, "n_forces": 50}

    found = points(payload, context)["ClLi"]

    assert found["by_element"]["Li"]["force_rmse_meV_A"] == pytest.approx(50.0)
    assert found["by_element"]["Cl"]["force_rmse_meV_A"] == pytest.approx(100.0)
    assert found["force_rms_meV_A"] == pytest.approx(800.0, rel=0.02)
    assert found["energy_std_meV_atom"] == pytest.approx(10.0, rel=0.1)
    drawn = found["points"]
    assert len(drawn["energy_label_meV_atom"]) == 30
    assert len(drawn["force_label_eV_A"]) == len(drawn["element"]) == 50
    offsets = np.subtract(drawn["energy_model_meV_atom"], drawn["energy_label_meV_atom"])
    np.testing.assert_allclose(offsets, 2.0, atol=2e-3)
    shifts = np.subtract(drawn["force_model_eV_A"], drawn["force_label_eV_A"])
    expected = [0.05 if element == "Li" else -0.1 for element in drawn["element"]]
    np.testing.assert_allclose(shifts, expected, atol=2e-4)


# --- the whole study with known errors -------------------------------------------------------


def salt_labels(n_frames: int, n_cells: int, seed: int) -> Labels:
    rng = np.random.default_rng(seed)
    numbers = np.array([3, 17] * n_cells)
    frames = Frames(
        numbers,
        rng.uniform(0.0, 9.0, size=(n_frames, 2 * n_cells, 3)),
        np.repeat(9.0 * np.eye(3)[None], n_frames, axis=0),
    )
    forces = rng.normal(0.0, 1.0, size=frames.positions.shape)
    virials = np.full((n_frames, 3, 3), np.nan)
    energies = rng.normal(size=n_frames)
    return Labels(frames, energies, forces, virials, "vasp", "PBE", is_surrogate=False)


def wrong_by_known_amounts(
    models: Sequence[Path], data: Sequence[tuple[str, Labels]], **_: Any
) -> list[Prediction]:
    """Member ``k`` is wrong by (1 + k) meV/atom and by 100 (1 + k) meV/Å."""
    factor = 1.0 + np.arange(len(models))
    return [
        Prediction(
            name,
            labels.energies + 1e-3 * factor[:, None] * labels.frames.n_atoms,
            labels.forces + 0.1 * factor[:, None, None, None],
            np.zeros((len(models), len(labels), 3, 3)),
        )
        for name, labels in data
    ]


def test_errors_are_mean_and_deviation_over_members_of_thinned_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dasksse.train.evaluate_models", wrong_by_known_amounts)
    root = tmp_path / "study"
    (root / "imported").mkdir(parents=True)
    digests = {}
    for place, (n_frames, n_cells) in enumerate([(30, 4), (10, 8)]):
        name = f"imported/{place}.Cl{n_cells}Li{n_cells}"
        salt_labels(n_frames, n_cells, place).save(root / f"{name}.npz")
        digests[name] = content_key(name)
    (root / "study.json").write_text('{"study": "study"}')
    values = yaml.safe_load(TOY.read_text())
    values["systems"][0]["structure"] = str(TOY.parent / values["systems"][0]["structure"])
    values["studies"] = {"accuracy": {"max_frames": 20}}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(values))
    protocol = Protocol(
        [Accuracy()], root=root, models=MODELS, labels=digests, base_dir=tmp_path
    )

    session(protocol, config, root)

    outcome = protocol.outcomes["accuracy"]
    (row,) = outcome.values["materials"]
    assert (row["material"], row["n_frames"], row["n_labels"]) == ("LiCl", 20, 40)
    assert row["mean"]["energy_rmse_meV_atom"] == pytest.approx(2.5)
    assert row["std"]["force_rmse_meV_A"] == pytest.approx(100.0 * np.std([1, 2, 3, 4], ddof=1))
    assert [m["force_rmse_meV_A"] for m in row["members"]] == pytest.approx(
        [100.0, 200.0, 300.0, 400.0]
    )
    assert row["force_rms_meV_A"] == pytest.approx(1000.0, rel=0.1)
    assert outcome.notes[1:] == ("LiCl: 20 of 40 labels, evenly drawn.",)
    json.dumps(outcome.to_json())
    Accuracy().draw(outcome.values).savefig(tmp_path / "figure.png")


# --- verdict ---------------------------------------------------------------------------------


def made_up(
    *, force: float, functional: str = "PBE", is_surrogate: bool = False
) -> StudyPlayer:
    def evaluate(unit: Unit) -> dict[str, Any]:
        def errors(scale: float) -> dict[str, Any]:
            return {
                "energy_rmse_meV_atom": 1.9 * scale,
                "force_rmse_meV_A": force * scale,
                "virial_rmse_meV_atom": None,
            }

        report = {
            "models": [{"path": "m", **errors(1.0)} for _ in MODELS],
            "mean": errors(1.0),
            "std": errors(0.02),
            "n_frames": 500,
        }
        return {"file": "e.npz", "rmse": dict.fromkeys(unit.payload["sources"], report)}

    def drawn(unit: Unit) -> dict[str, Any]:
        rng = np.random.default_rng(1)
        label = rng.normal(0.0, 0.9, 2000)
        energy = rng.normal(0.0, 15.0, 300)
        element = rng.choice(["Li", "Ge", "P", "S"], 2000)
        one = {
            "force_rms_meV_A": 900.0,
            "energy_std_meV_atom": 15.0,
            "by_element": {
                "Li": {"force_rmse_meV_A": 60.0, "force_rms_meV_A": 500.0, "force_slope": 0.97}
            },
            "points": {
                "energy_label_meV_atom": energy.tolist(),
                "energy_model_meV_atom": (energy + rng.normal(0.0, 1.9, 300)).tolist(),
                "force_label_eV_A": label.tolist(),
                "force_model_eV_A": (label + rng.normal(0.0, force / 1e3, 2000)).tolist(),
                "element": element.tolist(),
            },
        }
        return dict.fromkeys(["Li10GeP2S12", "Li10P2S12Sn"], one)

    return StudyPlayer(
        [Accuracy()],
        toy(type_map=["Li", "Ge", "P", "S", "Cl"]),
        answers={
            "imported": lambda _: {
                "n_good": 500,
                "source": "vasp 5.4.4",
                "functional": functional,
                "is_surrogate": is_surrogate,
            },
            "evaluate": evaluate,
            "accuracy_points:points": drawn,
        },
        labels={LGPS: "1" * 16, "imported/b.Ge8Li80P16S96": "2" * 16, SNPS: "3" * 16},
    )


def test_cells_of_one_material_are_one_line_beside_table_v_of_the_same_functional() -> None:
    study = made_up(force=84.0)

    outcome = study.conclude()

    (unit,) = study.asked("evaluate")
    assert {name: len(part) for name, part in unit.payload["sources"].items()} == {
        "Li10GeP2S12": 2,
        "Li10P2S12Sn": 1,
    }
    assert unit.payload["max_frames"] == 2000
    assert outcome.verdict.level == "trust"
    assert "force 84.0 ± 1.7 meV/Å, 9 % of the RMS force (900 meV/Å)" in outcome.verdict.text
    assert "1.65 ± 0.03 and 82.4 ± 0.91" in outcome.verdict.text
    assert "2.53 ± 0.02 and 92.5 ± 0.39" in outcome.verdict.text
    assert "have learned from are among them" in outcome.verdict.text
    lines = outcome.tables[0].rows
    assert [line["F, paper"] for line in lines] == ["82.4 ± 0.91", "92.5 ± 0.39"]
    assert outcome.values["materials"][0]["n_labels"] == 1000


def test_other_functionals_have_other_published_values_or_none() -> None:
    pbesol = made_up(force=84.0, functional="PBEsol").conclude().values["materials"]
    other = made_up(force=84.0, functional="r2SCAN").conclude()

    assert [row["published"]["force_rmse_meV_A"] for row in pbesol] == [79.6, 77.9]
    assert [row["published"] for row in other.values["materials"]] == [None, None]
    assert "F, paper" not in other.tables[0].rows[0]


@pytest.mark.parametrize(
    ("force", "is_surrogate", "level"),
    [(84.0, True, "care"), (200.0, False, "care"), (500.0, False, "doubt")],
)
def test_a_large_error_or_a_surrogate_lowers_the_verdict(
    force: float, is_surrogate: bool, level: str
) -> None:
    assert made_up(force=force, is_surrogate=is_surrogate).conclude().verdict.level == level


def test_a_run_without_labels_and_a_failed_evaluation_have_an_outcome() -> None:
    none = StudyPlayer([Accuracy()], toy()).conclude()
    failing = made_up(force=84.0)
    failing.answers["evaluate"] = lambda _: "no GPU"
    failed = failing.conclude()

    assert none.verdict.text == "The run has no labels to compare with."
    assert failed.verdict.text == "No errors: no GPU"
    with pytest.raises(AnalysisError, match="compared"):
        Accuracy().draw(none.values)
