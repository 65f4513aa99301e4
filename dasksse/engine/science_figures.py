"""Live figures of the science page: each is drawn once and then fed with new columns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bokeh.models import (
    AdaptiveTicker,
    Axis,
    ColumnDataSource,
    DataRange1d,
    FactorRange,
    FixedTicker,
    HoverTool,
    LinearAxis,
    NumeralTickFormatter,
    PrintfTickFormatter,
    Span,
)
from bokeh.plotting import figure

from dasksse.report.colours import SHARE_COLOURS
from dasksse.report.figures.arrhenius_parts import TOP_TICKS_K
from dasksse.report.figures.style import (
    CYCLE,
    FAINT,
    INK,
    MUTED,
    SET_COLOURS,
    cycle_colours,
)
from dasksse.report.formats import format_number, format_value_error, is_known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Columns = dict[str, list[Any]]

HEIGHT = 250
LEAST_LEFT = 0.05
"""An error bar of D ends above this share of D: the axis is logarithmic."""


@dataclass(frozen=True)
class Panel:
    """A figure, and what puts a status into it; hidden as long as it has nothing to show."""

    figure: figure
    show: Callable[[Mapping[str, Any]], None]


def _figure(title: str, x_label: str, y_label: str, **options: object) -> figure:
    plot = figure(
        title=title,
        x_axis_label=x_label,
        y_axis_label=y_label,
        height=HEIGHT,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        **options,
    )
    plot.title.text_color = INK
    plot.title.text_font_size = "13px"
    plot.xgrid.visible = False
    plot.ygrid.grid_line_color = FAINT
    plot.outline_line_color = plot.background_fill_color = plot.border_fill_color = None
    plot.min_border_left = 60
    for axis in plot.axis:
        _style_axis(axis)
    return plot


def _style_axis(axis: Axis) -> None:
    axis.axis_label_text_font_style = "normal"
    axis.axis_label_text_font_size = "12px"
    axis.axis_label_text_color = axis.major_label_text_color = INK
    axis.axis_line_color = axis.major_tick_line_color = MUTED
    axis.minor_tick_line_color = None


def _style_legend(plot: figure, place: str) -> None:
    plot.add_layout(plot.legend[0], place)
    plot.legend.border_line_color = None
    plot.legend.background_fill_alpha = 0.0
    plot.legend.label_text_font_size = "11px"
    plot.legend.padding = plot.legend.margin = 2


def _put(source: ColumnDataSource, columns: Columns) -> None:
    """Send columns to the browser if they are new."""
    if source.data != columns:
        source.data = columns


def _columns(rows: list[dict[str, Any]], *names: str) -> Columns:
    return {name: [row[name] for row in rows] for name in names}


def shares_panel() -> Panel:
    """Shares of accurate, candidate and failed frames, a bar per generation."""
    names = list(SHARE_COLOURS)
    source = ColumnDataSource({name: [] for name in ("generation", *names)})
    plot = _figure(
        "shares of the planned frames", "generation", "", x_range=FactorRange(), y_range=(0, 1)
    )
    plot.vbar_stack(
        names,
        x="generation",
        width=0.8,
        color=list(SHARE_COLOURS.values()),
        line_color="white",
        legend_label=names,
        source=source,
    )
    plot.yaxis.formatter = NumeralTickFormatter(format="0 %")
    tips = [(name, f"@{name}{{0.0 %}}") for name in names]
    plot.add_tools(HoverTool(tooltips=[("generation", "@generation"), *tips]))
    _style_legend(plot, "right")

    def show(status: Mapping[str, Any]) -> None:
        columns = _columns(status["generations"], "generation", *names)
        columns["generation"] = [str(generation) for generation in columns["generation"]]
        plot.x_range.factors = columns["generation"]
        plot.visible = bool(columns["generation"])
        _put(source, columns)

    return Panel(plot, show)


def _against_generation(title: str, y_label: str) -> tuple[figure, ColumnDataSource]:
    """An empty figure of something judged on the probe."""
    source = ColumnDataSource({"generation": [], "value": [], "low": [], "high": []})
    plot = _figure(title, "generation", y_label, y_range=DataRange1d(start=0))
    plot.xaxis.ticker = AdaptiveTicker(min_interval=1)
    colour = SET_COLOURS["probe"]
    look = {"source": source, "color": colour, "line_width": 2}
    plot.segment("generation", "low", "generation", "high", **look)
    plot.line("generation", "value", **look)
    points = plot.scatter("generation", "value", source=source, color=colour, size=8)
    plot.add_tools(HoverTool(renderers=[points], tooltips=[(y_label, "@value{0.000}")]))
    return plot, source


def error_panel() -> Panel:
    """Force error of each ensemble on the probe, with the spread of its members."""
    plot, source = _against_generation("force error on the probe", "force RMSE (meV/Å)")

    def show(status: Mapping[str, Any]) -> None:
        rows = [row for row in status["probe"] if is_known(row["force_rmse_meV_A"])]
        values = [row["force_rmse_meV_A"] for row in rows]
        spreads = [row["force_rmse_std_meV_A"] or 0.0 for row in rows]
        pairs = list(zip(values, spreads, strict=True))
        plot.visible = bool(rows)
        _put(
            source,
            {
                "generation": [row["generation"] for row in rows],
                "value": values,
                "low": [value - spread for value, spread in pairs],
                "high": [value + spread for value, spread in pairs],
            },
        )

    return Panel(plot, show)


def deviation_panel() -> Panel:
    """Mean maximal force deviation on the probe, beside the lower trust level."""
    plot, source = _against_generation(
        "deviation on the probe (dashed: lower trust level)", "mean σ max (eV/Å)"
    )
    level = Span(
        location=0, dimension="width", line_color=INK, line_dash="dashed", visible=False
    )
    plot.add_layout(level)

    def show(status: Mapping[str, Any]) -> None:
        rows = [row for row in status["probe"] if is_known(row["deviation_eV_A"])]
        values = [row["deviation_eV_A"] for row in rows]
        generations = [row["generation"] for row in rows]
        plot.visible = bool(rows)
        _put(
            source, {"generation": generations, "value": values, "low": values, "high": values}
        )
        if status["generations"]:
            level.location = status["generations"][-1]["trust_levels_eV_A"][0]
            level.visible = True

    return Panel(plot, show)


def labels_panel() -> Panel:
    """Good labels against time."""
    source = ColumnDataSource({"at": [], "labels": []})
    plot = _figure("labels", "", "labels", x_axis_type="datetime", y_range=DataRange1d(start=0))
    plot.step("at", "labels", source=source, mode="after", color=CYCLE[0], line_width=2)

    def show(status: Mapping[str, Any]) -> None:
        curve = status["labels_in_time"]
        plot.visible = bool(curve)
        columns = {"at": [_local_ms(at) for at, _ in curve], "labels": [n for _, n in curve]}
        _put(source, columns)

    return Panel(plot, show)


def _local_ms(at: float) -> float:
    """Milliseconds that Bokeh, which knows no time zones, shows as this machine's time."""
    return 1000.0 * (at + time.localtime(at).tm_gmtoff)


