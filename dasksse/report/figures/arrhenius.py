"""D(T) with errors, bounds, fit, band and extrapolation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from dasksse.errors import AnalysisError
from dasksse.report.evidence import is_diffusive
from dasksse.report.figures.style import CYCLE, MARKERS, MUTED, styled
from dasksse.report.formats import format_value_error, is_known
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dasksse.report.data import ProductionRow

TOP_TICKS_K = (200, 250, 300, 350, 400, 500, 600, 700, 800, 1000, 1200, 1500, 2000)


def fit_band(
    inverse_K: NDArray[np.float64],
    *,
    fit: Mapping[str, Any],
    points: Sequence[ProductionRow],
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Lower and upper edge of the fit's band [m²/s] at the given 1/T [1/K], ``(point,)`` each.

    Returns
    -------
    tuple or None
        None when the fit carries no interval or fewer than two points have errors.

    Notes
    -----
    The fit gives its interval at one temperature. For a weighted straight line in ``x = 1/T``
    the variance is proportional to ``Sxx / W + (x - <x>)²`` with weights ``(D / error)²``,
    ``W`` their sum, ``<x>`` the weighted mean and ``Sxx`` the weighted square deviation, so
    that interval fixes the band everywhere, at its own confidence level.
    """
    known = [row for row in points if is_known(row.diffusion.get("D_err_m2_s"))]
    known = [row for row in known if row.diffusion["D_err_m2_s"] > 0]
    keys = ("D_low_m2_s", "D_m2_s", "D_high_m2_s", "at_K")
    edges = [float(edge) for key in keys if is_known(edge := fit.get(key)) and edge > 0]
    minimum = 2
    if len(known) < minimum or len(edges) < len(keys):
        return None
    x = np.array([1 / row.temperature_K for row in known])
    weights = np.array([row.diffusion["D_m2_s"] / row.diffusion["D_err_m2_s"] for row in known])
    weights = weights**2
    mean = np.average(x, weights=weights)
    spread = np.average((x - mean) ** 2, weights=weights)
    low, centre, high, at_K = edges
    widening = np.sqrt((spread + (inverse_K - mean) ** 2) / (spread + (1 / at_K - mean) ** 2))
    line = _line(inverse_K, fit)
    return line * (low / centre) ** widening, line * (high / centre) ** widening


def _line(inverse_K: NDArray[np.float64], fit: Mapping[str, Any]) -> NDArray[np.float64]:
    """Fitted D [m²/s] at 1/T [1/K]."""
    exponent = -fit["Ea_eV"] / BOLTZMANN_EV_K * inverse_K
    return np.asarray(fit["D0_m2_s"] * np.exp(exponent))


def _draw_points(
    axes: Axes, rows: Sequence[ProductionRow], colour: str, marker: str
) -> list[ProductionRow]:
    """Points with errors and bounds as arrows; give the rows that are points."""
    points = [row for row in rows if is_diffusive(row)]
    if points:
        errors = np.array([row.diffusion.get("D_err_m2_s") or 0.0 for row in points])
        values = np.array([row.diffusion["D_m2_s"] for row in points])
        lower = np.minimum(errors, 0.95 * values)
        axes.errorbar(
            [1000 / row.temperature_K for row in points],
            values,
            np.array([lower, errors]),
            linestyle="",
            marker=marker,
            color=colour,
            markeredgecolor="white",
            markeredgewidth=0.5,
            markersize=6,
            zorder=4,
        )
    for row in rows:
        bound = row.diffusion.get("upper_bound_m2_s")
        if not is_diffusive(row) and is_known(bound) and bound > 0:
            axes.errorbar(
                [1000 / row.temperature_K],
                [bound],
                yerr=[[0.6 * float(bound)], [0.0]],
                uplims=True,
                linestyle="",
                marker="_",
                markersize=9,
                markeredgewidth=1.4,
                color=colour,
                zorder=4,
            )
    return points


