"""Errors of labels against the finest value of each setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import CYCLE, FAINT, INK, MUTED, TRUST_LINE, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from dasksse.report.convergence import Convergence, Errors, Ladder

_PANELS = (
    ("energy differences\n(meV/atom)", "energy_difference_meV_atom"),
    ("forces, RMS\n(meV/Å)", "force_meV_A"),
    ("stress, RMS\n(GPa)", "stress_GPa"),
)
_FLOOR = 1e-3
"""Errors below this share of what is asked are drawn there: they are as good as none."""


@styled
def convergence(*, found: Convergence) -> Figure:
    """Errors and time of a single point against the value of each setting, a row for each.

    Raises
    ------
    AnalysisError
        When nothing was computed.
    """
    if not any(rung.errors for ladder in found.ladders for rung in ladder.rungs):
        msg = "there are no errors to draw; every finest value failed"
        raise AnalysisError(msg)
    n_rows = len(found.ladders)
    figure = Figure(figsize=(8.6, 0.8 + 1.75 * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, len(_PANELS) + 1, squeeze=False)
    for row, ladder in zip(grid, found.ladders, strict=True):
        for axes, (_, key), colour in zip(row, _PANELS, CYCLE, strict=False):
            _draw_errors(axes, ladder, key, found.asked, colour)
        _draw_times(row[-1], ladder)
        for axes in row:
            _label_values(axes, ladder)
    for axes, title in zip(
        grid[0], [p[0] for p in _PANELS] + ["time of a frame\n(s)"], strict=True
    ):
        axes.set_title(title, color=INK, loc="center")
    figure.supxlabel(
        "dashed: asked; shaded: picked; in brackets: configured; reference: the last value",
        color=MUTED,
        fontsize=7.5,
    )
    return figure


def _draw_errors(axes: Axes, ladder: Ladder, key: str, asked: Errors, colour: str) -> None:
    allowed = getattr(asked, key)
    # the last value is the reference: its error is zero by definition
    points = [
        (place, getattr(rung.errors, key))
        for place, rung in enumerate(ladder.rungs[:-1])
        if rung.errors is not None and getattr(rung.errors, key) is not None
    ]
    if not points:
        axes.text(0.5, 0.5, "not known", transform=axes.transAxes, ha="center", color=MUTED)
        axes.set_yticks([])
        return
    places, errors = zip(*points, strict=True)
    floor = _FLOOR * allowed
    axes.plot(places, [max(e, floor) for e in errors], color=colour, marker="o")
    axes.axhline(allowed, **TRUST_LINE)
    axes.set_yscale("log")


def _draw_times(axes: Axes, ladder: Ladder) -> None:
    seconds = {
        place: rung.seconds
        for place, rung in enumerate(ladder.rungs)
        if rung.seconds is not None
    }
    axes.plot(list(seconds), list(seconds.values()), color=MUTED, marker="o")
    axes.set_ylim(bottom=0.0, top=1.15 * (max(seconds.values(), default=0.0) or 1.0))


def _label_values(axes: Axes, ladder: Ladder) -> None:
    """Values as ticks; the picked one shaded, the configured one in brackets."""
    axes.set_xlim(-0.5, len(ladder.rungs) - 0.5)
    axes.set_xticks(range(len(ladder.rungs)), _names(ladder), rotation=35, ha="right")
    axes.set_xlabel(ladder.setting)
    if ladder.pick is not None:
        axes.axvspan(ladder.pick - 0.35, ladder.pick + 0.35, color=FAINT, zorder=0)


def _names(ladder: Ladder) -> Sequence[str]:
    texts = []
    for rung in ladder.rungs:
        text = f"{rung.value:g}" if isinstance(rung.value, float) else str(rung.value)
        texts.append(f"[{text}]" if rung.value == ladder.configured else text)
    return texts
