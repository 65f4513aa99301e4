"""D(T) of cases side by side: points as studies, tables and figures share them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out
from dasksse.analyse.fitted_points import fit_points
from dasksse.report.formats import format_number, format_upper_bound, format_value_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dasksse.records import Json

POINT_KEYS = (
    "temperature_K",
    "D_m2_s",
    "D_err_m2_s",
    "D_low95_m2_s",
    "D_high95_m2_s",
    "upper_bound_m2_s",
    "regime",
    "untrusted_fraction",
    "framework_broken",
    "framework_melted",
    "length_ps",
    "volume_A3",
    "n_atoms_species",
    "n_runs",
    "effective_jumps",
    "mean_temperature_K",
)
"""What studies keep of a point of the diffusion stage."""


TRANSPORT_KEYS = (
    "D_collective_m2_s",
    "D_collective_err_m2_s",
    "haven_ratio",
    "haven_ratio_err",
    "sigma_mS_cm",
    "sigma_err_mS_cm",
    "sigma_collective_mS_cm",
    "sigma_collective_err_mS_cm",
)
"""What studies that ask for conductivities keep besides."""


def points_of(
    record: Mapping[str, Json], *, keys: Sequence[str] = POINT_KEYS, **about: Json
) -> list[dict[str, Any]]:
    """Points of a diffusion record, each with what is said about its case.

    Parameters
    ----------
    record
        From :meth:`dasksse.study.bench.Bench.diffusion`.
    keys
        What to keep of each point.
    about
        Facts of the case, such as ``n_atoms=400``.
    """
    return [{**about, **{key: point.get(key) for key in keys}} for point in record["points"]]


def d_text(point: Mapping[str, Json], unit: str = "m²/s") -> str:
    """D with its error, or its upper bound."""
    if point["D_m2_s"] is None:
        return format_upper_bound(point["upper_bound_m2_s"], unit)
    return format_value_error(point["D_m2_s"], point["D_err_m2_s"], unit)


def resolved(points: Iterable[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Points that have a D."""
    return [point for point in points if point["D_m2_s"] is not None]


def fit_of(
    points: Sequence[Mapping[str, Json]],
    *,
    at_K: float = 300.0,
    squared_charge_density_A3: float | None = None,
) -> dict[str, Any] | None:
    """Arrhenius fit of points as ``dasksse arrhenius --json`` gives it; None without one.

    Temperatures with a broken or melted framework are left out, bounds enter as bounds.
    """
    keys = (
        "temperature_K",
        "D_m2_s",
        "D_err_m2_s",
        "upper_bound_m2_s",
        "framework_broken",
        "framework_melted",
    )
    measured = leave_out([DiffusionPoint(**{k: point[k] for k in keys}) for point in points])
    if not measured:
        return None
    fit = fit_points(
        measured, at_K=at_K, squared_charge_density_A3=squared_charge_density_A3
    ).fit
    return None if fit is None else dict(fit.to_json())


def ea_text(fit: Mapping[str, Json] | None) -> str:
    """Activation energy with its error."""
    if fit is None:
        return format_number(None, "eV")
    return format_value_error(fit["Ea_eV"], fit["Ea_err_eV"], "eV")
