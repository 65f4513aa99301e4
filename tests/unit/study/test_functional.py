from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pretender import TOY, toy
from study_player import MODELS, StudyPlayer, runs_of

from dasksse.config.load import load_config
from dasksse.errors import AnalysisError, ConfigError
from dasksse.study.functional import Functional, check_runs, mean_ratio

if TYPE_CHECKING:
    from pathlib import Path

    from study_player import DOf

TEMPERATURES_K = (400.0, 600.0, 800.0)


def write_ensemble(run: Path, *, generation: int = 3, text: str = "solid") -> None:
    folder = run / "models" / f"{generation:03d}"
    folder.mkdir(parents=True)
    for member in range(2):
        (folder / f"model_{member}.pb").write_text(f"{text} {generation} {member}")


def law(at_K: float) -> float:
    return 1e-8 * math.exp(-2300.0 / at_K)


def D_of(name: str, at_K: float) -> tuple[float, float]:
    D = law(at_K) * (1.0 if name.endswith("-own") else 1.1)
    return D, 0.05 * D


def study(
    tmp_path: Path,
    D: DOf = D_of,
    runs: dict[str, str] | None = None,
    **options: Any,
) -> StudyPlayer:
    section = {
        "temperatures_K": list(TEMPERATURES_K),
        "length_ps": 0.4,
        "runs": {"PBEsol": "../pbesol"} if runs is None else runs,
        "name": "PBE",
        **options.pop("section", {}),
    }
    (tmp_path / "configs").mkdir(exist_ok=True)
    return StudyPlayer(
        [Functional()],
        toy(studies__functional=section),
        D,
        models=MODELS[:2],
        root=tmp_path / "studies",
        base_dir=tmp_path / "configs",
        **options,
    )


def test_the_other_run_gives_its_newest_ensemble_by_content(tmp_path: Path) -> None:
    write_ensemble(tmp_path / "pbesol", generation=2, text="old")
    write_ensemble(tmp_path / "pbesol", generation=3, text="new")
    player = study(tmp_path)

    player.conclude()

    models = [unit.payload["spec"]["models"] for unit in player.asked("production")]
    own, other = models[:3], models[3:]
    assert own == [["ensemble/0.pb", "ensemble/1.pb"]] * 3
    copied = [(tmp_path / "studies" / name).read_text() for name in other[0]]
    assert copied == ["new 3 0", "new 3 1"]
    structures = {unit.payload["structure_file"] for unit in player.asked("production")}
    assert len(structures) == 1, "the same cell"


def test_ratios_and_their_mean_are_those_that_were_put_in(tmp_path: Path) -> None:
    write_ensemble(tmp_path / "pbesol")

    outcome = study(tmp_path).conclude()

    ratios = [p for p in outcome.values["points"] if p["functional"] == "PBEsol"]
    error = 1.1 * 0.05 * 2**0.5
    assert [p["ratio"] for p in ratios] == pytest.approx([1.1] * 3)
    assert [p["ratio_err"] for p in ratios] == pytest.approx([error] * 3)
    (mean,) = outcome.values["mean_ratios"]
    assert mean["ratio"] == pytest.approx(1.1)
    assert mean["ratio_err"] == pytest.approx(error / 3**0.5)
    assert outcome.verdict.level == "doubt"
    assert "differ beyond the errors" in outcome.verdict.text
    assert any("dasksse relax" in note for note in outcome.notes)
    json.dumps(outcome.to_json())


def test_equal_D_with_small_errors_are_the_same_and_with_large_ones_undecided(
    tmp_path: Path,
) -> None:
    write_ensemble(tmp_path / "pbesol")

    same = study(tmp_path, lambda _name, at_K: (law(at_K), 0.05 * law(at_K))).conclude()
    vague = study(tmp_path, lambda _name, at_K: (law(at_K), 0.4 * law(at_K))).conclude()

    assert same.verdict.level == "trust"
    assert "the same within errors." in same.verdict.text
    assert vague.verdict.level == "care"
    assert "too large to tell" in vague.verdict.text


def test_a_ratio_that_changes_with_temperature_is_no_mean() -> None:
    found = mean_ratio("PBEsol", [0.5, 1.0, 2.0], [0.05, 0.1, 0.2])

    assert found is not None
    assert not found.is_constant
    assert found.ratio == pytest.approx(1.0)


def test_the_mean_ratio_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    error = np.array([0.05, 0.1, 0.2])
    found = [
        mean_ratio("x", list(ratios), list(error * ratios))
        for ratios in np.exp(error * rng.standard_normal((600, 3)))
    ]

    held = np.mean([one.is_one for one in found if one is not None])
    assert held == pytest.approx(0.96, abs=0.03)


def test_a_run_without_ensemble_is_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "pbesol").mkdir()

    outcome = study(tmp_path).conclude()

    assert outcome.verdict.level == "doubt"
    assert any("studies.functional.runs.PBEsol" in note for note in outcome.notes)
    assert len(outcome.values["points"]) == 3


def test_runs_that_failed_or_have_no_D_still_give_an_outcome(tmp_path: Path) -> None:
    write_ensemble(tmp_path / "pbesol")

    outcome = study(
        tmp_path, is_failing=lambda u: u.kind == "production" and "PBEsol" in u.payload["group"]
    ).conclude()
    assert "No temperature has a D with two functionals" in outcome.verdict.text
    assert any("no frames" in note for note in outcome.notes)

    outcome = study(tmp_path, is_failing=runs_of()).conclude()
    with pytest.raises(AnalysisError):
        Functional().draw(outcome.values)


def test_the_figure_names_the_functionals(tmp_path: Path) -> None:
    write_ensemble(tmp_path / "pbesol")
    outcome = study(tmp_path).conclude()

    figure = Functional().draw(outcome.values)

    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["PBE", "PBEsol"]


def test_an_own_functional_of_the_same_name_is_told_apart(tmp_path: Path) -> None:
    write_ensemble(tmp_path / "pbesol")

    outcome = study(tmp_path, section={"name": "PBEsol"}).conclude()

    assert outcome.values["own_functional"] == "PBEsol, this run"
    assert outcome.values["mean_ratios"][0]["ratio"] == pytest.approx(1.1)


def test_without_runs_there_is_no_study(tmp_path: Path) -> None:
    player = study(tmp_path, runs={})

    assert "studies.functional.runs names no run" in Functional().lacks(player.config)
    assert Functional().lacks(study(tmp_path).config) == ""


def test_a_missing_folder_or_ensemble_is_an_error_with_file_and_key(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    section = "\nstudies: {functional: {runs: {PBEsol: pbesol}}}\n"
    path.write_text(TOY.read_text() + section)
    loaded = load_config(path)

    with pytest.raises(ConfigError, match=r"toy.yaml:studies.functional.runs.PBEsol \(line"):
        check_runs(loaded)
    (tmp_path / "pbesol").mkdir()
    with pytest.raises(ConfigError, match="no ensemble yet"):
        check_runs(loaded)
    write_ensemble(tmp_path / "pbesol")
    check_runs(loaded)
