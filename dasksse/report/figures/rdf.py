"""Radial distribution functions, a panel for each pair of elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import FAINT, MUTED, panel_grid, styled, temperature_colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from dasksse.analyse.rdf import PairDistribution, RadialDistributions


@styled
def rdf(results: Sequence[tuple[str, RadialDistributions]]) -> Figure:
    """Draw g(r) against r [Å], each curve with a band of one standard error.

    The dashed line is the first minimum, with the number of neighbours up to it where there is
    one curve only.

    Parameters
    ----------
    results
        Name and distributions of each curve, such as one for each temperature in ascending
        order.

    Raises
    ------
    AnalysisError
        When there is nothing to draw.
    """
    names = list(dict.fromkeys(entry.pair for _, result in results for entry in result.pairs))
    if not names:
        msg = "no pair distribution to draw"
        raise AnalysisError(msg)
    ranks = temperature_colours(range(len(results)))
    n_rows, n_columns = panel_grid(len(names), 4)
    figure = Figure(
        figsize=(max(2.1 * n_columns, 3.4), 1.75 * n_rows + 0.55), layout="constrained"
    )
    grid = figure.subplots(n_rows, n_columns, sharex=True, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        axes.axhline(1.0, color=FAINT, linewidth=0.8, zorder=0)
        for rank, (_, result) in enumerate(results):
            for entry in result.pairs:
                if entry.pair == name:
                    _draw_curve(axes, result, entry, ranks[rank], is_alone=len(results) == 1)
        axes.set_title(name, fontweight="bold")
        axes.set_ylim(bottom=0.0)
        axes.set_xlim(0.0, max(result.r_max_A for _, result in results))
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    for index, axes in enumerate(grid.flat[: len(names)]):
        if index + n_columns >= len(names):
            axes.set_xlabel("r (Å)")
            axes.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("g(r)")
    handles = [
        Line2D([], [], color=ranks[rank], label=title)
        for rank, (title, _) in enumerate(results)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
    return figure


def _draw_curve(
    axes: Axes,
    result: RadialDistributions,
    entry: PairDistribution,
    colour: str,
    *,
    is_alone: bool,
) -> None:
    r, error = result.r_A, np.nan_to_num(entry.g_err)
    axes.plot(r, entry.g, color=colour, linewidth=1.1)
    axes.fill_between(
        r, entry.g - error, entry.g + error, color=colour, alpha=0.25, linewidth=0
    )
    if np.isnan(entry.first_minimum_A):
        return
    axes.axvline(
        entry.first_minimum_A, color=colour, linewidth=0.7, linestyle=(0, (4, 2.5)), alpha=0.7
    )
    if is_alone:
        text = f"n = {entry.coordination:.2f} within {entry.first_minimum_A:.2f} Å"
        axes.set_title(text, loc="right", color=MUTED, fontsize=7)
