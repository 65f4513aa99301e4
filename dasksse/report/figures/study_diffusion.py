"""D(T) of the ordered and the disordered crystal, and what its error is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out
from dasksse.errors import AnalysisError
from dasksse.report.figures.arrhenius_parts import Curve, draw_curve, draw_points, finish_axes
from dasksse.report.figures.style import CYCLE, INK, MARKERS, MUTED, styled
from dasksse.report.fit_values import D_of_form, chosen_form

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from dasksse.records import Json

POINT_KEYS = (
    "temperature_K",
    "D_m2_s",
    "D_err_m2_s",
    "upper_bound_m2_s",
    "framework_broken",
    "framework_melted",
)
TERMS = {"sampling": "sampling", "models": "models", "cell_size": "cell size"}
ASIDE = 0.04
"""Published values stand beside one another and the simulated ones [1000/K]."""
SHIFT_K = 4.0
"""Terms of one temperature stand side by side."""
ROOM = 2.5
"""Factor left free above the terms, for the legend."""


@styled
def study_diffusion(values: Mapping[str, Json]) -> Figure:
    """D against 1000/T beside the parts of its error.

    Parameters
    ----------
    values
        Of the study's outcome.

    Raises
    ------
    AnalysisError
        When no run has D or an upper bound.
    """
    points = values["points"]
    if not has_any(points):
        msg = "no run has D or an upper bound"
        raise AnalysisError(msg)
    figure = Figure(figsize=(8.4, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1.0))
    draw_branches(left, points, values["branches"])
    draw_published(left, values["published"])
    finish_axes(left, values["mobile_species"])
    _draw_budget(right, values["error_budget"])
    return figure


def has_any(points: Sequence[Mapping[str, Json]]) -> bool:
    """Whether any point has D or an upper bound."""
    return any(
        point[key] is not None for point in points for key in ("D_m2_s", "upper_bound_m2_s")
    )


def draw_branches(
    axes: Axes,
    points: Sequence[Mapping[str, Json]],
    branches: Mapping[str, Mapping[str, Json]],
) -> None:
    """Points of each crystal with the form that describes them."""
    for place, name in enumerate(dict.fromkeys(point["branch"] for point in points)):
        colour, marker = CYCLE[place % len(CYCLE)], MARKERS[place % len(MARKERS)]
        marked = leave_out(
            [
                DiffusionPoint(**{key: point[key] for key in POINT_KEYS})
                for point in points
                if point["branch"] == name
            ]
        )
        draw_points(axes, marked, colour, marker)
        axes.plot([], [], color=colour, marker=marker, linestyle="none", label=name)
        known_K = [p.temperature_K for p in marked if p.has_D and not p.left_out]
        fit = branches.get(name, {}).get("fit")
        if fit is not None:
            low, high = min([*known_K, fit["at_K"]]), max(known_K)
            T_K = 1.0 / np.linspace(1.0 / high, 1.0 / low, 200)
            curve = Curve(T_K, D_of_form(chosen_form(fit), T_K), ())
            draw_curve(axes, curve, known_K, colour)


def draw_published(axes: Axes, published: Sequence[Mapping[str, Json]]) -> None:
    """D that papers give for this material: hollow and grey."""
    known = [one for one in published if one["D_m2_s"] is not None]
    for place, one in enumerate(known):
        error = one["D_err_m2_s"] or 0.0
        axes.errorbar(
            [1000.0 / one["temperature_K"] + ASIDE * (place + 1)],
            [one["D_m2_s"]],
            [[min(error, 0.95 * one["D_m2_s"])], [error]],
            linestyle="none",
            marker=MARKERS[::-1][place % len(MARKERS)],
            markersize=6,
            color=MUTED,
            markerfacecolor="white",
            label=f"{one['label']} ({one['formula']})",
            zorder=3,
        )


def _draw_budget(axes: Axes, budgets: Sequence[Mapping[str, Json]]) -> None:
    """Parts of the error of D against temperature, in percent."""
    branches = list(dict.fromkeys(budget["branch"] for budget in budgets))
    for place, (key, title) in enumerate(TERMS.items()):
        colour = CYCLE[(place + 3) % len(CYCLE)]
        is_known = False
        for branch in branches:
            marker = MARKERS[branches.index(branch) % len(MARKERS)]
            for budget in (b for b in budgets if b["branch"] == branch):
                term = budget[key]
                if term["relative"] is None:
                    continue
                is_known = True
                percent = 100.0 * term["relative"]
                axes.errorbar(
                    [budget["temperature_K"] + SHIFT_K * (place - 1)],
                    [percent],
                    yerr=[[0.3 * percent], [0.0]] if term["is_limit"] else None,
                    uplims=term["is_limit"],
                    marker="_" if term["is_limit"] else marker,
                    markersize=6 if not term["is_limit"] else 8,
                    color=colour,
                    linestyle="none",
                )
        label = title if is_known else f"{title}: not known"
        axes.plot([], [], color=colour, marker="s", linestyle="none", label=label)
    for place, branch in enumerate(branches):
        axes.plot([], [], MARKERS[place % len(MARKERS)], color=INK, label=branch)
    axes.set_xlabel("T (K)")
    axes.set_ylabel("part of the error of $D$ (%)")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * ROOM)
    axes.legend(loc="upper right", ncols=2)
