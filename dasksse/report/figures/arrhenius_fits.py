"""D(T) as ``dasksse arrhenius`` fits it: any form, bands, alternatives, experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from dasksse.report.arrhenius_text import FORM_TITLES
from dasksse.report.figures.arrhenius_parts import (
    Curve,
    draw_curve,
    draw_extrapolation,
    draw_points,
    finish_axes,
)
from dasksse.report.figures.style import CYCLE, INK, MARKERS, MUTED, styled
from dasksse.report.formats import format_number, format_value_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dasksse.analyse.arrhenius_result import ArrheniusResult
    from dasksse.analyse.diffusion_points import DiffusionPoint
    from dasksse.analyse.experiment import ExperimentPoint
    from dasksse.analyse.fitted_points import FittedPoints

ALTERNATIVE_STYLES = {
    "line": (0, (1, 1.5)),
    "two-segment": (0, (5, 1.5, 1, 1.5)),
    "vtf": (0, (2.5, 1.5)),
}
EXPERIMENT_MARKERS = ("D", "s", "^", "v", "P", "X")
SCORES = (1.0, 1.96)
"""Standard errors of the two bands."""
LEAST_SHOWN = 1.0e-6
"""Extrapolated D below this share of the smallest measured one is not shown: a form that
freezes out would stretch the axis over hundreds of decades."""
ROOM = 3.0
"""Factor of D left free below and above what is drawn; bands may leave the axes."""


@styled
def arrhenius_fits(
    *,
    fitted: Sequence[FittedPoints],
    experiment: Sequence[ExperimentPoint] = (),
    species: str = "",
) -> Figure:
    """Arrhenius plot with 68 and 95 % bands.

    Full line: fit within the data; dashed: outside; star: extrapolation with its 68 % interval;
    arrows: upper bounds; hollow: left out; dotted: other forms, drawn where one line fails.

    Parameters
    ----------
    fitted
        Systems with at least one value or bound.
    experiment
        Measured values, drawn as open black markers, one kind for each source.
    species
        What diffuses; for the axis.
    """
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    axes = figure.subplots()
    heights: list[float] = []
    for place, one in enumerate(fitted):
        colour, marker = CYCLE[place % len(CYCLE)], MARKERS[place % len(MARKERS)]
        axes.plot(
            [], [], color=colour, marker=marker, markeredgecolor="white", label=_label(one)
        )
        draw_points(axes, one.points, colour, marker)
        heights += [v for p in one.points if (v := p.D_m2_s or p.upper_bound_m2_s)]
        if one.fit is not None:
            heights += _draw_fit(axes, one.fit, one.points, colour)
    for one in fitted:
        _draw_alternatives(axes, one)
    _explain_points(axes, fitted)
    _draw_experiment(axes, experiment)
    heights += [point.D_m2_s for point in experiment]
    finish_axes(axes, species)
    axes.set_ylim(min(heights) / ROOM, max(heights) * ROOM)
    return figure


def _label(one: FittedPoints) -> str:
    if one.fit is None:
        return f"{one.name}: no fit"
    Ea = f"$E_a$ = {format_value_error(one.fit.Ea_eV, one.fit.Ea_err_eV, 'eV')}"
    return f"{one.name}: {Ea}" if one.name else Ea


def _draw_fit(
    axes: Axes, fit: ArrheniusResult, points: Sequence[DiffusionPoint], colour: str
) -> list[float]:
    """Curve, bands and star; D that must be inside the axes."""
    used = [p.temperature_K for p in points if p.has_D and not p.left_out]
    T_K = _drawn_K(fit, points)
    curves = [fit.D_at(T_K, score) for score in SCORES]
    bands = [(low, high) for _, low, high in curves]
    draw_curve(axes, Curve(T_K, curves[0][0], bands), used, colour)
    draw_extrapolation(
        axes,
        fit.at_K,
        fit.D_m2_s,
        colour,
        interval=(fit.D_low_m2_s, fit.D_high_m2_s),
        label=f"{fit.at_K:g} K: {format_number(fit.D_m2_s, 'm²/s', digits=2)}",
    )
    lowest = min(p.D_m2_s or p.upper_bound_m2_s or np.inf for p in points)
    ends = (fit.D_m2_s, fit.D_low_m2_s, fit.D_high_m2_s)
    return [value for value in ends if value / lowest > LEAST_SHOWN]


def _draw_alternatives(axes: Axes, one: FittedPoints) -> None:
    """The other forms as thin grey lines."""
    if one.fit is None:
        return
    T_K = _drawn_K(one.fit, one.points)
    for name, form in one.fit.alternatives.items():
        title = f"{one.name} {FORM_TITLES[name]}".strip()
        axes.plot(
            1000 / T_K,
            np.exp(form.law.ln_D(T_K)),
            color=MUTED,
            linewidth=0.9,
            linestyle=ALTERNATIVE_STYLES[name],
            label=title if form.fits else f"{title}, does not fit",
        )


def _explain_points(axes: Axes, fitted: Sequence[FittedPoints]) -> None:
    """Legend entries of bounds and of points that are left out, where there are any."""
    points = [point for one in fitted for point in one.points]
    if any(point.is_bound and not point.left_out for point in points):
        axes.plot([], [], "_", color=INK, markersize=9, label="upper bound (95 %)")
    if any(point.left_out for point in points):
        axes.plot([], [], "o", color=MUTED, markerfacecolor="white", label="left out")


def _drawn_K(fit: ArrheniusResult, points: Sequence[DiffusionPoint]) -> NDArray[np.float64]:
    """Temperatures of a curve [K], even in 1/T."""
    ends = [*(point.temperature_K for point in points if not point.left_out), fit.at_K]
    return np.asarray(1.0 / np.linspace(1.0 / max(ends), 1.0 / min(ends), 300))


def _draw_experiment(axes: Axes, experiment: Sequence[ExperimentPoint]) -> None:
    """Open markers, one kind for each source."""
    sources = list(dict.fromkeys(point.source for point in experiment))
    for place, source in enumerate(sources):
        points = [point for point in experiment if point.source == source]
        errors = np.array([point.D_err_m2_s or 0.0 for point in points])
        values = np.array([point.D_m2_s for point in points])
        label = source or "experiment"
        if any(point.from_conductivity for point in points):
            label += " (from σ)"
        axes.errorbar(
            [1000 / point.temperature_K for point in points],
            values,
            np.array([np.minimum(errors, 0.95 * values), errors]),
            linestyle="",
            marker=EXPERIMENT_MARKERS[place % len(EXPERIMENT_MARKERS)],
            markersize=5,
            color=INK,
            markerfacecolor="white",
            markeredgewidth=0.9,
            zorder=6,
            label=label,
        )
