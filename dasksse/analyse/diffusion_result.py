"""What is known about the diffusion of one species."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dasksse.analyse.regime import Regime
    from dasksse.records import Json

ARRAYS = ("lag_ps", "msd_A2", "msd_err_A2")


@dataclass(frozen=True)
class DiffusionResult:
    """What a set of equal MD runs says about the diffusion of one species.

    Errors (``_err``) are one standard error; ``_low68`` to ``_high68`` and ``_low95`` to
    ``_high95`` are intervals that hold the truth with 68 and 95 % probability. Unknown values
    are None; in every regime but ``diffusive`` there is no D, only an upper bound.

    Attributes
    ----------
    species
        Symbol of the mobile element.
    temperature_K
        Temperature [K]; None leaves conductivities unknown.
    D_m2_s, D_err_m2_s, D_low68_m2_s, D_high68_m2_s, D_low95_m2_s, D_high95_m2_s
        Tracer diffusion coefficient [m²/s], its error and intervals.
    D_xyz_m2_s, D_xyz_err_m2_s
        Diffusion coefficient along each axis [m²/s] and its error.
    D_bootstrap_err_m2_s
        Error of the tracer D [m²/s] by drawing stretches of the runs, and runs where there are
        at least four, again. A second opinion that knows no random walk; noisy where there are
        few. None where lags are too long for stretches.
    D_collective_m2_s, D_collective_err_m2_s, D_collective_low68_m2_s, \
D_collective_high68_m2_s, D_collective_low95_m2_s, D_collective_high95_m2_s
        From the summed displacement of the ions [m²/s].
    haven_ratio, haven_ratio_err, haven_ratio_low68, haven_ratio_high68, haven_ratio_low95, \
haven_ratio_high95
        Tracer D over collective D.
    sigma_mS_cm, sigma_err_mS_cm, sigma_low68_mS_cm, sigma_high68_mS_cm, sigma_low95_mS_cm, \
sigma_high95_mS_cm
        Conductivity by Nernst-Einstein [mS/cm].
    sigma_collective_mS_cm, sigma_collective_err_mS_cm, sigma_collective_low68_mS_cm, \
sigma_collective_high68_mS_cm, sigma_collective_low95_mS_cm, sigma_collective_high95_mS_cm
        Conductivity from the collective D [mS/cm].
    regime
        ``diffusive``, ``subdiffusive`` (the MSD grows, but not yet linearly) or
        ``not_diffusive``.
    upper_bound_m2_s
        D is below this with about 95 % confidence [m²/s]; None where D is known and where the
        MSD grows faster than linearly, which bounds nothing.
    fit_window_ps
        First and last lag of the fit [ps].
    log_slope
        Log-log slope of the MSD above its cage plateau in the window.
    effective_jumps
        Jumps of 2.5 Å that would give the fitted slope, of all ions in all runs together.
    floor
        One over the root of their number: no relative error of ions that hop can be smaller.
    non_gaussian_peak, non_gaussian_peak_ps
        Largest non-Gaussian parameter and the lag at which it is found [ps]: large while few
        ions have jumped, 0 for a random walk. It shows, but decides nothing by itself.
    n_frames, n_atoms_species, n_runs
        Frames of all runs together, mobile atoms in one run, and runs used.
    untrusted_fraction
        Share of frames outside trust.
    lag_ps, msd_A2, msd_err_A2
        Lag [ps], MSD of the species [Å²] and its error, shape ``(lag,)``.
    """

    species: str
    temperature_K: float | None
    D_m2_s: float | None
    D_err_m2_s: float | None
    D_low68_m2_s: float | None
    D_high68_m2_s: float | None
    D_low95_m2_s: float | None
    D_high95_m2_s: float | None
    D_xyz_m2_s: tuple[float, float, float] | None
    D_xyz_err_m2_s: tuple[float, float, float] | None
    D_bootstrap_err_m2_s: float | None
    D_collective_m2_s: float | None
    D_collective_err_m2_s: float | None
    D_collective_low68_m2_s: float | None
    D_collective_high68_m2_s: float | None
    D_collective_low95_m2_s: float | None
    D_collective_high95_m2_s: float | None
    haven_ratio: float | None
    haven_ratio_err: float | None
    haven_ratio_low68: float | None
    haven_ratio_high68: float | None
    haven_ratio_low95: float | None
    haven_ratio_high95: float | None
    sigma_mS_cm: float | None
    sigma_err_mS_cm: float | None
    sigma_low68_mS_cm: float | None
    sigma_high68_mS_cm: float | None
    sigma_low95_mS_cm: float | None
    sigma_high95_mS_cm: float | None
    sigma_collective_mS_cm: float | None
    sigma_collective_err_mS_cm: float | None
    sigma_collective_low68_mS_cm: float | None
    sigma_collective_high68_mS_cm: float | None
    sigma_collective_low95_mS_cm: float | None
    sigma_collective_high95_mS_cm: float | None
    regime: Regime
    upper_bound_m2_s: float | None
    fit_window_ps: tuple[float, float]
    log_slope: float
    effective_jumps: float
    floor: float | None
    non_gaussian_peak: float
    non_gaussian_peak_ps: float
    n_frames: int
    n_atoms_species: int
    n_runs: int
    untrusted_fraction: float | None
    lag_ps: NDArray[np.float64]
    msd_A2: NDArray[np.float64]
    msd_err_A2: NDArray[np.float64]

    def to_json(self) -> dict[str, Json]:
        """Every value but the arrays, ready for :func:`json.dumps`."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ARRAYS}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }


IF_DIFFUSIVE = tuple(
    field.name
    for field in fields(DiffusionResult)
    if field.name.startswith(("D_", "haven_", "sigma_"))
)
"""Fields that are None in all other regimes."""
