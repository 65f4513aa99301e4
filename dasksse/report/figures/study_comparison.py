"""Simulation beside measurements: D against temperature, and the ratio of both."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from dasksse.errors import AnalysisError
from dasksse.report.figures.arrhenius_parts import finish_axes
from dasksse.report.figures.study_diffusion import draw_branches, draw_published, has_any
from dasksse.report.figures.style import CYCLE, INK, MARKERS, MUTED, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from dasksse.records import Json

OPEN_MARKERS = ("D", "s", "^", "v", "P", "X")
SHIFT_K = 1.5
"""Crystals stand side by side at one temperature."""


@styled
def study_comparison(values: Mapping[str, Json]) -> Figure:
    """D against 1000/T with measurements, and simulated over measured.

    Parameters
    ----------
    values
        Of the study's outcome.

    Raises
    ------
    AnalysisError
        When there is nothing simulated or nothing measured.
    """
    if not has_any(values["points"]) or not values["ratios"]:
        msg = "no simulated D beside a measured one"
        raise AnalysisError(msg)
    figure = Figure(figsize=(8.4, 5.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1.0))
    shown = [point for point in values["points"] if point["branch"] in values["branches"]]
    draw_branches(left, shown, values["branches"])
    _draw_measured(left, values["ratios"])
    draw_published(left, values["published"])
    finish_axes(left, values["mobile_species"])
    _draw_ratios(right, values["ratios"])
    left.get_legend().remove()  # names of sources are long: below both plots
    entries = [axes.get_legend_handles_labels() for axes in (left, right)]
    handles, labels = (list(chain(*parts)) for parts in zip(*entries, strict=True))
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _draw_measured(axes: Axes, ratios: Sequence[Mapping[str, Json]]) -> None:
    """Measured D of each source, once, as open black markers."""
    first = [one for one in ratios if one["branch"] == ratios[0]["branch"]]
    for place, source in enumerate(dict.fromkeys(one["source"] for one in first)):
        ours = [one for one in first if one["source"] == source]
        measured = [one["D_measured_m2_s"] for one in ours]
        errors = [one["D_measured_err_m2_s"] or 0.0 for one in ours]
        is_sigma = any(one["from_conductivity"] for one in ours)
        lower = [min(err, 0.95 * D) for err, D in zip(errors, measured, strict=True)]
        axes.errorbar(
            [1000.0 / one["temperature_K"] for one in ours],
            measured,
            [lower, errors],
            linestyle="none",
            marker=OPEN_MARKERS[place % len(OPEN_MARKERS)],
            markersize=5,
            color=INK,
            markerfacecolor="white",
            markeredgewidth=0.9,
            zorder=6,
            label=(source or "experiment") + (" (from σ)" if is_sigma else ""),
        )


def _draw_ratios(axes: Axes, ratios: Sequence[Mapping[str, Json]]) -> None:
    """Ratio with its 95 % interval; hollow where D was not simulated at the temperature."""
    branches = list(dict.fromkeys(one["branch"] for one in ratios))
    for place, branch in enumerate(branches):
        colour, marker = CYCLE[place % len(CYCLE)], MARKERS[place % len(MARKERS)]
        shift = SHIFT_K * (place - (len(branches) - 1) / 2)
        for one in (one for one in ratios if one["branch"] == branch):
            ratio, low, high = (one[f"ratio{end}"] for end in ("", "_low95", "_high95"))
            at = [one["temperature_K"] + shift]
            if ratio is not None:
                has_interval = low is not None and high is not None
                axes.errorbar(
                    at,
                    [ratio],
                    [[ratio - low], [high - ratio]] if has_interval else None,
                    linestyle="none",
                    marker=marker,
                    color=colour,
                    markerfacecolor=colour if one["how"] == "simulated" else "white",
                )
            elif high is not None:
                axes.errorbar(
                    at, [high], [[0.4 * high], [0.0]], uplims=True, marker="_", color=colour
                )
    if any(one["how"] in {"interpolated", "extrapolated"} for one in ratios):
        label = "right, hollow: D from the fit"
        axes.plot([], [], "o", color=MUTED, markerfacecolor="white", label=label)
    axes.axhline(1.0, color=INK, linewidth=0.8, linestyle=(0, (4, 2.5)), zorder=1)
    axes.set_yscale("log")
    axes.margins(x=0.15)
    axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 3.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.set_xlabel("T (K)")
    axes.set_ylabel("simulated $D$ / measured $D$")
