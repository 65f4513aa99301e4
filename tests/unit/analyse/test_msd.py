from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasksse.analyse.msd import (
    collective_msd_per_axis,
    columns_of,
    mean_squared_displacement,
    msd_by_species,
    msd_of_each_atom,
    msd_per_axis,
)
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def direct_msd(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over all pairs of frames, shape ``(lag, xyz)``."""
    msd = np.zeros((len(positions), 3))
    for lag in range(1, len(positions)):
        msd[lag] = np.mean((positions[lag:] - positions[:-lag]) ** 2, axis=(0, 1))
    return msd


@given(
    n_frames=st.integers(2, 70),
    n_atoms=st.integers(1, 60),
    seed=st.integers(0, 2**32 - 1),
    offset=st.floats(-1e3, 1e3),
)
@settings(max_examples=60, deadline=None)
def test_fft_equals_the_direct_sum(
    n_frames: int, n_atoms: int, seed: int, offset: float
) -> None:
    steps = np.random.default_rng(seed).normal(size=(n_frames, n_atoms, 3))
    positions = np.cumsum(steps, axis=0) + offset

    msd = msd_per_axis(positions)

    np.testing.assert_allclose(msd, direct_msd(positions), rtol=1e-8, atol=1e-8)


def test_msd_is_the_sum_over_axes_and_starts_at_zero() -> None:
    positions = np.cumsum(np.random.default_rng(0).normal(size=(40, 5, 3)), axis=0)

    msd = mean_squared_displacement(positions)

    np.testing.assert_allclose(msd, msd_per_axis(positions).sum(axis=1))
    assert msd[0] == 0.0


def test_single_precision_positions_are_averaged_in_double() -> None:
    positions = np.cumsum(np.random.default_rng(1).normal(size=(300, 6, 3)), axis=0)

    msd = mean_squared_displacement(positions.astype(np.float32))

    assert msd.dtype == np.float64
    np.testing.assert_allclose(msd, direct_msd(positions).sum(axis=1), rtol=1e-5)


def test_a_static_crystal_has_no_msd_and_never_a_negative_one() -> None:
    positions = np.tile(np.random.default_rng(2).uniform(0, 50, (1, 7, 3)), (33, 1, 1))

    msd = mean_squared_displacement(positions)

    np.testing.assert_allclose(msd, 0.0, atol=1e-25)
    assert msd.min() >= 0.0


def test_collective_msd_of_locked_ions_is_n_times_that_of_one() -> None:
    walk = np.cumsum(np.random.default_rng(3).normal(size=(60, 1, 3)), axis=0)
    locked = np.repeat(walk, 8, axis=1)

    collective = collective_msd_per_axis(locked)

    np.testing.assert_allclose(collective, 8.0 * msd_per_axis(locked), atol=1e-9)


def test_opposite_charges_that_move_together_carry_nothing() -> None:
    walk = np.cumsum(np.random.default_rng(4).normal(size=(60, 1, 3)), axis=0)

    collective = collective_msd_per_axis(
        np.repeat(walk, 2, axis=1), charges=np.array([1.0, -1.0])
    )

    np.testing.assert_allclose(collective, 0.0, atol=1e-12)


def test_species_are_averaged_apart() -> None:
    positions = np.cumsum(np.random.default_rng(5).normal(size=(30, 4, 3)), axis=0)

    msd = msd_by_species(positions, ["S", "Li", "S", "Li"])

    assert list(msd) == ["Li", "S"]
    np.testing.assert_allclose(msd["Li"], mean_squared_displacement(positions[:, [1, 3]]))
    np.testing.assert_allclose(msd["S"], mean_squared_displacement(positions[:, [0, 2]]))


def test_atoms_and_stretches_average_to_the_msd_at_short_lags() -> None:
    positions = np.cumsum(np.random.default_rng(6).normal(size=(401, 50, 3)), axis=0)
    lags = np.array([1, 2, 5, 60])

    resolved = msd_of_each_atom(positions, lags, n_blocks=4)

    by_atom, by_block = resolved.by_atom.sum(axis=-1), resolved.by_block.sum(axis=-1)
    exact = mean_squared_displacement(positions)[lags]
    np.testing.assert_allclose(by_atom.mean(axis=0)[:3], exact[:3])
    np.testing.assert_allclose(by_atom.mean(axis=0)[3], exact[3], rtol=0.02)
    np.testing.assert_allclose(by_block.mean(axis=0), by_atom.mean(axis=0), rtol=0.03)
    np.testing.assert_allclose(
        by_atom[:, 1], np.mean(np.sum((positions[2:] - positions[:-2]) ** 2, axis=2), axis=0)
    )


def test_fewer_origins_in_a_long_run_change_no_mean() -> None:
    rng = np.random.default_rng(11)
    trapped = rng.normal(0, 0.1, size=(20_000, 40, 3))
    positions = trapped + np.cumsum(rng.normal(0, 0.01, size=trapped.shape), axis=0)
    lags = np.array([1, 7, 300])

    resolved = msd_of_each_atom(positions, lags, n_blocks=8)

    exact = mean_squared_displacement(positions)[lags]
    by_atom, by_block = resolved.by_atom.sum(axis=-1), resolved.by_block.sum(axis=-1)
    error = by_atom.std(axis=0, ddof=1) / np.sqrt(40)
    assert (np.abs(by_atom.mean(axis=0) - exact) < 4.0 * error).all()
    np.testing.assert_allclose(by_atom.mean(axis=0), exact, rtol=0.03)
    np.testing.assert_allclose(by_block.mean(axis=0), by_atom.mean(axis=0), rtol=0.01)


@pytest.mark.parametrize("kind", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_order_in_memory_does_not_matter(kind: str, dtype: type[np.floating]) -> None:
    walk = np.cumsum(np.random.default_rng(12).normal(size=(1100, 7, 3)), axis=0).astype(dtype)
    positions = np.asarray(walk, order=kind)

    columns = columns_of(positions)

    np.testing.assert_array_equal(columns, walk.transpose(2, 1, 0))
    assert columns.dtype == np.float64
    assert columns.strides[-1] == 8
    np.testing.assert_array_equal(msd_per_axis(positions), msd_per_axis(walk))


def test_stretches_without_a_time_origin_are_unknown() -> None:
    positions = np.cumsum(np.random.default_rng(7).normal(size=(20, 3, 3)), axis=0)

    by_block = msd_of_each_atom(positions, np.array([19]), n_blocks=4).by_block

    assert np.isfinite(by_block[0, 0]).all()
    assert np.isnan(by_block[1:, 0]).all()


def test_the_fourth_power_of_a_gaussian_walk_is_that_of_a_gaussian() -> None:
    positions = np.cumsum(np.random.default_rng(8).normal(size=(4000, 40, 3)), axis=0)

    resolved = msd_of_each_atom(positions, np.array([3]))

    msd = resolved.by_atom.sum(axis=-1).mean()
    assert resolved.fourth_power[0] == pytest.approx(5.0 / 3.0 * msd**2, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 4, 3), (5, 0, 3)])
def test_too_little_to_average_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(AnalysisError, match="at least 2 frames and 1 atom"):
        mean_squared_displacement(np.zeros(shape))


def test_a_collective_msd_without_charge_is_refused() -> None:
    with pytest.raises(AnalysisError, match="at least one charged atom among 4"):
        collective_msd_per_axis(np.zeros((5, 4, 3)), charges=np.zeros(4))


def test_symbols_must_match_the_atoms() -> None:
    with pytest.raises(AnalysisError, match="2 symbols for 4 atoms"):
        msd_by_species(np.zeros((5, 4, 3)), ["Li", "S"])
