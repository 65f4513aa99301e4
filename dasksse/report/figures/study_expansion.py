"""Lengths and volume of the cell against temperature, with their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dasksse.errors import AnalysisError
from dasksse.report.figures.style import CYCLE, INK, MUTED, styled
from dasksse.report.formats import format_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from dasksse.records import Json

DASHES = (0, (4, 2))
PUBLISHED_DASHES = {
    "Huang et al. 2021": (0, (1, 1.5)),
    "experiment (Weber et al.)": (0, (5, 1.5, 1, 1.5)),
}
"""Published slopes that are drawn; the first version of the paper is in the table."""


@styled
def cell_against_temperature(values: Mapping[str, Json]) -> Figure:
    """One panel for each length and one for the volume.

    Parameters
    ----------
    values
        Of the outcome of the study ``thermal-expansion``.

    Raises
    ------
    AnalysisError
        When no temperature has a mean cell.
    """
    points = [point for point in values["points"] if point["volume_A3"] is not None]
    if not points:
        msg = "no temperature has a mean cell"
        raise AnalysisError(msg)
    keys: Mapping[str, str] = values["size_keys"]
    figure = Figure(figsize=(2.5 * len(keys) + 0.3, 3.1), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(keys)))
    for axes, (name, key), colour in zip(panels, keys.items(), CYCLE, strict=False):
        _draw_points(axes, points, key, colour)
        _draw_line(axes, values, name, colour, points)
        unit = "Å³" if name == "volume" else "Å"
        title = "a = b" if name == "a" and values["a_equals_b"] else name
        axes.set_title(title, fontweight="bold")
        axes.set_ylabel(f"{title} ({unit})")
        axes.set_xlabel("T (K)")
        axes.margins(x=0.06, y=0.1)
        axes.ticklabel_format(useOffset=False)
    handles, labels = panels[-1].get_legend_handles_labels()
    if handles:
        handles[0] = Line2D([], [], color=INK, linestyle=DASHES, linewidth=1.2)
        figure.legend(handles, labels, loc="outside lower center", handlelength=2.6)
    return figure


def _draw_points(
    axes: Axes, points: Sequence[Mapping[str, Json]], key: str, colour: str
) -> None:
    """Means with errors, hollow and grey where they are not fitted."""
    quantity, unit = key.rsplit("_", 1)
    for point in points:
        is_fitted = point["is_fitted"]
        shade = MUTED if point["left_out"] else colour
        axes.errorbar(
            [point["temperature_K"]],
            [point[key]],
            [point[f"{quantity}_err_{unit}"] or 0.0],
            linestyle="",
            marker="o",
            color=shade,
            markerfacecolor=shade if is_fitted else "white",
            markeredgecolor="white" if is_fitted else shade,
            markeredgewidth=0.5 if is_fitted else 1.0,
            markersize=6,
            zorder=4,
        )


def _draw_line(
    axes: Axes,
    values: Mapping[str, Json],
    name: str,
    colour: str,
    points: Sequence[Mapping[str, Json]],
) -> None:
    """Fitted line over its range, and published slopes through its value at the reference."""
    fit = values["fits"][name]
    if fit is None:
        return
    fitted = [point["temperature_K"] for point in points if point["is_fitted"]]
    spans = np.array([min(fitted), max(fitted)])
    ends = np.array([min(p["temperature_K"] for p in points), max(fitted)])
    level, reference = fit["at_reference"], values["reference_K"]
    axes.plot(
        spans,
        level * (1.0 + fit["coefficient_per_K"] * (spans - reference)),
        color=colour,
        linestyle=DASHES,
        linewidth=1.2,
        label="fit",
    )
    factor = 3.0 if name == "volume" else 1.0
    for source, dashes in PUBLISHED_DASHES.items():
        alpha = values["published_per_K"].get(source)
        if alpha is not None:
            published = format_number(alpha, "1/K", digits=2)
            axes.plot(
                ends,
                level * (1.0 + factor * alpha * (ends - reference)),
                color=MUTED,
                linestyle=dashes,
                linewidth=1.1,
                zorder=1,
                label=f"slope of {published} for {values['published_for']}, {source}",
            )
