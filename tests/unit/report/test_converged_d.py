"""Whether D is converged: tables, words, verdicts and the page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from made_up_convergence import make_convergence

from dasksse.report.converged_d import need_in_words, size_comparisons
from dasksse.report.convergence_tables import length_rows, size_rows, size_sentences
from dasksse.report.figures import FIGURES
from dasksse.report.html import render_page
from dasksse.report.judge_convergence import judge_lengths, judge_sizes
from dasksse.report.summary import summarise

if TYPE_CHECKING:
    from typing import Any

    from dasksse.report.data import RunReport


def one_row(report: RunReport, **changes: Any) -> RunReport:
    """The production row at 800 K alone, with changes."""
    row = next(row for row in report.production if row.temperature_K == 800)
    return replace(report, production=(replace(row, **changes),))


def with_error(report: RunReport, relative: float | None, **about: float) -> RunReport:
    return one_row(report, convergence=make_convergence(1e-10, relative, 800.0, **about))


def test_a_converged_row_shows_d_of_half_and_whole(full_report: RunReport) -> None:
    (row,) = length_rows(with_error(full_report, 0.05))

    assert row["system"] == "LGPS-2x2x2"
    assert (row["T [K]"], row["length"]) == ("800", "990 ps")
    assert row["D of half the length [m²/s]"].endswith("× 10⁻¹⁰")
    assert row["D of the whole [m²/s]"] == "(1.00 ± 0.05) × 10⁻¹⁰"
    assert row["verdict"] == "converged within 10 %"


def test_the_verdict_names_the_tolerance_that_was_asked_for(full_report: RunReport) -> None:
    (row,) = length_rows(with_error(full_report, 0.05, tolerance=0.2))

    assert row["verdict"] == "converged within 20 %"


def test_a_wide_error_says_how_much_longer_with_an_interval(full_report: RunReport) -> None:
    found = make_convergence(1e-10, 0.2, 800.0)
    assert found.verdict.wanted_ps == 4000.0
    assert found.verdict.wanted_range_ps is not None

    words = need_in_words(found.verdict)

    assert words.startswith("needs about 3 ns more (")
    (row,) = length_rows(one_row(full_report, convergence=found))
    assert row["verdict"] == words


def test_a_run_without_d_shows_bounds_and_the_least_it_needs(full_report: RunReport) -> None:
    (row,) = length_rows(with_error(full_report, None))

    assert row["D of half the length [m²/s]"] == row["D of the whole [m²/s]"]
    assert row["D of the whole [m²/s]"] == "< 4.0 × 10⁻¹⁰"
    assert row["verdict"] == "not diffusive: needs at least 1 ns more"


def test_a_broken_framework_has_no_d_to_converge(full_report: RunReport) -> None:
    report = one_row(full_report, framework_broken=0.4)

    (row,) = length_rows(report)

    assert row["verdict"] == "framework broken: no D to converge"
    assert list(judge_lengths(report)) == []


def test_lengths_are_judged_system_by_system(full_report: RunReport) -> None:
    verdicts = [v for v in judge_lengths(full_report) if v.subject.endswith("LGPS-2x2x2")]

    good, short = verdicts
    assert (good.level, short.level) == ("trust", "care")
    assert good.text.startswith("D at 800, 1000 K is converged within 10 %")
    assert short.text.startswith("D is not converged within 10 %: 300 K needs at least")
    assert "500 K needs about 14 ns more" in short.text
    assert "`production.extend`" in short.text


def test_records_of_older_versions_have_neither_table_nor_figure(
    full_report: RunReport,
) -> None:
    old = one_row(full_report, convergence=None)

    assert length_rows(old) == size_rows(old) == []
    assert list(judge_lengths(old)) == []
    assert "Is D converged?" not in render_page(old)
    assert summarise(old)["production"][0]["convergence"] is None


def test_cells_of_one_substance_are_compared_at_each_temperature(
    sized_report: RunReport,
) -> None:
    rows = size_rows(sized_report)

    assert [(row["T [K]"], row["atoms"]) for row in rows[:2]] == [("500", "50"), ("500", "400")]
    assert [row["L [Å]"] for row in rows[:2]] == ["9.9", "19.7"]
    assert [row["largest two"] for row in rows[1::2]] == [
        "undecided",
        "differ: larger cells are needed",
        "agree",
    ]
    assert size_sentences(sized_report)[2] == (
        "Li10GeP2S12 at 1000 K, 400 against 50 atoms: D agrees within 10 % (-2 ± 8 %)."
    )
    assert [verdict.level for verdict in judge_sizes(sized_report)] == ["care", "trust"]


def test_other_substances_one_size_and_broken_frameworks_are_not_compared(
    full_report: RunReport, sized_report: RunReport
) -> None:
    broken = [
        replace(row, framework_broken=0.5) if row.system == "LGPS" else row
        for row in sized_report.production
    ]

    assert size_comparisons(full_report) == []
    assert size_comparisons(replace(sized_report, production=tuple(broken))) == []


def test_the_page_shows_tables_sentences_and_the_figure(sized_report: RunReport) -> None:
    page = render_page(sized_report)

    assert page.index("Is D converged?") < page.index("Cells of several sizes")
    assert "converged within 10\u00a0%" in page
    assert "D agrees within 10 % (-2 ± 8 %)." in page
    (entry,) = (entry for entry in FIGURES if entry.name == "convergence")
    titles = [axes.get_title("left") for axes in entry.draw(sized_report).axes]
    assert {"LGPS-2x2x2 at 800 K", "LSnPS at 500 K", "cell size at 600 K"} <= set(titles)


def test_the_summary_has_verdicts_on_lengths_and_sizes(sized_report: RunReport) -> None:
    summary = summarise(sized_report)

    row = next(row for row in summary["production"] if row["temperature_K"] == 800.0)
    assert (row["convergence"]["state"], row["convergence"]["tolerance"]) == ("converged", 0.1)
    assert [size["state"] for size in summary["sizes"]] == ["undecided", "differ", "agree"]
    assert summary["sizes"][0]["cells"][0]["length_A"] == pytest.approx(957.4 ** (1 / 3))
    assert any(v["subject"] == "Length of the runs of LSnPS" for v in summary["verdicts"])
