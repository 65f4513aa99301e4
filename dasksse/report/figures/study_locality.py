"""Spread of the force on an atom against the radius within which its neighbours are fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import (
    FAINT,
    MARKERS,
    MUTED,
    TRUST_LINE,
    cycle_colours,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from dasksse.records import Json

OFFSET_A = 0.02
"""Elements stand side by side, so that their bars can be told apart [Å]."""


@styled
def study_locality(values: Mapping[str, Json]) -> Figure:
    """Spread of each element with its scatter, the cutoff of the models, the published range.

    Parameters
    ----------
    values
        Of the outcome of the study ``locality``.

    Raises
    ------
    AnalysisError
        When no atom has a spread.
    """
    rows = values.get("rows", [])
    if not rows:
        msg = "no atom has two frames with forces"
        raise AnalysisError(msg)
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.subplots()
    _draw_published(axes, values)
    elements = list(dict.fromkeys(row["element"] for row in rows))
    colours = cycle_colours(elements)
    for place, element in enumerate(elements):
        own = [row for row in rows if row["element"] == element]
        shift = OFFSET_A * (place - 0.5 * (len(elements) - 1))
        axes.errorbar(
            [row["radius_A"] + shift for row in own],
            [row["sigma_meV_A"] for row in own],
            [row["scatter_meV_A"] or row["error_meV_A"] for row in own],
            color=colours[element],
            marker=MARKERS[place % len(MARKERS)],
            linewidth=1.0,
            elinewidth=0.8,
            label=element,
            zorder=3,
        )
    axes.axvline(values["cutoff_A"], zorder=1, **TRUST_LINE, label="cutoff of the models")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("Radius r of the fixed sphere (Å)")
    axes.set_ylabel(r"Deviation of the force $\sigma_f$ (meV/Å)")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _draw_published(axes: Axes, values: Mapping[str, Json]) -> None:
    """Range that the text of the paper gives for all elements and radii."""
    published = values["published"]
    if published is None:
        return
    axes.axhspan(
        published["low_meV_A"],
        published["high_meV_A"],
        facecolor=FAINT,
        edgecolor=MUTED,
        linewidth=0.6,
        alpha=0.5,
        zorder=0,
        label=f"Huang et al. 2021,\n{published['material']}, by the text",
    )
