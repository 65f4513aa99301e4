"""Diffusion coefficients of several temperatures: which enter a fit, and why others do not."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.conductivity import nernst_einstein_mS_cm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.records import Json

BROKEN_LIMIT = 0.01
"""Share of frames with a broken framework; thermal outliers stay below it."""


@dataclass(frozen=True)
class DiffusionPoint:
    """What is known of D at one temperature: a value with its error, or an upper bound.

    Attributes
    ----------
    temperature_K
        Temperature [K].
    D_m2_s, D_err_m2_s
        Diffusion coefficient and its standard error [m²/s]; None if unknown.
    upper_bound_m2_s
        D is below this with 95 % confidence [m²/s]; counts only where D is unknown.
    framework_broken
        Share of frames with a broken framework; None if nobody looked.
    framework_melted
        Elements of the framework that have melted; None if that is not known.
    length_A, n_atoms
        Length of the cell [Å] and number of atoms; None if unknown.
    sigma_mS_cm
        Nernst-Einstein conductivity that belongs to D [mS/cm]; None if unknown.
    left_out
        Why the point takes no part in a fit; empty if it does.
    """

    temperature_K: float
    D_m2_s: float | None = None
    D_err_m2_s: float | None = None
    upper_bound_m2_s: float | None = None
    framework_broken: float | None = None
    framework_melted: tuple[str, ...] | None = None
    length_A: float | None = None
    n_atoms: float | None = None
    sigma_mS_cm: float | None = None
    left_out: str = ""

    @property
    def has_D(self) -> bool:
        """Whether D is known with an error, which gives it a weight."""
        return self.D_m2_s is not None and self.D_err_m2_s is not None

    @property
    def is_bound(self) -> bool:
        """Whether only an upper bound is known."""
        return not self.has_D and self.upper_bound_m2_s is not None

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return asdict(self)


def leave_out(
    points: Sequence[DiffusionPoint],
    *,
    exclude_K: Sequence[float] = (),
    min_K: float = 0.0,
    max_K: float = np.inf,
) -> list[DiffusionPoint]:
    """Mark the points that a fit must not use, with the reason.

    Left out are temperatures at which the framework broke in more than 1 % of frames or has
    melted, excluded ones, those outside the range, and points with neither D nor bound.

    Parameters
    ----------
    points
        All points.
    exclude_K
        Temperatures to leave out [K].
    min_K, max_K
        Range to use [K].
    """

    def why(point: DiffusionPoint) -> str:
        broken = point.framework_broken
        melted = point.framework_melted or ()
        reasons = {
            "no D with an error and no upper bound": not (point.has_D or point.is_bound),
            f"framework broken in {100 * (broken or 0.0):.0f} % of frames": broken is not None
            and broken > BROKEN_LIMIT,
            f"framework melted: {', '.join(melted)}": bool(melted),
            "excluded": any(np.isclose(point.temperature_K, at) for at in exclude_K),
            f"below {min_K:g} K": point.temperature_K < min_K,
            f"above {max_K:g} K": point.temperature_K > max_K,
        }
        return "; ".join(reason for reason, is_met in reasons.items() if is_met)

    return [replace(point, left_out=point.left_out or why(point)) for point in points]


def left_out_notes(points: Sequence[DiffusionPoint]) -> list[str]:
    """What is left out and why, a sentence for each point."""
    return [f"{p.temperature_K:g} K left out: {p.left_out}" for p in points if p.left_out]


def squared_charge_density_A3(points: Sequence[DiffusionPoint]) -> float | None:
    """Squared charge of the carriers times their density [e²/Å³], mean over points.

    It follows from points that have both D and conductivity; None if there are none.
    """
    known = [
        point.sigma_mS_cm
        / nernst_einstein_mS_cm(
            point.D_m2_s,
            carrier_density_A3=1.0,
            temperature_K=point.temperature_K,
            charge=1.0,
        )
        for point in points
        if point.sigma_mS_cm and point.D_m2_s
    ]
    return float(np.mean(known)) if known else None
