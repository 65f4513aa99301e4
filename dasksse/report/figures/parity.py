"""Predictions of the final ensemble against labels, energies above forces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dasksse.errors import AnalysisError
from dasksse.report.data import RMSE_SETS, SET_TITLES
from dasksse.report.figures.style import INK, SET_COLOURS, cycle_colours, styled
from dasksse.units import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dasksse.report.data import ParityData


def _rmse(label: NDArray[np.float64], model: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean((model - label) ** 2)))


def _frame(axes: Axes, values: NDArray[np.float64], text: str) -> None:
    """Equal axes around the values, the diagonal, and the error in the corner."""
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 0.5
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=INK, linewidth=0.7, zorder=1)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.text(0.05, 0.95, text, transform=axes.transAxes, va="top", fontsize=7.5)


def _draw_energy(axes: Axes, data: ParityData, colour: str) -> None:
    """Energies per atom about their mean label, so that small differences show."""
    mean = float(np.mean(data.energy_label_eV_atom))
    label = MEV_PER_EV * (data.energy_label_eV_atom - mean)
    model = MEV_PER_EV * (data.energy_model_eV_atom - mean)
    axes.scatter(label, model, s=8, color=colour, alpha=0.6, linewidth=0, zorder=2)
    _frame(axes, np.concatenate([label, model]), f"RMSE {_rmse(label, model):.2f} meV/atom")
    axes.set_xlabel("E label − mean (meV/atom)")


def _draw_forces(axes: Axes, data: ParityData, colours: Mapping[str, str]) -> None:
    """Force components by element in mixed order, so that no element hides another."""
    label, model = data.force_label_eV_A, data.force_model_eV_A
    order = np.random.default_rng(0).permutation(len(label))
    point_colours = np.array([colours[element] for element in data.element])[order]
    axes.scatter(
        label[order],
        model[order],
        s=3,
        c=point_colours.tolist(),
        alpha=0.5,
        linewidth=0,
        zorder=2,
        rasterized=True,
    )
    rmse = MEV_PER_EV * _rmse(label, model)
    _frame(axes, np.concatenate([label, model]), f"RMSE {rmse:.0f} meV/Å")
    axes.set_xlabel("F label (eV/Å)")


@styled
def parity(*, parity: Mapping[str, ParityData], elements: Sequence[str] = ()) -> Figure:
    """Parity plots, a column per set, energies on top, forces by element below.

    Parameters
    ----------
    parity
        Set to its data.
    elements
        Order in which elements take their colours; others follow.

    Raises
    ------
    AnalysisError
        When no set has data.
    """
    shown = [
        name
        for name in RMSE_SETS
        if name in parity
        and len(parity[name].energy_label_eV_atom)
        and len(parity[name].force_label_eV_A)
    ]
    if not shown:
        msg = "no set has predictions to compare; evaluate the final ensemble"
        raise AnalysisError(msg)
    present = [str(e) for name in shown for e in np.unique(parity[name].element)]
    colours = cycle_colours([*elements, *present])
    figure = Figure(figsize=(0.5 + 2.35 * len(shown), 5.2), layout="constrained")
    grid = figure.subplots(2, len(shown), squeeze=False)
    for column, name in enumerate(shown):
        _draw_energy(grid[0, column], parity[name], SET_COLOURS[name])
        _draw_forces(grid[1, column], parity[name], colours)
        grid[0, column].set_title(SET_TITLES[name], fontweight="bold")
    grid[0, 0].set_ylabel("E model − mean (meV/atom)")
    grid[1, 0].set_ylabel("F model (eV/Å)")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=element)
        for element, colour in colours.items()
        if element in present
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure
