from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.report.data import (
    FailureRow,
    GenerationRow,
    LabelRow,
    ProductionRow,
    RunReport,
    TrustCheckData,
    Verdict,
)
from dasksse.report.evidence import (
    is_diffusive,
    relative_error,
    trust_evidence,
    trust_in_words,
)
from dasksse.report.verdicts import LEVEL_TITLES, by_level, judge

if TYPE_CHECKING:
    from collections.abc import Iterable


def _about(report: RunReport, subject: str) -> list[Verdict]:
    return [verdict for verdict in judge(report) if verdict.subject.startswith(subject)]


def _levels(verdicts: Iterable[Verdict]) -> set[str]:
    return {verdict.level for verdict in verdicts}


def _with_last(report: RunReport, **changes: Any) -> RunReport:
    last = replace(report.generations[-1], **changes)
    return replace(report, generations=(*report.generations[:-1], last))


def _with_probe(report: RunReport, errors: list[tuple[float, float]]) -> RunReport:
    rows = tuple(
        replace(row, rmse={"probe": {"force_rmse_meV_A": error}})
        for row, error in zip(report.generations, errors, strict=False)
    )
    return replace(report, generations=rows)


def _only(report: RunReport, **changes: Any) -> RunReport:
    """One production row at 800 K with changes; entries of ``diffusion`` are merged."""
    row = next(row for row in report.production if row.temperature_K == 800)
    diffusion = {**row.diffusion, **changes.pop("diffusion", {})}
    row = replace(row, diffusion=diffusion, **changes)
    return replace(report, production=(row,))


def test_surrogate_labels_are_never_sold_as_dft(full_report: RunReport) -> None:
    (verdict,) = _about(full_report, "Labels")

    assert verdict.level == "care"
    assert "not from DFT" in verdict.text


def test_dft_labels_are_trusted(full_report: RunReport) -> None:
    (verdict,) = _about(
        replace(full_report, is_surrogate=False, label_source="VASP 6.4"), "Labels"
    )

    assert verdict.level == "trust"
    assert "VASP 6.4" in verdict.text


def _labels(source: str, n_good: int, **why: int) -> LabelRow:
    return LabelRow(
        source=source,
        functional="PBE",
        is_surrogate=False,
        n_good=n_good,
        n_failed=sum(why.values()),
        why={kind.replace("_", " "): count for kind, count in why.items()},
    )


def test_labels_of_two_sources_are_used_with_care(full_report: RunReport) -> None:
    rows = (_labels("VASP 6.4", 500), _labels("CP2K 2023.1", 20))

    _, verdict = _about(replace(full_report, labels=rows), "Labels")

    assert verdict.level == "care"
    assert "2 sources: VASP 6.4 (PBE, 500); CP2K 2023.1 (PBE, 20)" in verdict.text


def test_many_frames_without_label_are_told_with_reasons(full_report: RunReport) -> None:
    few, many = (_labels("VASP 6.4", 96, SCF_not_converged=n, hung=1) for n in (4, 5))

    assert len(_about(replace(full_report, labels=(few,)), "Labels")) == 1
    _, verdict = _about(replace(full_report, labels=(many,)), "Labels")
    assert verdict.level == "care"
    assert "6 of 102 frames" in verdict.text
    assert ": SCF not converged (5), hung (1)." in verdict.text


@pytest.mark.parametrize("status", ["running", "stopped: failure budget of label"])
def test_a_run_that_has_not_finished_is_said(full_report: RunReport, status: str) -> None:
    (verdict,) = _about(replace(full_report, status=status), "Unfinished")

    assert verdict.level == "care"
    assert ("failure budget" in verdict.text) == status.startswith("stopped")


def test_a_finished_run_has_no_word_on_its_status(full_report: RunReport) -> None:
    assert not _about(full_report, "Unfinished")


