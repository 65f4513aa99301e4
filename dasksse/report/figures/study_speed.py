"""Wall time of an MD step against the number of atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import CYCLE, MARKERS, MUTED, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from dasksse.records import Json

MS_PER_S = 1e3


@styled
def study_speed(values: Mapping[str, Json]) -> Figure:
    """Times with one model and with all, lines through them, and the published time.

    Parameters
    ----------
    values
        Of the outcome of the study ``speed``.

    Raises
    ------
    AnalysisError
        When nothing was timed.
    """
    times = values.get("times", [])
    if not times:
        msg = "no cell was timed"
        raise AnalysisError(msg)
    figure = Figure(figsize=(5.0, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log")
    for place, one in enumerate(values["ensembles"]):
        _draw_times(axes, values, one, place)
    _draw_published(axes, values)
    sizes = sorted({row["n_atoms"] for row in times})
    axes.set_xticks(sizes, [f"{size}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(0.08)
    _label_ticks(axes.yaxis)
    axes.set_xlabel("Number of atoms")
    axes.set_ylabel("Wall time of a step (ms)")
    hours_per_ms = 1e6 / values["timestep_fs"] / MS_PER_S / 3600.0
    right = axes.secondary_yaxis(
        "right", functions=(lambda ms: ms * hours_per_ms, lambda hours: hours / hours_per_ms)
    )
    right.spines["right"].set_visible(True)
    _label_ticks(right.yaxis)
    right.set_ylabel(f"h/ns at {values['timestep_fs']:g} fs")
    axes.legend(loc="best")
    return figure


def _label_ticks(axis: Axis) -> None:
    """Plain numbers at 1, 2 and 5 of every decade."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _draw_times(
    axes: Axes, values: Mapping[str, Json], one: Mapping[str, Json], place: int
) -> None:
    rows = [row for row in values["times"] if row["n_models"] == one["n_models"]]
    colour, marker = CYCLE[place % len(CYCLE)], MARKERS[place % len(MARKERS)]
    sizes = np.array([row["n_atoms"] for row in rows])
    for row in rows:
        repeats = MS_PER_S * np.array(row["repeats_s"])
        axes.plot(
            np.full(len(repeats), row["n_atoms"]),
            repeats,
            color=colour,
            marker=marker,
            linestyle="",
            markersize=3,
            alpha=0.3,
            zorder=2,
        )
    who = "one model" if one["n_models"] == 1 else f"ensemble of {one['n_models']}"
    fit = one["fit"]
    if fit is not None:
        who += f", exponent {fit['exponent']:.2f}"
        along = np.geomspace(sizes.min(), sizes.max(), 100)
        line = MS_PER_S * (fit["a_s"] + fit["b_s_per_atom"] * along)
        axes.plot(along, np.where(line > 0.0, line, np.nan), color=colour, linewidth=1.0)
    axes.plot(
        sizes,
        [MS_PER_S * row["step_s"] for row in rows],
        color=colour,
        marker=marker,
        linestyle="",
        markersize=6,
        label=who,
        zorder=3,
    )


def _draw_published(axes: Axes, values: Mapping[str, Json]) -> None:
    published = values["published"]
    if published is None:
        return
    steps_per_ns = 1e6 / published["timestep_fs"]
    step_ms = published["hours_per_ns"] * 3600.0 * MS_PER_S / steps_per_ns
    axes.plot(
        [published["n_atoms"]],
        [step_ms],
        color=MUTED,
        marker="o",
        linestyle="",
        markersize=7,
        markerfacecolor="white",
        label=(
            f"Huang et al. 2021, {published['material']},\n{published['machine']}, around "
            f"{published['hours_per_ns']:g} h/ns at {published['timestep_fs']:g} fs"
        ),
        zorder=4,
    )
