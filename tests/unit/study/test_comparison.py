from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from study_player import HAVEN, VOLUME_A3, StudyPlayer, arrhenius, lgps, runs_of

from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.experiment import ExperimentPoint
from dasksse.errors import AnalysisError, ConfigError
from dasksse.study.comparison import Comparison, read_measurements
from dasksse.study.diffusion import Diffusion
from dasksse.study.experiment_ratio import ratio_to_experiment

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.study.outcome import Outcome

LINE = arrhenius(1.9e-11, 0.23)
NMR = "T_K,D_m2_s,D_err_m2_s,source\n300,4.1e-12,4.1e-13,NMR\n"


def config_with(**changes: Any) -> Any:
    return lgps(
        studies__comparison__experiment="measured.csv",
        studies__diffusion__temperatures_K=[300.0, 400.0, 600.0, 1000.0],
        **changes,
    )


def play(
    folder: Path, text: str, law: Any = LINE, **changes: Any
) -> tuple[StudyPlayer, Outcome]:
    (folder / "measured.csv").write_text(text)
    player = StudyPlayer([Comparison()], config_with(**changes), law, base_dir=folder)
    return player, player.conclude()


def ordered_ratio(outcome: Outcome) -> dict[str, Any]:
    return next(one for one in outcome.values["ratios"] if one["branch"] == "ordered")


def test_the_ratio_has_the_errors_of_both(tmp_path: Path) -> None:
    _, outcome = play(tmp_path, NMR)

    one = ordered_ratio(outcome)
    factor = np.exp(1.96 * np.hypot(0.1, 0.1))
    assert one["ratio"] == pytest.approx(1.9 / 0.41)
    assert one["ratio_high95"] == pytest.approx(1.9 / 0.41 * factor)
    assert one["ratio_low95"] == pytest.approx(1.9 / 0.41 / factor)
    assert (one["state"], one["how"]) == ("faster", "simulated")
    assert outcome.verdict.level == "care"
    assert "faster beyond the errors" in outcome.verdict.text
    json.dumps(outcome.to_json())


def test_it_runs_what_the_study_of_diffusion_runs_and_no_more(tmp_path: Path) -> None:
    player, _ = play(tmp_path, NMR)
    alone = StudyPlayer([Diffusion()], player.config, LINE)
    alone.run()

    assert sorted(player.cases()) == sorted(alone.cases())
    assert [case.name for case in Comparison().cases(player.config)] == [
        case.name for case in Diffusion().cases(player.config)
    ]


def test_both_studies_together_run_each_case_once(tmp_path: Path) -> None:
    (tmp_path / "measured.csv").write_text(NMR)
    player = StudyPlayer([Diffusion(), Comparison()], config_with(), LINE, base_dir=tmp_path)

    assert set(player.run()) == {"diffusion", "comparison"}
    assert len(player.cases()) == len(set(player.cases()))


def test_conductivities_follow_from_the_density_of_the_cell(tmp_path: Path) -> None:
    _, outcome = play(tmp_path, NMR)

    one = ordered_ratio(outcome)
    per_D = nernst_einstein_mS_cm(
        1.0, carrier_density_A3=20 / VOLUME_A3, temperature_K=300.0, charge=1.0
    )
    assert one["sigma_measured_mS_cm"] == pytest.approx(4.1e-12 * per_D)
    assert one["sigma_tracer_mS_cm"] == pytest.approx(1.9e-11 * per_D)
    assert one["sigma_collective_mS_cm"] == pytest.approx(1.9e-11 / HAVEN * per_D)


def test_a_measured_conductivity_is_compared_with_the_collective_D(tmp_path: Path) -> None:
    _, outcome = play(tmp_path, "T_K,sigma_mS_cm\n300,12\n")

    one = ordered_ratio(outcome)
    assert one["quantity"] == "collective"
    assert one["sigma_measured_mS_cm"] == pytest.approx(12.0)
    assert one["ratio"] == pytest.approx(one["sigma_collective_mS_cm"] / 12.0)
    assert any("has no error" in note for note in outcome.notes)


def test_between_the_runs_the_fit_gives_D(tmp_path: Path) -> None:
    D, _ = LINE("", 450.0)
    text = f"T_K,D_m2_s,D_err_m2_s\n450,{D},{0.1 * D}\n"
    _, outcome = play(tmp_path, text)

    one = ordered_ratio(outcome)
    assert (one["how"], one["state"]) == ("interpolated", "agrees")
    assert one["ratio"] == pytest.approx(1.0, rel=1e-3)
    assert one["sigma_collective_mS_cm"] is None
    assert outcome.verdict.level == "trust"


