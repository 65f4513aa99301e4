"""The figures of pair distributions and of the van Hove function."""

from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.rdf import RadialDistributions, radial_distributions
from dasksse.analyse.van_hove import self_van_hove
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory
from dasksse.report.figures.rdf import rdf
from dasksse.report.figures.van_hove import van_hove

NUMBERS = np.repeat([3, 16], [20, 20])
GRID = np.array(np.meshgrid(*[np.arange(5)] * 3)).reshape(3, -1).T[:40] * 2.5


def run(amplitude_A: float = 0.1) -> MemoryTrajectory:
    noise = np.random.default_rng(0).normal(0.0, amplitude_A, (60, 40, 3))
    return MemoryTrajectory(NUMBERS, GRID + noise, np.eye(3) * 12.5, 0.1)


def distributions(amplitude_A: float = 0.1) -> RadialDistributions:
    return radial_distributions([run(amplitude_A)], ["Li-Li", "Li-S"])


def test_one_result_has_a_panel_for_each_pair_with_its_coordination() -> None:
    result = distributions()

    figure = rdf([("salt at 600 K", result)])

    panels = figure.axes
    assert [axes.get_title("left") for axes in panels] == ["Li-Li", "Li-S"]
    np.testing.assert_array_equal(panels[1].lines[1].get_ydata(), result["Li-S"].g)
    entry = result["Li-Li"]
    text = f"n = {entry.coordination:.2f} within {entry.first_minimum_A:.2f} Å"
    assert panels[0].get_title("right") == text


def test_several_results_share_the_panels() -> None:
    cold, hot = distributions(0.05), distributions(0.2)

    figure = rdf([("300 K", cold), ("900 K", hot)])

    curves = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    assert [curve.get_ydata().max() for curve in curves] == [
        cold["Li-Li"].g.max(),
        hot["Li-Li"].g.max(),
    ]
    assert len({curve.get_color() for curve in curves}) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["300 K", "900 K"]
    assert figure.axes[0].get_title("right") == ""


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(AnalysisError, match="no pair distribution"):
        rdf([])


def test_each_lag_has_a_panel_with_the_random_walk_of_its_msd() -> None:
    steps = np.random.default_rng(1).normal(0.0, 0.3, (3000, 40, 3))
    walk = MemoryTrajectory(NUMBERS, np.cumsum(steps, axis=0), np.eye(3) * 12.5, 0.1)
    result = self_van_hove([walk], "Li", [0.1, 1.0], reference="none")

    figure = van_hove([("Li at 600 K", result)])

    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["Li at 600 K\n0.1 ps", "1 ps"]
    for axes in figure.axes:
        curve, gaussian = axes.lines
        expected = np.interp(gaussian.get_xdata(), curve.get_xdata(), curve.get_ydata())
        height = gaussian.get_ydata().max()
        np.testing.assert_allclose(gaussian.get_ydata(), expected, atol=0.1 * height)
    assert figure.axes[0].get_title("right").startswith(f"MSD {result.msd_A2[0]:.3g} Å²")


def test_several_sets_of_runs_stand_side_by_side() -> None:
    one = self_van_hove([run()], "Li", [0.1, 1.0], reference="none")
    other = self_van_hove([run(0.2)], "Li", [0.5], reference="none")

    figure = van_hove([("cold", one), ("hot", other)])

    shown = [axes.get_title("left") for axes in figure.axes if axes.get_visible()]
    assert shown == ["cold\n0.1 ps", "hot\n0.5 ps", "1 ps"]
