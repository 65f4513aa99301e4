from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.analyse.arrhenius import fit_arrhenius
from dasksse.report.data import (
    FailureRow,
    GenerationRow,
    LabelRow,
    ProductionRow,
    RunReport,
    TrustCheckData,
    Verdict,
)
from dasksse.report.diffusion_tables import production_rows
from dasksse.report.evidence import (
    is_diffusive,
    relative_error,
    resolved_rows,
    trust_evidence,
    trust_in_words,
)
from dasksse.report.verdicts import LEVEL_TITLES, by_level, judge
from dasksse.units import BOLTZMANN_EV_K

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


def test_dft_labels_wait_for_a_convergence_test(full_report: RunReport) -> None:
    (verdict,) = _about(
        replace(full_report, is_surrogate=False, label_source="VASP 6.4"), "Labels"
    )

    assert verdict.level == "care"
    assert "VASP 6.4" in verdict.text
    assert "`dasksse converge` tells" in verdict.text


def test_a_classical_model_is_not_said_to_be_trained(full_report: RunReport) -> None:
    (verdict,) = _about(replace(full_report, functional="none (classical)"), "Labels")

    assert "a classical model, not from DFT" in verdict.text


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


def _with_errors(report: RunReport, **rmse_meV_A: float) -> RunReport:
    """Latest force errors by set, without forces to compare them with."""
    errors = {name: {"force_rmse_meV_A": (value, 2.0)} for name, value in rmse_meV_A.items()}
    return _with_last(replace(report, parity={}), rmse=errors)


@pytest.mark.parametrize("name", ["held_out", "probe", "train"])
def test_a_large_force_error_on_any_set_forbids_the_potential(
    full_report: RunReport, name: str
) -> None:
    errors = {"held_out": 90.0, "probe": 100.0, "train": 85.0, name: 1318.0}
    report = _with_errors(full_report, **errors)

    (verdict,) = _about(report, "Accuracy")

    assert verdict.level == "doubt"
    assert "1318 meV/Å on" in verdict.text
    assert "too large to use the potential" in verdict.text
    about_D = [v for v in _about(report, "D of LGPS-2x2x2") if "Extrapolated" not in v.text]
    assert _levels(about_D) == {"doubt"}
    assert _about(report, "Ea of LSnPS")[0].level == "doubt"
    assert "force error of the potential too large" in {
        part for row in production_rows(report) for part in row["trustworthy"].split("; ")
    }


@pytest.mark.parametrize(
    ("rms_eV_A", "level", "words"),
    [
        (0.9, "trust", "90 meV/Å (10 % of the RMS force) on frames kept out"),
        (0.3, "care", "90 meV/Å (30 % of the RMS force) on frames kept out"),
        (0.1, "doubt", "90 meV/Å (90 % of the RMS force) on frames kept out"),
    ],
)
def test_a_force_error_is_judged_against_the_forces(
    full_report: RunReport, rms_eV_A: float, level: str, words: str
) -> None:
    forces = rms_eV_A * np.array([1.0, -1.0, 1.0, -1.0])
    parity = replace(full_report.parity["held_out"], force_label_eV_A=forces)
    report = _with_errors(full_report, held_out=90.0, train=85.0)

    (verdict,) = _about(replace(report, parity={"held_out": parity}), "Accuracy")

    assert verdict.level == level
    assert words in verdict.text


def test_a_training_error_alone_is_used_with_care(full_report: RunReport) -> None:
    (verdict,) = _about(_with_errors(full_report, train=85.0), "Accuracy")

    assert verdict.level == "care"
    assert "nothing shows the error on other frames" in verdict.text


def test_errors_that_level_off_too_high_are_no_progress_to_trust(
    full_report: RunReport,
) -> None:
    (verdict,) = _about(
        _with_probe(full_report, [(900.0, 5.0), (544.0, 9.0)] + 4 * [(544.0, 9.0)]), "Progress"
    )

    assert verdict.level == "care"
    assert "levelled off, but too high" in verdict.text


@pytest.mark.parametrize(("held_out", "level"), [(90.0, "trust"), (200.0, "care")])
def test_overfitting_shows_in_held_out_over_training_error(
    full_report: RunReport, held_out: float, level: str
) -> None:
    (verdict,) = _about(_with_errors(full_report, train=80.0, held_out=held_out), "Accuracy")

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


def test_what_the_fit_says_of_itself_is_passed_on(full_report: RunReport) -> None:
    notes = [
        "1200 K left out: framework broken in 30 % of frames",
        "D at 500 K has an error of 60 %: the interval is a rough one there",
        "300 K is far outside the data: 1/T spans 2.4 times their range",
    ]

    _, verdict = _about(_with_fit(full_report, notes=notes), "Ea of LGPS-2x2x2")

    assert verdict.level == "care"
    assert verdict.text == f"{notes[0]}; {notes[1]}."
    assert len(_about(full_report, "Ea of LGPS-2x2x2")) == 1


def test_forms_that_fit_where_a_line_does_not_are_named(full_report: RunReport) -> None:
    temperatures_K = [300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1000.0]
    kT = BOLTZMANN_EV_K * np.array(temperatures_K)
    cold, hot = 1e-7 * np.exp(-0.45 / kT), 1e-9 * np.exp(-0.2 / kT)
    D = np.minimum(cold, hot)
    fit = fit_arrhenius(temperatures_K, D, 0.05 * D)

    (verdict, *_) = _about(_with_fit(full_report, **fit.to_json()), "Ea of LGPS-2x2x2")

    assert verdict.level == "doubt"
    assert "one straight line does not fit" in verdict.text
    assert "What fits: two segments (Ea 0.4" in verdict.text
    assert "one line (" not in verdict.text


def test_a_broken_framework_takes_a_temperature_out_of_the_fit(full_report: RunReport) -> None:
    broken = tuple(
        replace(row, framework_broken=0.3) if row.temperature_K == 1000 else row
        for row in full_report.production
    )
    report = replace(full_report, production=broken)

    assert [row.temperature_K for row in resolved_rows(report, "LGPS-2x2x2")] == [
        500, 600, 800,
    ]  # fmt: skip
    assert "one line through D at 500, 600, 800 K" in _about(report, "Ea of LGPS")[0].text


def test_a_run_too_short_to_be_analysed_is_told_from_none(full_report: RunReport) -> None:
    trouble = "not analysed: the longest run has 14 frames"
    row = replace(full_report.production[0], diffusion={}, trouble=trouble)
    report = replace(full_report, production=(row,), arrhenius={"LGPS-2x2x2": None})

    texts = [verdict.text for verdict in judge(report)]

    assert "Not analysed: the longest run has 14 frames." in texts
    assert not any("no production run" in text for text in texts)
    assert trust_in_words(row) == trouble


def test_a_run_that_bounds_nothing_is_not_said_to_give_a_bound(full_report: RunReport) -> None:
    diffusion = {"regime": "not_diffusive", "D_m2_s": None, "upper_bound_m2_s": None}
    row = _only(full_report, diffusion=diffusion).production[0]

    assert trust_in_words(row) == "not diffusive: short run, not even a bound"


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