@pytest.mark.parametrize(
    ("accurate", "level"), [(0.9996, "trust"), (0.95, "care"), (0.1614, "doubt")]
)
def test_learning_is_judged_by_the_last_accurate_share(
    full_report: RunReport, accurate: float, level: str
) -> None:
    (verdict,) = _about(_with_last(full_report, accurate=accurate), "Learning")

    assert verdict.level == level


def test_a_run_before_exploration_says_so(new_report: RunReport) -> None:
    (verdict,) = _about(new_report, "Learning")

    assert verdict.level == "care"
    assert "No exploration" in verdict.text


def test_runs_that_blew_up_and_a_broken_framework_are_said(full_report: RunReport) -> None:
    report = _with_last(full_report, n_blown_up_runs=1, framework_broken=0.2)

    assert "1 run of the last exploration blew up" in _about(report, "Stability")[0].text
    assert "20.00 %" in _about(report, "Framework")[0].text
    assert not _about(full_report, "Stability")
    assert not _about(full_report, "Framework")


@pytest.mark.parametrize(
    ("errors", "level", "words"),
    [
        ([(250.0, 5.0), (98.0, 3.0), (97.0, 3.0)], "trust", "levelled off"),
        ([(250.0, 5.0), (150.0, 3.0), (100.0, 3.0)], "care", "still falling"),
        ([(250.0, 5.0), (100.0, 3.0), (150.0, 3.0)], "doubt", "made it worse"),
        ([(100.0, 5.0), (101.0, 3.0)], "care", "has not improved"),
    ],
)
def test_progress_is_judged_on_the_probe(
    full_report: RunReport, errors: list[tuple[float, float]], level: str, words: str
) -> None:
    (verdict,) = _about(_with_probe(full_report, errors), "Progress")

    assert verdict.level == level
    assert words in verdict.text


def test_a_change_within_the_spread_of_the_ensemble_is_no_change(
    full_report: RunReport,
) -> None:
    errors = [(250.0, 5.0), (100.0, 9.0), (110.0, 9.0)]

    (verdict,) = _about(_with_probe(full_report, errors), "Progress")

    assert "levelled off" in verdict.text


def test_one_generation_gives_no_verdict_on_progress(full_report: RunReport) -> None:
    assert not _about(_with_probe(full_report, [(250.0, 5.0)]), "Progress")


def test_a_trust_level_below_the_training_error_is_refused(full_report: RunReport) -> None:
    errors = {"train": {"force_rmse_meV_A": (170.0, 2.0)}}

    verdicts = _about(_with_last(full_report, rmse=errors, trust_check=None), "Trust level")

    assert any(
        verdict.level == "doubt" and "below the training force error" in verdict.text
        for verdict in verdicts
    )


@pytest.mark.parametrize(("held_out", "level"), [(90.0, "trust"), (200.0, "care")])
def test_overfitting_shows_in_held_out_over_training_error(
    full_report: RunReport, held_out: float, level: str
) -> None:
    errors = {
        "train": {"force_rmse_meV_A": (80.0, 2.0)},
        "held_out": {"force_rmse_meV_A": (held_out, 2.0)},
    }

    (verdict,) = _about(_with_last(full_report, rmse=errors), "Accuracy")

    assert verdict.level == level


def _checked(report: RunReport, true_error: list[float]) -> RunReport:
    check = TrustCheckData(
        deviation=np.full(len(true_error) + 1, 0.05),
        true_error=np.array([*true_error, 9.0]),
        kind=np.array(["check"] * (len(true_error) + 1)),
    )
    check.deviation[-1] = 0.2  # a candidate: its true error does not count
    rows = tuple(replace(row, trust_check=None) for row in report.generations)
    return _with_last(replace(report, generations=rows), trust_check=check)


@pytest.mark.parametrize(
    ("true_error", "level", "words"),
    [
        ([0.1] * 20, "trust", "is earned"),
        ([0.1] * 10 + [0.4] * 10, "doubt", "does not mean accuracy"),
        ([0.1] * 3, "care", "too few"),
    ],
)
def test_the_trust_level_is_earned_by_accurate_frames_alone(
    full_report: RunReport, true_error: list[float], level: str, words: str
) -> None:
    report = _checked(full_report, true_error)

    (verdict,) = _about(report, "Trust level")

    assert trust_evidence(report.generations).n_checked == len(true_error)
    assert verdict.level == level
    assert words in verdict.text


