"""D by driving member of the ensemble, a panel for each temperature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import CYCLE, INK, panel_grid, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from dasksse.records import Json

_COLUMNS = 3
_PANEL_INCHES = (2.6, 2.4)
_MOST_FACTOR = 10.0
"""Bands that reach further are cut at this factor of the mean."""


@styled
def study_members(temperatures: Sequence[Mapping[str, Json]], *, mobile_species: str) -> Figure:
    """Draw D of each member with its sampling error, their mean and the spread of the models.

    Parameters
    ----------
    temperatures
        ``temperature_K``, ``members`` with ``member``, ``D_m2_s``, ``D_err_m2_s`` and
        ``upper_bound_m2_s``, and ``spread_of_ln_D``, see
        :meth:`dasksse.analyse.member_spread.Spread.to_json`.
    mobile_species
        Symbol of the mobile element.

    Raises
    ------
    AnalysisError
        When no member has D or an upper bound.
    """
    shown = [one for one in temperatures if any(_height(p) for p in one["members"])]
    if not shown:
        msg = "no member has D or an upper bound"
        raise AnalysisError(msg)
    rows, columns = panel_grid(len(shown), _COLUMNS)
    width, height = _PANEL_INCHES
    figure = Figure(
        figsize=(max(width * columns, 3.6), height * rows + 0.3), layout="constrained"
    )
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, one in zip(panels, shown, strict=False):
        _draw(axes, one, mobile_species)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    handles = {
        label: handle
        for axes in panels[: len(shown)]
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    return figure


def _height(point: Mapping[str, Json]) -> float | None:
    found = point["D_m2_s"] or point["upper_bound_m2_s"]
    return None if found is None else float(found)


def _draw(axes: Axes, one: Mapping[str, Json], mobile_species: str) -> None:
    spread = one["spread_of_ln_D"]
    known = [p for p in one["members"] if p["D_m2_s"] is not None]
    bounds = [p for p in one["members"] if p["D_m2_s"] is None and p["upper_bound_m2_s"]]
    middle = float(np.median([h for p in one["members"] if (h := _height(p))]))
    exponent = math.floor(math.log10(middle))
    unit = 10.0**exponent
    if spread is not None:
        mean = math.exp(spread["mean"]) / unit
        for width, alpha, label in (
            (spread["models_high"], 0.10, "at most so much (95 %)"),
            (spread["models"], 0.25, "spread of the models"),
        ):
            factor = min(math.exp(width), _MOST_FACTOR)
            axes.axhspan(mean / factor, mean * factor, color=CYCLE[0], alpha=alpha, lw=0)
            axes.fill_between([], [], color=CYCLE[0], alpha=alpha, lw=0, label=label)
        axes.axhline(mean, color=CYCLE[0], linewidth=0.9, label="mean")
    axes.errorbar(
        [p["member"] for p in known],
        [p["D_m2_s"] / unit for p in known],
        [p["D_err_m2_s"] / unit for p in known],
        fmt="o",
        color=INK,
        label="member, sampling error",
    )
    if bounds:
        axes.plot(
            [p["member"] for p in bounds],
            [p["upper_bound_m2_s"] / unit for p in bounds],
            linestyle="none",
            marker=r"$\downarrow$",
            markersize=9,
            color=INK,
            label="upper bound",
        )
    axes.set_title(f"{one['temperature_K']:g} K", fontweight="bold")
    axes.set_ylim(0.0, 1.04 * axes.get_ylim()[1])
    members = [p["member"] for p in one["members"]]
    axes.set_xlim(min(members) - 0.5, max(members) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("member that drives")
    axes.set_ylabel(f"$D$ of {mobile_species} ($10^{{{exponent}}}$ m²/s)")
