"""Spread the blocks of an analysis over threads or over the workers of a Dask cluster.

With n calls at a time, give the analysis ``memory_bytes`` of an n-th of what may be used::

    with thread_starmap(2) as starmap:
        sample = sample_trajectories(
            runs, "Li", memory_bytes=500_000_000 // 2, starmap=starmap
        )

Results are added in the order of the blocks, so they do not depend on who was faster.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import starmap as one_by_one
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from dasksse.analyse.block_sums import Starmap

AHEAD = 2
"""Calls kept ready for each thread: enough to be busy, few enough to hold little."""


@contextmanager
def thread_starmap(n_threads: int) -> Iterator[Starmap]:
    """Call a function for many tuples of arguments in threads, results in order.

    Numpy and the FFT leave other threads running, and arrays need no copies.

    Parameters
    ----------
    n_threads
        Calls at the same time; with 1 there is no thread.
    """
    if n_threads == 1:
        yield one_by_one
        return
    with ThreadPoolExecutor(n_threads) as pool:
        yield lambda function, arguments: _in_order(
            lambda each: pool.submit(function, *each), arguments, AHEAD * n_threads
        )


@contextmanager
def dask_starmap(address: str, *, keys: Path | None = None) -> Iterator[Starmap]:
    """Call a function for many tuples of arguments on the workers of a Dask cluster.

    An argument that comes several times in a row, such as a run, is sent to the cluster once.

    Parameters
    ----------
    address
        Address of the scheduler.
    keys
        Folder with the TLS keys of a run's cluster; None for a cluster without TLS.
    """
    from distributed import Client

    from dasksse.engine.tls import security

    secured = None if keys is None else security(keys, tls=True)
    with Client(address, security=secured, set_as_default=False) as client:
        yield client_starmap(client)


def client_starmap(client: Any) -> Starmap:  # noqa: ANN401 - Dask is not typed
    """The same with a Dask client that is there already."""

    def starmap(
        function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], /
    ) -> Iterator[Any]:
        n_threads = sum(client.nthreads().values())
        sent: list[tuple[Any, Any]] = [(None, None)]

        def submit(each: tuple[Any, ...]) -> Any:  # noqa: ANN401
            if each[0] is not sent[0][0]:
                sent[0] = each[0], client.scatter(each[0], hash=False)
            return client.submit(function, sent[0][1], *each[1:], pure=False)

        return _in_order(submit, arguments, AHEAD * max(n_threads, 1))

    return starmap


def _in_order(
    submit: Callable[[tuple[Any, ...]], Any], arguments: Iterable[tuple[Any, ...]], most: int
) -> Iterator[Any]:
    """Results in the order of the arguments, with a bounded number of calls under way."""
    waiting: deque[Any] = deque()
    try:
        for each in arguments:
            if len(waiting) == most:
                yield waiting.popleft().result()
            waiting.append(submit(each))
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
