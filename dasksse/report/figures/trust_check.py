"""True force error against deviation, to see whether the trust level is earned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dasksse.errors import AnalysisError
from dasksse.report.colours import SHARE_COLOURS
from dasksse.report.evidence import trust_evidence
from dasksse.report.figures.style import (
    FAINT,
    INK,
    MUTED,
    draw_trust_levels,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dasksse.report.data import GenerationRow

KINDS = {
    "candidate": ("candidate", "o", SHARE_COLOURS["candidate"]),
    "check": ("check", "D", SHARE_COLOURS["accurate"]),
}


def _limits(
    values: NDArray[np.float64], *, at_most: float, at_least: float
) -> tuple[float, float]:
    """Range of a logarithmic axis that holds the values and the trust levels."""
    return min(float(values.min()), at_most) / 1.3, max(float(values.max()), at_least) * 1.3


def _name_axes(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(r"maximal force deviation $\sigma_f^{\,\max}$ (eV/Å)")
    axes.set_ylabel("true force error of the worst atom (eV/Å)")


@styled
def trust_check(*, generations: Sequence[GenerationRow]) -> Figure:
    """Scatter of newly labelled frames of all generations, with trust levels.

    The shaded box holds the accurate frames whose true error is below the upper level: there
    the trust level is earned.

    Raises
    ------
    AnalysisError
        When no newly labelled frame has a deviation and a true error above 0.
    """
    checks = [row.trust_check for row in generations if row.trust_check is not None]
    deviation = np.concatenate([[], *(check.deviation for check in checks)])
    error = np.concatenate([[], *(check.true_error for check in checks)])
    kind = np.concatenate([np.array([], dtype=str), *(check.kind for check in checks)])
    drawn = np.isfinite(deviation) & np.isfinite(error) & (deviation > 0) & (error > 0)
    if not drawn.any():
        msg = "no labelled frame has both deviation and true error; label one generation"
        raise AnalysisError(msg)
    last = generations[-1]
    low, high = last.trust_low_eV_A, last.trust_high_eV_A
    figure = Figure(figsize=(4.6, 3.7), layout="constrained")
    axes = figure.subplots()
    x_limits = _limits(deviation[drawn], at_most=low / 1.5, at_least=1.5 * high)
    y_limits = _limits(error[drawn], at_most=low, at_least=2 * high)
    axes.fill_between(
        [x_limits[0], low], y_limits[0], high, color=FAINT, alpha=0.5, linewidth=0
    )
    axes.plot(
        x_limits, x_limits, color=MUTED, linewidth=0.7, label="error = deviation", zorder=1
    )
    for name, (label, marker, colour) in KINDS.items():
        chosen = drawn & (kind == name)
        axes.scatter(
            deviation[chosen],
            error[chosen],
            s=16 if name == "check" else 11,
            marker=marker,
            color=colour,
            edgecolor=INK if name == "check" else "none",
            linewidth=0.4,
            alpha=0.85,
            label=f"{label} ({int(chosen.sum())})",
            zorder=3 if name == "check" else 2,
        )
    draw_trust_levels(axes, low, high)
    _name_axes(axes)
    axes.set(xlim=x_limits, ylim=y_limits)
    evidence = trust_evidence(generations)
    if evidence.n_checked:
        text = f"{evidence.n_good} of {evidence.n_checked} accurate frames in the shaded box"
        axes.set_title(text, fontsize=7.5, color=MUTED)
    axes.legend(loc="upper left", handletextpad=0.4)
    return figure
