from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.analyse.block_sums import N_BLOCKS, species_msd
from dasksse.analyse.displacement import to_displacements
from dasksse.analyse.paths import axes_along, unit_vectors
from dasksse.analyse.sample import msd_error, sample_runs, sample_trajectories
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

TRICLINIC = np.array([[8.0, 0, 0], [1.5, 7.0, 0], [-0.7, 2.0, 9.0]])
NUMBERS = np.array([3] * 40 + [16, 3, 15, 16] * 5 + [3] * 8)
IS_LI = NUMBERS == 3
MASSES = np.choose(np.searchsorted([3, 15, 16], NUMBERS), [6.94, 30.973761998, 32.06])
EXACT = {"rtol": 1e-9, "atol": 1e-9}


def npt_run(n_frames: int, *, seed: int, n_equilibration: int = 0) -> MemoryTrajectory:
    """Atoms that diffuse, drift together and breathe with a triclinic cell."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.002, 0.02, (n_frames, len(NUMBERS), 3))
    fractions = rng.integers(-3, 3, (len(NUMBERS), 3)) + np.cumsum(steps, axis=0)
    cells = TRICLINIC + rng.normal(0, 0.05, (n_frames, 3, 3))
    return MemoryTrajectory(
        NUMBERS, fractions @ cells, cells, 0.1, 600.0, n_equilibration, f"run {seed}"
    )


def freed(run: MemoryTrajectory) -> np.ndarray:
    """Positions against the framework by the plain way, shape ``(frame, atom, xyz)``."""
    used = slice(run.n_equilibration, None)
    fixed = to_displacements(run.all_positions[used], run.all_cells[used])
    weights = np.where(IS_LI, 0.0, MASSES)
    return fixed - np.einsum("fax,a->fx", fixed, weights / weights.sum())[:, None]


def direct_msd(runs: list[np.ndarray], n_lags: int) -> np.ndarray:
    """Mean over all pairs of frames of all runs and atoms, shape ``(lag, axis)``."""
    msd = np.zeros((n_lags, runs[0].shape[2]))
    for lag in range(1, n_lags):
        steps = [(run[lag:] - run[:-lag]) ** 2 for run in runs]
        msd[lag] = np.concatenate(steps).mean(axis=(0, 1))
    return msd


def test_runs_of_unequal_length_are_the_direct_sum_over_all_of_them() -> None:
    runs = [npt_run(90, seed=1), npt_run(70, seed=2, n_equilibration=10), npt_run(75, seed=3)]
    paths = [freed(run) for run in runs]

    sample = sample_trajectories(runs, "Li")

    ions = [path[:, IS_LI] for path in paths]
    np.testing.assert_allclose(sample.msd_xyz, direct_msd(ions, 60), **EXACT)
    together = [path.sum(axis=1, keepdims=True) / np.sqrt(IS_LI.sum()) for path in ions]
    np.testing.assert_allclose(sample.collective_xyz, direct_msd(together, 60), **EXACT)
    assert (sample.n_runs, sample.n_frames, sample.n_walkers) == (3, 60, 3 * IS_LI.sum())
    np.testing.assert_array_equal(sample.frames_per_run, [90, 60, 75])


def test_charges_of_all_species_make_the_collective_displacement() -> None:
    run = npt_run(80, seed=4)
    charges = {"Li": 1.0, "P": 5.0, "S": -2.0}
    charge = np.choose(np.searchsorted([3, 15, 16], NUMBERS), [1.0, 5.0, -2.0])

    sample = sample_trajectories([run], "Li", charges=charges)

    moment = (freed(run) * charge[:, None]).sum(axis=1, keepdims=True)
    expected = direct_msd([moment], 80) / IS_LI.sum()
    np.testing.assert_allclose(sample.collective_xyz, expected, **EXACT)


def test_species_are_followed_in_the_same_frame_along_any_directions() -> None:
    runs = [npt_run(70, seed=5), npt_run(60, seed=6)]
    directions = unit_vectors([TRICLINIC[0], TRICLINIC[2]])

    msds = species_msd(runs, "Li", axes=directions)

    assert list(msds) == ["Li", "P", "S"]
    for number, symbol in ((3, "Li"), (15, "P"), (16, "S")):
        along = [freed(run)[:, number == NUMBERS] @ directions.T for run in runs]
        np.testing.assert_allclose(msds[symbol], direct_msd(along, 60), **EXACT)


def test_turned_axes_keep_the_msd_and_part_it_into_along_and_across() -> None:
    run = npt_run(60, seed=7)
    axes = axes_along(TRICLINIC[2])

    turned, plain = (sample_trajectories([run], "Li", axes=given) for given in (axes, None))

    np.testing.assert_allclose(turned.msd_xyz.sum(axis=1), plain.msd_xyz.sum(axis=1), **EXACT)
    along_c = species_msd([run], "Li", axes=axes[2:])["Li"]
    np.testing.assert_allclose(turned.msd_xyz[:, 2:], along_c, **EXACT)


@pytest.mark.parametrize("megabytes", [0.075, 0.1, 256])
def test_blocks_of_any_size_give_the_same_sample(megabytes: float) -> None:
    runs = [npt_run(120, seed=8), npt_run(110, seed=9)]
    n_blocks = []

    def counting(function: Callable[..., Any], arguments: Iterable[tuple]) -> Iterator[Any]:
        for each in arguments:
            n_blocks.append(len(each[1]))
            yield function(*each)

    whole = sample_trajectories(runs, "Li")
    parts = sample_trajectories(runs, "Li", memory_bytes=int(megabytes * 1e6), starmap=counting)

    assert len(n_blocks) > 4 or megabytes == 256
    for name, value in vars(whole).items():
        np.testing.assert_allclose(getattr(parts, name), value, rtol=1e-10, atol=1e-12)


def test_ions_and_stretches_are_those_of_the_direct_sum() -> None:
    run = npt_run(241, seed=10)
    ions = freed(run)[:, IS_LI]

    sample = sample_trajectories([run], "Li")

    at = int(np.flatnonzero(sample.grid == 5)[0])
    squared = (ions[5:] - ions[:-5]) ** 2
    np.testing.assert_allclose(sample.walker_xyz[:, at], squared.mean(axis=0), **EXACT)
    total = ions.sum(axis=1, keepdims=True)
    collective = (total[5:] - total[:-5]) ** 2 / IS_LI.sum()
    ends = np.arange(N_BLOCKS + 1) * len(squared) // N_BLOCKS
    assert len(sample.block_xyz) == len(sample.collective_block_xyz) == N_BLOCKS
    for index, (start, stop) in enumerate(pairwise(ends)):
        for found, origins in (
            (sample.block_xyz, squared),
            (sample.collective_block_xyz, collective),
        ):
            expected = origins[start:stop].mean(axis=(0, 1))
            np.testing.assert_allclose(found[index, at], expected, **EXACT)


def test_the_non_gaussian_parameter_of_a_mixture_is_its_own() -> None:
    """Half of the ions hop with ten times the variance: alpha = <s⁴> / <s²>² - 1."""
    steps = np.random.default_rng(11).normal(size=(4000, 200, 3))
    steps[:, :100] *= np.sqrt(10.0)

    sample = sample_runs([np.cumsum(steps, axis=0)])

    expected = 0.5 * (10.0**2 + 1.0) / (0.5 * (10.0 + 1.0)) ** 2 - 1.0
    np.testing.assert_allclose(sample.non_gaussian[:12], expected, rtol=0.05)


def test_the_non_gaussian_parameter_is_that_of_the_direct_sum() -> None:
    walk = np.cumsum(np.random.default_rng(12).exponential(size=(300, 5, 3)), axis=0)

    sample = sample_runs([walk])

    for at in range(8):
        lag = sample.grid[at]
        squared = np.sum((walk[lag:] - walk[:-lag]) ** 2, axis=2)
        expected = 3.0 * np.mean(squared**2) / (5.0 * np.mean(squared) ** 2) - 1.0
        assert sample.non_gaussian[at] == pytest.approx(expected, rel=1e-9)


def test_runs_and_their_parts_are_told_apart() -> None:
    rng = np.random.default_rng(13)
    slow, fast = (np.cumsum(rng.normal(0, s, (400, 6, 3)), axis=0) for s in (0.1, 1.0))

    sample = sample_runs([slow, fast])

    at_first = sample.grid == 1
    walkers = sample.by_walker[:, at_first].ravel()
    stretches = sample.by_block[:, at_first].ravel()
    assert walkers[sample.run_of_walker == 0].max() < walkers[sample.run_of_walker == 1].min()
    assert stretches[sample.run_of_block == 0].max() < stretches[sample.run_of_block == 1].min()


def test_the_error_of_the_msd_starts_at_zero_and_is_the_scatter_of_ions() -> None:
    sample = sample_runs(
        [np.cumsum(np.random.default_rng(14).normal(size=(200, 30, 3)), axis=0)]
    )

    error = msd_error(sample)

    assert error[0] == 0.0
    expected = sample.by_walker[:, 3].std(ddof=1) / np.sqrt(30)
    assert error[sample.grid[3]] == pytest.approx(expected)


def test_a_run_is_followed_only_when_its_first_block_is_due() -> None:
    """So that what a run needs besides its blocks is not held for all runs at once."""
    events = []

    class Watched(MemoryTrajectory):
        def centres(self, frames: slice = slice(None)) -> Any:
            events.append(f"follow {self.name}")
            return super().centres(frames)

    def watching(function: Callable[..., Any], arguments: Iterable[tuple]) -> Iterator[Any]:
        for each in arguments:
            events.append(f"block of {each[0].run.name}")
            yield function(*each)

    runs = [Watched(**vars(npt_run(60, seed=seed))) for seed in (1, 2)]
    sample_trajectories(runs, "Li", starmap=watching)

    of_each = [[f"follow run {seed}", *[f"block of run {seed}"] * 2] for seed in (1, 2)]
    assert events == [*of_each[0], *of_each[1]]


def test_no_run_is_refused() -> None:
    with pytest.raises(AnalysisError, match="no run to average over"):
        sample_trajectories([], "Li")


def test_runs_of_different_systems_are_refused() -> None:
    other = MemoryTrajectory(NUMBERS[1:], np.zeros((60, len(NUMBERS) - 1, 3)), TRICLINIC, 0.1)

    with pytest.raises(AnalysisError, match="has 52 atoms of Li, run 0 has 53"):
        sample_trajectories([npt_run(60, seed=0), other], "Li")


@pytest.mark.parametrize("charges", [{"Li": 0.0, "S": -2.0}, {"S": -2.0}])
def test_mobile_ions_without_charge_are_refused(charges: dict[str, float]) -> None:
    with pytest.raises(
        AnalysisError, match="must give the mobile element 'Li' one that is not"
    ):
        sample_trajectories([npt_run(60, seed=0)], "Li", charges=charges)


@pytest.mark.parametrize("axes", [TRICLINIC, np.eye(3)[:2]])
def test_axes_along_which_displacements_do_not_add_up_are_refused(axes: np.ndarray) -> None:
    with pytest.raises(AnalysisError, match="three unit vectors at right angles"):
        sample_trajectories([npt_run(60, seed=0)], "Li", axes=axes)
