"""A fit of D(T) in words and tables: for the terminal and for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dasksse.report.formats import (
    UNKNOWN,
    format_interval,
    format_number,
    format_upper_bound,
    format_value_error,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.analyse.arrhenius_result import ArrheniusResult, FormResult
    from dasksse.analyse.diffusion_points import DiffusionPoint
    from dasksse.analyse.experiment import ExperimentPoint
    from dasksse.analyse.size_extrapolation import SizeExtrapolation

Row = dict[str, str]
"""One table row: column title to text. All rows of a table have the same columns."""

D_UNIT, SIGMA_UNIT = "m²/s", "mS/cm"
FORM_TITLES: Mapping[str, str] = {
    "line": "one line",
    "two-segment": "two segments",
    "vtf": "VTF",
}
TOLD_APART = 2.0
"""Difference of Akaike's criterion below which two forms are as good as each other."""


def point_rows(points: Sequence[DiffusionPoint]) -> list[Row]:
    """Temperature, D or bound, and its part in the fit, for every point."""
    return [
        {
            "T [K]": f"{point.temperature_K:g}",
            "D": _value_text(point),
            "in the fit": _part_text(point),
        }
        for point in sorted(points, key=lambda point: point.temperature_K)
    ]


def _value_text(point: DiffusionPoint) -> str:
    if point.is_bound:
        return format_upper_bound(point.upper_bound_m2_s, D_UNIT)
    return format_value_error(point.D_m2_s, point.D_err_m2_s, D_UNIT)


def _part_text(point: DiffusionPoint) -> str:
    if point.left_out:
        return f"no: {point.left_out}"
    return "as upper bound" if point.is_bound else "yes"


def form_rows(fit: ArrheniusResult) -> list[Row]:
    """Every form that was fitted, the chosen one first."""
    return [
        {
            "form": FORM_TITLES[form.form],
            "Ea": format_value_error(form.Ea_eV, form.Ea_err_eV, "eV"),
            f"D({fit.at_K:g} K)": _interval_text(form),
            "χ² reduced": format_number(form.chi2_reduced, digits=2),
            "chance": _percent(form.chance),
            "AIC": format_number(form.aic),
            "F-test": _percent(form.f_chance),
        }
        for form in (fit, *fit.alternatives.values())
    ]


def parameters_text(form: FormResult) -> str:
    """What a bent form has besides Ea."""
    of = form.parameters
    if form.form == "two-segment":
        return (
            f"kink at {format_value_error(of['kink_K'], of['kink_err_K'], 'K')}; Ea "
            f"{format_value_error(of['Ea_cold_eV'], of['Ea_cold_err_eV'], 'eV')} below, "
            f"{format_value_error(of['Ea_hot_eV'], of['Ea_hot_err_eV'], 'eV')} above"
        )
    if form.form == "vtf":
        return (
            f"T0 {format_value_error(of['T0_K'], of['T0_err_K'], 'K')}, "
            f"B {format_value_error(of['B_K'], of['B_err_K'], 'K')}"
        )
    return ""


def result_lines(fit: ArrheniusResult) -> list[str]:
    """Ea, prefactor, extrapolated D and conductivity with their intervals."""
    Ea = format_value_error(fit.Ea_eV, fit.Ea_err_eV, "eV")
    ends = [format_number(edge, digits=2) for edge in (fit.D_low95_m2_s, fit.D_high95_m2_s)]
    lines = [
        f"Ea = {Ea}, D0 = {format_number(fit.D0_m2_s, D_UNIT)} ({FORM_TITLES[fit.form]})",
        f"D({fit.at_K:g} K) = {_interval_text(fit)}; 95 %: {' … '.join(ends)} {D_UNIT}",
    ]
    if fit.sigma_mS_cm is not None:
        low, high = (
            fit.sigma_mS_cm * edge / fit.D_m2_s for edge in (fit.D_low_m2_s, fit.D_high_m2_s)
        )
        sigma = format_interval(fit.sigma_mS_cm, low, high, SIGMA_UNIT)
        lines.append(f"σ({fit.at_K:g} K) = {sigma}, of independent carriers")
    return lines


