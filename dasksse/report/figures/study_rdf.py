"""Pair distributions of the ordered crystal and of the mean arrangement, a panel for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import CYCLE, FAINT, INK, panel_grid, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.records import Json

DASHES = (0, (4, 1.8))
MAX_COLUMNS = 4


@styled
def ordered_and_disordered(values: Mapping[str, Json]) -> Figure:
    """g(r) of each pair, dashed for the ordered crystal and solid for the disordered mean.

    Parameters
    ----------
    values
        Of the outcome of the study ``rdf``.

    Raises
    ------
    AnalysisError
        When there is no pair.
    """
    pairs = values.get("pairs", {})
    if not pairs:
        msg = "no pair distribution to draw"
        raise AnalysisError(msg)
    n_rows, n_columns = panel_grid(len(pairs), MAX_COLUMNS)
    figure = Figure(
        figsize=(max(2.1 * n_columns, 4.6), 2.0 * n_rows + 0.6), layout="constrained"
    )
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    r = np.asarray(values["r_A"])
    for number, (name, entry) in enumerate(pairs.items()):
        axes, colour = grid.flat[number], CYCLE[number % len(CYCLE)]
        axes.axhline(1.0, color=FAINT, linewidth=0.8, zorder=0)
        for side, dashes, width in (("disordered", "-", 1.7), ("ordered", DASHES, 1.0)):
            g, error = np.asarray(entry[side]["g"]), np.asarray(entry[side]["g_err"])
            shade = INK if side == "ordered" else colour
            axes.plot(r, g, color=shade, linewidth=width, linestyle=dashes)
            axes.fill_between(r, g - error, g + error, color=shade, alpha=0.2, linewidth=0)
        axes.set_title(name, fontweight="bold")
        axes.set_ylim(bottom=0.0)
        axes.set_xlim(1.0, float(r[-1]))
        axes.set_xlabel("r (Å)")
    for axes in grid.flat[len(pairs) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("g(r)")
    count = values["n_orderings"]
    disordered = f"disordered, mean of {count}" if count > 1 else "disordered"
    handles = [
        Line2D([], [], color=INK, linestyle=DASHES, label="ordered"),
        Line2D([], [], color=INK, label=f"{disordered}, {values['temperature_K']:g} K"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=2.4)
    return figure
