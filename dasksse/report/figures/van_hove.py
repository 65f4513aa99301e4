"""Self part of the van Hove function, a panel for each lag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dasksse.report.figures.style import CYCLE, MUTED, TRUST_LINE, styled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.van_hove import SelfVanHove

_BEYOND = 0.005
"""The axis ends where no more than this share of the ions has come farther."""


@styled
def van_hove(result: SelfVanHove, *, title: str = "") -> Figure:
    """Draw ``4 π r² G_s(r, t)`` [1/Å] against r [Å], a panel for each lag.

    The dashed line is the random walk of equal MSD. Ions that jump between sites have peaks at
    the distances of jumps, where a random walk has none, and a large non-Gaussian parameter.

    Parameters
    ----------
    result
        Self part of the van Hove function.
    title
        Title of the figure.
    """
    n_lags = len(result.lag_ps)
    figure = Figure(figsize=(4.4, 0.95 * n_lags + 0.9), layout="constrained")
    panels = figure.subplots(n_lags, 1, sharex=True, squeeze=False)[:, 0]
    colour = CYCLE[0]
    width = result.r_A[1] - result.r_A[0]
    beyond = 1.0 - np.cumsum(result.per_distance_1_A, axis=1) * width
    last = int(np.argmax((beyond < _BEYOND).all(axis=0)))
    r = np.linspace(0.0, result.r_A[last], 400)
    for index, axes in enumerate(panels):
        row = result.per_distance_1_A[index]
        axes.fill_between(result.r_A, row, color=colour, alpha=0.22, linewidth=0)
        axes.plot(result.r_A, row, color=colour, linewidth=1.1)
        axes.plot(r, _gaussian(r, result.msd_A2[index]), **TRUST_LINE)
        axes.set_title(f"{result.lag_ps[index]:.3g} ps", fontweight="bold")
        text = f"MSD {result.msd_A2[index]:.3g} Å², α₂ = {result.non_gaussian[index]:.2f}"
        axes.set_title(text, loc="right", color=MUTED, fontsize=7)
        axes.set_ylim(bottom=0.0)
    panels[-1].set_xlim(0.0, r[-1])
    panels[-1].set_xlabel("r (Å)")
    figure.supylabel("4πr² G$_s$(r, t) (1/Å)", fontsize=8.5)
    figure.suptitle(title, fontsize=9.5, fontweight="bold")
    dashed = Line2D([], [], **TRUST_LINE)
    figure.legend([dashed], ["random walk of equal MSD"], loc="outside lower center")
    return figure


def _gaussian(r_A: NDArray[np.float64], msd_A2: float) -> NDArray[np.float64]:
    """Distance moved by a random walk of this MSD [1/Å]."""
    a = 1.5 / msd_A2
    return np.asarray(4.0 * np.pi * r_A**2 * (a / np.pi) ** 1.5 * np.exp(-a * r_A**2))
