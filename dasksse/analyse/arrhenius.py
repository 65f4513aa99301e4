"""Activation energy and extrapolated D from diffusion coefficients at several temperatures."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.errors import AnalysisError, ConfigError
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.records import Json

COLUMNS = ("T_K", "D_m2_s", "D_err_m2_s")
LEAST_PROBABILITY = 0.05
"""One line is doubted when chance gives such a bad fit less often than this."""


@dataclass(frozen=True)
class ArrheniusResult:
    """The line ``ln D = ln D0 - Ea / (kB T)`` through weighted points. Errors are 68 %.

    Attributes
    ----------
    Ea_eV, Ea_err_eV
        Activation energy [eV] and its standard error.
    D0_m2_s
        Prefactor [m²/s].
    at_K
        Temperature of the next values [K].
    D_m2_s, D_low_m2_s, D_high_m2_s
        D on the line [m²/s] and the ends of its 68 % interval.
    sigma_mS_cm
        Nernst-Einstein conductivity [mS/cm] of that D; None without charge and density. Its
        interval scales with that of D.
    chi2_reduced
        Weighted squared residuals per degree of freedom; None for two points.
    one_line_ok
        False when one line cannot describe the points at the 5 % level; None for two points.
    notes
        What was left out and what to be careful about.
    """

    Ea_eV: float
    Ea_err_eV: float
    D0_m2_s: float
    at_K: float
    D_m2_s: float
    D_low_m2_s: float
    D_high_m2_s: float
    sigma_mS_cm: float | None
    chi2_reduced: float | None
    one_line_ok: bool | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Every value but the notes, ready for :func:`json.dumps`."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "notes"}


def fit_arrhenius(
    temperatures_K: Sequence[float] | NDArray[np.floating],
    D_m2_s: Sequence[float | None] | NDArray[np.floating],
    D_err_m2_s: Sequence[float | None] | NDArray[np.floating],
    *,
    at_K: float = 300.0,
    charge: float | None = None,
    carrier_density_A3: float | None = None,
) -> ArrheniusResult:
    """Fit ln D against 1/T, each point weighted by its error.

    Parameters
    ----------
    temperatures_K
        Temperatures [K], above 0, shape ``(temperature,)``.
    D_m2_s, D_err_m2_s
        Diffusion coefficients and their standard errors [m²/s], shape ``(temperature,)``. A
        point whose D or error is None, NaN or not above 0 (no diffusion seen, only an upper
        bound known) is left out and noted.
    at_K
        Temperature to evaluate the line at [K], above 0.
    charge
        Charge of a carrier [e], for the conductivity.
    carrier_density_A3
        Carriers per volume [1/Å³], for the conductivity.

    Returns
    -------
    ArrheniusResult

    Raises
    ------
    AnalysisError
        If fewer than two different temperatures are left, or inputs do not match.

    Notes
    -----
    The error of ln D is ``D_err / D``. The covariance of the line is that of weighted least
    squares with known errors, so no Student factor applies; it is multiplied by the reduced
    chi² where that exceeds 1. The interval of the extrapolated D keeps the correlation of
    slope and intercept: without it, it would come out far too wide.
    """
    temperature, D, error = (
        np.array([np.nan if value is None else value for value in values], dtype=float)
        for values in (temperatures_K, D_m2_s, D_err_m2_s)
    )
    used = _usable_points(temperature, D, error, at_K=at_K)
    notes = [f"{t:g} K left out: no D with an error" for t in temperature[~used]]
    inverse_kT = 1.0 / (BOLTZMANN_EV_K * temperature[used])
    design = np.column_stack([np.ones_like(inverse_kT), -inverse_kT])
    weight = (D[used] / error[used]) ** 2
    # ln D0 and Ea differ in scale and correlate strongly: the inverse is taken about the mean
    centre = np.average(inverse_kT, weights=weight)
    design[:, 1] += centre
    covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
    line = covariance @ design.T @ (weight * np.log(D[used]))
    chi2 = float(weight @ (np.log(D[used]) - design @ line) ** 2)
    chi2_reduced, one_line_ok = _goodness(chi2, int(used.sum()) - 2)
    if chi2_reduced is not None and chi2_reduced > 1.0:
        covariance *= chi2_reduced
    if one_line_ok is False:
        notes.append("one line does not describe all points: fit each stretch by itself")
    at = np.array([1.0, centre - 1.0 / (BOLTZMANN_EV_K * at_K)])
    ln_D, ln_error = float(at @ line), float(np.sqrt(at @ covariance @ at))
    D_at = float(np.exp(ln_D))
    sigma = None
    if charge is not None and carrier_density_A3 is not None:
        sigma = nernst_einstein_mS_cm(
            D_at, carrier_density_A3=carrier_density_A3, temperature_K=at_K, charge=charge
        )
    return ArrheniusResult(
        Ea_eV=float(line[1]),
        Ea_err_eV=float(np.sqrt(covariance[1, 1])),
        D0_m2_s=float(np.exp(line[0] + line[1] * centre)),
        at_K=float(at_K),
        D_m2_s=D_at,
        D_low_m2_s=float(np.exp(ln_D - ln_error)),
        D_high_m2_s=float(np.exp(ln_D + ln_error)),
        sigma_mS_cm=sigma,
        chi2_reduced=chi2_reduced,
        one_line_ok=one_line_ok,
        notes=tuple(notes),
    )


def read_arrhenius_csv(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Read temperatures [K], D and its error [m²/s] from a CSV file with a header.

    Parameters
    ----------
    path
        File with the columns ``T_K, D_m2_s, D_err_m2_s`` in any order; others are ignored. An
        empty D or error stands for unknown and becomes NaN.

    Returns
    -------
    tuple of three NDArray[np.float64]
        The three columns, each of shape ``(temperature,)``, as :func:`fit_arrhenius` takes
        them.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a column or a number is missing or wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            found = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = found
            missing = [name for name in COLUMNS if name not in found]
            if missing:
                msg = (
                    f"{path}: no column {', '.join(missing)}; "
                    f"found {', '.join(found) or 'none'}. "
                    f"Needed: {', '.join(COLUMNS)} (D in m²/s; 1 cm²/s is 1e-4 m²/s)"
                )
                raise ConfigError(msg)
            rows = [
                [_number(row, name, f"{path}:{reader.line_num}") for name in COLUMNS]
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: cannot be read as a CSV table: {error}"
        raise ConfigError(msg) from error
    if not rows:
        msg = f"{path}: no row below the header, need one for each temperature"
        raise ConfigError(msg)
    temperatures, D, D_err = np.array(rows).T
    return temperatures, D, D_err


def _number(row: dict[str, str | None], name: str, place: str) -> float:
    """One cell of the table; an empty one is NaN."""
    text = (row[name] or "").strip()
    is_temperature = name == COLUMNS[0]
    if not text and not is_temperature:
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = float("-inf")
    if value < 0.0 or value == float("inf") or (is_temperature and not value > 0.0):
        allowed = "a number above 0" if is_temperature else "a number of at least 0, or empty"
        msg = f"{place}: {name} is {text!r}, must be {allowed}"
        raise ConfigError(msg)
    return value


def _usable_points(
    temperature: NDArray[np.float64],
    D: NDArray[np.float64],
    error: NDArray[np.float64],
    *,
    at_K: float,
) -> NDArray[np.bool_]:
    """Points that carry a D and an error, shape ``(temperature,)``."""
    if not temperature.shape == D.shape == error.shape or temperature.ndim != 1:
        msg = (
            f"{temperature.size} temperatures, {D.size} D and {error.size} errors: "
            "need one each for every point"
        )
        raise AnalysisError(msg)
    for value in (*temperature, at_K):
        if not (np.isfinite(value) and value > 0.0):
            msg = f"temperature {value} K, must be above 0"
            raise AnalysisError(msg)
    used = np.isfinite(D) & np.isfinite(error)
    used[used] = (D[used] > 0.0) & (error[used] > 0.0)
    n_used = len(np.unique(temperature[used]))
    if n_used < 2:  # noqa: PLR2004 - a line has two ends
        msg = (
            f"{n_used} of {len(temperature)} temperatures have a D with an error, an Arrhenius "
            "line needs 2: run longer or hotter"
        )
        raise AnalysisError(msg)
    return np.asarray(used)


def _goodness(chi2: float, freedom: int) -> tuple[float | None, bool | None]:
    """Reduced chi² and whether chance explains it; unknown without degrees of freedom."""
    if freedom < 1:
        return None, None
    return chi2 / freedom, bool(chdtrc(freedom, chi2) >= LEAST_PROBABILITY)
