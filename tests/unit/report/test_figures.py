from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PathCollection

from dasksse.errors import AnalysisError
from dasksse.report import figures
from dasksse.report.figures.arrhenius import fit_band
from dasksse.report.figures.style import (
    cycle_colours,
    panel_grid,
    save_figure,
    temperature_colours,
)
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from dasksse.report.data import GenerationRow, RunReport


def _svg(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "test"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


@pytest.mark.parametrize("entry", figures.FIGURES, ids=lambda entry: entry.name)
def test_every_figure_says_what_is_missing_in_a_run_that_has_just_begun(
    entry: figures.FigureEntry, new_report: RunReport
) -> None:
    with pytest.raises(AnalysisError, match=r"^(no|there is no) .*; \w+"):
        entry.draw(new_report)


def test_drawing_leaves_the_settings_of_matplotlib_alone(full_report: RunReport) -> None:
    before = dict(mpl.rcParams)

    figure = figures.shares(generations=full_report.generations)

    assert dict(mpl.rcParams) == before
    assert figure.canvas.manager is None  # pyplot does not know it


def test_equal_reports_give_equal_svg_files(full_report: RunReport, tmp_path: Path) -> None:
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]

    for path in paths:
        save_figure(figures.shares(generations=full_report.generations), path)

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_deviations_have_a_panel_per_generation_and_a_ridge_per_temperature(
    full_report: RunReport,
) -> None:
    figure = figures.deviations(generations=full_report.generations)

    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == [
        f"generation {i}" for i in range(6)
    ]
    assert [tick.get_text() for tick in panels[0].get_yticklabels()][::7] == ["300 K", "1200 K"]
    trust = [line.get_xdata()[0] for line in panels[0].lines if line.get_linestyle() == "--"]
    assert trust == [0.12, 0.25]


def test_many_generations_are_thinned_to_the_first_the_last_and_some_between(
    full_report: RunReport,
) -> None:
    rows = [replace(full_report.generations[2], generation=i) for i in range(19)]

    figure = figures.deviations(generations=rows, max_panels=6)

    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert len(titles) == 6
    assert (titles[0], titles[-1]) == ("generation 0", "generation 18")


def test_deviations_cope_with_blown_up_frames_and_empty_temperatures(
    full_report: RunReport,
) -> None:
    values = {300.0: np.array([0.05, 0.1, np.inf, np.nan, 1e9]), 600.0: np.array([])}
    row = replace(full_report.generations[0], deviations=values)

    axes = figures.deviations(generations=[row]).axes[0]

    assert axes.get_xlim()[1] < 1e3


def test_share_bars_stack_up_to_one(full_report: RunReport) -> None:
    axes = figures.shares(generations=full_report.generations).axes[0]

    tops = [bar.get_y() + bar.get_height() for bar in axes.containers[-1]]
    np.testing.assert_allclose(tops, 1.0)


def test_learning_curves_follow_one_another(full_report: RunReport) -> None:
    axes = figures.learning(generations=full_report.generations).axes[0]

    starts = [line.get_xdata()[0] for line in axes.lines[::4]]
    assert starts == [100, 8100, 12100, 16100, 20100, 24100]
    assert axes.lines[0].get_ydata()[0] > 100  # meV/Å


def test_progress_without_a_probe_has_one_panel(full_report: RunReport) -> None:
    rows = [replace(row, probe_deviation_mean_eV_A=None) for row in full_report.generations]

    assert len(figures.progress(generations=full_report.generations).axes) == 2
    assert len(figures.progress(generations=rows).axes) == 1


def test_parity_writes_the_error_of_each_set(full_report: RunReport) -> None:
    held_out = full_report.parity["held_out"]
    rmse = np.sqrt(np.mean((held_out.force_model_eV_A - held_out.force_label_eV_A) ** 2))

    axes = figures.parity(parity={"held_out": held_out}).axes

    assert len(axes) == 2
    assert f"{1000 * rmse:.0f} meV/Å" in axes[1].texts[0].get_text()


def test_parity_of_equal_energies_still_has_a_range(full_report: RunReport) -> None:
    data = full_report.parity["probe"]
    flat = replace(
        data,
        energy_label_eV_atom=np.array([-4.6]),
        energy_model_eV_atom=np.array([-4.6]),
    )

    low, high = figures.parity(parity={"probe": flat}).axes[0].get_xlim()

    assert high > low


def test_an_element_has_the_same_colour_in_parity_and_msd(full_report: RunReport) -> None:
    parity = figures.parity(parity=full_report.parity, elements=full_report.type_map)
    msd = figures.msd(
        production=full_report.production, mobile_species="Li", elements=full_report.type_map
    )

    def colours(figure: Figure) -> dict[str, Any]:
        return {
            text.get_text(): handle.get_color()
            for text, handle in zip(
                figure.legends[0].get_texts(), figure.legends[0].legend_handles, strict=True
            )
            if text.get_text() in full_report.type_map
        }

    assert colours(parity) == colours(msd)
    assert len(colours(msd)) == 4


def test_trust_check_draws_both_kinds_and_counts_the_box(full_report: RunReport) -> None:
    axes = figures.trust_check(generations=full_report.generations).axes[0]

    points = [c for c in axes.collections if isinstance(c, PathCollection)]
    assert [len(c.get_offsets()) for c in points] == [186, 48]
    assert axes.get_title(loc="left") == "48 of 48 accurate frames in the shaded box"


