"""Tables of D(T) for a paper, in LaTeX or Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dasksse.report.arrhenius_text import FORM_TITLES, point_rows, result_lines, verdict
from dasksse.report.formats import format_value_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.analyse.arrhenius_result import ArrheniusResult
    from dasksse.analyse.diffusion_points import DiffusionPoint
    from dasksse.analyse.fitted_points import FittedPoints


def markdown_table(fitted: Sequence[FittedPoints]) -> str:
    """D(T) and the fit of each system as Markdown."""
    parts = []
    for one in fitted:
        rows = point_rows(one.points)
        titles = list(rows[0])
        lines = [titles, ["---"] * len(titles), *(list(row.values()) for row in rows)]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
        if one.fit is not None:
            below = [*result_lines(one.fit), verdict(one.fit)]
            parts.append("\n".join(f"- {line}" for line in below))
    return "\n\n".join(parts) + "\n"


def latex_table(fitted: Sequence[FittedPoints]) -> str:
    """D(T) and the fit of each system as a LaTeX table with booktabs rules."""
    return "\n".join(_latex_tabular(one) for one in fitted)


def _latex_tabular(one: FittedPoints) -> str:
    used = [point for point in one.points if not point.left_out]
    known = [point.D_m2_s or point.upper_bound_m2_s or 1.0 for point in used] or [1.0]
    exponent = math.floor(math.log10(min(known)))
    unit = rf"$D$ ($10^{{{exponent}}}\,\mathrm{{m^2\,s^{{-1}}}}$)"
    lines = [
        rf"% {one.name or 'D(T)'}; needs booktabs; errors are one standard error",
        r"\begin{tabular}{rl}",
        r"\toprule",
        rf"$T$ (K) & {unit} \\",
        r"\midrule",
        *(
            rf"{point.temperature_K:g} & {_latex_value(point, exponent)} \\"
            for point in sorted(used, key=lambda point: point.temperature_K)
        ),
    ]
    if one.fit is not None:
        lines += [r"\midrule", *_latex_fit(one.fit)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _latex_value(point: DiffusionPoint, exponent: int) -> str:
    scale = 10.0**exponent
    if point.is_bound:
        return f"$< {(point.upper_bound_m2_s or 0.0) / scale:.2g}$"
    text = format_value_error((point.D_m2_s or 0.0) / scale, (point.D_err_m2_s or 0.0) / scale)
    return _latex_math(text)


def _latex_fit(fit: ArrheniusResult) -> list[str]:
    """Rows of Ea, extrapolated D with its 68 % interval, and chi²."""
    exponent = math.floor(math.log10(fit.D_m2_s)) if fit.D_m2_s > 0.0 else 0
    D, low, high = (
        value / 10.0**exponent for value in (fit.D_m2_s, fit.D_low_m2_s, fit.D_high_m2_s)
    )
    Ea = _latex_math(format_value_error(fit.Ea_eV, fit.Ea_err_eV))
    interval = f"{D:.1f}_{{-{D - low:.1f}}}^{{+{high - D:.1f}}}"
    unit = rf"\times 10^{{{exponent}}}\,\mathrm{{m^2\,s^{{-1}}}}"
    rows = [
        rf"$E_\mathrm{{a}}$ (eV) & {Ea} \\",
        rf"$D({fit.at_K:g}\,\mathrm{{K}})$ & ${interval} {unit}$ \\",
    ]
    if fit.sigma_mS_cm is not None:
        rows.append(
            rf"$\sigma({fit.at_K:g}\,\mathrm{{K}})$ & "
            rf"${fit.sigma_mS_cm:.2g}\,\mathrm{{mS\,cm^{{-1}}}}$ \\"
        )
    if fit.chi2_reduced is not None:
        rows.append(rf"$\chi^2_\nu$ ({FORM_TITLES[fit.form]}) & {fit.chi2_reduced:.2g} \\")
    return rows


def _latex_math(text: str) -> str:
    """Value with error of :func:`format_value_error` as LaTeX."""
    mathematics = text.replace("±", r"\pm").replace("−", "-")
    if "×" in mathematics:
        mantissa, _, power = mathematics.partition(" × 10")
        digits = power.strip().translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        mathematics = rf"{mantissa} \times 10^{{{digits}}}"
    return f"${mathematics}$"
