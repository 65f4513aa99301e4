"""Self part of the van Hove function, a panel for each lag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dasksse.report.figures.style import CYCLE, MUTED, TRUST_LINE, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dasksse.analyse.van_hove import SelfVanHove

_BEYOND = 0.005
"""The axis ends where no more than this share of the ions has come farther."""


@styled
def van_hove(results: Sequence[tuple[str, SelfVanHove]]) -> Figure:
    """Draw ``4 π r² G_s(r, t)`` [1/Å] against r [Å], a panel for each lag.

    The dashed line is the random walk of equal MSD. Ions that jump between sites have peaks at
    the distances of jumps, where a random walk has none, and a large non-Gaussian parameter.

    Parameters
    ----------
    results
        Title and self part of the van Hove function of each column of panels, such as one for
        each temperature.
    """
    n_rows = max(len(result.lag_ps) for _, result in results)
    figure = Figure(
        figsize=(3.2 * len(results) + 0.8, 0.95 * n_rows + 0.9), layout="constrained"
    )
    grid = figure.subplots(n_rows, len(results), sharex="col", squeeze=False)
    for column, (title, result) in zip(grid.T, results, strict=True):
        _draw_column(column, result)
        lag = column[0].get_title("left")
        column[0].set_title(f"{title}\n{lag}" if title else lag, fontweight="bold", loc="left")
    figure.supylabel("4πr² G$_s$(r, t) (1/Å)", fontsize=8.5)
    dashed = Line2D([], [], **TRUST_LINE)
    figure.legend([dashed], ["random walk of equal MSD"], loc="outside lower center")
    return figure


def _draw_column(panels: Sequence[Axes], result: SelfVanHove) -> None:
    """One set of runs, its lags from top to bottom."""
    colour = CYCLE[0]
    width = result.r_A[1] - result.r_A[0]
    beyond = 1.0 - np.cumsum(result.per_distance_1_A, axis=1) * width
    last = int(np.argmax((beyond < _BEYOND).all(axis=0)))
    r = np.linspace(0.0, result.r_A[last], 400)
    for index, row in enumerate(result.per_distance_1_A):
        axes = panels[index]
        axes.fill_between(result.r_A, row, color=colour, alpha=0.22, linewidth=0)
        axes.plot(result.r_A, row, color=colour, linewidth=1.1)
        axes.plot(r, _gaussian(r, result.msd_A2[index]), **TRUST_LINE)
        axes.set_title(f"{result.lag_ps[index]:.3g} ps", fontweight="bold", loc="left")
        text = f"MSD {result.msd_A2[index]:.3g} Å², α₂ = {result.non_gaussian[index]:.2f}"
        axes.set_title(text, loc="right", color=MUTED, fontsize=7)
        axes.set_ylim(bottom=0.0)
    for axes in panels[len(result.lag_ps) :]:
        axes.set_visible(False)
    bottom = panels[len(result.lag_ps) - 1]
    bottom.set_xlim(0.0, r[-1])
    bottom.set_xlabel("r (Å)")
    bottom.tick_params(labelbottom=True)


def _gaussian(r_A: NDArray[np.float64], msd_A2: float) -> NDArray[np.float64]:
    """Distance moved by a random walk of this MSD [1/Å]."""
    a = 1.5 / msd_A2
    return np.asarray(4.0 * np.pi * r_A**2 * (a / np.pi) ** 1.5 * np.exp(-a * r_A**2))
