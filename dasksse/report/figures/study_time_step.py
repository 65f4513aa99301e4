"""Fluctuation and drift of the energy against the time step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import CYCLE, FAINT, MUTED, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from dasksse.records import Json


@styled
def study_time_step(values: Mapping[str, Json]) -> Figure:
    """Two panels: the fluctuation beside a square law, and the drift beside its limit.

    Parameters
    ----------
    values
        Of the outcome of the study ``time-step``.

    Raises
    ------
    AnalysisError
        When no time step has numbers.
    """
    points = values["points"]
    if not points:
        msg = "no time step has an energy"
        raise AnalysisError(msg)
    figure = Figure(figsize=(6.6, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_fluctuation(left, points, values)
    _draw_drift(right, points)
    for axes in (left, right):
        axes.axvline(values["timestep_in_use_fs"], color=FAINT, linewidth=0.9, zorder=0)
        axes.set_xlabel("time step (fs)")
    return figure


def _draw_fluctuation(
    axes: Axes, points: Sequence[Mapping[str, Json]], values: Mapping[str, Json]
) -> None:
    steps = np.array([point["timestep_fs"] for point in points])
    ratios = np.array([point["fluctuation_ratio"] for point in points])
    axes.loglog(steps, ratios, "o", color=CYCLE[0], zorder=3)
    axes.loglog(
        steps,
        ratios[-1] * (steps / steps[-1]) ** 2,
        color=MUTED,
        linestyle="--",
        label="∝ step²",
    )
    axes.axhline(values["largest_fluctuation"], color=CYCLE[1], linewidth=0.9, label="limit")
    axes.set_ylabel("σ(total energy) / σ(kinetic energy)")
    axes.set_xticks(steps)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend()


def _draw_drift(axes: Axes, points: Sequence[Mapping[str, Json]]) -> None:
    steps = [point["timestep_fs"] for point in points]
    limit = float(np.mean([point["limit_K_ns"] for point in points]))
    axes.axhspan(-limit, limit, color=FAINT, alpha=0.5, linewidth=0, zorder=0)
    axes.errorbar(
        steps,
        [point["heating_K_ns"] for point in points],
        [point["heating_err_K_ns"] for point in points],
        fmt="o",
        color=CYCLE[0],
    )
    axes.set_xticks(steps)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_ylabel("drift as heating (K/ns)")