def test_msd_has_a_panel_per_row_with_its_window(full_report: RunReport) -> None:
    figure = figures.msd(production=full_report.production, mobile_species="Li")

    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == len(full_report.production)
    assert panels[0].get_title(loc="left") == "300 K"
    assert panels[0].get_title(loc="right") == "subdiffusive, slope 0.71"


def test_msd_copes_with_zero_lag_and_no_error(full_report: RunReport) -> None:
    row = replace(
        full_report.production[3],
        lag_ps=np.array([0.0, 1.0, 2.0]),
        msd_A2=np.array([0.0, 1.0, 2.0]),
        msd_err_A2=None,
        species_msd={"S": np.zeros(3)},
        diffusion={},
    )

    figure = figures.msd(production=[row], mobile_species="Li")

    assert _svg(figure)


def test_arrhenius_names_ea_with_its_error_and_marks_bounds(full_report: RunReport) -> None:
    axes = figures.arrhenius(
        production=full_report.production, fits=full_report.arrhenius, mobile_species="Li"
    ).axes[0]

    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "LGPS-2x2x2: $E_a$ = 0.221 ± 0.012 eV",
        "LSnPS: $E_a$ = 0.268 ± 0.031 eV",
    ]
    bounds = [line for line in axes.lines if line.get_markersize() == 9]
    expected = [row.diffusion["upper_bound_m2_s"] for row in full_report.production[:2]]
    assert [line.get_ydata()[0] for line in bounds] == expected


def test_arrhenius_without_a_fit_still_draws_the_points(full_report: RunReport) -> None:
    axes = figures.arrhenius(
        production=full_report.production[2:4],
        fits={"LGPS-2x2x2": None},
        mobile_species="Li",
    ).axes[0]

    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_text() == "LGPS-2x2x2: no fit"


def _weighted_fit_interval(
    x: np.ndarray, y: np.ndarray, error: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Oracle: weighted least squares with its covariance, evaluated at ``at``."""
    design = np.stack([np.ones_like(x), x], axis=1)
    covariance = np.linalg.inv(design.T @ np.diag(error**-2) @ design)
    parameters = covariance @ design.T @ (y / error**2)
    asked = np.stack([np.ones_like(at), at], axis=1)
    return asked @ parameters, np.sqrt(np.einsum("ij,jk,ik->i", asked, covariance, asked))


def test_the_band_is_that_of_weighted_least_squares(full_report: RunReport) -> None:
    rows = [row for row in full_report.production if row.system == "LSnPS"]
    x = np.array([1 / row.temperature_K for row in rows])
    D = np.array([row.diffusion["D_m2_s"] for row in rows])
    error = np.array([row.diffusion["D_err_m2_s"] for row in rows]) / D
    at = np.array([1 / 300.0, 1 / 450.0, 1 / 800.0, 1 / 1200.0])
    x_mean = np.average(x, weights=error**-2)
    line, half_width = _weighted_fit_interval(x, np.log(D), error, at)
    slope = (line[0] - line[-1]) / (at[0] - at[-1])
    fit = {
        "Ea_eV": -slope * BOLTZMANN_EV_K,
        "D0_m2_s": np.exp(line[0] - slope * at[0]),
        "at_K": 300.0,
        "D_m2_s": np.exp(line[0]),
        "D_low_m2_s": np.exp(line[0] - half_width[0]),
        "D_high_m2_s": np.exp(line[0] + half_width[0]),
        "Ea_err_eV": BOLTZMANN_EV_K / np.sqrt(np.sum((x - x_mean) ** 2 / error**2)),
        "pivot_K": 1 / x_mean,
    }

    band = fit_band(at, fit=fit)

    assert band is not None
    np.testing.assert_allclose(np.log(band[0]), line - half_width, rtol=1e-9)
    np.testing.assert_allclose(np.log(band[1]), line + half_width, rtol=1e-9)


def test_a_fit_without_interval_has_no_band(full_report: RunReport) -> None:
    fit = {**(full_report.arrhenius["LSnPS"] or {}), "D_low_m2_s": None}

    assert fit_band(np.array([0.002]), fit=fit) is None


def test_production_with_a_broken_framework_is_drawn_hollow(full_report: RunReport) -> None:
    rows = [
        replace(row, framework_broken=0.3) if row.temperature_K == 1000.0 else row
        for row in full_report.production
        if row.system == "LSnPS"
    ]

    axes = figures.arrhenius(
        production=rows, fits=full_report.arrhenius, mobile_species="Li"
    ).axes[0]

    points = [line for line in axes.lines if line.get_markersize() == 6]
    assert [line.get_markerfacecolor() == "white" for line in points] == [False, False, True]


def test_one_generation_alone_can_be_drawn(full_report: RunReport) -> None:
    one: list[GenerationRow] = [full_report.generations[0]]

    for draw in (figures.deviations, figures.shares, figures.learning, figures.progress):
        assert draw(generations=one).axes


@pytest.mark.parametrize(
    ("n_panels", "expected"), [(1, (1, 1)), (4, (2, 2)), (6, (2, 3)), (7, (3, 3))]
)
def test_panels_fill_their_grid(n_panels: int, expected: tuple[int, int]) -> None:
    assert panel_grid(n_panels, 3) == expected


def test_colours_differ_between_temperatures_and_repeat_after_seven_names() -> None:
    temperatures = temperature_colours([300.0, 500.0, 300.0, 400.0])
    names = cycle_colours(list("abcdefgh"))

    assert list(temperatures) == [300.0, 400.0, 500.0]
    assert len(set(temperatures.values())) == 3
    assert names["a"] == names["h"]
