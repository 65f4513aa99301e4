"""D(T) with errors, bounds, fit, band and extrapolation: systems of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out
from dasksse.errors import AnalysisError
from dasksse.report.evidence import is_diffusive
from dasksse.report.figures.arrhenius_parts import (
    Curve,
    draw_curve,
    draw_extrapolation,
    draw_points,
    finish_axes,
)
from dasksse.report.figures.style import CYCLE, MARKERS, styled
from dasksse.report.formats import format_value_error, is_known
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dasksse.report.data import ProductionRow


def fit_band(
    inverse_K: NDArray[np.float64], *, fit: Mapping[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Lower and upper edge of the fit's band [m²/s] at the given 1/T [1/K], ``(point,)`` each.

    Returns
    -------
    tuple or None
        None when the fit carries no interval.

    Notes
    -----
    The variance of a straight line in ``x = 1/T`` is least at the pivot ``x_p`` and grows as
    ``(Ea_err / kB)² (x - x_p)²``. The fit gives it at one temperature, which fixes the rest.
    """
    keys = ("D_low_m2_s", "D_m2_s", "D_high_m2_s", "at_K", "pivot_K", "Ea_err_eV")
    known = [float(value) for key in keys if is_known(value := fit.get(key)) and value > 0]
    if len(known) < len(keys):
        return None
    _, centre, high, at_K, pivot_K, Ea_err_eV = known
    at_least = (
        np.log(high / centre) ** 2
        - (Ea_err_eV / BOLTZMANN_EV_K * (1 / at_K - 1 / pivot_K)) ** 2
    )
    grown = (Ea_err_eV / BOLTZMANN_EV_K * (inverse_K - 1 / pivot_K)) ** 2
    error = np.sqrt(np.maximum(at_least, 0.0) + grown)
    line = _line(inverse_K, fit)
    return line * np.exp(-error), line * np.exp(error)


def _line(inverse_K: NDArray[np.float64], fit: Mapping[str, Any]) -> NDArray[np.float64]:
    """Fitted D [m²/s] at 1/T [1/K]."""
    exponent = -fit["Ea_eV"] / BOLTZMANN_EV_K * inverse_K
    return np.asarray(fit["D0_m2_s"] * np.exp(exponent))


def _as_points(rows: Sequence[ProductionRow]) -> list[DiffusionPoint]:
    """Values and bounds of production rows, those with a broken framework marked."""
    keys = ("D_m2_s", "D_err_m2_s", "upper_bound_m2_s")
    points = []
    for row in rows:
        values = (row.diffusion.get(key) for key in keys)
        D, error, bound = (value if is_known(value) and value > 0 else None for value in values)
        if not is_diffusive(row):
            D = error = None
        broken = row.framework_broken
        points.append(DiffusionPoint(row.temperature_K, D, error, bound, broken))
    return leave_out(points)


def _draw_fit(
    axes: Axes, fit: Mapping[str, Any], points: Sequence[DiffusionPoint], colour: str
) -> None:
    """Line (dashed outside the data), band, and the extrapolated value with its interval."""
    temperatures = [point.temperature_K for point in points]
    at_K = fit.get("at_K")
    ends = temperatures + ([float(at_K)] if is_known(at_K) else [])
    x = np.linspace(1 / max(ends), 1 / min(ends), 200)
    band = fit_band(x, fit=fit)
    curve = Curve(1 / x, _line(x, fit), [] if band is None else [band])
    draw_curve(axes, curve, temperatures, colour)
    if is_known(at_K) and is_known(fit.get("D_m2_s")):
        low, high = fit.get("D_low_m2_s"), fit.get("D_high_m2_s")
        interval = None
        if band is None and is_known(low) and is_known(high):
            interval = (low, high)
        draw_extrapolation(axes, at_K, fit["D_m2_s"], colour, interval=interval)


def _label(system: str, fit: Mapping[str, Any] | None) -> str:
    if not fit or not is_known(fit.get("Ea_eV")):
        return f"{system}: no fit"
    return f"{system}: $E_a$ = {format_value_error(fit['Ea_eV'], fit.get('Ea_err_eV'), 'eV')}"


@styled
def arrhenius(
    *,
    production: Sequence[ProductionRow],
    fits: Mapping[str, Mapping[str, Any] | None],
    mobile_species: str,
) -> Figure:
    """Arrhenius plot of all systems.

    Full line and points: fitted data; dashed line and star: extrapolation; arrows: upper bounds
    of runs that are not diffusive; hollow: left out.

    Raises
    ------
    AnalysisError
        When no row has D or an upper bound.
    """
    systems = list(dict.fromkeys(row.system for row in production))
    figure = Figure(figsize=(5.0, 4.0), layout="constrained")
    axes = figure.subplots()
    for place, system in enumerate(systems):
        colour, marker = CYCLE[place % len(CYCLE)], MARKERS[place % len(MARKERS)]
        points = _as_points([row for row in production if row.system == system])
        draw_points(axes, points, colour, marker)
        fit = fits.get(system)
        used = [point for point in points if point.has_D and not point.left_out]
        if fit and used and is_known(fit.get("Ea_eV")) and is_known(fit.get("D0_m2_s")):
            _draw_fit(axes, fit, used, colour)
        label = _label(system, fit)
        axes.plot([], [], color=colour, marker=marker, markeredgecolor="white", label=label)
    if not axes.containers:
        msg = "no production run has D or an upper bound; run and analyse production"
        raise AnalysisError(msg)
    finish_axes(axes, mobile_species)
    return figure
