"""Parts of Arrhenius plots: points, bounds, curves with bands, axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import LogFormatterSciNotation

from dasksse.report.figures.style import MUTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dasksse.analyse.diffusion_points import DiffusionPoint

TOP_TICKS_K = (200, 250, 300, 350, 400, 500, 600, 700, 800, 1000, 1200, 1500, 2000)
LEAST_TICK_GAP = 0.065
"""Share of the axis below which two temperatures along the top would touch."""
BAND_ALPHA = 0.16


@dataclass(frozen=True)
class Curve:
    """Fitted D [m²/s] at temperatures [K], and bands as (low, high), the narrowest first."""

    temperature_K: NDArray[np.float64]
    D_m2_s: NDArray[np.float64]
    bands: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]


def draw_points(
    axes: Axes,
    points: Sequence[DiffusionPoint],
    colour: str,
    marker: str,
) -> None:
    """Values with errors, bounds as arrows; hollow when left out of the fit."""
    for point in points:
        value, shade = point.D_m2_s, MUTED if point.left_out else colour
        is_empty = bool(point.left_out)
        if value is not None:
            error = point.D_err_m2_s or 0.0
            axes.errorbar(
                [1000 / point.temperature_K],
                [value],
                [[min(error, 0.95 * value)], [error]],
                linestyle="",
                marker=marker,
                color=shade,
                markerfacecolor="white" if is_empty else shade,
                markeredgecolor=shade if is_empty else "white",
                markeredgewidth=1.0 if is_empty else 0.5,
                markersize=6,
                zorder=4,
            )
        elif point.upper_bound_m2_s is not None:
            axes.errorbar(
                [1000 / point.temperature_K],
                [point.upper_bound_m2_s],
                yerr=[[0.6 * point.upper_bound_m2_s], [0.0]],
                uplims=True,
                linestyle="",
                marker="_",
                markersize=9,
                markeredgewidth=1.4,
                color=shade,
                zorder=4,
            )


def draw_curve(axes: Axes, curve: Curve, data_K: Sequence[float], colour: str) -> None:
    """Curve with its bands, dashed outside the temperatures of the data [K]."""
    x = 1000 / curve.temperature_K
    inside = (curve.temperature_K >= min(data_K) - 1e-6) & (
        curve.temperature_K <= max(data_K) + 1e-6
    )
    axes.plot(x, curve.D_m2_s, color=colour, linewidth=1.0, linestyle=(0, (4, 2)))
    axes.plot(x[inside], curve.D_m2_s[inside], color=colour, linewidth=1.4)
    for place, band in enumerate(curve.bands):
        axes.fill_between(x, *band, color=colour, alpha=BAND_ALPHA / (1 + place), linewidth=0)


def draw_extrapolation(
    axes: Axes,
    at_K: float,
    D_m2_s: float,
    colour: str,
    *,
    interval: tuple[float, float] | None = None,
    label: str | None = None,
) -> None:
    """Star at the extrapolated value, with its interval if one is given."""
    error = None
    if interval is not None:
        low, high = interval
        error = np.array([[D_m2_s - low], [high - D_m2_s]])
    axes.errorbar(
        [1000 / at_K],
        [D_m2_s],
        error,
        marker="*",
        markersize=11,
        markeredgecolor="white",
        markeredgewidth=0.5,
        color=colour,
        zorder=5,
        label=label,
    )


def finish_axes(axes: Axes, species: str) -> None:
    """Logarithmic D, labels, temperature [K] along the top, legend."""
    axes.set_yscale("log")
    axes.margins(x=0.06, y=0.08)
    axes.autoscale_view()
    # labels between the powers of ten, where few of these are in sight
    axes.yaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(2.0, 0.5)))
    axes.set_xlabel("1000 / T (1/K)")
    axes.set_ylabel(f"$D$ of {species} (m²/s)" if species else "$D$ (m²/s)")
    axes.spines["top"].set_visible(True)
    axes.spines["top"].set_color(MUTED)
    low, high = sorted(axes.get_xlim())
    top = axes.secondary_xaxis("top", functions=(lambda x: x, lambda x: x))
    ticks: list[int] = []
    for tick in (tick for tick in TOP_TICKS_K if low <= 1000 / tick <= high):
        if not ticks or 1000 / ticks[-1] - 1000 / tick > LEAST_TICK_GAP * (high - low):
            ticks.append(tick)
    top.set_xticks([1000 / tick for tick in ticks], [str(tick) for tick in ticks])
    top.set_xlabel("T (K)")
    axes.legend(loc="lower left")