def test_without_checks_there_is_no_evidence(new_report: RunReport) -> None:
    evidence = trust_evidence(new_report.generations)

    assert evidence.n_checked == 0
    assert np.isnan(evidence.share)


def test_failures_are_counted(full_report: RunReport) -> None:
    row = FailureRow(kind="md", key="a", reason="crash", folder="failed/a")

    one = _about(replace(full_report, failures=(row,)), "Failures")
    two = _about(replace(full_report, failures=(row, row)), "Failures")

    assert one[0].text.startswith("1 unit gave")
    assert two[0].text.startswith("2 units gave")
    assert not _about(replace(full_report, failures=()), "Failures")


def test_a_sound_row_is_trusted_and_its_table_cell_says_yes(full_report: RunReport) -> None:
    report = _only(full_report, diffusion={"D_m2_s": 1e-9, "D_err_m2_s": 5e-11})

    (verdict,) = _about(report, "D of LGPS-2x2x2 at 800 K")

    assert verdict.level == "trust"
    assert trust_in_words(report.production[0]) == "yes"


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"untrusted_fraction": 0.06}, "doubt", "6.00 % of frames outside trust"),
        ({"framework_broken": 0.3}, "doubt", "framework broken in 30.00 %"),
        ({"mean_temperature_K": 900.0}, "doubt", "mean temperature 900 K"),
        ({"diffusion": {"D_err_m2_s": 3e-10}}, "care", "wide error (30 %)"),
        ({"diffusion": {"D_err_m2_s": 8e-10}}, "care", "not resolved (error 80 %)"),
        ({"diffusion": {"D_err_m2_s": None}}, "care", "rror of D unknown"),
        ({"diffusion": {"regime": "not_diffusive"}}, "care", "Not diffusive: short run"),
    ],
)
def test_each_limit_of_a_row_is_named(
    full_report: RunReport, changes: dict[str, Any], level: str, words: str
) -> None:
    diffusion = {"D_m2_s": 1e-9, "D_err_m2_s": 5e-11, **changes.get("diffusion", {})}
    report = _only(full_report, **{**changes, "diffusion": diffusion})

    (verdict,) = _about(report, "D of LGPS-2x2x2 at 800 K")

    assert verdict.level == level
    assert words in verdict.text
    assert trust_in_words(report.production[0]) != "yes"


def test_temperatures_of_which_the_same_is_said_share_a_sentence(
    full_report: RunReport,
) -> None:
    subjects = [verdict.subject for verdict in judge(full_report)]

    assert "D of LGPS-2x2x2 at 300, 400 K" in subjects
    assert "D of LGPS-2x2x2 at 600, 800, 1000 K" in subjects


def test_a_row_without_analysis_is_not_trusted(full_report: RunReport) -> None:
    row = replace(full_report.production[0], diffusion={})

    assert trust_in_words(row) == "not analysed yet"
    assert not is_diffusive(row)
    assert relative_error(row) is None


def test_a_trust_note_becomes_a_verdict_and_a_cell(full_report: RunReport) -> None:
    report = _only(
        full_report,
        diffusion={"D_m2_s": 1e-9, "D_err_m2_s": 1e-11},
        trust_note="volume fixed at 300 K",
    )

    assert "volume fixed at 300 K" in {verdict.text for verdict in judge(report)}
    assert trust_in_words(report.production[0]) == "volume fixed at 300 K"


def test_small_cells_are_named_once_per_system(full_report: RunReport) -> None:
    rows = tuple(replace(row, n_atoms=50) for row in full_report.production)

    verdicts = _about(replace(full_report, production=rows), "Cell size")

    assert len(verdicts) == 2
    assert "50 atoms" in verdicts[0].text
    assert not _about(full_report, "Cell size")


