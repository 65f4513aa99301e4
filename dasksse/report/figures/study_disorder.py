"""D of ordered and disordered crystals, and their ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out
from dasksse.errors import AnalysisError
from dasksse.report.figures.arrhenius_parts import draw_points, finish_axes
from dasksse.report.figures.style import CYCLE, FAINT, INK, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from dasksse.records import Json

_KEYS = (
    "temperature_K",
    "D_m2_s",
    "D_err_m2_s",
    "upper_bound_m2_s",
    "framework_broken",
    "framework_melted",
)
RATIO_TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
ARROW = 0.4
"""Length of the arrow at a one-sided ratio, relative to it."""
ORDERED, DISORDERED = CYCLE[0], CYCLE[1]


@styled
def disorder_figure(values: Mapping[str, Json]) -> Figure:
    """D against 1000/T, and the ratio of disordered to ordered.

    Parameters
    ----------
    values
        Of the outcome of the study ``disorder``.

    Raises
    ------
    AnalysisError
        When neither crystal has D or an upper bound.
    """
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
    _draw_single(left, values.get("arrangements", ()))
    count = values.get("n_orderings", 0)
    for key, label, colour, marker in (
        ("ordered", "ordered", ORDERED, "o"),
        ("disordered", f"mean of {count} arrangements", DISORDERED, "s"),
    ):
        _draw_series(left, values.get(key, ()), label, colour, marker)
    if not left.containers:
        msg = "neither the ordered crystal nor an arrangement has D or an upper bound"
        raise AnalysisError(msg)
    finish_axes(left, values["mobile_species"])
    _draw_ratios(right, values)
    return figure


def _draw_single(axes: Axes, points: Sequence[Mapping[str, Json]]) -> None:
    """Every arrangement, small."""
    known = [point for point in points if point["D_m2_s"] is not None]
    if known:
        axes.plot(
            [1000.0 / point["temperature_K"] for point in known],
            [point["D_m2_s"] for point in known],
            linestyle="none",
            marker="o",
            markersize=2.6,
            markeredgewidth=0.0,
            color=DISORDERED,
            alpha=0.3,
            label="single arrangements",
        )


def _draw_series(
    axes: Axes, points: Sequence[Mapping[str, Json]], label: str, colour: str, marker: str
) -> None:
    marked = leave_out([DiffusionPoint(**{k: point[k] for k in _KEYS}) for point in points])
    draw_points(axes, marked, colour, marker)
    known = sorted(
        (1000.0 / p.temperature_K, p.D_m2_s or np.nan)
        for p in marked
        if p.has_D and not p.left_out
    )
    axes.plot([x for x, _ in known], [y for _, y in known], color=colour, linewidth=0.8)
    axes.plot([], [], color=colour, marker=marker, linestyle="none", label=label)


def _draw_ratios(axes: Axes, values: Mapping[str, Json]) -> None:
    """Ratios with errors, one-sided ones as arrows, on a logarithmic scale."""
    axes.axhline(1.0, color=FAINT, linewidth=0.8, zorder=0)
    ends = [1.0]
    if values["published_range"] is not None:
        low, high = values["published_range"]
        label = f"Huang et al. 2021, {values['published_for']}:\n{low:g} to {high:g}"
        axes.axhspan(
            low, high, color=FAINT, alpha=0.6, zorder=0, label=f"{label} at low temperature"
        )
        ends += [low, high]
    for ratio in values["ratios"]:
        ends += _draw_ratio(axes, ratio)
    axes.set_yscale("log")
    axes.set_ylim(min(ends) / 1.6, max(ends) * 2.2)
    axes.yaxis.set_major_locator(FixedLocator(RATIO_TICKS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("T (K)")
    axes.set_ylabel("$D$ disordered / ordered")
    axes.margins(x=0.1)
    if values["published_range"] is not None:
        axes.legend(loc="upper right")


def _draw_ratio(axes: Axes, ratio: Mapping[str, Any]) -> list[float]:
    """One ratio; the ends of what is drawn."""
    at, value = ratio["temperature_K"], ratio["ratio"]
    if value is not None:
        low, high = value * np.exp([-ratio["ln_err"], ratio["ln_err"]])
        axes.errorbar(
            [at],
            [value],
            [[value - low], [high - value]],
            linestyle="",
            marker="D",
            color=INK,
            markersize=5,
            zorder=4,
        )
        return [float(low), float(high)]
    is_least = ratio["above"] is not None
    limit = ratio["above"] if is_least else ratio["below"]
    if limit is None:
        return []
    axes.errorbar(
        [at],
        [limit],
        yerr=[ARROW * limit],
        lolims=is_least,
        uplims=not is_least,
        linestyle="",
        marker="_",
        markersize=8,
        color=INK,
        zorder=4,
    )
    return [limit, (1.0 + ARROW if is_least else 1.0 - ARROW) * limit]
