"""D against temperature of several cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out
from dasksse.errors import AnalysisError
from dasksse.report.figures.arrhenius_parts import draw_points, finish_axes
from dasksse.report.figures.style import CYCLE, MARKERS, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.records import Json

_KEYS = ("temperature_K", "D_m2_s", "D_err_m2_s", "upper_bound_m2_s", "framework_broken")


@dataclass(frozen=True)
class Series:
    """Points of one case.

    Attributes
    ----------
    label
        For the legend.
    points
        With ``temperature_K``, ``D_m2_s``, ``D_err_m2_s``, ``upper_bound_m2_s``; None or absent
        where unknown.
    """

    label: str
    points: Sequence[Mapping[str, Json]]


def _known(point: Mapping[str, Json]) -> dict[str, Any]:
    return {key: point[key] for key in _KEYS if key in point}


@styled
def d_of_temperature(series: Sequence[Series], *, mobile_species: str) -> Figure:
    """D of each case against 1000/T, upper bounds as arrows.

    Raises
    ------
    AnalysisError
        When no case has D or an upper bound.
    """
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for place, one in enumerate(series):
        points = leave_out([DiffusionPoint(**_known(point)) for point in one.points])
        marker = MARKERS[place % len(MARKERS)]
        colour = CYCLE[place % len(CYCLE)]
        draw_points(axes, points, colour, marker)
        known = sorted(
            (p for p in points if p.has_D and not p.left_out), key=lambda p: p.temperature_K
        )
        axes.plot(
            [1000.0 / p.temperature_K for p in known],
            [p.D_m2_s or np.nan for p in known],
            color=colour,
            linewidth=0.8,
        )
        axes.plot(
            [],
            [],
            color=colour,
            marker=marker,
            linestyle="none",
            label=one.label,
        )
    if not axes.containers:
        msg = "no run has D or an upper bound"
        raise AnalysisError(msg)
    finish_axes(axes, mobile_species)
    return figure
