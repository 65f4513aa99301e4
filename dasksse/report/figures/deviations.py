"""Distribution of the maximal force deviation by generation and temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import (
    MUTED,
    draw_trust_levels,
    panel_grid,
    styled,
    temperature_colours,
)
from dasksse.report.formats import format_share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dasksse.report.data import GenerationRow

N_BINS = 70
RIDGE_HEIGHT = 0.92
"""Height of a ridge's peak in units of the distance between ridges."""
X_TICKS_EV_A = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def _shown(generations: Sequence[GenerationRow], max_panels: int) -> list[GenerationRow]:
    """Generations with deviations; evenly spread, first and last kept, if there are many."""
    known = [row for row in generations if any(len(v) for v in row.deviations.values())]
    if len(known) <= max_panels:
        return known
    places = np.unique(np.linspace(0, len(known) - 1, max_panels).round().astype(int))
    return [known[place] for place in places]


def _bin_edges(generations: Sequence[GenerationRow]) -> NDArray[np.float64]:
    """Logarithmic bins that hold the trust levels and nearly all frames of all panels."""
    values = np.concatenate([v for row in generations for v in row.deviations.values()])
    values = values[np.isfinite(values) & (values > 0)]
    low = min(row.trust_low_eV_A for row in generations)
    high = max(row.trust_high_eV_A for row in generations)
    first, last = np.quantile(values, [0.002, 0.998]) if len(values) else (low, high)
    start = max(min(first / 1.3, low / 2), low / 20)
    stop = min(max(1.1 * last, 2 * high), 40 * high)
    return np.geomspace(start, stop, N_BINS + 1)


def _draw_ridges(
    axes: Axes,
    deviations: Mapping[float, NDArray[np.float64]],
    edges: NDArray[np.float64],
    colours: Mapping[float, str],
) -> None:
    """One filled histogram per temperature, hottest on top; outliers go to the edge bins."""
    for place, (temperature, colour) in enumerate(colours.items()):
        axes.axhline(place, color=colour, linewidth=0.5, alpha=0.5, zorder=1)
        values = np.asarray(deviations.get(temperature, ()), dtype=float)
        values = values[~np.isnan(values)]
        if not len(values):
            continue
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        heights = place + RIDGE_HEIGHT * counts / counts.max()
        axes.stairs(
            heights, edges, baseline=place, fill=True, color=colour, alpha=0.75, zorder=2
        )
        axes.stairs(heights, edges, baseline=None, color=colour, linewidth=0.6, zorder=2)


def _title(axes: Axes, row: GenerationRow) -> None:
    """Generation and systems left; the share of accurate frames right, in grey."""
    axes.set_title(f"generation {row.generation}", fontweight="bold")
    if row.accurate is not None:
        text = f"{format_share(row.accurate)} accurate"
        axes.set_title(text, loc="right", color=MUTED, fontsize=7.5)


@styled
def deviations(*, generations: Sequence[GenerationRow], max_panels: int = 12) -> Figure:
    """Ridge plot of the maximal force deviation, with the trust levels as dashed lines.

    Parameters
    ----------
    generations
        Rows; those without deviations are passed over.
    max_panels
        With more generations, evenly spread ones are shown.

    Raises
    ------
    AnalysisError
        When no generation has deviations.

    Notes
    -----
    The content of Fig. 4 of Huang et al., doi:10.1063/5.0041849, on a logarithmic axis so that
    blown-up runs stay in view.
    """
    shown = _shown(generations, max_panels)
    if not shown:
        msg = "no generation has deviations to draw; explore at least one"
        raise AnalysisError(msg)
    colours = temperature_colours([t for row in shown for t in row.deviations])
    edges = _bin_edges(shown)
    n_rows, n_columns = panel_grid(len(shown), 3)
    height = n_rows * (0.55 + 0.24 * max(len(colours), 4)) + 0.5
    figure = Figure(figsize=(max(2.45 * n_columns, 4.2), height), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for axes, row in zip(grid.flat, shown, strict=False):
        _draw_ridges(axes, row.deviations, edges, colours)
        draw_trust_levels(axes, row.trust_low_eV_A, row.trust_high_eV_A)
        _title(axes, row)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    first = grid[0, 0]
    first.set_xscale("log")
    first.set_xlim(edges[0], edges[-1])
    first.set_xticks([tick for tick in X_TICKS_EV_A if edges[0] <= tick <= edges[-1]])
    first.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    first.xaxis.set_minor_formatter(NullFormatter())
    first.set_yticks(range(len(colours)), [f"{t:g} K" for t in colours])
    first.set_ylim(-0.12, len(colours) + 0.05)
    for axes in grid.flat:
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    figure.supxlabel(r"maximal force deviation $\sigma_f^{\,\max}$ (eV/Å)", fontsize=8.5)
    return figure