def running_panel() -> Panel:
    """Units that run now, by kind."""
    source = ColumnDataSource({"kind": [], "running": [], "open": [], "done": []})
    plot = _figure("running units", "units", "", y_range=FactorRange(), x_range=DataRange1d())
    plot.x_range.start = 0
    plot.xaxis.ticker = AdaptiveTicker(min_interval=1)
    plot.hbar(y="kind", right="running", height=0.7, color=CYCLE[2], source=source)
    tips = [(name, f"@{name}") for name in ("kind", "running", "open", "done")]
    plot.add_tools(HoverTool(tooltips=tips))
    plot.ygrid.visible = False

    def show(status: Mapping[str, Any]) -> None:
        rows = [{"kind": kind, **counts} for kind, counts in status["units"].items()]
        rows = [row for row in rows if row["running"] or row["open"]]
        plot.y_range.factors = [row["kind"] for row in reversed(rows)]
        _put(source, _columns(rows, "kind", "running", "open", "done"))

    return Panel(plot, show)


def diffusion_panel() -> Panel:
    """D against 1/T with error bars; triangles that point down are upper bounds."""
    names = ("x", "D", "low", "high", "system", "colour", "text")
    known = ColumnDataSource({name: [] for name in names})
    bounds = ColumnDataSource({name: [] for name in names})
    plot = _figure(
        "D(T) so far (triangles: upper bounds)", "1000 / T (1/K)", "D (m²/s)", y_axis_type="log"
    )
    plot.yaxis.formatter = PrintfTickFormatter(format="%.1e")
    plot.segment("x", "low", "x", "high", source=known, color="colour", line_width=2)
    look = {"x": "x", "y": "D", "color": "colour", "size": 9}
    points = plot.scatter(source=known, legend_field="system", **look)
    arrows = plot.scatter(source=bounds, marker="inverted_triangle", fill_color="white", **look)
    tips = [("", "@system"), ("", "@text")]
    plot.add_tools(HoverTool(renderers=[points, arrows], tooltips=tips))
    _style_legend(plot, "right")
    ticks = {1000 / tick: str(tick) for tick in TOP_TICKS_K}
    top = LinearAxis(
        ticker=FixedTicker(ticks=list(ticks)),
        major_label_overrides=ticks,
        axis_label="T (K)",
        axis_label_standoff=0,
    )
    plot.add_layout(top, "above")
    _style_axis(top)

    def show(status: Mapping[str, Any]) -> None:
        colours = cycle_colours([point["system"] for point in status["D"]])
        rows = [_place(point, colours) for point in status["D"]]
        is_point = [is_known(point["D_m2_s"]) for point in status["D"]]
        plot.visible = any(rows)
        pairs = [(row, is_one) for row, is_one in zip(rows, is_point, strict=True) if row]
        _put(known, _columns([row for row, is_one in pairs if is_one], *names))
        _put(bounds, _columns([row for row, is_one in pairs if not is_one], *names))

    return Panel(plot, show)


def _place(point: Mapping[str, Any], colours: Mapping[str, str]) -> dict[str, Any]:
    """Where and how a temperature is drawn; nothing when neither D nor a bound is known."""
    value, error = point["D_m2_s"], point["D_err_m2_s"]
    if is_known(value):
        text = format_value_error(value, error, "m²/s")
    elif is_known(point["upper_bound_m2_s"]):
        value = point["upper_bound_m2_s"]
        text = f"below {format_number(value, 'm²/s', digits=2)}"
    else:
        return {}
    spread = error if is_known(error) else 0.0
    return {
        "x": 1000 / point["temperature_K"],
        "D": value,
        "low": max(value - spread, LEAST_LEFT * value),
        "high": value + spread,
        "system": point["system"],
        "colour": colours[point["system"]],
        "text": f"{point['temperature_K']:g} K: {text}, {point['regime']}",
    }


def make_panels() -> list[list[Panel]]:
    """All figures, in rows."""
    return [
        [shares_panel(), error_panel(), deviation_panel()],
        [labels_panel(), running_panel(), diffusion_panel()],
    ]