def verdict(fit: ArrheniusResult) -> str:
    """One or a few sentences: whether one line fits, and what fits if it does not."""
    if fit.one_line_ok is None:
        return "Two temperatures always lie on a line: nothing shows that one line fits."
    line = fit if fit.form == "line" else fit.alternatives["line"]
    if fit.one_line_ok:
        bounds = f" and {fit.n_bounds} upper bound(s)" if fit.n_bounds else ""
        return (
            f"One line fits {fit.n_points} points{bounds}: χ² {line.chi2_reduced or 0.0:.2f} "
            "per degree of freedom, no bend."
        )
    why = [
        f"{text} has a chance of {_percent(chance)}"
        for text, chance in (
            ("its scatter", line.chance),
            ("its bend", fit.curvature_chance),
        )
        if chance is not None
    ]
    reason = f" ({', '.join(why)})" if why else " (it exceeds an upper bound)"
    return f"One line does not fit{reason}. {_alternative_text(fit, line)}"


def _alternative_text(fit: ArrheniusResult, line: FormResult) -> str:
    """What else fits, and what it would give."""
    tried = [form for form in (fit, *fit.alternatives.values()) if form.form != "line"]
    good = sorted(
        (form for form in tried if form.fits and form.aic < line.aic), key=lambda form: form.aic
    )
    if not good:
        names = " or ".join(FORM_TITLES[form.form] for form in tried)
        if any(form.chance is None for form in tried) or not tried:
            return "There are too few temperatures to tell what does: add some."
        return (
            f"Nor do {names}: errors of D may be too small, or something else than the "
            "temperature changes."
        )
    does = " and ".join(
        f"{FORM_TITLES[form.form]} ({parameters_text(form)}; D({fit.at_K:g} K) "
        f"{_interval_text(form)})"
        for form in good
    )
    text = f"What fits: {does}."
    if len(good) > 1 and good[1].aic - good[0].aic < TOLD_APART:
        text += " The data cannot tell these apart."
    return text


def size_rows(sizes: Mapping[float, SizeExtrapolation]) -> list[Row]:
    """D of an infinite cell at each temperature [K]."""
    return [
        {
            "T [K]": f"{temperature_K:g}",
            "D of infinite size": format_value_error(size.D_m2_s, size.D_err_m2_s, D_UNIT),
            "a in 1 + a/L": format_value_error(size.a, size.a_err),
            "sizes": str(size.n_sizes),
            "χ² reduced": format_number(size.chi2_reduced, digits=2),
        }
        for temperature_K, size in sizes.items()
    ]


def experiment_rows(fit: ArrheniusResult, experiment: Sequence[ExperimentPoint]) -> list[Row]:
    """Measured D beside that of the fit at the same temperature."""
    D, low, high = fit.D_at(np.array([point.temperature_K for point in experiment]))
    return [
        {
            "T [K]": f"{point.temperature_K:g}",
            "experiment": format_number(point.D_m2_s, D_UNIT)
            + (" from σ" if point.from_conductivity else ""),
            "fit": format_interval(D[i], low[i], high[i], D_UNIT),
            "fit / experiment": format_number(float(D[i] / point.D_m2_s), digits=2),
            "source": point.source or UNKNOWN,
        }
        for i, point in enumerate(experiment)
    ]


def _interval_text(form: FormResult) -> str:
    return format_interval(form.D_m2_s, form.D_low_m2_s, form.D_high_m2_s, D_UNIT)


def _percent(chance: float | None) -> str:
    if chance is None:
        return UNKNOWN
    return "below 0.1 %" if chance < 1e-3 else f"{100 * chance:.2g} %"  # noqa: PLR2004
