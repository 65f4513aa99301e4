"""Diffusion coefficient of the mobile ions, with its error, regime and conductivity."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_masses, chemical_symbols

from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.displacement import centre_drift, to_displacements
from dasksse.analyse.regime import find_window
from dasksse.analyse.sample import msd_error, sample_runs
from dasksse.analyse.slope import collective_slope, slope_bound, tracer_slope
from dasksse.errors import AnalysisError
from dasksse.units import M2_S_PER_A2_PS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.regime import Regime, Window
    from dasksse.analyse.sample import Sample
    from dasksse.analyse.slope import Slope
    from dasksse.records import Json

MIN_FRAMES = 20
FIT_POINTS = 20
"""Lags of the straight-line fit, evenly spaced: neighbours carry the same information."""
SIGNIFICANT = 2.0
"""D must exceed this many of its standard errors to be told from no diffusion."""
SUPERDIFFUSIVE = 1.5
"""An exponent above this is beyond the noise of a run with few jumps."""
KNOWN_IF_DIFFUSIVE = (
    "D_m2_s",
    "D_err_m2_s",
    "D_xyz_m2_s",
    "D_collective_m2_s",
    "D_collective_err_m2_s",
    "haven_ratio",
    "haven_ratio_err",
    "sigma_mS_cm",
    "sigma_collective_mS_cm",
)
ARRAYS = ("lag_ps", "msd_A2", "msd_err_A2")


@dataclass(frozen=True)
class DiffusionResult:
    """What a set of equal MD runs says about the diffusion of one species.

    Errors are one standard error (68 %). Unknown values are None; in every regime but
    ``diffusive`` there is no D, only an upper bound.

    Attributes
    ----------
    species
        Symbol of the mobile element.
    temperature_K
        Temperature [K].
    D_m2_s, D_err_m2_s
        Tracer diffusion coefficient [m²/s] and its error.
    D_xyz_m2_s
        Diffusion coefficient along each Cartesian axis [m²/s].
    D_collective_m2_s, D_collective_err_m2_s
        From the summed displacement of the ions [m²/s].
    haven_ratio, haven_ratio_err
        Tracer D over collective D.
    sigma_mS_cm, sigma_collective_mS_cm
        Conductivity by Nernst-Einstein and from the collective D [mS/cm]; their relative
        errors are those of the two D.
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
    n_frames, n_atoms_species, n_runs
        Frames of all runs together, mobile atoms in one run, and runs used.
    untrusted_fraction
        Share of frames outside trust.
    lag_ps, msd_A2, msd_err_A2
        Lag [ps], MSD of the species [Å²] and its error, shape ``(lag,)``.
    """

    species: str
    temperature_K: float
    D_m2_s: float | None
    D_err_m2_s: float | None
    D_xyz_m2_s: tuple[float, float, float] | None
    D_collective_m2_s: float | None
    D_collective_err_m2_s: float | None
    haven_ratio: float | None
    haven_ratio_err: float | None
    sigma_mS_cm: float | None
    sigma_collective_mS_cm: float | None
    regime: Regime
    upper_bound_m2_s: float | None
    fit_window_ps: tuple[float, float]
    log_slope: float
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


def estimate_diffusion(
    positions_per_run: Sequence[NDArray[np.floating]],
    *,
    cells_per_run: Sequence[NDArray[np.floating]],
    numbers: NDArray[np.integer],
    mobile: str,
    temperature_K: float,
    frame_interval_ps: float,
    charge: float | None = None,
    untrusted_fraction: float | None = None,
) -> DiffusionResult:
    """D, Haven ratio and conductivity of one species with honest errors.

    Parameters
    ----------
    positions_per_run
        Unwrapped, lattice-consistent positions [Å] of each run with equilibration discarded,
        each of shape ``(frame, atom, xyz)``. Runs shorter than half of the longest are left
        out; longer ones are used in full, up to lags of the shortest one left.
    cells_per_run
        Cell vectors as rows [Å] of each run, shape ``(frame, lattice, xyz)`` or
        ``(lattice, xyz)``.
    numbers
        Atomic numbers, shape ``(atom,)``.
    mobile
        Symbol of the mobile element. All other atoms are the framework; the drift of their
        centre of mass is removed. Without a framework the box is the frame.
    temperature_K
        Temperature [K], above 0.
    frame_interval_ps
        Time between frames [ps], above 0.
    charge
        Charge of a mobile ion [e]; None leaves the conductivity unknown.
    untrusted_fraction
        Share of frames outside trust, passed on.

    Returns
    -------
    DiffusionResult
        With a D only when the regime is ``diffusive``.

    Raises
    ------
    AnalysisError
        If there is no run of 20 frames, the element is absent or inputs do not match.

    Notes
    -----
    ``D = slope of MSD / 6`` by least squares in the earliest window in which the MSD is a
    straight line (:func:`dasksse.analyse.regime.find_window`). Its error is the largest of
    four estimates (:func:`dasksse.analyse.slope.tracer_slope`), widened where the slope still
    drifts. The limit of counting jumps follows He et al., doi:10.1038/s41524-018-0074-y.
    """
    is_mobile = _mobile_mask(numbers, mobile)
    _check_scalars(temperature_K=temperature_K, frame_interval_ps=frame_interval_ps)
    used = _usable_runs(positions_per_run, cells_per_run, numbers)
    ions = [_ion_paths(run, cells, numbers, is_mobile) for run, cells in used]
    sample = sample_runs(ions)
    window = find_window(sample.grid, sample.scatter, sample.n_frames)
    lags = np.unique(np.linspace(window.start, window.stop, FIT_POINTS).astype(np.int64))
    tracer = tracer_slope(sample, lags, slope_change=window.slope_change)
    regime = _regime(window, tracer)
    to_D = M2_S_PER_A2_PS / 6.0 / frame_interval_ps
    n_ions = int(is_mobile.sum())
    is_diffusive = regime == "diffusive"
    known: dict[str, Any] = dict.fromkeys(KNOWN_IF_DIFFUSIVE)
    if is_diffusive:
        volume_A3 = np.mean([np.abs(np.linalg.det(cells)).mean() for _, cells in used])
        sigma_per_D = _sigma_per_D(n_ions / float(volume_A3), temperature_K, charge)
        known = _known_values(tracer, collective_slope(sample, lags), to_D, sigma_per_D)
    return DiffusionResult(
        species=mobile,
        temperature_K=float(temperature_K),
        **known,
        regime=regime,
        upper_bound_m2_s=None if is_diffusive else _upper_bound(sample, window, tracer, to_D),
        fit_window_ps=(window.start * frame_interval_ps, window.stop * frame_interval_ps),
        log_slope=window.exponent,
        n_frames=sum(len(run) for run in ions),
        n_atoms_species=n_ions,
        n_runs=sample.n_runs,
        untrusted_fraction=untrusted_fraction,
        lag_ps=np.arange(sample.n_frames, dtype=np.float64) * frame_interval_ps,
        msd_A2=sample.msd_xyz.sum(axis=1),
        msd_err_A2=msd_error(sample),
    )


def _sigma_per_D(density_A3: float, temperature_K: float, charge: float | None) -> float | None:
    """Nernst-Einstein conductivity [mS/cm] of ions with a D of 1 m²/s; None without charge."""
    if charge is None:
        return None
    return nernst_einstein_mS_cm(
        1.0, carrier_density_A3=density_A3, temperature_K=temperature_K, charge=charge
    )


def _known_values(
    tracer: Slope, collective: Slope, to_D: float, sigma_per_D: float | None
) -> dict[str, Any]:
    """Fields that exist only in the diffusive regime, by name."""
    D = tracer.value * to_D
    D_collective = D_collective_err = haven = haven_err = None
    if collective.value > 0.0:
        D_collective, D_collective_err = collective.value * to_D, collective.error * to_D
        haven = tracer.value / collective.value
        haven_err = haven * float(
            np.hypot(tracer.error / tracer.value, collective.error / collective.value)
        )
    sigmas = [
        None if sigma_per_D is None or value is None else sigma_per_D * value
        for value in (D, D_collective)
    ]
    D_xyz = tuple(3.0 * to_D * slope for slope in tracer.xyz)
    values = (D, tracer.error * to_D, D_xyz, D_collective, D_collective_err, haven, haven_err)
    return dict(zip(KNOWN_IF_DIFFUSIVE, (*values, *sigmas), strict=True))


def _regime(window: Window, tracer: Slope) -> Regime:
    """Name the motion: a slope that could be zero is no diffusion, a curve not yet."""
    if not tracer.value > SIGNIFICANT * tracer.error:
        return "not_diffusive"
    if window.is_linear:
        return "diffusive"
    return "subdiffusive" if 0.0 < window.exponent < 1.0 else "not_diffusive"


def _upper_bound(sample: Sample, window: Window, tracer: Slope, to_D: float) -> float | None:
    """Bound on D [m²/s], if the motion allows one."""
    return None if window.exponent > SUPERDIFFUSIVE else slope_bound(sample, tracer) * to_D


def _ion_paths(
    positions: NDArray[np.floating],
    cells: NDArray[np.floating],
    numbers: NDArray[np.integer],
    is_mobile: NDArray[np.bool_],
) -> NDArray[np.floating]:
    """Positions of the mobile ions against the framework [Å], shape ``(frame, ion, xyz)``."""
    fixed = to_displacements(positions, cells)
    ions = fixed[:, is_mobile]
    if is_mobile.all():
        return ions
    drift = centre_drift(fixed, mask=~is_mobile, weights=atomic_masses[numbers])
    return np.asarray(ions - drift[:, None, :])


def _mobile_mask(numbers: NDArray[np.integer], mobile: str) -> NDArray[np.bool_]:
    """Atoms of the mobile element, shape ``(atom,)``."""
    symbols = np.array([chemical_symbols[number] for number in numbers])
    if mobile not in symbols:
        present = ", ".join(sorted(set(symbols)))
        msg = f"no {mobile!r} among the atoms; elements present: {present}"
        raise AnalysisError(msg)
    return np.asarray(symbols == mobile)


def _check_scalars(**values: float) -> None:
    """Refuse numbers that must be above 0 and are not."""
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0.0):
            msg = f"{name} is {value}, must be above 0"
            raise AnalysisError(msg)


def _usable_runs(
    positions_per_run: Sequence[NDArray[np.floating]],
    cells_per_run: Sequence[NDArray[np.floating]],
    numbers: NDArray[np.integer],
) -> list[tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """Runs of useful length with their cells."""
    if len(positions_per_run) != len(cells_per_run):
        msg = f"{len(positions_per_run)} runs, but cells of {len(cells_per_run)}"
        raise AnalysisError(msg)
    for index, positions in enumerate(positions_per_run):
        if positions.shape[1:] != (len(numbers), 3):
            msg = (
                f"run {index} has shape {positions.shape}, need (frame, {len(numbers)}, 3) "
                "to match the atomic numbers"
            )
            raise AnalysisError(msg)
    longest = max((len(positions) for positions in positions_per_run), default=0)
    if longest < MIN_FRAMES:
        msg = (
            f"the longest run has {longest} frames, diffusion needs at least {MIN_FRAMES}: "
            "run longer, write frames more often or discard less equilibration"
        )
        raise AnalysisError(msg)
    runs = zip(positions_per_run, cells_per_run, strict=True)
    return [(run, cells) for run, cells in runs if 2 * len(run) >= longest]
