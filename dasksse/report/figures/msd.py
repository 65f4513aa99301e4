"""Mean-squared displacement by species, a panel per system and temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import FAINT, INK, MUTED, cycle_colours, panel_grid, styled
from dasksse.report.formats import is_known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dasksse.report.data import ProductionRow


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values for a logarithmic axis: what is not above 0 becomes NaN."""
    return np.where(values > 0, values, np.nan)


def _draw_window(axes: Axes, row: ProductionRow) -> None:
    """Shade the lags that D is fitted over."""
    window = row.diffusion.get("fit_window_ps")
    if not window:
        return
    axes.axvspan(window[0], window[1], color=FAINT, alpha=0.55, linewidth=0, zorder=0)


def _draw_slope_guide(axes: Axes, row: ProductionRow) -> None:
    """Dashed line of slope 1 through the curve's middle lag: what diffusion looks like."""
    if row.lag_ps is None or row.msd_A2 is None:
        return
    known = (row.lag_ps > 0) & (row.msd_A2 > 0)
    if not known.any():
        return
    lag, msd = row.lag_ps[known], row.msd_A2[known]
    window = row.diffusion.get("fit_window_ps") or (lag[-1] / 4, lag[-1] / 2)
    centre = int(np.argmin(np.abs(np.log(lag / np.sqrt(window[0] * window[1])))))
    ends = lag[centre] * np.array([1 / 6, 6.0])
    axes.plot(
        ends, 1.9 * msd[centre] * ends / lag[centre], color=INK, linewidth=0.8, linestyle="--"
    )


def _draw_panel(
    axes: Axes, row: ProductionRow, mobile_species: str, colours: Mapping[str, str]
) -> None:
    _draw_window(axes, row)
    _draw_slope_guide(axes, row)
    lag = np.asarray(row.lag_ps)
    for species, msd in row.species_msd.items():
        if species != mobile_species:
            axes.plot(lag, _positive(msd), color=colours[species], linewidth=1.0)
    if row.msd_A2 is not None:
        colour = colours[mobile_species]
        axes.plot(lag, _positive(row.msd_A2), color=colour, linewidth=1.8)
        if row.msd_err_A2 is not None:
            low, high = row.msd_A2 - row.msd_err_A2, row.msd_A2 + row.msd_err_A2
            floor = np.maximum(low, 0.02 * row.msd_A2)
            axes.fill_between(lag, floor, high, color=colour, alpha=0.22, linewidth=0)
    axes.set_title(f"{row.temperature_K:g} K", fontweight="bold")
    regime = str(row.diffusion.get("regime") or "").replace("_", " ")
    slope = row.diffusion.get("log_slope")
    if regime:
        text = f"{regime}, slope {slope:.2f}" if is_known(slope) else regime
        axes.set_title(text, loc="right", color=MUTED, fontsize=7)


@styled
def msd(
    *,
    production: Sequence[ProductionRow],
    mobile_species: str,
    elements: Sequence[str] = (),
) -> Figure:
    """MSD [Å²] against lag [ps], both logarithmic; the fit window is shaded.

    The mobile species is the thick line with its error band. The dashed line has slope 1, as
    diffusion has; framework species should stay flat.

    Parameters
    ----------
    production
        Rows; those without MSD are passed over.
    mobile_species
        The species drawn thick.
    elements
        Order in which species take their colours; others follow.

    Raises
    ------
    AnalysisError
        When no production row has an MSD.
    """
    shown = sorted(
        (row for row in production if row.lag_ps is not None and row.msd_A2 is not None),
        key=lambda row: (row.system, row.temperature_K),
    )
    if not shown:
        msg = "no production run has an MSD to draw; run and analyse production"
        raise AnalysisError(msg)
    present = {mobile_species, *(name for row in shown for name in row.species_msd)}
    colours = cycle_colours([*elements, mobile_species, *sorted(present)])
    n_rows, n_columns = panel_grid(len(shown), 4)
    figure = Figure(
        figsize=(max(2.1 * n_columns, 3.4), 2.15 * n_rows + 0.6), layout="constrained"
    )
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    several = len({row.system for row in shown}) > 1
    for axes, row in zip(grid.flat, shown, strict=False):
        _draw_panel(axes, row, mobile_species, colours)
        if several:
            axes.text(0.04, 0.93, row.system, transform=axes.transAxes, fontsize=7.5)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    grid[0, 0].set_xscale("log")
    grid[0, 0].set_yscale("log")
    handles: list[Artist] = [
        Line2D([], [], color=colour, label=name, linewidth=1.8 if name == mobile_species else 1)
        for name, colour in colours.items()
        if name in present
    ]
    handles.append(Line2D([], [], color=INK, linewidth=0.8, linestyle="--", label="slope 1"))
    handles.append(Patch(color=FAINT, alpha=0.55, label="fit window"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 7))
    for axes in grid[-1]:
        axes.set_xlabel("lag time (ps)")
    for axes in grid[:, 0]:
        axes.set_ylabel("MSD (Å²)")
    return figure