def test_far_off_is_doubt(tmp_path: Path) -> None:
    _, outcome = play(tmp_path, "T_K,D_m2_s,D_err_m2_s\n300,1e-13,1e-14\n")

    assert outcome.verdict.level == "doubt"


def test_a_bound_below_the_measurement_is_slower(tmp_path: Path) -> None:
    def law(name: str, temperature_K: float) -> tuple[None, None]:
        return None, None

    _, slow = play(tmp_path, "T_K,D_m2_s\n300,4e-12\n", law)
    _, open_ = play(tmp_path, "T_K,D_m2_s\n300,4e-13\n", law)

    assert ordered_ratio(slow)["state"] == "slower"
    assert ordered_ratio(slow)["ratio_high95"] == pytest.approx(0.25)
    assert ordered_ratio(open_)["state"] == "undecided"
    assert open_.verdict.level == "doubt"
    assert isinstance(Comparison().draw(slow.values), Figure)


def test_with_every_run_lost_there_is_an_outcome_but_no_figure(tmp_path: Path) -> None:
    (tmp_path / "measured.csv").write_text(NMR)
    config = config_with(studies__diffusion__disordered=False)
    player = StudyPlayer([Comparison()], config, LINE, is_failing=runs_of(), base_dir=tmp_path)
    outcome = player.conclude()

    assert outcome.verdict.level == "doubt"
    with pytest.raises(AnalysisError, match="no simulated D beside a measured one"):
        Comparison().draw(outcome.values)


def test_many_temperatures_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"{t},{LINE('', t)[0]},1e-13\n" for t in (300, 350, 400, 450, 500))
    _, outcome = play(tmp_path, f"T_K,D_m2_s,D_err_m2_s\n{rows}")

    assert "D at 5 measured temperatures" in outcome.verdict.text
    assert "agrees within the errors at 5" in outcome.verdict.text


def test_the_papers_own_ratio_stands_beside(tmp_path: Path) -> None:
    _, outcome = play(tmp_path, NMR)

    paper = next(p for p in outcome.values["paper_ratios"] if p["label"].endswith("2021"))
    assert paper["ratio"] == pytest.approx(19.0 / 4.1)
    assert paper["ratio_err"] == pytest.approx(19.0 / 4.1 * np.hypot(2 / 19, 2 / 4.1))
    assert "Huang et al. 2021 found 4.6 ± 2.3 times" in outcome.verdict.text


def test_known_errors_besides_sampling_widen_the_interval() -> None:
    point = {
        "temperature_K": 300.0,
        "D_m2_s": 2e-12,
        "D_err_m2_s": 2e-13,
        "D_low95_m2_s": 1.6e-12,
        "D_high95_m2_s": 2.4e-12,
        "upper_bound_m2_s": None,
        "framework_broken": 0.0,
        "framework_melted": [],
        "D_collective_m2_s": None,
        "D_collective_err_m2_s": None,
    }
    measured = ExperimentPoint(300.0, 1e-12, None, "", from_conductivity=False)

    one = ratio_to_experiment(
        measured, [point], branch="x", squared_charge_density_A3=None, other_errors=(0.3, 0.2)
    )

    assert one.ratio_high95 == pytest.approx(2.0 * np.exp(1.96 * np.sqrt(0.01 + 0.09 + 0.04)))
    assert one.sigma_tracer_mS_cm is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("T_K,D_m2_s\n300,fast\n", r"measured\.csv:2: D_m2_s is 'fast'"),
        ("T_K,D\n300,1\n", r"measured\.csv: found the columns T_K, D; needed"),
        ("T_K,D_m2_s\n", "no row below the header"),
    ],
)
def test_a_bad_file_is_refused_before_anything_starts(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "measured.csv").write_text(text)
    player = StudyPlayer([Comparison()], config_with(), LINE, base_dir=tmp_path)

    with pytest.raises(ConfigError, match=message):
        player.plan()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"measured\.csv: cannot be read"):
        read_measurements(config_with(), tmp_path)


def test_without_measurements_there_is_no_comparison() -> None:
    assert "studies.comparison.experiment is not set" in Comparison().lacks(lgps())
    assert Comparison().lacks(config_with()) == ""


def test_the_figure_has_measurements_and_ratios(tmp_path: Path) -> None:
    _, outcome = play(tmp_path, NMR + "360,5e-11,,EIS of a pellet\n")

    figure = Comparison().draw(outcome.values)
    left, right = figure.axes
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"ordered", "disordered", "NMR", "EIS of a pellet"} <= set(words)
    assert "right, hollow: D from the fit" in words
    assert left.get_legend() is None is right.get_legend()
