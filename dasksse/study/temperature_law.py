"""What the points of one crystal say of D at any temperature, and of the form of D(T)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from dasksse.analyse.arrhenius_result import LEAST_PROBABILITY
from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out
from dasksse.report.error_budget import SCORE_95
from dasksse.report.fit_values import chosen_form
from dasksse.report.formats import format_interval, format_upper_bound, format_value_error
from dasksse.study.points import fit_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.records import Json

SAME_K = 1.0
"""Temperatures closer than this are the same."""

_FIT_KEYS = (
    "temperature_K",
    "D_m2_s",
    "D_err_m2_s",
    "upper_bound_m2_s",
    "framework_broken",
    "framework_melted",
)


@dataclass(frozen=True, kw_only=True)
class DAt:
    """D at a temperature, and where it is from.

    Attributes
    ----------
    temperature_K
        Temperature [K].
    how
        ``simulated`` there; ``interpolated`` or ``extrapolated`` by the fit; ``bound`` when
        only an upper bound is known; ``unknown``.
    D_m2_s, D_low95_m2_s, D_high95_m2_s
        D and its 95 % interval [m²/s]; for a bound only the upper end is known.
    ln_err
        Standard error of ln D; None where D is not known.
    """

    temperature_K: float
    how: Literal["simulated", "interpolated", "extrapolated", "bound", "unknown"]
    D_m2_s: float | None = None
    D_low95_m2_s: float | None = None
    D_high95_m2_s: float | None = None
    ln_err: float | None = None

    def text(self, unit: str = "m²/s") -> str:
        """D with its 95 % interval, or its upper bound."""
        if self.how == "bound":
            return format_upper_bound(self.D_high95_m2_s, unit)
        return format_interval(self.D_m2_s, self.D_low95_m2_s, self.D_high95_m2_s, unit)

    def sigma_mS_cm(self, squared_charge_density_A3: float) -> dict[str, float | None]:
        """Nernst-Einstein conductivity [mS/cm] and its 95 % interval: value, low, high."""
        per_D = sigma_per_D(squared_charge_density_A3, self.temperature_K)
        ends = {"value": self.D_m2_s, "low95": self.D_low95_m2_s, "high95": self.D_high95_m2_s}
        return {name: None if D is None else D * per_D for name, D in ends.items()}

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return asdict(self)


def sigma_per_D(squared_charge_density_A3: float, temperature_K: float) -> float:
    """Nernst-Einstein conductivity [mS/cm] of a D of 1 m²/s."""
    return nernst_einstein_mS_cm(
        1.0,
        carrier_density_A3=squared_charge_density_A3,
        temperature_K=temperature_K,
        charge=1.0,
    )


def used_points(points: Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Points that a fit may use: D or a bound, and a whole framework."""
    marked = leave_out([DiffusionPoint(**{k: p[k] for k in _FIT_KEYS}) for p in points])
    return [p for p, mark in zip(points, marked, strict=True) if not mark.left_out]


def D_at(points: Sequence[Mapping[str, Json]], at_K: float) -> DAt:
    """D at a temperature: simulated there, else by the fit of all temperatures.

    Parameters
    ----------
    points
        Of one crystal, see :func:`dasksse.study.points.points_of`.
    at_K
        Temperature [K].
    """
    used = used_points(points)
    here = [point for point in used if abs(point["temperature_K"] - at_K) <= SAME_K]
    measured = next((point for point in here if point["D_m2_s"] is not None), None)
    if measured is not None and measured["D_err_m2_s"] is not None:
        return DAt(
            temperature_K=at_K,
            how="simulated",
            D_m2_s=measured["D_m2_s"],
            D_low95_m2_s=measured["D_low95_m2_s"],
            D_high95_m2_s=measured["D_high95_m2_s"],
            ln_err=measured["D_err_m2_s"] / measured["D_m2_s"],
        )
    fit = fit_of(used, at_K=at_K)
    if fit is not None:
        return _by_fit(chosen_form(fit), used, at_K)
    bounds = [p["upper_bound_m2_s"] for p in here if p["upper_bound_m2_s"] is not None]
    if bounds:
        return DAt(temperature_K=at_K, how="bound", D_high95_m2_s=min(bounds))
    return DAt(temperature_K=at_K, how="unknown")


def _by_fit(form: Mapping[str, Json], points: Sequence[Mapping[str, Json]], at_K: float) -> DAt:
    resolved_K = [point["temperature_K"] for point in points if point["D_m2_s"] is not None]
    is_inside = min(resolved_K) <= at_K <= max(resolved_K)
    low, high = form["D_low95_m2_s"], form["D_high95_m2_s"]
    is_bounded = all(end is not None and end > 0.0 for end in (low, high))
    return DAt(
        temperature_K=at_K,
        how="interpolated" if is_inside else "extrapolated",
        D_m2_s=form["D_m2_s"],
        D_low95_m2_s=low,
        D_high95_m2_s=high,
        ln_err=math.log(high / low) / (2.0 * SCORE_95) if is_bounded else None,
    )


def shape_text(fit: Mapping[str, Json] | None) -> str:
    """Whether one line describes D(T), and what does where it does not."""
    if fit is None:
        return "no fit: fewer than two temperatures have D"
    if fit["one_line_ok"] is None:
        return "two temperatures do not tell whether D(T) is one line"
    if fit["one_line_ok"]:
        return "one line describes D(T)"
    form = chosen_form(fit)
    values = form["parameters"]
    fits = form["chance"] is not None and form["chance"] >= LEAST_PROBABILITY
    start = "one line does not describe D(T); "
    start += "it has" if fits else "the best of the other forms, not shown to fit, has"
    if form["form"] == "two-segment":
        at, hot, cold = (
            format_value_error(values[name], values[error], unit)
            for name, error, unit in (
                ("kink_K", "kink_err_K", "K"),
                ("Ea_hot_eV", "Ea_hot_err_eV", "eV"),
                ("Ea_cold_eV", "Ea_cold_err_eV", "eV"),
            )
        )
        return f"{start} a kink at {at}, Ea {hot} above, {cold} below"
    if form["form"] == "vtf":
        at = format_value_error(values["T0_K"], values["T0_err_K"], "K")
        return f"{start} a smooth bend, VTF with T0 = {at}"
    return "one line does not describe D(T), and no other form does better"


def squared_charge_density_A3(
    points: Sequence[Mapping[str, Json]], charge: float, at_K: float = 300.0
) -> float | None:
    """Squared charge of the carriers times their density [e²/Å³] in the cell next to ``at_K``.

    None without points.
    """
    if not points:
        return None
    point = min(points, key=lambda one: abs(one["temperature_K"] - at_K))
    return charge**2 * float(point["n_atoms_species"]) / float(point["volume_A3"])
