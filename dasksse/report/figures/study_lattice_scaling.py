"""D against the volume of the cell, a line for each temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import FAINT, MARKERS, styled, temperature_colours

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from dasksse.records import Json


@styled
def study_lattice_scaling(
    points: Sequence[Mapping[str, Json]],
    slopes: Sequence[Mapping[str, Json]],
    *,
    mobile_species: str,
) -> Figure:
    """Draw D at each volume with its error, upper bounds as arrows, and the fitted lines.

    Parameters
    ----------
    points
        ``temperature_K``, ``volume_scale``, ``D_m2_s``, ``D_err_m2_s``, ``upper_bound_m2_s``.
    slopes
        ``temperature_K``, ``slope`` and ``ln_D``, see
        :class:`dasksse.study.lattice_scaling.Slope`.
    mobile_species
        Symbol of the mobile element.

    Raises
    ------
    AnalysisError
        When no point has D or an upper bound.
    """
    shown = [p for p in points if p["D_m2_s"] or p["upper_bound_m2_s"]]
    if not shown:
        msg = "no run has D or an upper bound"
        raise AnalysisError(msg)
    figure = Figure(figsize=(4.8, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.axvline(100.0, color=FAINT, linewidth=0.9, zorder=0)
    temperatures_K = sorted({point["temperature_K"] for point in shown}, reverse=True)
    colours = temperature_colours(temperatures_K)
    lines = {slope["temperature_K"]: slope for slope in slopes}
    for place, at_K in enumerate(temperatures_K):
        at = sorted(
            (p for p in shown if p["temperature_K"] == at_K), key=lambda p: p["volume_scale"]
        )
        label = f"{at_K:g} K"
        if at_K in lines:
            slope = lines[at_K]
            label += f", d ln D / d ln V = {slope['slope']:.1f} ± {slope['slope_err']:.1f}"
            known = [p["volume_scale"] for p in at if p["D_m2_s"] is not None]
            ends = np.array([known[0], known[-1]])
            fitted = np.exp(slope["ln_D"]) * ends ** slope["slope"]
            axes.plot(100.0 * ends, fitted, color=colours[at_K], linewidth=0.9)
        marker = MARKERS[place % len(MARKERS)]
        _draw_points(axes, at, colours[at_K], marker)
        axes.plot([], [], color=colours[at_K], marker=marker, linestyle="none", label=label)
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(2.0, 0.5)))
    axes.set_xlabel("volume (% of the cell)")
    axes.set_ylabel(f"$D$ of {mobile_species} (m²/s)")
    figure.legend(loc="outside lower center", ncols=1)
    return figure


def _draw_points(
    axes: Axes, points: Sequence[Mapping[str, Json]], colour: str, marker: str
) -> None:
    known = [p for p in points if p["D_m2_s"] is not None]
    errors = [p["D_err_m2_s"] or 0.0 for p in known]
    lower = [min(e, 0.95 * p["D_m2_s"]) for e, p in zip(errors, known, strict=True)]
    axes.errorbar(
        [100.0 * p["volume_scale"] for p in known],
        [p["D_m2_s"] for p in known],
        [lower, errors],
        linestyle="none",
        marker=marker,
        color=colour,
        markeredgecolor="white",
        markeredgewidth=0.5,
        markersize=6,
    )
    bounds = [p for p in points if p["D_m2_s"] is None]
    axes.errorbar(
        [100.0 * p["volume_scale"] for p in bounds],
        [p["upper_bound_m2_s"] for p in bounds],
        [[0.6 * p["upper_bound_m2_s"] for p in bounds], [0.0] * len(bounds)],
        uplims=True,
        linestyle="none",
        marker="_",
        markersize=9,
        color=colour,
    )
