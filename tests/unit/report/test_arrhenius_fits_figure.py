from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out
from dasksse.analyse.experiment import ExperimentPoint
from dasksse.analyse.fitted_points import FittedPoints, fit_points
from dasksse.analyse.temperature_laws import FORMS
from dasksse.report.figures.arrhenius_fits import arrhenius_fits
from dasksse.report.figures.style import save_figure
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

T_K = np.array([400.0, 450.0, 500.0, 600.0, 700.0, 800.0, 1000.0, 1200.0])
KINKED = 1e-10 * np.exp(
    -np.where(T_K < 620.0, 0.45, 0.2) / BOLTZMANN_EV_K * (1 / T_K - 1 / 620.0)
)


def fitted(D: np.ndarray, form: str = "line", name: str = "") -> FittedPoints:
    points = [DiffusionPoint(T, d, 0.1 * d) for T, d in zip(T_K.tolist(), D, strict=True)]
    points.append(DiffusionPoint(300.0, upper_bound_m2_s=1e-11))
    points.append(DiffusionPoint(1500.0, 1e-8, 1e-9, framework_broken=0.5))
    return fit_points(leave_out(points), form=form, name=name)


def labels(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_everything_in_the_figure_is_explained() -> None:
    experiment = [
        ExperimentPoint(300.0, 1e-13, 1e-14, "NMR", from_conductivity=False),
        ExperimentPoint(350.0, 1e-13, None, "impedance", from_conductivity=True),
    ]

    figure = arrhenius_fits(fitted=[fitted(KINKED)], experiment=experiment, species="Li")

    found = labels(figure.axes[0])
    assert found[0].startswith("$E_a$ = 0.3")
    assert {"two segments", "upper bound (95 %)", "left out", "NMR"} <= set(found)
    assert "impedance (from σ)" in found
    assert any(label.startswith("VTF") for label in found)
    assert any(label.startswith("300 K: ") for label in found)
    assert figure.axes[0].get_ylabel() == "$D$ of Li (m²/s)"


def test_other_forms_are_drawn_only_where_one_line_fails() -> None:
    D = 3e-8 * np.exp(-0.25 / (BOLTZMANN_EV_K * T_K))

    found = labels(arrhenius_fits(fitted=[fitted(D)]).axes[0])

    assert not [label for label in found if "segments" in label or "VTF" in label]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_drawn_without_a_warning(form: str, tmp_path: Path) -> None:
    frozen = 2e-8 * np.exp(-900.0 / (T_K - 350.0))  # VTF: no diffusion at 300 K

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = arrhenius_fits(fitted=[fitted(frozen, form)])
        save_figure(figure, tmp_path / "a.png")

    low, high = figure.axes[0].get_ylim()
    assert 1e-25 < low < frozen.min()
    assert frozen.max() < high < 1e-5


def test_systems_have_their_own_colours_and_names() -> None:
    lone = fit_points([DiffusionPoint(600.0, 1e-10, 1e-11)], name="short")

    figure = arrhenius_fits(fitted=[fitted(KINKED, name="long"), lone])

    found = labels(figure.axes[0])
    assert found[0].startswith("long: $E_a$")
    assert "short: no fit" in found
    assert "long two segments" in found


def test_temperatures_along_the_top_do_not_touch() -> None:
    axes = arrhenius_fits(fitted=[fitted(KINKED)]).axes[0]

    (top,) = axes.child_axes
    ticks = np.sort(top.get_xticks())
    assert np.diff(ticks).min() > 0.06 * np.ptp(axes.get_xlim())
