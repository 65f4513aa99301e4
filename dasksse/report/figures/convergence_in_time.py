"""D against the length of runs, a panel for each set of them, and against the size of cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import CYCLE, FAINT, INK, MUTED, panel_grid, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from dasksse.analyse.convergence import ConvergenceInTime
    from dasksse.analyse.size_convergence import ConvergenceInSize

COLOURS = {"converged": CYCLE[2], "too_short": CYCLE[4], "not_diffusive": CYCLE[1]}
TITLES = {
    "converged": "converged",
    "too_short": "not converged",
    "not_diffusive": "not diffusive",
}
_APART, _FIRST = CYCLE[5], CYCLE[0]
SIZE_COLOURS = {"agree": CYCLE[2], "differ": CYCLE[1], "undecided": CYCLE[4]}
SIZE_TITLES = {
    "agree": "the largest two agree",
    "differ": "the largest two differ",
    "undecided": "undecided",
}
LOG_SPAN = 8.0
"""Values and bounds that span more than this factor are drawn on a logarithmic axis."""
FEW_DECADES = 20.0
"""Lengths that span less than this factor have marks at 1, 2 and 5, else at 1 alone."""
_COLUMNS = 3
_PANEL_INCHES = (2.6, 2.3)


@styled
def convergence_in_time(
    *,
    found: Sequence[tuple[str, ConvergenceInTime]],
    sizes: Sequence[ConvergenceInSize] = (),
) -> Figure:
    """Draw D of the first part of the runs against its length, with standard errors.

    Small dots are windows side by side, arrows upper bounds, and the band is the tolerance
    about D of the whole length. A star is the length that should do.

    Parameters
    ----------
    found
        Name and windows of each set of runs.
    sizes
        Comparisons of cell sizes, each in a panel of its own behind the others.

    Raises
    ------
    AnalysisError
        When there is nothing to draw.
    """
    n_panels = len(found) + len(sizes)
    if n_panels == 0:
        msg = "there is no convergence to draw; run production and analyse it"
        raise AnalysisError(msg)
    rows, columns = panel_grid(n_panels, _COLUMNS)
    width, height = _PANEL_INCHES
    figure = Figure(
        figsize=(max(width * columns, 3.6), height * rows + 0.35), layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = list(grid.flat)
    for axes, (title, one) in zip(panels, found, strict=False):
        _draw_lengths(axes, title, one)
    for axes, size in zip(panels[len(found) :], sizes, strict=False):
        _draw_sizes(axes, size)
    for axes in panels[n_panels:]:
        axes.set_visible(False)
    by_label = {
        label: handle
        for axes in panels[:n_panels]
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        by_label.values(),
        by_label.keys(),
        loc="outside lower center",
        ncols=columns + 1,
    )
    return figure


def _draw_lengths(axes: Axes, title: str, one: ConvergenceInTime) -> None:
    """One set of runs: windows, first parts, tolerance, and the length that should do."""
    verdict, whole = one.verdict, one.whole
    heights = [w.D_m2_s or w.upper_bound_m2_s or math.nan for w in one.nested]
    heights += [D for each in one.window_sets for D, _ in each.known]
    unit = _finish(axes, title, TITLES[verdict.state], heights, COLOURS[verdict.state])
    _make_room(axes, [(w.D_m2_s, w.D_err_m2_s) for w in one.nested], unit)
    for each in one.window_sets:
        axes.plot(
            [each.length_ps] * len(each.known),
            [D / unit for D, _ in each.known],
            ".",
            color=_APART,
            markersize=3.5,
            zorder=3,
            label="windows side by side",
        )
    known = [(w.length_ps, w.D_m2_s, w.D_err_m2_s) for w in one.nested]
    _draw_values(axes, known, unit, color=_FIRST, fmt="o-", label="first part of the runs")
    _draw_bounds(axes, [(w.length_ps, w.upper_bound_m2_s) for w in one.nested], unit, _FIRST)
    if whole.D_m2_s is not None:
        low, high = ((1.0 + s * verdict.tolerance) * whole.D_m2_s / unit for s in (-1.0, 1.0))
        axes.axhspan(
            low, high, color=FAINT, zorder=0, label=f"within {100 * verdict.tolerance:g} %"
        )
    _mark_wanted(axes, one, unit)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1.0, 2.0, 5.0) if high < FEW_DECADES * low else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("length (ps)")


def _mark_wanted(axes: Axes, one: ConvergenceInTime, unit: float) -> None:
    """Star at the length that should do, with its interval, at the height of the last value."""
    verdict = one.verdict
    height = one.whole.D_m2_s or one.whole.upper_bound_m2_s
    if verdict.is_converged or height is None:
        return
    if verdict.wanted_range_ps is not None:
        axes.plot(verdict.wanted_range_ps, [height / unit] * 2, color=MUTED, linewidth=0.9)
    axes.plot(
        [verdict.wanted_ps],
        [height / unit],
        marker=r"$\rightarrow$" if verdict.is_lower_bound else "*",
        markersize=9,
        linestyle="none",
        color=INK,
        label="at least so long" if verdict.is_lower_bound else "length that should do",
    )


def _draw_sizes(axes: Axes, size: ConvergenceInSize) -> None:
    """D against the inverse length of the cell, with the line to infinite size."""
    heights = [cell.D_m2_s or cell.upper_bound_m2_s or math.nan for cell in size.cells]
    at = "" if size.temperature_K is None else f" at {size.temperature_K:g} K"
    colour = SIZE_COLOURS[size.state]
    unit = _finish(axes, f"cell size{at}", SIZE_TITLES[size.state], heights, colour)
    _make_room(axes, [(cell.D_m2_s, cell.D_err_m2_s) for cell in size.cells], unit)
    places = [1.0 / cell.length_A for cell in size.cells]
    cells = list(zip(places, size.cells, strict=True))
    values = [(x, cell.D_m2_s, cell.D_err_m2_s) for x, cell in cells]
    _draw_values(axes, values, unit, color=INK, fmt="s", label="cell, with its atoms")
    _draw_bounds(axes, [(x, cell.upper_bound_m2_s) for x, cell in cells], unit, INK)
    for (x, cell), height in zip(cells, heights, strict=True):
        axes.annotate(
            f"{cell.n_atoms}",
            (x, height / unit),
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=7,
            color=MUTED,
        )
    if size.infinite is not None:
        fit, ends = size.infinite, np.array([0.0, max(places)])
        line = fit.D_m2_s * (1.0 + fit.a * ends) / unit
        axes.plot(ends, line, color=MUTED, linewidth=0.9)
        infinite = [(0.0, fit.D_m2_s, fit.D_err_m2_s)]
        _draw_values(axes, infinite, unit, color=INK, fmt="*", label="infinite cell")
    axes.set_xlabel("1 / L (1/Å)")
    axes.set_xlim(-0.04 * max(places), 1.15 * max(places))


def _draw_values(
    axes: Axes,
    values: Sequence[tuple[float, float | None, float | None]],
    unit: float,
    **style: Any,  # noqa: ANN401 - of Matplotlib
) -> None:
    """Known D with their errors; nothing where there are none."""
    known = [(x, D / unit, (error or 0.0) / unit) for x, D, error in values if D is not None]
    if known:
        x, D, error = zip(*known, strict=True)
        axes.errorbar(x, D, error, linewidth=0.9, **style)


def _draw_bounds(
    axes: Axes, bounds: Sequence[tuple[float, float | None]], unit: float, colour: str
) -> None:
    """Arrows that hang from upper bounds."""
    known = [(x, bound / unit) for x, bound in bounds if bound is not None]
    if known:
        x, bound = zip(*known, strict=True)
        axes.plot(
            x,
            bound,
            linestyle="none",
            marker=r"$\downarrow$",
            markersize=9,
            color=colour,
            label="upper bound",
        )


def _make_room(
    axes: Axes, values: Sequence[tuple[float | None, float | None]], unit: float
) -> None:
    """Error bars end below the top of the axis."""
    tops = [1.05 * (D + (error or 0.0)) / unit for D, error in values if D is not None]
    axes.set_ylim(top=max([*tops, axes.get_ylim()[1]]))


def _finish(
    axes: Axes, title: str, verdict: str, heights: Sequence[float], colour: str
) -> float:
    """Title, verdict below it, and the axis of D; its unit [m²/s] is a power of ten."""
    axes.set_title(title, fontweight="bold", pad=16.0)
    axes.text(
        0.0, 1.03, verdict, transform=axes.transAxes, va="bottom", fontsize=7.5, color=colour
    )
    finite = np.array(heights)[np.isfinite(heights)]
    exponent = math.floor(math.log10(np.median(finite))) if len(finite) else 0
    axes.set_ylabel(f"D ($10^{{{exponent}}}$ m²/s)")
    if len(finite) and finite.max() > LOG_SPAN * finite.min():
        axes.set_yscale("log")
    else:
        axes.set_ylim(0.0, 1.25 * finite.max() / 10.0**exponent if len(finite) else 1.0)
    return 10.0**exponent
