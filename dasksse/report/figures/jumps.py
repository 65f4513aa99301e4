"""Sites and jumps of the mobile ions: map, occupation, rates, lengths, residence, memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from dasksse.analyse.jumps import length_histogram
from dasksse.report.figures.style import CYCLE, FAINT, INK, MARKERS, MUTED, TRUST_LINE, styled
from dasksse.report.formats import format_value_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from numpy.typing import NDArray

    from dasksse.analyse.jumps import JumpResult
    from dasksse.analyse.sites import Sites

PER_NS = 1000.0
MOST_RATES = 10
"""Bars of rates: the fastest ones, if there are more."""
_LOWEST_SURVIVAL = 3e-3
_LEAST_HALF_AXIS = 5.0
"""Logarithmic axes span at least the square of this."""
_FACE = 0.05
"""Sites this close to the far face of the cell are drawn at the near one."""


@styled
def jumps(results: Sequence[tuple[str, JumpResult]]) -> Figure:
    """Six panels for each set of runs.

    Map of sites and jumps, seen along b; ions on each site; rates between classes; jump
    lengths; share of ions that are still on a site; correlation factor by lag.

    Parameters
    ----------
    results
        Title and result of each set of runs.
    """
    figure = Figure(figsize=(9.6, 5.6 * len(results)), layout="constrained")
    rows = figure.subfigures(len(results), 1, squeeze=False)[:, 0]
    for part, (title, result) in zip(rows, results, strict=True):
        _draw(part, title, result)
    return figure


def _draw(part: SubFigure, title: str, result: JumpResult) -> None:
    history = result.history
    part.suptitle(
        f"{title}: {history.sites.species} on {len(history.sites)} sites "
        f"({Path(history.sites.source).name}), {len(history.leaves)} jumps",
        x=0.01,
        ha="left",
        fontsize=9.5,
        fontweight="bold",
    )
    panels = part.subplots(2, 3)
    _draw_map(panels[0, 0], result)
    _draw_occupation(panels[0, 1], result)
    _draw_rates(panels[0, 2], result)
    _draw_lengths(panels[1, 0], result)
    _draw_residence(panels[1, 1], result)
    _draw_memory(panels[1, 2], result)


def _colour(kind: int) -> str:
    return CYCLE[kind % len(CYCLE)]


def _draw_map(axes: Axes, result: JumpResult) -> None:
    """Sites seen along b, and lines for jumps, wider for more of them."""
    history, sites = result.history, result.history.sites
    view = _view(sites)
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 0, 0]]) @ sites.cell
    axes.plot(*(corners @ view).T, color=FAINT, linewidth=0.9, zorder=0)
    places = ((sites.fractions + _FACE) % 1.0 - _FACE) @ sites.cell
    origin = history.site[history.leaves]
    millis = np.rint(1000.0 * history.jump_A).astype(np.int64)
    kinds, counts = np.unique(np.column_stack([origin, millis]), axis=0, return_counts=True)
    if len(kinds):
        starts = places[kinds[:, 0]] @ view
        # Half the way: the jump back draws the other half, across the faces of the cell too.
        ends = starts + kinds[:, 1:] / 2000.0 @ view
        widths = 0.25 + 2.6 * np.sqrt(counts / counts.max())
        lines = np.stack([starts, ends], axis=1)
        axes.add_collection(
            LineCollection(list(lines), linewidths=widths, color=MUTED, alpha=0.35, zorder=1)
        )
    sizes = 6.0 + 60.0 * np.clip(result.occupation.of_site, 0.0, 1.2)
    for kind, name in enumerate(sites.classes):
        here = sites.class_of == kind
        across, up = (places[here] @ view).T
        axes.scatter(
            across,
            up,
            s=sizes[here],
            color=_colour(kind),
            edgecolor="white",
            linewidth=0.5,
            zorder=2,
            label=name,
        )
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("along a (Å)")
    axes.set_ylabel("across a, towards c (Å)")
    axes.set_title("Sites (area: ions) and jumps, along b")


def _view(sites: Sites) -> NDArray[np.float64]:
    """Two unit vectors as columns: along a, and across it towards c."""
    along = sites.cell[0] / np.linalg.norm(sites.cell[0])
    across = sites.cell[2] - (sites.cell[2] @ along) * along
    return np.column_stack([along, across / np.linalg.norm(across)])


def _draw_occupation(axes: Axes, result: JumpResult) -> None:
    """Ions on each site as points, mean of each class with its error."""
    sites, occupation = result.history.sites, result.occupation
    for kind in range(len(sites.classes)):
        values = np.sort(occupation.of_site[sites.class_of == kind])
        spread = np.linspace(-0.3, 0.3, len(values)) if len(values) > 1 else [0.0]
        colour = _colour(kind)
        axes.scatter(
            kind + np.array(spread), values, s=9, color=colour, alpha=0.45, linewidth=0
        )
        axes.errorbar(
            [kind],
            [occupation.of_class[kind]],
            [occupation.of_class_err[kind]],
            marker="_",
            markersize=26,
            markeredgewidth=1.6,
            color=colour,
        )
    axes.set_xlim(-0.6, len(sites.classes) - 0.4)
    axes.set_ylim(0.0, 1.12 * max(float(occupation.of_site.max()), 0.1))
    labels = [
        f"{name}\n({count})"
        for name, count in zip(sites.classes, sites.multiplicities, strict=True)
    ]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel("ions on a site")
    axes.set_title("Occupation, by class (number of sites)")


def _draw_rates(axes: Axes, result: JumpResult) -> None:
    """Rates between classes with errors, upper bounds as arrows."""
    known = [rate for rate in result.rates if rate.rate_per_ps is not None]
    shown = sorted(known, key=lambda rate: -(rate.rate_per_ps or 0.0))[:MOST_RATES]
    for place, rate in enumerate(shown):
        colour = _colour(result.history.sites.classes.index(rate.origin))
        if rate.upper_bound_per_ps is not None:
            bound = PER_NS * rate.upper_bound_per_ps
            axes.errorbar(
                [bound],
                [place],
                xerr=[[0.6 * bound], [0.0]],
                xuplims=True,
                marker="|",
                color=colour,
            )
        else:
            value, error = PER_NS * (rate.rate_per_ps or 0.0), PER_NS * (rate.err_per_ps or 0.0)
            low = min(error, 0.9 * value)
            axes.errorbar([value], [place], xerr=[[low], [error]], marker="o", color=colour)
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    if shown:
        low, high = axes.get_xlim()
        middle, half = np.sqrt(low * high), max(np.sqrt(high / low), _LEAST_HALF_AXIS)
        axes.set_xlim(middle / half, middle * half)
    axes.set_yticks(range(len(shown)), [f"{rate.origin} → {rate.target}" for rate in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_xlabel("rate (1/ns)")
    has_bound = any(rate.upper_bound_per_ps is not None for rate in shown)
    title = (
        "Rates" if len(shown) == len(known) else f"Fastest {len(shown)} of {len(known)} rates"
    )
    axes.set_title(f"{title} (arrows: upper bounds)" if has_bound else title)


def _draw_lengths(axes: Axes, result: JumpResult) -> None:
    """Histogram of jump lengths."""
    edges, counts = length_histogram(result.history)
    if counts.any():
        axes.stairs(counts, edges, fill=True, color=CYCLE[0], alpha=0.75)
        first = int(np.flatnonzero(counts)[0])
        axes.set_xlim(max(edges[first] - 0.5, 0.0), edges[-1] + 0.4)
    axes.set_ylim(0.0, 1.15 * max(float(counts.max()), 1.0))
    axes.set_xlabel("jump length (Å)")
    axes.set_ylabel("jumps")
    axes.set_title("Lengths")
    if result.along_c is not None:
        share = f"along c: {100 * result.along_c:.0f} % of the squared lengths"
        axes.text(0.98, 0.95, share, transform=axes.transAxes, ha="right", va="top", fontsize=7)


def _draw_residence(axes: Axes, result: JumpResult) -> None:
    """Share of ions that are still there, with the exponential of the same mean."""
    for kind, residence in enumerate(result.residence):
        colour, mean = _colour(kind), residence.mean_ps
        if mean is None or len(residence.time_ps) < 2:  # noqa: PLR2004 - a curve
            continue
        label = f"{residence.site_class}: {format_value_error(mean, residence.err_ps, 'ps')}"
        axes.step(
            residence.time_ps, residence.survival, where="post", color=colour, label=label
        )
        times = np.linspace(0.0, float(residence.time_ps[-1]), 100)
        axes.plot(times, np.exp(-times / mean), color=colour, linewidth=0.8, linestyle="--")
    axes.set_yscale("log")
    axes.set_ylim(_LOWEST_SURVIVAL, 1.3)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("time on the site (ps)")
    axes.set_ylabel("share still there")
    axes.set_title("Residence (dashed: no memory)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right")


def _draw_memory(axes: Axes, result: JumpResult) -> None:
    """Correlation factor by lag; the marked one is taken."""
    axes.axhline(1.0, **TRUST_LINE)
    memory = result.correlation
    axes.set_title("Correlation factor")
    axes.set_xlabel("lag (ps)")
    axes.set_ylabel("$D$ / $D$ without memory")
    axes.set_ylim(0.0, 1.6)
    if memory is None or not memory.curve:
        return
    lags, values = np.array(memory.curve_lag_ps), np.array(memory.curve)
    errors = np.array(memory.curve_err)
    axes.fill_between(lags, values - errors, values + errors, color=CYCLE[0], alpha=0.2, lw=0)
    axes.plot(lags, values, color=CYCLE[0], marker=MARKERS[0], markersize=3)
    axes.set_xscale("log")
    axes.set_ylim(0.0, max(1.6, 1.15 * float(values.max())))
    if memory.factor is None:
        text = "not known: too few jumps of each ion"
    else:
        text = f"f = {format_value_error(memory.factor, memory.factor_err)}"
        axes.errorbar(
            [memory.lag_ps or 0.0],
            [memory.factor],
            [memory.factor_err or 0.0],
            marker=MARKERS[0],
            markersize=7,
            color=INK,
            zorder=4,
        )
    axes.text(0.03, 0.95, text, transform=axes.transAxes, va="top")
