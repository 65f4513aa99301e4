"""A published MSD of ab initio MD, against the diffusivity published with it.

The table is the MSD along each axis of Li in LATP at 1500 K, 40 ps of ab initio MD
(mogroupumd/aimd, MIT). The tests of the same repository state for this run a D of
7.60175023036e-5 cm²/s, a relative standard deviation of 0.382 and 100.48841284 jumps of 3.2 Å,
from which 8 Li follow. Positions are not published. So the scatter of ions and of stretches and
the non-Gaussian parameter, which regime and error of D need, are those of independent random
walkers here: what is tested is the line, and where it is drawn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dasksse.analyse.diffusion import diffusion_of
from dasksse.analyse.random_walk import slope_weights
from dasksse.analyse.regime import lag_grid
from dasksse.analyse.sample import N_BLOCKS, Sample
from dasksse.units import FS_PER_PS, M2_S_PER_A2_PS

FILE = (
    Path(__file__).parents[2]
    / "../shared/refdata/mogroup_aimd_llzo/test_files/latp_md/msd-t.csv"
)
D_M2_S, D_REL_ERR, N_JUMPS = 7.60175023036e-9, 0.382165427856, 100.48841284
SITE_DISTANCE_A, N_IONS = 3.2, 8
INTERVAL_PS = 0.02

pytestmark = [
    pytest.mark.refdata,
    pytest.mark.skipif(not FILE.exists(), reason=f"no reference data at {FILE}"),
]


@pytest.fixture
def msd_xyz() -> np.ndarray:
    """MSD along each axis [Å²] from lag 0 on, shape ``(lag, xyz)``."""
    times_fs, msd, *axes = np.loadtxt(FILE, delimiter=",", skiprows=1).T
    columns = np.array(axes)
    assert times_fs / FS_PER_PS == pytest.approx(INTERVAL_PS * np.arange(1, 2000))
    assert msd == pytest.approx(columns.sum(axis=0))
    return np.concatenate([np.zeros((1, 3)), columns.T])


def independent_walkers(msd_xyz: np.ndarray) -> Sample:
    """Sample with this MSD and no scatter beyond that of random walks."""
    n_frames = len(msd_xyz)
    grid = lag_grid(n_frames)
    return Sample(
        n_frames=n_frames,
        n_runs=1,
        msd_xyz=msd_xyz,
        collective_xyz=msd_xyz,
        grid=grid,
        walker_xyz=np.tile(msd_xyz[grid], (N_IONS, 1, 1)),
        block_xyz=np.full((N_BLOCKS, len(grid), 3), np.nan),
        run_of_walker=np.zeros(N_IONS, dtype=np.int64),
        run_of_block=np.zeros(N_BLOCKS, dtype=np.int64),
        fourth_power=5.0 / 3.0 * msd_xyz[grid].sum(axis=1) ** 2,
        collective_block_xyz=np.full((N_BLOCKS, len(grid), 3), np.nan),
        frames_per_run=np.array([n_frames]),
    )


def to_D(slope_A2_frame: float) -> float:
    return M2_S_PER_A2_PS * slope_A2_frame / 6.0 / INTERVAL_PS


def plain_slope(msd: np.ndarray, lags: np.ndarray) -> float:
    return float(slope_weights(lags.astype(float)) @ msd[lags])


def test_the_published_D_is_that_of_the_table(msd_xyz: np.ndarray) -> None:
    msd = msd_xyz.sum(axis=1)[1:]
    # from half a squared site distance to half of the run, as its authors fit
    first, last = np.count_nonzero(msd < 0.5 * SITE_DISTANCE_A**2), len(msd) // 2
    lags = 1 + np.arange(first, last)

    assert to_D(plain_slope(msd_xyz.sum(axis=1), lags)) == pytest.approx(D_M2_S, rel=1e-9)
    assert N_IONS * msd.max() / SITE_DISTANCE_A**2 == pytest.approx(N_JUMPS, abs=1e-6)


def test_our_line_agrees_with_plain_least_squares_and_with_the_published_D(
    msd_xyz: np.ndarray,
) -> None:
    found = diffusion_of(
        independent_walkers(msd_xyz), species="Li", frame_interval_ps=INTERVAL_PS, volume_A3=1.0
    )
    start_ps, stop_ps = found.fit_window_ps
    window = np.arange(round(start_ps / INTERVAL_PS), round(stop_ps / INTERVAL_PS) + 1)
    plain = to_D(plain_slope(msd_xyz.sum(axis=1), window))

    assert found.regime == "diffusive"
    assert found.D_m2_s is not None
    assert found.D_err_m2_s is not None
    assert found.D_m2_s == pytest.approx(plain, abs=2.0 * found.D_err_m2_s)
    assert found.D_m2_s == pytest.approx(D_M2_S, rel=D_REL_ERR)
    assert found.D_err_m2_s < D_REL_ERR * D_M2_S


def test_the_same_table_bent_has_no_D(msd_xyz: np.ndarray) -> None:
    bent = independent_walkers(msd_xyz**0.6)

    found = diffusion_of(bent, species="Li", frame_interval_ps=INTERVAL_PS, volume_A3=1.0)

    assert found.regime == "subdiffusive"
    assert found.D_m2_s is None