def _draw_fit(
    axes: Axes, fit: Mapping[str, Any], points: Sequence[ProductionRow], colour: str
) -> None:
    """Line (dashed outside the data), band, and the extrapolated value with its interval."""
    temperatures = [row.temperature_K for row in points]
    at_K = fit.get("at_K")
    ends = temperatures + ([float(at_K)] if is_known(at_K) else [])
    x = np.linspace(1 / max(ends), 1 / min(ends), 200)
    inside = (x >= 1 / max(temperatures) - 1e-12) & (x <= 1 / min(temperatures) + 1e-12)
    axes.plot(1000 * x, _line(x, fit), color=colour, linewidth=1.0, linestyle=(0, (4, 2)))
    axes.plot(1000 * x[inside], _line(x[inside], fit), color=colour, linewidth=1.4)
    band = fit_band(x, fit=fit, points=points)
    if band is not None:
        axes.fill_between(1000 * x, *band, color=colour, alpha=0.16, linewidth=0)
    if is_known(at_K) and is_known(fit.get("D_m2_s")):
        _draw_extrapolation(axes, fit, colour, with_interval=band is None)


def _draw_extrapolation(
    axes: Axes, fit: Mapping[str, Any], colour: str, *, with_interval: bool
) -> None:
    """Star at the extrapolated value, with its interval unless the band shows it."""
    value, low, high = (fit.get(key) for key in ("D_m2_s", "D_low_m2_s", "D_high_m2_s"))
    interval = None
    if with_interval and is_known(value) and is_known(low) and is_known(high):
        interval = np.array([[value - low], [high - value]])
    axes.errorbar(
        [1000 / fit["at_K"]],
        [fit["D_m2_s"]],
        interval,
        marker="*",
        markersize=11,
        markeredgecolor="white",
        markeredgewidth=0.5,
        color=colour,
        zorder=5,
    )


def _label(system: str, fit: Mapping[str, Any] | None) -> str:
    if not fit or not is_known(fit.get("Ea_eV")):
        return f"{system}: no fit"
    return f"{system}: $E_a$ = {format_value_error(fit['Ea_eV'], fit.get('Ea_err_eV'), 'eV')}"


def _add_temperature_axis(axes: Axes) -> None:
    """Temperature [K] along the top."""
    low, high = sorted(axes.get_xlim())
    top = axes.secondary_xaxis("top", functions=(lambda x: x, lambda x: x))
    ticks = [tick for tick in TOP_TICKS_K if low <= 1000 / tick <= high]
    top.set_xticks([1000 / tick for tick in ticks], [str(tick) for tick in ticks])
    top.set_xlabel("T (K)")


@styled
def arrhenius(
    *,
    production: Sequence[ProductionRow],
    fits: Mapping[str, Mapping[str, Any] | None],
    mobile_species: str,
) -> Figure:
    """Arrhenius plot of all systems.

    Full line and points: fitted data; dashed line and star: extrapolation; arrows: upper bounds
    of runs that are not diffusive.

    Raises
    ------
    AnalysisError
        When no row has D or an upper bound.
    """
    systems = list(dict.fromkeys(row.system for row in production))
    figure = Figure(figsize=(5.0, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.set_yscale("log")
    for place, system in enumerate(systems):
        colour, marker = CYCLE[place % len(CYCLE)], MARKERS[place % len(MARKERS)]
        rows = [row for row in production if row.system == system]
        points = _draw_points(axes, rows, colour, marker)
        fit = fits.get(system)
        if fit and points and is_known(fit.get("Ea_eV")) and is_known(fit.get("D0_m2_s")):
            _draw_fit(axes, fit, points, colour)
        label = _label(system, fit)
        axes.plot([], [], color=colour, marker=marker, markeredgecolor="white", label=label)
    if not axes.containers:
        msg = "no production run has D or an upper bound; run and analyse production"
        raise AnalysisError(msg)
    axes.margins(x=0.06, y=0.08)
    axes.autoscale_view()
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("1000 / T (1/K)")
    axes.set_ylabel(f"$D$ of {mobile_species} (m²/s)")
    axes.spines["top"].set_visible(True)
    axes.spines["top"].set_color(MUTED)
    _add_temperature_axis(axes)
    axes.legend(loc="lower left")
    return figure
