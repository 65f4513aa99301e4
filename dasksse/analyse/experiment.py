"""Measured diffusion coefficients and conductivities to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.diffusion_tables import read_number, read_rows
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

D_COLUMNS: Mapping[str, tuple[str, float]] = {
    "D_m2_s": ("D_err_m2_s", 1.0),
    "D_cm2_s": ("D_err_cm2_s", 1.0e-4),
}
SIGMA_COLUMNS: Mapping[str, tuple[str, float]] = {
    "sigma_mS_cm": ("sigma_err_mS_cm", 1.0),
    "sigma_S_cm": ("sigma_err_S_cm", 1.0e3),
}
"""Column of a value: column of its error, and factor to m²/s or mS/cm."""


@dataclass(frozen=True)
class ExperimentPoint:
    """Measured D at one temperature.

    Attributes
    ----------
    temperature_K
        Temperature [K].
    D_m2_s, D_err_m2_s
        Diffusion coefficient [m²/s] and its error, None if unknown.
    source
        Where it is from; may be empty.
    from_conductivity
        Whether it was worked out from a conductivity as if ions moved independently.
    """

    temperature_K: float
    D_m2_s: float
    D_err_m2_s: float | None
    source: str
    from_conductivity: bool


def read_experiment_csv(
    path: Path, *, squared_charge_density_A3: float | None = None
) -> list[ExperimentPoint]:
    """Read measured values from a CSV file with a header.

    Parameters
    ----------
    path
        File with the column ``T_K`` and one of ``D_m2_s``, ``D_cm2_s``, ``sigma_mS_cm``,
        ``sigma_S_cm``; if wanted, its error (``D_err_m2_s`` and so on) and ``source``.
    squared_charge_density_A3
        Squared charge of the carriers times their density [e²/Å³], which turns a conductivity
        into the D of independent carriers.

    Raises
    ------
    ConfigError
        If the file cannot be read, a column or number is missing or wrong, or a conductivity
        comes without density.
    """
    header, rows = read_rows(path)
    known = {**D_COLUMNS, **SIGMA_COLUMNS}
    found = [name for name in known if name in header]
    if "T_K" not in header or len(found) != 1:
        msg = (
            f"{path}: found the columns {', '.join(header) or 'none'}; needed: T_K and one of "
            f"{', '.join(known)}"
        )
        raise ConfigError(msg)
    name = found[0]
    is_sigma = name in SIGMA_COLUMNS
    if is_sigma and squared_charge_density_A3 is None:
        msg = (
            f"{path}: {name} needs the density of carriers to be compared with D: give "
            "--density-A3 and --charge, or columns with D"
        )
        raise ConfigError(msg)
    error_name, factor = known[name]
    points = []
    for line, cells in rows:
        row = dict(zip(header, cells, strict=True))
        numbers = {
            key: read_number(row.get(key, ""), f"{path}:{line}: {key}")
            for key in ("T_K", name, error_name)
        }
        temperature_K, value, error = (numbers[key] for key in ("T_K", name, error_name))
        if temperature_K is None or value is None:
            msg = f"{path}:{line}: needs a number above 0 in T_K and {name}, found {cells}"
            raise ConfigError(msg)
        to_D = factor
        if is_sigma:
            to_D /= nernst_einstein_mS_cm(
                1.0,
                carrier_density_A3=squared_charge_density_A3 or 0.0,
                temperature_K=temperature_K,
                charge=1.0,
            )
        points.append(
            ExperimentPoint(
                temperature_K=temperature_K,
                D_m2_s=value * to_D,
                D_err_m2_s=None if error is None else error * to_D,
                source=row.get("source", ""),
                from_conductivity=is_sigma,
            )
        )
    return points
