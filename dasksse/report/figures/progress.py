"""Progress from generation to generation, judged on frames that are never trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dasksse.errors import AnalysisError
from dasksse.report.data import RMSE_SETS, SET_TITLES
from dasksse.report.figures.style import MARKERS, MUTED, SET_COLOURS, TRUST_LINE, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from dasksse.report.data import GenerationRow


def _draw_errors(axes: Axes, generations: Sequence[GenerationRow]) -> bool:
    """Force RMSE of each set with the spread of the ensemble; whether anything was drawn."""
    for name, marker in zip(RMSE_SETS, MARKERS, strict=False):
        known = [
            (row.generation, error)
            for row in generations
            if (error := row.error(name, "force_rmse_meV_A")) is not None
        ]
        if not known:
            continue
        axes.errorbar(
            [generation for generation, _ in known],
            [mean for _, (mean, _) in known],
            [std for _, (_, std) in known],
            color=SET_COLOURS[name],
            marker=marker,
            label=SET_TITLES[name],
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
    axes.set_ylabel("force RMSE (meV/Å)")
    drawn = bool(axes.containers)
    if drawn:
        axes.legend()
    return drawn


def _draw_probe(axes: Axes, generations: Sequence[GenerationRow]) -> bool:
    """Mean deviation on the probe with the lower trust level; whether anything was drawn."""
    known = [
        (row.generation, row.probe_deviation_mean_eV_A)
        for row in generations
        if row.probe_deviation_mean_eV_A is not None
    ]
    if known:
        axes.plot(
            *zip(*known, strict=True),
            color=SET_COLOURS["probe"],
            marker="^",
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
        level = generations[-1].trust_low_eV_A
        axes.axhline(level, **TRUST_LINE)
        axes.annotate(
            "lower trust level",
            (1.0, level),
            xycoords=axes.get_yaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            color=MUTED,
            fontsize=7,
        )
    axes.set_ylabel(r"mean $\sigma_f^{\,\max}$ on the probe (eV/Å)")
    return bool(known)


@styled
def progress(*, generations: Sequence[GenerationRow]) -> Figure:
    """Force RMSE by set (left) and mean probe deviation (right) against generation.

    Raises
    ------
    AnalysisError
        When no generation has errors or a probe deviation.
    """
    figure = Figure(figsize=(7.2, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
    drawn = {
        left: _draw_errors(left, generations),
        right: _draw_probe(right, generations),
    }
    if not any(drawn.values()):
        msg = "no generation has errors to draw; evaluate at least one"
        raise AnalysisError(msg)
    for axes, has_data in drawn.items():
        axes.set_ylim(bottom=0)
        axes.margins(x=0.08)
        axes.set_xlabel("generation")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if not has_data:
            figure.delaxes(axes)
    return figure
