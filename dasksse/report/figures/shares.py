"""Shares of accurate, candidate and failed frames, a bar per generation."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from dasksse.errors import AnalysisError
from dasksse.report.colours import SHARE_COLOURS
from dasksse.report.figures.style import FAINT, MUTED, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from dasksse.report.data import GenerationRow

SMALLEST_WRITTEN = 0.06
"""Smaller parts of a bar carry no number."""
MOST_WRITTEN = 14
"""With more bars than this, parts carry no number."""


def _write_shares(axes: Axes, place: int, bottom: float, share: float, name: str) -> None:
    colour = "#1b1f24" if name == "candidate" else "white"
    text = f"{100 * share:.1f}"
    axes.text(
        place, bottom + share / 2, text, ha="center", va="center", color=colour, fontsize=7
    )


def _mark_lines(axes: Axes, explored: Sequence[GenerationRow]) -> None:
    """Name the schedule line above its bars, with a thin rule over them."""
    start = 0
    for line, members in groupby(explored, key=lambda row: row.line):
        rows = list(members)
        stop = start + len(rows)
        ends = [start - 0.4, stop - 0.6]
        axes.plot(ends, [1.03, 1.03], color=MUTED, linewidth=0.8, clip_on=False)
        systems = ", ".join(rows[0].systems)
        axes.text(
            (start + stop - 1) / 2,
            1.045,
            f"line {line}: {systems}\n{rows[0].ensemble}",
            ha="center",
            va="bottom",
            color=MUTED,
            fontsize=7,
        )
        start = stop


@styled
def shares(*, generations: Sequence[GenerationRow]) -> Figure:
    """Stacked bars of the three shares; schedule lines are named above.

    Raises
    ------
    AnalysisError
        When no generation has been explored.
    """
    explored = [row for row in generations if row.accurate is not None]
    if not explored:
        msg = "no generation has shares to draw; explore at least one"
        raise AnalysisError(msg)
    width = float(np.clip(1.8 + 0.62 * len(explored), 3.6, 9.0))
    figure = Figure(figsize=(width, 3.1), layout="constrained")
    axes = figure.subplots()
    bottom = np.zeros(len(explored))
    for name, colour in SHARE_COLOURS.items():
        part = np.array([getattr(row, name) or 0.0 for row in explored])
        axes.bar(
            range(len(explored)),
            part,
            0.8,
            bottom=bottom,
            color=colour,
            label=name,
            edgecolor="white",
            linewidth=0.5,
        )
        for place, share in enumerate(part):
            if share >= SMALLEST_WRITTEN and len(explored) <= MOST_WRITTEN:
                _write_shares(axes, place, bottom[place], share, name)
        bottom += part
    _mark_lines(axes, explored)
    axes.set_xticks(range(len(explored)), [str(row.generation) for row in explored])
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(explored) - 0.4)
    axes.set_ylim(0, 1.0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.spines["left"].set_color(FAINT)
    axes.set_xlabel("generation")
    axes.set_ylabel("share of planned frames")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True)
    return figure
