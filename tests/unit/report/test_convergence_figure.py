"""The figure of a convergence test."""

from __future__ import annotations

import pytest

from dasksse.errors import AnalysisError
from dasksse.report.convergence import Convergence, Errors, Ladder, Rung
from dasksse.report.figures.convergence import convergence

ASKED = Errors(1.0, 3.0, 0.1)


def found(*ladders: Ladder) -> Convergence:
    return Convergence("cu", 4, 2, "made up", ASKED, ladders)


def ladder(setting: str, stress_GPa: float | None = 0.2) -> Ladder:
    errors = [Errors(5.0, 40.0, stress_GPa), Errors(0.5, 2.0, stress_GPa), Errors(0, 0, 0)]
    rungs = tuple(Rung(100.0 * (i + 1), 2.0 + i, e) for i, e in enumerate(errors))
    return Ladder(setting, 100.0, rungs, pick=1)


def test_each_setting_has_a_row_with_errors_asked_errors_and_time() -> None:
    figure = convergence(found=found(ladder("cutoff_Ry"), ladder("kspacing_per_A")))

    assert len(figure.axes) == 8
    energy, force, stress, seconds = figure.axes[:4]
    assert [list(axes.lines[0].get_ydata()) for axes in (energy, force, stress)] == [
        [5.0, 0.5],
        [40.0, 2.0],
        [0.2, 0.2],
    ]
    asked = [axes.lines[1].get_ydata()[0] for axes in (energy, force, stress)]
    assert asked == [1.0, 3.0, 0.1]
    assert list(seconds.lines[0].get_ydata()) == [2.0, 3.0, 4.0]
    assert [text.get_text() for text in force.get_xticklabels()] == ["[100]", "200", "300"]
    assert [axes.get_xlabel() for axes in figure.axes[::4]] == ["cutoff_Ry", "kspacing_per_A"]


def test_values_without_a_label_and_a_missing_virial_leave_gaps() -> None:
    rungs = (Rung("SZV", reason="SCF failed"), *ladder("", None).rungs)

    figure = convergence(found=found(Ladder("basis", "SZV", rungs)))

    force, stress = figure.axes[1:3]
    assert list(force.lines[0].get_xdata()) == [1, 2]
    assert [text.get_text() for text in stress.texts] == ["not known"]


def test_errors_of_nothing_are_drawn_at_the_bottom_of_the_axis() -> None:
    rungs = (Rung("a", 1.0, Errors(0.0, 0.0, 0.0)), Rung("b", 1.0, Errors(0.0, 0.0, 0.0)))

    figure = convergence(found=found(Ladder("basis", "a", rungs)))

    assert list(figure.axes[1].lines[0].get_ydata()) == [pytest.approx(0.003)]


def test_without_any_errors_there_is_nothing_to_draw() -> None:
    with pytest.raises(AnalysisError, match="no errors to draw"):
        convergence(found=found(Ladder("basis", "a", (Rung("a", 1.0), Rung("b", reason="x")))))
