"""Tables of diffusion as rows of text: D, how ions move, checks, and the fits of D(T)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.report.arrhenius_text import D_UNIT, SIGMA_UNIT
from dasksse.report.evidence import is_diffusive, potential_doubts, trust_in_words
from dasksse.report.formats import (
    UNKNOWN,
    format_count,
    format_interval,
    format_number,
    format_range,
    format_share,
    format_upper_bound,
    format_value_error,
    is_known,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from dasksse.report.arrhenius_text import Row
    from dasksse.report.data import ProductionRow, RunReport

AXES = ("x", "y", "z")
_YES_NO = {"True": "yes", "False": "no"}


def diffusion_text(row: ProductionRow, unit: str = D_UNIT) -> str:
    """D with its error, or the upper bound where the run is not diffusive."""
    diffusion = row.diffusion
    if is_diffusive(row):
        return format_value_error(diffusion["D_m2_s"], diffusion.get("D_err_m2_s"), unit)
    return format_upper_bound(diffusion.get("upper_bound_m2_s"), unit)


def _with_error(values: Mapping[str, Any], name: str, unit: str) -> str:
    """Value with its error; older runs have values without one."""
    value, error = values.get(f"{name}{unit}"), values.get(f"{name}_err{unit}")
    if is_known(value) and not is_known(error):
        return format_number(value, digits=2)
    return format_value_error(value, error)


def _sorted_rows(report: RunReport) -> list[ProductionRow]:
    return sorted(report.production, key=lambda row: (row.system, row.temperature_K))


def production_rows(report: RunReport) -> list[Row]:
    """D, conductivity and what limits them, per system and temperature."""
    doubts = potential_doubts(report)
    return [
        {
            "system": row.system,
            "T [K]": f"{row.temperature_K:g}",
            "runs × length": f"{row.n_runs} × {row.length_ps:.4g} ps",
            "D [m²/s]": diffusion_text(row, unit=""),
            "D, 95 %": format_range(
                row.diffusion.get("D_low95_m2_s"), row.diffusion.get("D_high95_m2_s")
            ),
            "jumps": _jumps_text(row),
            "trustworthy": trust_in_words(row, doubts),
            "σ [mS/cm]": _with_error(row.diffusion, "sigma", "_mS_cm"),
            "Haven ratio": _haven_text(row.diffusion),
            "outside trust": format_share(row.untrusted_fraction),
        }
        for row in _sorted_rows(report)
    ]


def _haven_text(diffusion: Mapping[str, Any]) -> str:
    """Haven ratio with its 95 % interval; older runs have one standard error at most."""
    ratio, low, high = (diffusion.get(f"haven_ratio{end}") for end in ("", "_low95", "_high95"))
    if is_known(low) and is_known(high):
        return format_interval(ratio, low, high)
    return _with_error(diffusion, "haven_ratio", "")


def _jumps_text(row: ProductionRow) -> str:
    n_jumps = row.diffusion.get("effective_jumps")
    return format_count(round(n_jumps)) if is_known(n_jumps) else UNKNOWN


def motion_rows(report: RunReport) -> list[Row]:
    """D along each axis and of the summed displacement: one row per analysed temperature."""
    return [
        {
            "system": row.system,
            "T [K]": f"{row.temperature_K:g}",
            **_by_axis(row.diffusion),
            "D collective [m²/s]": _with_error(row.diffusion, "D_collective", "_m2_s"),
            "σ collective [mS/cm]": _with_error(row.diffusion, "sigma_collective", "_mS_cm"),
        }
        for row in _sorted_rows(report)
        if row.diffusion
    ]


def check_rows(report: RunReport) -> list[Row]:
    """What the estimate of D rests on: one row per analysed temperature."""
    return [
        {
            "system": row.system,
            "T [K]": f"{row.temperature_K:g}",
            "bootstrap error [m²/s]": format_number(
                row.diffusion.get("D_bootstrap_err_m2_s"), digits=2
            ),
            "least error": _percent(row.diffusion.get("floor")),
            "non-Gaussian": _peak_text(row.diffusion),
            "fit window [ps]": _window_text(row.diffusion.get("fit_window_ps")),
            "log slope": format_number(row.diffusion.get("log_slope")),
            "framework broken": format_share(row.framework_broken),
            "atoms": format_count(row.n_atoms),
            "mean T [K]": format_number(row.mean_temperature_K, digits=4),
            "mean P [GPa]": format_number(row.mean_pressure_GPa, digits=2),
        }
        for row in _sorted_rows(report)
        if row.diffusion
    ]


def _by_axis(diffusion: Mapping[str, Any]) -> Row:
    values = diffusion.get("D_xyz_m2_s") or (None, None, None)
    errors = diffusion.get("D_xyz_err_m2_s") or (None, None, None)
    return {
        f"D {axis} [m²/s]": _with_error({"D": value, "D_err": error}, "D", "")
        for axis, value, error in zip(AXES, values, errors, strict=True)
    }


def _percent(share: float | None) -> str:
    return f"{100 * share:.0f} %" if is_known(share) else UNKNOWN


def _peak_text(diffusion: Mapping[str, Any]) -> str:
    """Largest non-Gaussian parameter and its lag."""
    peak, lag_ps = (diffusion.get(f"non_gaussian_peak{end}") for end in ("", "_ps"))
    if not is_known(peak) or not is_known(lag_ps):
        return UNKNOWN
    return f"{peak:.2g} at {lag_ps:.3g} ps"


def _window_text(window: tuple[float, float] | None) -> str:
    return UNKNOWN if not window else f"{window[0]:.3g}–{window[1]:.3g}"


def arrhenius_rows(report: RunReport) -> list[Row]:
    """Activation energy and extrapolated values per system, where there is a fit."""
    return [
        {
            "system": system,
            "Ea": format_value_error(fit.get("Ea_eV"), fit.get("Ea_err_eV"), "eV"),
            "D0": format_number(fit.get("D0_m2_s"), D_UNIT),
            "at [K]": format_number(fit.get("at_K")),
            "D (68 %)": format_interval(
                fit.get("D_m2_s"), fit.get("D_low_m2_s"), fit.get("D_high_m2_s"), D_UNIT
            ),
            "σ": format_number(fit.get("sigma_mS_cm"), SIGMA_UNIT),
            "χ² reduced": format_number(fit.get("chi2_reduced"), digits=2),
            "one line fits": _YES_NO.get(str(fit.get("one_line_ok")), UNKNOWN),
        }
        for system, fit in report.arrhenius.items()
        if fit
    ]
