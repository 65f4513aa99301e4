"""Learning curves of all models, generations one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import CYCLE, FAINT, MUTED, styled
from dasksse.units import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from dasksse.report.data import GenerationRow


def _draw_generation(axes: Axes, row: GenerationRow, start: float) -> float:
    """Draw the curves of one generation from ``start`` on; give where the next one starts."""
    stop = start
    for curve in row.learning_curves:
        axes.plot(
            start + curve.steps,
            MEV_PER_EV * curve.force_rmse_train,
            color=CYCLE[curve.member % len(CYCLE)],
            linewidth=0.8,
            alpha=0.85,
            label=f"model {curve.member}",
        )
        stop = max(stop, start + float(curve.steps[-1]))
    return stop


@styled
def learning(*, generations: Sequence[GenerationRow]) -> Figure:
    """Force RMSE on training batches [meV/Å] against training step, one line per model.

    Raises
    ------
    AnalysisError
        When there is no learning curve.
    """
    trained = [
        row for row in generations if any(len(curve.steps) for curve in row.learning_curves)
    ]
    if not trained:
        msg = "there is no learning curve to draw; train at least one model"
        raise AnalysisError(msg)
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    axes = figure.subplots()
    start = 0.0
    for place, row in enumerate(trained):
        stop = _draw_generation(axes, row, start)
        if place % 2:
            axes.axvspan(start, stop, color=FAINT, alpha=0.35, linewidth=0, zorder=0)
        axes.text(
            (start + stop) / 2,
            1.01,
            str(row.generation),
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            color=MUTED,
            fontsize=7.5,
        )
        start = stop
    axes.set_title("generation", color=MUTED, fontsize=7.5, pad=14, loc="center")
    axes.set_xlim(0, start)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("training step, all generations in a row")
    axes.set_ylabel("force RMSE on\ntraining batches (meV/Å)")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    legend = axes.legend(unique.values(), unique.keys(), loc="upper right", ncols=2)
    for line in legend.get_lines():
        line.set_linewidth(2.0)
    return figure
