"""Diffusion coefficient of the mobile ions, with its error, regime and conductivity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.analyse.bootstrap import bootstrap_error
from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.diffusion_result import IF_DIFFUSIVE, DiffusionResult
from dasksse.analyse.gls import variance_of
from dasksse.analyse.intervals import Spread, chi_square, log_normal
from dasksse.analyse.regime import find_window, log_slope
from dasksse.analyse.sample import msd_error, sample_trajectories
from dasksse.analyse.slope import (
    countable_jumps,
    effective_jumps,
    reach_of,
    slope_bound,
    spread_of,
)
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory
from dasksse.units import M2_S_PER_A2_PS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.intervals import Estimate
    from dasksse.analyse.regime import Regime, Window
    from dasksse.analyse.sample import Sample
    from dasksse.analyse.slope import Reach

MIN_FRAMES = 20
SIGNIFICANT = 2.0
"""D must exceed this many of its standard errors to be told from no diffusion."""
SUPERDIFFUSIVE = 1.5
"""An exponent above this is beyond the noise of a run with few jumps."""


def diffusion_of(
    sample: Sample,
    *,
    species: str,
    frame_interval_ps: float,
    volume_A3: float,
    temperature_K: float | None = None,
    charge: float | None = None,
    untrusted_fraction: float | None = None,
) -> DiffusionResult:
    """D, Haven ratio and conductivity of one species from the MSDs of its ions.

    Parameters
    ----------
    sample
        MSDs of at least one run of 20 frames.
    species
        Symbol of the mobile element.
    frame_interval_ps
        Time between frames [ps], above 0.
    volume_A3
        Mean volume of the cell [Å³], above 0.
    temperature_K
        Temperature [K], above 0; None leaves the conductivity unknown.
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
        If there are fewer than 20 frames or a number is out of range.

    Notes
    -----
    ``D = slope of MSD / 6`` by generalised least squares (:func:`dasksse.analyse.gls.fit_line`)
    in the earliest window in which the MSD is a straight line
    (:func:`dasksse.analyse.regime.find_window`). For its error see
    :func:`dasksse.analyse.slope.spread_of`; it is widened where the slope still drifts.
    """
    _check_scalars(frame_interval_ps=frame_interval_ps, volume_A3=volume_A3)
    if temperature_K is not None:
        _check_scalars(temperature_K=temperature_K)
    _check_length(sample.n_frames)
    reach = reach_of(sample)
    window = find_window(reach)
    spread = _tracer_spread(reach, window)
    exponent = log_slope(reach, window)
    regime = _regime(window, spread, exponent)
    to_D = M2_S_PER_A2_PS / 6.0 / frame_interval_ps
    known: dict[str, Any] = dict.fromkeys(IF_DIFFUSIVE)
    bound = None
    if regime == "diffusive":
        n_ions = sample.n_walkers // sample.n_runs
        to_sigma = _sigma_per_D(n_ions / volume_A3, temperature_K, charge)
        known |= _known_values(reach, window, spread, to_D, to_sigma)
    elif exponent <= SUPERDIFFUSIVE:
        bound = to_D * slope_bound(reach, window.line, spread)
    n_jumps = effective_jumps(sample, window.line.slope)
    peak = int(np.argmax(sample.non_gaussian[: len(reach.lags)]))
    return DiffusionResult(
        species=species,
        temperature_K=None if temperature_K is None else float(temperature_K),
        **known,
        regime=regime,
        upper_bound_m2_s=bound,
        fit_window_ps=(window.start * frame_interval_ps, window.stop * frame_interval_ps),
        log_slope=exponent,
        effective_jumps=n_jumps,
        floor=float(n_jumps**-0.5) if n_jumps > 0.0 else None,
        non_gaussian_peak=float(sample.non_gaussian[peak]),
        non_gaussian_peak_ps=float(reach.lags[peak]) * frame_interval_ps,
        n_frames=int(sample.frames_per_run.sum()),
        n_atoms_species=sample.n_walkers // sample.n_runs,
        n_runs=sample.n_runs,
        untrusted_fraction=untrusted_fraction,
        lag_ps=np.arange(sample.n_frames, dtype=np.float64) * frame_interval_ps,
        msd_A2=sample.msd_xyz.sum(axis=1),
        msd_err_A2=msd_error(sample),
    )


def estimate_diffusion(
    positions_per_run: Sequence[NDArray[np.floating]],
    *,
    cells_per_run: Sequence[NDArray[np.floating]],
    numbers: NDArray[np.integer],
    mobile: str,
    temperature_K: float | None,
    frame_interval_ps: float,
    charge: float | None = None,
    untrusted_fraction: float | None = None,
) -> DiffusionResult:
    """D, Haven ratio and conductivity of one species from positions in memory.

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
    temperature_K, frame_interval_ps, charge, untrusted_fraction
        See :func:`diffusion_of`.

    Returns
    -------
    DiffusionResult
        With a D only when the regime is ``diffusive``.

    Raises
    ------
    AnalysisError
        If there is no run of 20 frames, the element is absent or inputs do not match.
    """
    _check_scalars(frame_interval_ps=frame_interval_ps)
    _check_runs(positions_per_run, cells_per_run, numbers)
    longest = max((len(positions) for positions in positions_per_run), default=0)
    _check_length(longest)
    runs = [
        MemoryTrajectory(
            np.asarray(numbers, dtype=np.int64),
            positions,
            cells,
            frame_interval_ps,
            name=f"run {index}",
        )
        for index, (positions, cells) in enumerate(
            zip(positions_per_run, cells_per_run, strict=True)
        )
        if 2 * len(positions) >= longest
    ]
    has_framework = len(set(numbers.tolist())) > 1
    sample = sample_trajectories(
        runs, mobile, reference="framework" if has_framework else "none"
    )
    return diffusion_of(
        sample,
        species=mobile,
        frame_interval_ps=frame_interval_ps,
        volume_A3=float(np.mean([np.abs(np.linalg.det(run.cells())).mean() for run in runs])),
        temperature_K=temperature_K,
        charge=charge,
        untrusted_fraction=untrusted_fraction,
    )


def _tracer_spread(reach: Reach, window: Window) -> Spread:
    """Error of the slope [Å²/frame]; never below that of counting jumps."""
    line = window.line
    spread = spread_of(reach, line.weights, line, start=window.start)
    slope = max(line.slope, 0.0)
    counting = slope / np.sqrt(countable_jumps(reach, line, window.start))
    if spread.error < counting:
        spread = Spread(float(counting**2), np.ones(1))
    return spread.widened((slope * window.slope_change) ** 2)


def _regime(window: Window, spread: Spread, exponent: float) -> Regime:
    """Name the motion: a slope that could be zero is no diffusion, a curve not yet."""
    if not window.line.slope > SIGNIFICANT * spread.error:
        return "not_diffusive"
    if window.is_linear:
        return "diffusive"
    return "subdiffusive" if 0.0 < exponent < 1.0 else "not_diffusive"


def _known_values(
    reach: Reach, window: Window, spread: Spread, to_D: float, to_sigma: float | None
) -> dict[str, Any]:
    """Fields that exist only in the diffusive regime, by name."""
    line = window.line
    tracer = log_normal(line.slope, spread).scaled(to_D)
    collective = _collective(reach, window)
    by_axis = [
        spread_of(reach, line.weights * axis, line, start=window.start).error
        for axis in np.eye(3)
    ]
    by_stretch = reach.of_each_stretch(line.weights)
    known: dict[str, Any] = {
        "D_xyz_m2_s": tuple(3.0 * to_D * slope for slope in line.slope_xyz.tolist()),
        "D_xyz_err_m2_s": tuple(3.0 * to_D * error for error in by_axis),
        **_fields("D", "_m2_s", tracer),
    }
    if np.isfinite(by_stretch).all():
        known["D_bootstrap_err_m2_s"] = to_D * bootstrap_error(by_stretch)
    if to_sigma is not None:
        known |= _fields("sigma", "_mS_cm", tracer.scaled(to_sigma))
    if collective is not None:
        collective = collective.scaled(to_D)
        known |= _fields("D_collective", "_m2_s", collective)
        known |= _fields("haven_ratio", "", tracer.over(collective))
        if to_sigma is not None:
            known |= _fields("sigma_collective", "_mS_cm", collective.scaled(to_sigma))
    return known


def _collective(reach: Reach, window: Window) -> Estimate | None:
    """Slope of the collective MSD [Å²/frame]; None where chance made it fall.

    The summed displacement is one walker in each run, and Gaussian, as it sums many jumps. Its
    line has the weights of the tracer's, as it is too noisy for its own.
    """
    line, sample = window.line, reach.sample
    slope = float(np.sum(line.weights * reach.collective_xyz))
    if not slope > 0.0:
        return None
    walk = line.scaled(slope / line.slope)
    variance = variance_of(line.weights, walk, reach.lags, sample.n_frames) / sample.n_runs
    return chi_square(slope, float(np.hypot(np.sqrt(variance), slope * window.slope_change)))


def _fields(name: str, unit: str, estimate: Estimate) -> dict[str, float]:
    """An estimate by the names of its fields in a result."""
    return {
        f"{name}{unit}": estimate.value,
        f"{name}_err{unit}": estimate.error,
        f"{name}_low68{unit}": estimate.within68.low,
        f"{name}_high68{unit}": estimate.within68.high,
        f"{name}_low95{unit}": estimate.within95.low,
        f"{name}_high95{unit}": estimate.within95.high,
    }


def _sigma_per_D(
    density_A3: float, temperature_K: float | None, charge: float | None
) -> float | None:
    """Nernst-Einstein conductivity [mS/cm] of ions with a D of 1 m²/s, where it is known."""
    if charge is None or temperature_K is None:
        return None
    return nernst_einstein_mS_cm(
        1.0, carrier_density_A3=density_A3, temperature_K=temperature_K, charge=charge
    )


def _check_scalars(**values: float) -> None:
    """Refuse numbers that must be above 0 and are not."""
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0.0):
            msg = f"{name} is {value}, must be above 0"
            raise AnalysisError(msg)


def _check_length(n_frames: int) -> None:
    """Refuse runs that are too short for a window."""
    if n_frames < MIN_FRAMES:
        msg = (
            f"the longest run has {n_frames} frames, diffusion needs at least {MIN_FRAMES}: "
            "run longer, write frames more often or discard less equilibration"
        )
        raise AnalysisError(msg)


def _check_runs(
    positions_per_run: Sequence[NDArray[np.floating]],
    cells_per_run: Sequence[NDArray[np.floating]],
    numbers: NDArray[np.integer],
) -> None:
    """Refuse runs that do not match their cells or the atoms."""
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