def test_a_run_without_production_has_no_d(new_report: RunReport) -> None:
    (verdict,) = _about(new_report, "Diffusion")

    assert "no D and no Ea" in verdict.text


def _with_fit(report: RunReport, **changes: Any) -> RunReport:
    fit = report.arrhenius["LGPS-2x2x2"]
    assert fit is not None
    return replace(report, arrhenius={**report.arrhenius, "LGPS-2x2x2": {**fit, **changes}})


def test_an_activation_energy_from_two_points_is_doubted(full_report: RunReport) -> None:
    hot = tuple(row for row in full_report.production if row.temperature_K > 700)

    (verdict,) = _about(replace(full_report, production=hot), "Ea of LGPS-2x2x2")

    assert verdict.level == "doubt"
    assert "rests on 2 temperature(s)" in verdict.text


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({}, "trust", "one line through D at 500, 600, 800, 1000 K"),
        ({"one_line_ok": False}, "doubt", "one straight line does not fit"),
        ({"Ea_err_eV": 0.1}, "care", "a wide error"),
        ({"Ea_err_eV": None}, "care", "error unknown"),
        ({"Ea_eV": None}, "care", "No Arrhenius fit: 4 temperature(s)"),
    ],
)
def test_the_fit_is_judged(
    full_report: RunReport, changes: dict[str, Any], level: str, words: str
) -> None:
    (verdict,) = _about(_with_fit(full_report, **changes), "Ea of LGPS-2x2x2")

    assert verdict.level == level
    assert words in verdict.text


def test_a_fit_to_short_runs_is_used_with_care(full_report: RunReport) -> None:
    short = tuple(replace(row, length_ps=25.0) for row in full_report.production)

    (verdict,) = _about(replace(full_report, production=short), "Ea of LGPS-2x2x2")

    assert verdict.level == "care"
    assert "but the runs are short" in verdict.text


def test_extrapolation_far_below_the_data_is_called_one(full_report: RunReport) -> None:
    far = _with_fit(full_report)
    near = _with_fit(full_report, at_K=450.0)

    assert "Extrapolated from 500 K" in {v.text[:23] for v in judge(far)}
    assert not any(v.subject.startswith("D of LGPS-2x2x2 at 450") for v in judge(near))


def test_levels_are_grouped_best_first_and_empty_ones_left_out() -> None:
    verdicts = (Verdict("doubt", "b", ""), Verdict("trust", "a", ""), Verdict("doubt", "c", ""))

    groups = by_level(verdicts)

    assert list(groups) == ["trust", "doubt"]
    assert [verdict.subject for verdict in groups["doubt"]] == ["b", "c"]
    assert set(groups) < set(LEVEL_TITLES)


def test_every_report_gets_a_word_on_labels_and_diffusion(
    full_report: RunReport, new_report: RunReport
) -> None:
    for report in (full_report, new_report):
        assert _levels(_about(report, "Labels"))
        assert any("iffus" in verdict.text + verdict.subject for verdict in judge(report))


def test_rows_with_nothing_known_do_not_break_the_judges(full_report: RunReport) -> None:
    bare = ProductionRow(
        system="X",
        temperature_K=300.0,
        n_runs=1,
        n_atoms=900,
        length_ps=1.0,
        equilibration_ps=0.0,
    )
    row = GenerationRow(
        generation=0, line=0, systems=("X",), ensemble="nvt", temperatures_K=(300.0,),
        length_ps=1.0, n_train=1, n_held_out=0, trust_low_eV_A=0.1, trust_high_eV_A=0.2,
        accurate=0.0, rmse={"train": {"force_rmse_meV_A": (0.0, 0.0)},
                            "held_out": {"force_rmse_meV_A": (1.0, 0.0)}},
    )  # fmt: skip

    verdicts = judge(replace(full_report, generations=(row,), production=(bare,), arrhenius={}))

    assert "Not analysed yet." in {verdict.text for verdict in verdicts}
