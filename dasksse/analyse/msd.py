"""Mean-squared displacements over all time origins, by FFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import fft, ifft, next_fast_len

from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

CACHE_BYTES = 4_000_000
"""Ions are worked on in batches of about this size, which stay in the cache of a core."""
TURNED_FRAMES = 512
"""Frames turned into columns at once: a piece that stays in the cache."""
ORIGINS_PER_LAG = 5
"""Time origins used within one lag where single atoms are followed: more are correlated."""
MOST_ORIGINS = 4096
"""Time origins of one atom used at any lag: the scatter between atoms needs no more."""


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
    return squared_displacements(columns_of(positions)).T / n_atoms


def columns_of(positions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Positions with the frames of a coordinate side by side in memory.

    Parameters
    ----------
    positions
        Positions [Å], shape ``(frame, atom, xyz)``.

    Returns
    -------
    NDArray[np.float64]
        The same [Å], shape ``(xyz, atom, frame)``; a view where they lie so already.
    """
    turned = positions.transpose(2, 1, 0)
    if turned.dtype == np.float64 and turned.strides[-1] == turned.itemsize:
        return np.asarray(turned, dtype=np.float64)
    columns = np.empty(turned.shape)
    for start in range(0, len(positions), TURNED_FRAMES):
        piece = np.s_[..., start : start + TURNED_FRAMES]
        columns[piece] = turned[piece]
    return columns


def squared_displacements(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared displacements summed over ions and averaged over all time origins.

    Parameters
    ----------
    columns
        Positions of at least one ion in at least two frames [Å], shape ``(axis, ion, frame)``.

    Returns
    -------
    NDArray[np.float64]
        Sums [Å²] at lag ``0 .. n_frames - 1``, shape ``(axis, lag)``.

    Notes
    -----
    Splitting ``|r(k + m) - r(k)|²`` leaves two running sums of squares and an autocorrelation,
    which is the inverse transform of the power spectrum (Calandrini et al.,
    doi:10.1051/sfn/201112010). The inverse is linear, so one of them serves all ions.
    O(frames log frames) for each ion, equal to the direct sum but for rounding.

    Two ions x and y are transformed as one complex column x + iy. The real part of the inverse
    of its power spectrum is the sum of both autocorrelations, so they need not be parted.
    """
    n_axes, n_ions, n_frames = columns.shape
    padded = next_fast_len(2 * n_frames - 1)
    n_pairs = int(np.clip(CACHE_BYTES // (16 * padded), 1, (n_ions + 1) // 2))
    pairs = np.empty((n_pairs, padded), dtype=np.complex128)
    power = np.zeros((n_axes, 2 * padded))  # squares of real and imaginary parts in turn
    squares = np.zeros((n_axes, 2 * n_frames))
    for axis in range(n_axes):
        for start in range(0, n_ions, 2 * n_pairs):
            batch = columns[axis, start : start + 2 * n_pairs]
            spectra = pairs[: (len(batch) + 1) // 2]
            _pack(batch, spectra)
            squares[axis] += _sum_of_squares(spectra[:, :n_frames])
            power[axis] += _sum_of_squares(fft(spectra, axis=-1, overwrite_x=True))
    power = power.reshape(n_axes, padded, 2).sum(axis=-1)
    correlation = ifft(power, axis=-1)[:, :n_frames].real
    running = np.zeros((n_axes, n_frames + 1))
    np.cumsum(squares.reshape(n_axes, n_frames, 2).sum(axis=-1), axis=-1, out=running[:, 1:])
    # squares of the first and of the last n_frames - lag frames
    ends = running[:, :0:-1] + running[:, -1:] - running[:, :-1]
    sums = (ends - 2.0 * correlation) / np.arange(n_frames, 0, -1)
    sums[:, 0] = 0.0
    return np.maximum(sums, 0.0, out=sums)


def _pack(batch: NDArray[np.float64], pairs: NDArray[np.complex128]) -> None:
    """Write ions two by two into complex columns, about their means and padded with zeros."""
    n_ions, n_frames = batch.shape
    centre = batch.mean(axis=1, keepdims=True)  # displacements stay, rounding shrinks
    pairs[:, n_frames:] = 0.0
    np.subtract(batch[0::2], centre[0::2], out=pairs.real[:, :n_frames])
    np.subtract(batch[1::2], centre[1::2], out=pairs.imag[: n_ions // 2, :n_frames])
    pairs.imag[n_ions // 2 :, :n_frames] = 0.0  # an odd ion is alone


def _sum_of_squares(values: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Squares of real and imaginary parts in turn, summed over the first axis."""
    parts = values.view(np.float64)
    return np.asarray(np.einsum("pk,pk->k", parts, parts))


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
    Direct sums over origins that lie evenly over the run: all of them, or where these are more,
    five within a lag or some 4096 in all. The first costs nothing, as closer origins see the
    same motion. The second shows in a long run at short lags alone: the MSD of one atom is
    noisier there than it could be, its mean stays right, and the cost about that of the FFT.
    """
    columns = columns_of(positions)
    n_axes, n_atoms, n_frames = columns.shape
    strides = np.maximum(1, np.maximum(lags // ORIGINS_PER_LAG, n_frames // MOST_ORIGINS))
    n_origins = -(-(n_frames - lags) // strides)
    starts = [np.arange(k) * n // k for n in n_origins for k in [min(n_blocks, n)]]
    sums = np.zeros((n_axes, n_atoms, len(lags), n_blocks))
    fourth = np.zeros(len(lags))
    width = max(1, CACHE_BYTES // (8 * n_axes * n_frames))
    for first in range(0, n_atoms, width):
        batch = np.s_[:, first : first + width]
        atoms = columns[batch]
        for at, (lag, stride) in enumerate(zip(lags, strides, strict=True)):
            squared = atoms[..., lag::stride] - atoms[..., :-lag:stride]
            np.square(squared, out=squared)
            sums[batch][..., at, : len(starts[at])] = np.add.reduceat(
                squared, starts[at], axis=-1
            )
            fourth[at] += np.sum(np.square(squared.sum(axis=0)))
    counts = np.full((len(lags), n_blocks), np.nan)
    for row, first_origins, n in zip(counts, starts, n_origins, strict=True):
        row[: len(first_origins)] = np.diff(first_origins, append=n)
    return ResolvedMsd(
        by_atom=(sums.sum(axis=-1) / n_origins).transpose(1, 2, 0),
        by_block=(sums.mean(axis=1) / counts).transpose(2, 1, 0),
        fourth_power=fourth / (n_origins * n_atoms),
    )
