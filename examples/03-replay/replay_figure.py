"""Table and figure of the comparison, from the points that replay.py measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dasksse.report.figures.style import CYCLE, MARKERS, styled

Row = dict[str, Any]
Summary = dict[str, list[Row]]


def summarise(points: list[Row]) -> Summary:
    """Mean and range over seeds, by strategy and generation."""
    summary: Summary = {row["strategy"]: [] for row in points}
    for strategy, part in summary.items():
        mine = [row for row in points if row["strategy"] == strategy]
        for generation in sorted({row["generation"] for row in mine}):
            some = [row for row in mine if row["generation"] == generation]
            errors = [row["force_rmse_meV_A"] for row in some]
            part.append(
                {
                    "generation": generation,
                    "n_runs": len(some),
                    "n_labels": float(np.mean([row["n_labels"] for row in some])),
                    "core_s": float(np.mean([row["core_s"] for row in some])),
                    "force_rmse_meV_A": float(np.mean(errors)),
                    "lowest_meV_A": min(errors),
                    "highest_meV_A": max(errors),
                }
            )
    return summary


def table(summary: Summary) -> str:
    """Text for the screen."""
    head = f"{'strategy':10}{'generation':>11}{'labels':>8}{'meV/Å':>8}{'range':>12}"
    lines = [f"{head}{'core s':>9}"]
    for strategy, part in summary.items():
        for row in part:
            extent = f"{row['lowest_meV_A']:.0f}-{row['highest_meV_A']:.0f}"
            numbers = f"{row['n_labels']:8.0f}{row['force_rmse_meV_A']:8.0f}{extent:>12}"
            lines.append(f"{strategy:10}{row['generation']:11}{numbers}{row['core_s']:9.0f}")
    return "\n".join(lines)


@styled
def draw(summary: Summary) -> Figure:
    """Force error against labels, and against core time; bands are ranges over seeds."""
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    panels = {"n_labels": "labels of the teacher", "core_s": "core time (s)"}
    all_axes = figure.subplots(1, 2, sharey=True)
    for axes, (key, title) in zip(all_axes, panels.items(), strict=True):
        for place, (strategy, part) in enumerate(summary.items()):
            x, mean, low, high = (
                [row[name] for row in part]
                for name in (key, "force_rmse_meV_A", "lowest_meV_A", "highest_meV_A")
            )
            colour = CYCLE[place]
            axes.plot(x, mean, color=colour, marker=MARKERS[place], label=strategy)
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set_xlabel(title)
    all_axes[0].set_ylabel("force RMSE against\nthe teacher (meV/Å)")
    all_axes[0].legend()
    return figure
