"""Energies and forces of the ensemble against labels, a column for each material."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import CYCLE, INK, cycle_colours, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from dasksse.records import Json

MAX_COLUMNS = 5
"""Materials shown, those with the most frames first."""


@styled
def study_parity_by_system(values: Mapping[str, Json]) -> Figure:
    """Parity by material, energies on top, forces by element below, with the errors.

    Parameters
    ----------
    values
        Of the outcome of the study ``accuracy``.

    Raises
    ------
    AnalysisError
        When there is no material.
    """
    rows = sorted(values.get("materials", []), key=lambda row: -row["n_frames"])[:MAX_COLUMNS]
    if not rows:
        msg = "no label has been compared with the ensemble"
        raise AnalysisError(msg)
    present = {element for row in rows for element in row["points"]["element"]}
    colours = cycle_colours([e for e in values["type_map"] if e in present])
    figure = Figure(figsize=(max(3.4, 0.5 + 2.5 * len(rows)), 5.4), layout="constrained")
    grid = figure.subplots(2, len(rows), squeeze=False)
    for column, row in enumerate(rows):
        _draw_energies(grid[0, column], row)
        _draw_forces(grid[1, column], row, colours)
        grid[0, column].set_title(row["material"], fontweight="bold")
    grid[0, 0].set_ylabel("E model − mean (meV/atom)")
    grid[1, 0].set_ylabel("F model (eV/Å)")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=element)
        for element, colour in colours.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _draw_energies(axes: Axes, row: Mapping[str, Json]) -> None:
    points = row["points"]
    label, model = points["energy_label_meV_atom"], points["energy_model_meV_atom"]
    axes.scatter(label, model, s=7, color=CYCLE[0], alpha=0.5, linewidth=0, zorder=2)
    _frame(axes, [*label, *model], _error(row, "energy_rmse", "meV_atom", "meV/atom"))
    axes.set_xlabel("E label − mean (meV/atom)")


def _draw_forces(axes: Axes, row: Mapping[str, Json], colours: Mapping[str, str]) -> None:
    """Components of all elements in mixed order, so that none hides another."""
    points = row["points"]
    order = np.random.default_rng(0).permutation(len(points["element"]))
    axes.scatter(
        np.array(points["force_label_eV_A"])[order],
        np.array(points["force_model_eV_A"])[order],
        s=3,
        c=[colours[points["element"][place]] for place in order],
        alpha=0.5,
        linewidth=0,
        zorder=2,
        rasterized=True,
    )
    both = [*points["force_label_eV_A"], *points["force_model_eV_A"]]
    _frame(axes, both, _error(row, "force_rmse", "meV_A", "meV/Å"))
    axes.set_xlabel("F label (eV/Å)")


def _error(row: Mapping[str, Json], name: str, unit: str, shown: str) -> str:
    """Mean error over the members, and that of the paper for the same material."""
    text = f"RMSE {row['mean'][f'{name}_{unit}']:.3g} {shown}"
    published = row["published"]
    if published is not None:
        text += f"\npaper ({published['functional']}) {published[f'{name}_{unit}']:.3g}"
    return text


def _frame(axes: Axes, values: Any, text: str) -> None:  # noqa: ANN401 - numbers in a list
    """Equal axes around the values, the diagonal, and the errors in the corner."""
    low, high = float(np.min(values)), float(np.max(values))
    margin = 0.06 * (high - low) or 0.5
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=INK, linewidth=0.7, zorder=1)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.text(0.05, 0.95, text, transform=axes.transAxes, va="top", fontsize=7.5)
