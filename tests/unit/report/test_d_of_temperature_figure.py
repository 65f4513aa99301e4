"""The figure of D against temperature of several cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.report.figures.d_of_temperature import Series, d_of_temperature

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OWN = [
    {"temperature_K": 500.0, "D_m2_s": 1e-10, "D_err_m2_s": 2e-11},
    {"temperature_K": 700.0, "D_m2_s": 6e-10, "D_err_m2_s": 6e-11},
]
LARGER = [{"temperature_K": 600.0, "D_m2_s": 4e-10, "D_err_m2_s": 4e-11}]


def faces(axes: Axes) -> dict[float, object]:
    """Colour that fills the marker of each point, by its D."""
    points = [box.lines[0] for box in axes.containers]
    return {float(p.get_ydata()[0]): p.get_markerfacecolor() for p in points}


def test_points_look_as_in_the_legend() -> None:
    series = [Series("50 atoms", OWN), Series("400 atoms", LARGER)]

    axes = d_of_temperature(series, mobile_species="Li").axes[0]

    drawn = faces(axes)
    shown = [handle.get_markerfacecolor() for handle in axes.get_legend().legend_handles]
    assert drawn == {1e-10: shown[0], 6e-10: shown[0], 4e-10: shown[1]}
    assert shown[1] != shown[0]
