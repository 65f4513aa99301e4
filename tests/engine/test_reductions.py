from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.analyse.sample import sample_trajectories
from dasksse.engine.reductions import client_starmap, dask_starmap, thread_starmap
from dasksse.engine.tls import make_keys, security
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory
from dasksse.store.stored_trajectory import open_trajectories
from dasksse.store.trajectory_writer import TrajectoryWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dasksse.analyse.block_sums import Starmap
    from dasksse.analyse.sample import Sample
    from dasksse.records import Trajectory

NUMBERS = np.array([3, 3, 16] * 60)
MEMORY_BYTES = 500_000
"""So little that each run has several blocks."""


def run(n_frames: int, *, seed: int) -> MemoryTrajectory:
    steps = np.random.default_rng(seed).normal(0, 0.3, (n_frames, len(NUMBERS), 3))
    return MemoryTrajectory(NUMBERS, np.cumsum(steps, axis=0), 20.0 * np.eye(3), 0.1)


RUNS = [run(300, seed=1), run(260, seed=2)]


def stored(path: Path) -> Sequence[Trajectory]:
    """The same runs in a store."""
    for each in RUNS:
        with TrajectoryWriter(
            path, group="production/x", numbers=NUMBERS, frame_interval_ps=0.1
        ) as writer:
            writer.add(each.all_positions, each.cells())
    (group,) = open_trajectories(path)
    return group.runs


def sampled(starmap: Starmap, runs: Sequence[Trajectory] = RUNS) -> Sample:
    return sample_trajectories(runs, "Li", memory_bytes=MEMORY_BYTES, starmap=starmap)


def assert_equal_to_the_bit(one: Sample, other: Sample) -> None:
    for name, value in vars(one).items():
        np.testing.assert_array_equal(getattr(other, name), value, err_msg=name)


def test_threads_give_the_sample_of_one_after_the_other_to_the_bit() -> None:
    with thread_starmap(1) as one, thread_starmap(3) as three:
        assert_equal_to_the_bit(sampled(one), sampled(three))


def test_results_come_in_order_with_few_calls_ahead() -> None:
    lock, taken, ahead = threading.Lock(), 0, []

    def arguments() -> Iterator[tuple[int]]:
        nonlocal taken
        for index in range(20):
            with lock:
                taken += 1
            yield (index,)

    def slow_at_first(index: int) -> int:
        time.sleep(0.05 if index == 0 else 0.0)
        return index

    results = []
    with thread_starmap(2) as starmap:
        for result in starmap(slow_at_first, arguments()):
            ahead.append(taken - len(results))
            results.append(result)

    assert results == list(range(20))
    assert max(ahead) <= 5  # two for each thread, and the one that is asked for


def test_a_failure_in_a_thread_is_that_of_the_analysis() -> None:
    broken = run(300, seed=3)
    broken.all_positions[7] = np.nan

    with (
        thread_starmap(2) as starmap,
        pytest.raises(AnalysisError, match="first in frame 7"),
    ):
        sample_trajectories([broken], "Li", reference="none", starmap=starmap)


def test_threads_and_dask_workers_read_a_store_and_give_the_same_to_the_bit(
    tmp_path: Path,
) -> None:
    from distributed import Client, LocalCluster

    make_keys(tmp_path / "tls")
    secured = security(tmp_path / "tls", tls=True)
    runs = stored(tmp_path / "runs.zarr")
    with thread_starmap(1) as one:
        expected = sampled(one, runs)

    with thread_starmap(3) as three:
        by_threads = sampled(three, runs)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", security=secured
    ) as cluster:
        with dask_starmap(cluster.scheduler_address, keys=tmp_path / "tls") as starmap:
            by_address = sampled(starmap, runs)
        with Client(cluster, security=secured, set_as_default=False) as client:
            by_client = sampled(client_starmap(client), runs)

    assert cluster.scheduler_address.startswith("tls://")
    assert_equal_to_the_bit(expected, by_threads)
    assert_equal_to_the_bit(expected, by_address)
    assert_equal_to_the_bit(expected, by_client)
