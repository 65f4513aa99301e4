"""The figure of D against length: values, bounds, tolerance, wanted lengths, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.analyse.convergence import ConvergenceInTime
from dasksse.analyse.length_verdict import TimeWindow, WindowSet, judge_length
from dasksse.analyse.size_convergence import CellD, convergence_in_size
from dasksse.errors import AnalysisError
from dasksse.report.figures.convergence_in_time import convergence_in_time

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def window(length_ps: float, D: float | None, error: float = 0.0) -> TimeWindow:
    if D is None:
        return TimeWindow(0.0, length_ps, None, None, 8e-11, "subdiffusive")
    return TimeWindow(0.0, length_ps, D, error, None, "diffusive")


def found(*nested: TimeWindow) -> ConvergenceInTime:
    apart = WindowSet(100.0, (window(100.0, 1.2e-10, 1e-11), window(100.0, None)))
    verdict = judge_length(nested, [apart], tolerance=0.1, n_walkers=20)
    return ConvergenceInTime("Li", 600.0, nested, (apart,), (), verdict, ())


GOOD = found(window(100.0, None), window(500.0, 1e-10, 1e-11), window(1000.0, 1e-10, 5e-12))
SHORT = found(window(500.0, 1e-10, 4e-11), window(1000.0, 1e-10, 2e-11))
NONE = found(window(1000.0, None))


def texts(figure: Figure, panel: int) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts]


def labels(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.legends[0].get_texts()}


def test_a_converged_set_shows_values_bound_dots_and_tolerance() -> None:
    figure = convergence_in_time(found=[("salt at 600 K", GOOD)])

    (axes,) = figure.axes
    assert axes.get_title("left") == "salt at 600 K"
    assert texts(figure, 0) == ["converged"]
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(lines["windows side by side"].get_ydata(), [1.2])
    np.testing.assert_allclose(lines["upper bound"].get_xdata(), [100.0])
    (values,) = axes.containers
    np.testing.assert_allclose(np.asarray(values.lines[0].get_ydata(), float), [1.0, 1.0])
    assert axes.get_ylabel() == "D ($10^{-10}$ m²/s)"
    assert labels(figure) == {
        "first part of the runs",
        "windows side by side",
        "upper bound",
        "within 10 %",
    }


def test_a_star_marks_the_length_that_should_do_and_an_arrow_a_lower_bound() -> None:
    short = convergence_in_time(found=[("a", SHORT)])
    none = convergence_in_time(found=[("b", NONE)])

    stars = [line for line in short.axes[0].lines if line.get_marker() == "*"]
    np.testing.assert_allclose(stars[0].get_xdata(), [4000.0])
    assert "length that should do" in labels(short)
    assert "at least so long" in labels(none)
    assert texts(none, 0) == ["not diffusive"]


def test_sizes_have_panels_of_their_own_with_the_line_to_infinite_size() -> None:
    cells = [
        CellD("s", 50, 10.0, 2e-10, 1e-11),
        CellD("m", 400, 20.0, 1.5e-10, 1e-11),
        CellD("l", 900, 26.0, None, None, 3e-10),
    ]
    size = convergence_in_size(cells, temperature_K=600.0, extrapolates=True)

    figure = convergence_in_time(found=[("a", GOOD)], sizes=[size])

    axes = figure.axes[1]
    assert axes.get_title("left") == "cell size at 600 K"
    assert {"undecided", "50", "400", "900"} == set(texts(figure, 1))
    assert {"infinite cell", "upper bound", "cell, with its atoms"} <= labels(figure)


def test_values_far_apart_are_drawn_on_a_logarithmic_axis() -> None:
    wide = found(window(500.0, 1e-9, 1e-10), window(1000.0, 1e-10, 1e-11))

    scales = [
        convergence_in_time(found=[("a", one)]).axes[0].get_yscale() for one in (GOOD, wide)
    ]

    assert scales == ["linear", "log"]


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(AnalysisError, match="no convergence to draw"):
        convergence_in_time(found=[])
