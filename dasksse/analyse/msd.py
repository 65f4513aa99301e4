"""Mean-squared displacements over all time origins, by FFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

BLOCK_COLUMNS = 72
"""Columns (atom × xyz) transformed at once: bounds the memory and stays in cache."""

ORIGINS_PER_LAG = 5
"""Time origins used within one lag where single atoms are followed: more are correlated."""


def mean_squared_displacement(positions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Average squared displacement over atoms and all time origins.

    Parameters
    ----------
    positions
        Unwrapped positions free of drift [Å], shape ``(frame, atom, xyz)``.

    Returns
    -------
    NDArray[np.float64]
        MSD [Å²] at lag ``0 .. n_frames - 1``, shape ``(lag,)``.

    Raises
    ------
    AnalysisError
        If there are fewer than two frames or no atom.

    Notes
    -----
    Splitting ``|r(k + m) - r(k)|²`` leaves two running sums of squares and an autocorrelation,
    which is the inverse transform of the power spectrum (Calandrini et al.,
    doi:10.1051/sfn/201112010). The inverse is linear, so one of them serves all atoms.
    O(frames log frames) for each atom, equal to the direct sum but for rounding.
    """
    return msd_per_axis(positions).sum(axis=-1)


def msd_per_axis(positions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Average squared displacement along each axis, over atoms and all time origins.

    Parameters
    ----------
    positions
        Unwrapped positions free of drift [Å], shape ``(frame, atom, xyz)``.

    Returns
    -------
    NDArray[np.float64]
        MSD [Å²], shape ``(lag, xyz)``; its sum over axes is the MSD.

    Raises
    ------
    AnalysisError
        If there are fewer than two frames or no atom.
    """
    n_frames, n_atoms = positions.shape[:2]
    if n_frames < 2 or n_atoms < 1:  # noqa: PLR2004 - one frame has no displacement
        msg = f"MSD needs at least 2 frames and 1 atom, got {n_frames} and {n_atoms}"
        raise AnalysisError(msg)
    n_axes = positions.shape[2]
    padded = next_fast_len(2 * n_frames - 1, real=True)
    power = np.zeros((n_axes, padded // 2 + 1))
    squares = np.zeros((n_axes, n_frames))
    for start in range(0, n_atoms, BLOCK_COLUMNS // n_axes):
        block = positions[:, start : start + BLOCK_COLUMNS // n_axes].astype(np.float64)
        block -= block.mean(axis=0)  # displacements do not change, rounding shrinks
        columns = np.ascontiguousarray(block.transpose(2, 1, 0))
        spectrum = rfft(columns, n=padded, axis=-1)
        power += np.sum(spectrum.real**2 + spectrum.imag**2, axis=1)
        squares += np.sum(columns**2, axis=1)
    correlation = irfft(power, n=padded, axis=-1)[:, :n_frames]
    running = np.concatenate([np.zeros((n_axes, 1)), np.cumsum(squares, axis=-1)], axis=-1)
    lags = np.arange(n_frames)
    ends = running[:, n_frames - lags] + running[:, -1:] - running[:, lags]
    msd = (ends - 2.0 * correlation) / ((n_frames - lags) * n_atoms)
    msd[:, 0] = 0.0
    return np.asarray(np.maximum(msd, 0.0).T)


def collective_msd_per_axis(
    positions: NDArray[np.floating], *, charges: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Mean-squared displacement of the summed (charge) position along each axis.

    Parameters
    ----------
    positions
        Unwrapped positions free of framework drift [Å], shape ``(frame, atom, xyz)``.
    charges
        Charge of each atom [e], shape ``(atom,)``; all 1 when None.

    Returns
    -------
    NDArray[np.float64]
        ``<(sum_i q_i dr_i)²> / sum_i q_i²`` [Å²], shape ``(lag, xyz)``: equal to the MSD of
        one ion where ions move independently of each other.

    Raises
    ------
    AnalysisError
        If there are fewer than two frames, no atom, or no atom has a charge.
    """
    charge = np.ones(positions.shape[1]) if charges is None else np.asarray(charges, float)
    norm = float(np.sum(charge**2))
    if not norm > 0.0:
        msg = f"the collective MSD needs at least one charged atom among {len(charge)}"
        raise AnalysisError(msg)
    summed = np.einsum("fax,a->fx", positions, charge, dtype=np.float64)
    return msd_per_axis(summed[:, None, :]) / norm


def msd_by_species(
    positions: NDArray[np.floating], symbols: Sequence[str]
) -> Mapping[str, NDArray[np.float64]]:
    """MSD of each element.

    Parameters
    ----------
    positions
        Unwrapped positions free of drift [Å], shape ``(frame, atom, xyz)``.
    symbols
        Chemical symbol of each atom, shape ``(atom,)``.

    Returns
    -------
    Mapping[str, NDArray[np.float64]]
        MSD [Å²], shape ``(lag,)``, for each symbol in alphabetical order.

    Raises
    ------
    AnalysisError
        If there is not one symbol for each atom, or fewer than two frames.
    """
    names = np.asarray(symbols)
    if names.shape != positions.shape[1:2]:
        msg = f"{names.size} symbols for {positions.shape[1]} atoms, need one each"
        raise AnalysisError(msg)
    return {
        str(name): mean_squared_displacement(positions[:, names == name])
        for name in np.unique(names)
    }


@dataclass(frozen=True)
class ResolvedMsd:
    """MSD resolved by atom, and by the stretch of the run its time origins lie in.

    Attributes
    ----------
    by_atom
        MSD over time origins along each axis [Å²], shape ``(atom, lag, xyz)``.
    by_block
        MSD over atoms and the origins of a stretch along each axis [Å²], shape
        ``(block, lag, xyz)``; NaN where a stretch holds no origin.
    fourth_power
        Mean fourth power of the displacement [Å⁴], shape ``(lag,)``.
    """

    by_atom: NDArray[np.float64]
    by_block: NDArray[np.float64]
    fourth_power: NDArray[np.float64]


def msd_of_each_atom(
    positions: NDArray[np.floating], lags: NDArray[np.int64], *, n_blocks: int = 1
) -> ResolvedMsd:
    """MSD resolved by atom, and by the stretch of the run its time origins lie in.

    Parameters
    ----------
    positions
        Unwrapped positions free of drift [Å], shape ``(frame, atom, xyz)``.
    lags
        Lags [frames], each in ``1 .. n_frames - 1``, shape ``(lag,)``.
    n_blocks
        Number of stretches the time origins are split into, at least 1.

    Notes
    -----
    Origins are a fraction of the lag apart, so the cost falls with the lag: O(frames log
    frames) in all.
    """
    n_frames, n_atoms, n_axes = positions.shape
    strides = np.maximum(1, lags // ORIGINS_PER_LAG)
    by_atom = np.empty((n_atoms, len(lags), n_axes))
    fourth = np.zeros(len(lags))
    by_origin = [
        np.zeros((-(-(n_frames - lag) // stride), n_axes))
        for lag, stride in zip(lags, strides, strict=True)
    ]
    width = BLOCK_COLUMNS // n_axes
    for start in range(0, n_atoms, width):
        chunk = np.ascontiguousarray(positions[:, start : start + width], dtype=np.float64)
        for column, (lag, stride) in enumerate(zip(lags, strides, strict=True)):
            squared = (chunk[lag::stride] - chunk[:-lag:stride]) ** 2
            by_atom[start : start + width, column] = squared.mean(axis=0)
            by_origin[column] += squared.sum(axis=1)
            fourth[column] += np.sum(squared.sum(axis=-1) ** 2) / len(squared) / n_atoms
    by_block = np.full((n_blocks, len(lags), n_axes), np.nan)
    for column, squared in enumerate(by_origin):
        for index, stretch in enumerate(np.array_split(squared, n_blocks)):
            if len(stretch):
                by_block[index, column] = stretch.mean(axis=0) / n_atoms
    return ResolvedMsd(by_atom, by_block, fourth)
