"""What a fit of D(T) gives: activation energy, D elsewhere, and whether one line does."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dasksse.analyse.law_fit import LawFit
    from dasksse.analyse.temperature_laws import Form
    from dasksse.records import Json

LEAST_PROBABILITY = 0.05
"""A form is doubted when chance gives such bad fits less often than this."""


@dataclass(frozen=True, kw_only=True)
class FormResult:
    """What one form of D(T) says. Errors are 68 %.

    Attributes
    ----------
    form
        ``line``, ``two-segment`` or ``vtf``.
    Ea_eV, Ea_err_eV
        Activation energy [eV] and its standard error: the slope of ln D against ``1 / kB T``,
        for the bent forms at the asked temperature or the end of the data next to it.
    D0_m2_s
        Prefactor of that slope [m²/s].
    D_m2_s, D_low_m2_s, D_high_m2_s
        D at the asked temperature [m²/s] and the ends of its 68 % interval.
    D_low95_m2_s, D_high95_m2_s
        Ends of its 95 % interval [m²/s].
    chi2_reduced
        Weighted squared residuals of the points per degree of freedom; None without any.
    chance
        Probability of so large a chi² or a larger one if the form is true.
    aic
        Akaike's criterion; the smaller, the better, and 2 is a difference.
    f_chance
        Probability that one line is true and the form is so much better all the same, by the
        F-test, which asks only for the ratio of the errors; None for a line.
    parameters
        The form's own parameters with errors.
    law
        The fit itself, for D at other temperatures.
    """

    form: Form
    Ea_eV: float
    Ea_err_eV: float
    D0_m2_s: float
    D_m2_s: float
    D_low_m2_s: float
    D_high_m2_s: float
    D_low95_m2_s: float
    D_high95_m2_s: float
    chi2_reduced: float | None
    chance: float | None
    aic: float
    f_chance: float | None
    parameters: Mapping[str, float]
    law: LawFit = field(repr=False, compare=False)

    @property
    def fits(self) -> bool:
        """Whether chi² speaks for the form; two points and the like speak for nothing."""
        return self.chance is not None and self.chance >= LEAST_PROBABILITY

    def to_json(self) -> dict[str, Json]:
        """Every value but the law, ready for :func:`json.dumps`; None where not finite."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "law"}
        return {
            name: None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in values.items()
        }

    def D_at(
        self, T_K: NDArray[np.float64], score: float = 1.0
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """D [m²/s] at temperatures [K] and the ends of its interval of so many errors."""
        low, high = self.law.ln_D_interval(T_K, score)
        return np.exp(self.law.ln_D(T_K)), np.exp(low), np.exp(high)


@dataclass(frozen=True, kw_only=True)
class ArrheniusResult(FormResult):
    """The chosen form of D(T), and whether one line would do.

    Attributes
    ----------
    at_K
        Temperature of the values of D [K].
    sigma_mS_cm
        Nernst-Einstein conductivity [mS/cm] of that D; None without charge and density. Its
        interval scales with that of D.
    one_line_ok
        False when one line cannot describe points and bounds at the 5 % level; None for two
        points.
    curvature_chance
        Probability of so large a bend or a larger one if one line is true; None for two points.
    pivot_K
        Temperature at which a line is known best [K]; None for the other forms.
    reach
        Range of 1/T with the asked temperature over that of the points; 1 inside of it.
    n_points, n_bounds
        Values and upper bounds in the fit.
    alternatives
        The other forms, by name; only when one line does not do or is not the chosen form.
    notes
        What was left out and what to be careful about.
    """

    at_K: float
    sigma_mS_cm: float | None
    one_line_ok: bool | None
    curvature_chance: float | None
    pivot_K: float | None
    reach: float
    n_points: int
    n_bounds: int
    alternatives: Mapping[str, FormResult]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """Every value but the law, ready for :func:`json.dumps`."""
        others = {name: other.to_json() for name, other in self.alternatives.items()}
        return {**super().to_json(), "notes": list(self.notes), "alternatives": others}
