"""One look for all figures, set for each figure alone and never globally."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

INK, MUTED, FAINT = "#1b1f24", "#6b7280", "#d9dde3"

CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6b7280")
"""Okabe and Ito's colour-blind safe set without black and yellow."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")

SET_COLOURS = {"train": "#6b7280", "held_out": "#0072B2", "probe": "#D55E00", "new": "#009E73"}

TRUST_LINE: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 2.5))}

DPI = 200

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "mathtext.fontset": "dejavusans",
    "axes.labelsize": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.minor.size": 1.8,
    "ytick.minor.size": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "errorbar.capsize": 2.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "dasksse",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw under the report's style and leave Matplotlib's settings as they were."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix; equal figures give equal SVG files."""
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with mpl.rc_context(_STYLE):
        figure.savefig(path, dpi=DPI, metadata=metadata)


def temperature_colours(temperatures_K: Sequence[float]) -> dict[float, str]:
    """One colour per temperature, dark blue for the coldest to orange for the hottest."""
    ordered = sorted(set(temperatures_K))
    places = np.linspace(0.02, 0.82, len(ordered)) if len(ordered) > 1 else [0.4]
    palette = mpl.colormaps["plasma"]
    return {
        temperature: mpl.colors.to_hex(palette(place))
        for temperature, place in zip(ordered, places, strict=True)
    }


def cycle_colours(names: Sequence[str]) -> dict[str, str]:
    """One colour per name, in order of appearance, repeated after seven."""
    unique = dict.fromkeys(names)
    return {name: CYCLE[i % len(CYCLE)] for i, name in enumerate(unique)}


def panel_grid(n_panels: int, max_columns: int) -> tuple[int, int]:
    """Rows and columns that hold so many panels with few empty places."""
    columns = min(n_panels, max_columns)
    rows = -(-n_panels // columns)
    return rows, -(-n_panels // rows)


def draw_trust_levels(axes: Axes, low_eV_A: float, high_eV_A: float) -> None:
    """Two dashed vertical lines at the trust levels [eV/Å]."""
    for level in (low_eV_A, high_eV_A):
        axes.axvline(level, zorder=3, **TRUST_LINE)
