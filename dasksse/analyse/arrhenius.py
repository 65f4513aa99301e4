"""Activation energy and extrapolated D from diffusion coefficients at several temperatures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtrc

from dasksse.analyse.arrhenius_result import (
    LEAST_PROBABILITY,
    ArrheniusResult,
    FormResult,
)
from dasksse.analyse.censored_fit import Observations
from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.law_fit import broken_bounds, curvature_chance, fit_law
from dasksse.analyse.temperature_laws import FORMS, LAWS, inverse_kT
from dasksse.errors import AnalysisError
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.law_fit import LawFit
    from dasksse.analyse.temperature_laws import Form

SCORE_95 = 1.96
FAR_REACH = 1.5
"""An extrapolation that makes the range of 1/T longer than this many times is called far."""
SKEWED_ERROR = 0.5
"""Relative error of D from which the normal law of ln D is a rough one."""
NOTABLE_PULL = 0.5
"""Standard errors by which bounds must move Ea to be worth a note."""


def fit_arrhenius(
    temperatures_K: Sequence[float] | NDArray[np.floating],
    D_m2_s: Sequence[float | None] | NDArray[np.floating],
    D_err_m2_s: Sequence[float | None] | NDArray[np.floating],
    *,
    upper_bound_m2_s: Sequence[float | None] | NDArray[np.floating] | None = None,
    at_K: float = 300.0,
    charge: float | None = None,
    carrier_density_A3: float | None = None,
    form: Form = "line",
) -> ArrheniusResult:
    """Fit ln D against 1/T, each point weighted by its error, bounds as bounds.

    Parameters
    ----------
    temperatures_K
        Temperatures [K], above 0, shape ``(temperature,)``.
    D_m2_s, D_err_m2_s
        Diffusion coefficients and their standard errors [m²/s], shape ``(temperature,)``; None,
        NaN or 0 where unknown.
    upper_bound_m2_s
        95 % upper bounds of D [m²/s], shape ``(temperature,)``; used where D or its error is
        unknown. A temperature with neither is left out and noted.
    at_K
        Temperature to evaluate the law at [K], above 0.
    charge
        Charge of a carrier [e], for the conductivity.
    carrier_density_A3
        Carriers per volume [1/Å³], for the conductivity.
    form
        ``line``; ``two-segment``, two lines that meet in a kink; or ``vtf``,
        ``D0 exp(-B / (T - T0))``.

    Returns
    -------
    ArrheniusResult

    Raises
    ------
    AnalysisError
        If too few different temperatures have a D, or inputs do not match.

    Notes
    -----
    The error of ln D is ``D_err / D``. The covariance of the line is that of weighted least
    squares with known errors, so no Student factor applies; it is multiplied by the reduced
    chi² where that exceeds 1. The interval of the extrapolated D keeps the correlation of
    slope and intercept: without it, it would come out far too wide.

    One line is refused by chi² or by a significant bend, which share the 5 % between them.
    """
    data, notes = _observations(temperatures_K, D_m2_s, D_err_m2_s, upper_bound_m2_s)
    _check_temperature(at_K)
    fits: dict[str, LawFit] = {form: fit_law(form, data)}
    line = fits.setdefault("line", fit_law("line", data))
    bend = curvature_chance(data)
    one_line_ok = _one_line_ok(line, bend, data)
    if one_line_ok is False or form != "line":
        fits |= {
            name: fit_law(name, data)
            for name in FORMS
            if name not in fits and data.n_temperatures >= LAWS[name].n_temperatures
        }
    results = {name: _form_result(fit, at_K, data, line) for name, fit in fits.items()}
    sigma = None
    if charge is not None and carrier_density_A3 is not None:
        sigma = nernst_einstein_mS_cm(
            results[form].D_m2_s,
            carrier_density_A3=carrier_density_A3,
            temperature_K=at_K,
            charge=charge,
        )
    is_alone = one_line_ok is not False and form == "line"
    reach = _reach(data.temperature_K, at_K)
    return ArrheniusResult(
        **vars(results[form]),
        at_K=float(at_K),
        sigma_mS_cm=sigma,
        one_line_ok=one_line_ok,
        curvature_chance=bend,
        pivot_K=_pivot_K(line) if form == "line" else None,
        reach=reach,
        n_points=len(data.ln_D),
        n_bounds=len(data.ln_bound),
        alternatives={} if is_alone else {k: v for k, v in results.items() if k != form},
        notes=(*notes, *_cares(line, fits[form], data, at_K=at_K, reach=reach)),
    )


def _observations(
    temperatures_K: Sequence[float] | NDArray[np.floating],
    D_m2_s: Sequence[float | None] | NDArray[np.floating],
    D_err_m2_s: Sequence[float | None] | NDArray[np.floating],
    upper_bound_m2_s: Sequence[float | None] | NDArray[np.floating] | None,
) -> tuple[Observations, list[str]]:
    """Points and bounds, and notes on what was left out."""
    if upper_bound_m2_s is None:
        upper_bound_m2_s = np.full(len(temperatures_K), np.nan)
    temperature, D, error, bound = (
        np.array([np.nan if value is None else value for value in values], dtype=float)
        for values in (temperatures_K, D_m2_s, D_err_m2_s, upper_bound_m2_s)
    )
    if len({values.shape for values in (temperature, D, error, bound)}) > 1:
        msg = (
            f"{temperature.size} temperatures, {D.size} D, {error.size} errors and "
            f"{bound.size} bounds: need one each for every point"
        )
        raise AnalysisError(msg)
    for value in temperature:
        _check_temperature(value)
    has_D = (D > 0.0) & (error > 0.0) & np.isfinite(D) & np.isfinite(error)
    is_bound = ~has_D & (bound > 0.0) & np.isfinite(bound)
    n_used = len(np.unique(temperature[has_D]))
    if n_used < 2:  # noqa: PLR2004 - a line has two ends
        bounds = f"; {is_bound.sum()} upper bound(s) alone give none" if is_bound.any() else ""
        msg = (
            f"{n_used} of {len(temperature)} temperatures have a D with an error, an Arrhenius "
            f"line needs 2 for its slope{bounds}: run longer or hotter"
        )
        raise AnalysisError(msg)
    notes = [
        f"{t:g} K left out: no D with an error and no upper bound"
        for t in temperature[~has_D & ~is_bound]
    ]
    notes += [
        f"D at {t:g} K has an error of {100 * share:.0f} %: the interval is a rough one there"
        for t, share in zip(temperature[has_D], error[has_D] / D[has_D], strict=True)
        if share > SKEWED_ERROR
    ]
    data = Observations(
        temperature_K=temperature[has_D],
        ln_D=np.log(D[has_D]),
        ln_err=error[has_D] / D[has_D],
        bound_K=temperature[is_bound],
        ln_bound=np.log(bound[is_bound]),
    )
    return data, notes


def _check_temperature(value: float) -> None:
    if not (np.isfinite(value) and value > 0.0):
        msg = f"temperature {value} K, must be above 0"
        raise AnalysisError(msg)


def _one_line_ok(line: LawFit, bend: float | None, data: Observations) -> bool | None:
    """Whether chance explains scatter and bend, bounds included."""
    chances = [chance for chance in (line.chance, bend) if chance is not None]
    # with three points and no bound both tests are the same one
    n_tests = 1 if line.freedom == 1 and not len(data.ln_bound) else len(chances)
    is_likely = all(chance >= LEAST_PROBABILITY / n_tests for chance in chances)
    if bend is None:  # two temperatures lie on a line, but one may be above a bound
        return None if is_likely and not len(broken_bounds(line, data)) else False
    return is_likely


def _form_result(fit: LawFit, at_K: float, data: Observations, line: LawFit) -> FormResult:
    """Values of one form at a temperature [K]."""
    at = np.array([float(at_K)])
    (low,), (high,) = fit.ln_D_interval(at, 1.0)
    (low95,), (high95,) = fit.ln_D_interval(at, SCORE_95)
    tangent = np.clip(at, data.temperature_K.min(), data.temperature_K.max())
    Ea, Ea_err = fit.activation_energy(float(tangent[0]))
    return FormResult(
        form=fit.form,
        Ea_eV=Ea,
        Ea_err_eV=Ea_err,
        D0_m2_s=float(np.exp(fit.ln_D(tangent) + Ea * inverse_kT(tangent))[0]),
        D_m2_s=float(np.exp(fit.ln_D(at))[0]),
        D_low_m2_s=float(np.exp(low)),
        D_high_m2_s=float(np.exp(high)),
        D_low95_m2_s=float(np.exp(low95)),
        D_high95_m2_s=float(np.exp(high95)),
        chi2_reduced=fit.chi2_reduced,
        chance=fit.chance,
        aic=fit.aic,
        f_chance=_f_chance(fit, line),
        parameters=fit.parameters(),
        law=fit,
    )


def _f_chance(fit: LawFit, line: LawFit) -> float | None:
    """F-test of a form against one line."""
    if fit.form == "line" or fit.freedom < 1:
        return None
    n_more = line.freedom - fit.freedom
    gain = max(line.chi2 - fit.chi2, 0.0) / n_more
    rest = fit.chi2 / fit.freedom
    return float(fdtrc(n_more, fit.freedom, gain / rest)) if rest > 0.0 else 0.0


def _pivot_K(line: LawFit) -> float:
    """Temperature at which the variance of a line is least [K]."""
    covariance = line.covariance[0]
    return float(covariance[1, 1] / covariance[0, 1] / BOLTZMANN_EV_K)


def _reach(T_K: NDArray[np.float64], at_K: float) -> float:
    """Range of 1/T with one more temperature over that without."""
    return float(np.ptp(1.0 / np.append(T_K, at_K)) / np.ptp(1.0 / T_K))


def _cares(
    line: LawFit, fit: LawFit, data: Observations, *, at_K: float, reach: float
) -> list[str]:
    """What to be careful about in a fit."""
    notes = []
    if len(data.ln_bound):
        alone, error = fit_law("line", data.without_bounds()).activation_energy(at_K)
        Ea = line.activation_energy(at_K)[0]
        listed = ", ".join(f"{t:g}" for t in data.bound_K)
        if abs(Ea - alone) > NOTABLE_PULL * error:
            notes.append(
                f"the upper bounds at {listed} K pull the line: Ea {Ea:.3f} eV with them, "
                f"{alone:.3f} ± {error:.3f} eV without"
            )
    notes += [
        f"the {fit.form} fit is above the upper bound at {t:g} K"
        for t in broken_bounds(fit, data)
    ]
    if reach > FAR_REACH:
        notes.append(
            f"{at_K:g} K is far outside the data: 1/T spans {reach:.1f} times their range, and "
            "the interval holds only if nothing changes in between"
        )
    return notes
