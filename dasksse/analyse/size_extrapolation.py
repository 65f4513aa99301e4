"""D of an infinite cell from a ladder of cell sizes, by a line in the inverse length."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.diffusion_points import DiffusionPoint
    from dasksse.records import Json

SIGNIFICANT = 2.0
"""Standard errors by which a value must differ from 0 to be told from it."""
LEAST_PROBABILITY = 0.05
STILL_OFF = 0.1
"""Relative difference of the largest cell from infinite size that is worth a note."""


@dataclass(frozen=True)
class SizeExtrapolation:
    """``D(L) = D_inf (1 + a / L)`` through the sizes of one temperature. Errors are 68 %.

    Attributes
    ----------
    D_m2_s, D_err_m2_s
        D of an infinite cell and its standard error [m²/s].
    a, a_err
        Size effect and its error, in the unit of the lengths.
    chi2_reduced
        Weighted squared residuals per degree of freedom; None for two sizes.
    n_sizes
        Different lengths.
    notes
        What to be careful about.
    """

    D_m2_s: float
    D_err_m2_s: float
    a: float
    a_err: float
    chi2_reduced: float | None
    n_sizes: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return {**asdict(self), "notes": list(self.notes)}


def extrapolate_size(
    lengths: Sequence[float] | NDArray[np.floating],
    D_m2_s: Sequence[float] | NDArray[np.floating],
    D_err_m2_s: Sequence[float] | NDArray[np.floating],
) -> SizeExtrapolation:
    """Fit a line in 1/L to D of several cell sizes at one temperature.

    Parameters
    ----------
    lengths
        Length of each cell, in any unit, such as Å or the cube root of the number of atoms,
        shape ``(cell,)``.
    D_m2_s, D_err_m2_s
        Diffusion coefficients and their standard errors [m²/s], shape ``(cell,)``.

    Raises
    ------
    AnalysisError
        If there are fewer than two sizes, or a value is not above 0.

    Notes
    -----
    This is empirical. The Yeh-Hummer correction is not used: it is the hydrodynamics of
    liquids, where small cells slow diffusion down, while small cells of LGPS speeded it up
    (doi:10.1063/5.0041849). Errors are multiplied by the root of the reduced chi² where that
    exceeds 1.
    """
    length, D, error = (np.asarray(v, dtype=float) for v in (lengths, D_m2_s, D_err_m2_s))
    if not length.shape == D.shape == error.shape or not np.all(
        np.isfinite([length, D, error]) & (np.array([length, D, error]) > 0.0)
    ):
        msg = "lengths, D and errors must be numbers above 0, one of each for every cell"
        raise AnalysisError(msg)
    n_sizes = len(np.unique(length))
    if n_sizes < 2:  # noqa: PLR2004 - a line has two ends
        msg = f"{n_sizes} cell size(s), an extrapolation in 1/L needs 2 or more"
        raise AnalysisError(msg)
    design = np.column_stack([np.ones_like(length), 1.0 / length])
    weight = error**-2
    covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
    line = covariance @ design.T @ (weight * D)
    chi2, freedom = float(weight @ (D - design @ line) ** 2), len(D) - 2
    if freedom > 0:
        covariance *= max(1.0, chi2 / freedom)
    infinite, slope = (float(value) for value in line)
    infinite_err, slope_err = np.sqrt(np.diag(covariance))
    to_a = np.array([-slope / infinite**2, 1.0 / infinite])
    mean = float(np.average(D, weights=weight))
    warnings = {
        "two sizes always lie on a line: nothing shows that D goes as 1/L": n_sizes == 2,  # noqa: PLR2004
        f"chance gives such a scatter about the line in {100 * chdtrc(freedom, chi2):.1g} % of "
        "cases: D does not go as 1/L, or its errors are too small": freedom > 0
        and chdtrc(freedom, chi2) < LEAST_PROBABILITY,
        f"no size effect beyond the errors: the mean of the sizes, {mean:.2e} m²/s, says the "
        "same with a smaller error": abs(slope) < SIGNIFICANT * slope_err,
        "D of an infinite cell cannot be told from 0": infinite < SIGNIFICANT * infinite_err,
        f"the largest cell is still {100 * abs(slope / length.max() / infinite):.0f} % off": (
            abs(slope) >= SIGNIFICANT * slope_err
            and abs(slope / length.max()) > STILL_OFF * abs(infinite)
        ),
    }
    return SizeExtrapolation(
        D_m2_s=infinite,
        D_err_m2_s=float(infinite_err),
        a=slope / infinite,
        a_err=float(np.sqrt(to_a @ covariance @ to_a)),
        chi2_reduced=chi2 / freedom if freedom > 0 else None,
        n_sizes=n_sizes,
        notes=tuple(text for text, is_so in warnings.items() if is_so),
    )


def extrapolate_points(
    points: Sequence[DiffusionPoint],
) -> tuple[list[DiffusionPoint], dict[float, SizeExtrapolation]]:
    """Replace the sizes of each temperature by D of an infinite cell.

    Parameters
    ----------
    points
        Points of several temperatures and sizes. Lengths are used where all points have them,
        else the cube root of the number of atoms. Points that are left out stay as they are;
        upper bounds and temperatures with one size are left out, with the reason.

    Returns
    -------
    tuple
        All points, the ladders' marked as replaced and the new ones added; and the fits by
        temperature [K].

    Raises
    ------
    AnalysisError
        If neither lengths nor numbers of atoms are known, or no temperature has two sizes.
    """
    has_lengths = all(point.length_A for point in points)
    if not has_lengths and not all(point.n_atoms for point in points):
        msg = "cell sizes are not known: every point needs a length (L_A) or n_atoms"
        raise AnalysisError(msg)
    kept = [point for point in points if point.left_out]
    fits: dict[float, SizeExtrapolation] = {}
    used = [point for point in points if not point.left_out]
    for temperature_K in sorted({point.temperature_K for point in used}):
        rungs = [point for point in used if point.temperature_K == temperature_K]
        known = [point for point in rungs if point.has_D]
        lengths = [p.length_A if has_lengths else (p.n_atoms or 0.0) ** (1 / 3) for p in known]
        if len(set(lengths)) < 2:  # noqa: PLR2004 - a line has two ends
            kept += [
                replace(point, left_out="fewer than two sizes with a D") for point in rungs
            ]
            continue
        fit = extrapolate_size(
            [length or 0.0 for length in lengths],
            [point.D_m2_s or 0.0 for point in known],
            [point.D_err_m2_s or 0.0 for point in known],
        )
        fits[temperature_K] = fit
        kept += [replace(p, left_out="part of the size extrapolation") for p in known]
        kept += [
            replace(p, left_out="a bound has no size effect to fit")
            for p in rungs
            if not p.has_D
        ]
        new = replace(
            known[0], D_m2_s=fit.D_m2_s, D_err_m2_s=fit.D_err_m2_s, length_A=None, n_atoms=None
        )
        is_zero = fit.D_m2_s < SIGNIFICANT * fit.D_err_m2_s
        kept.append(replace(new, left_out="cannot be told from 0" if is_zero else ""))
    if not fits:
        msg = "no temperature has D of two cell sizes, which the extrapolation in 1/L needs"
        raise AnalysisError(msg)
    return kept, fits
