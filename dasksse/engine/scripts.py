"""Job scripts of pools, written by the job classes of dask-jobqueue.

What those classes are not told they read from the user's Dask configuration; here every value
comes from the cluster file alone.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasksse.engine.queues import batch_queue
from dasksse.engine.script_requests import REQUESTS
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.engine.settings import PoolSettings

WORKER_MODULE = "dasksse.engine.worker"

_SECTION = "dasksse"
"""Section of Dask's configuration that dask-jobqueue reads, instead of one of the user's."""

_UNTOLD = (
    "account",
    "death-timeout",
    "env-extra",
    "extra",
    "header-skip",
    "interface",
    "job-cpu",
    "job-extra",
    "job-mem",
    "local-directory",
    "log-directory",
    "lsf-units",
    "mem",
    "ncpus",
    "project",
    "queue",
    "resource-spec",
    "walltime",
)
"""What dask-jobqueue looks up there when it is given None."""

_PLAIN_PATH = re.compile(r"[\w./+@=-]+")


def job_script(
    kind: str, pool: PoolSettings, *, pool_name: str, job_name: str, cluster_dir: Path
) -> str:
    """Job script of a pool; for HTCondor, its submit description.

    Parameters
    ----------
    kind
        Batch system.
    pool
        What its jobs need.
    pool_name, job_name
        Name of the pool, and of this job.
    cluster_dir
        Cluster folder of the run; jobs print to ``logs`` in it.

    Raises
    ------
    ConfigError
        When there is no such batch system, it cannot give what the pool asks for, or the folder
        has a name that job scripts cannot hold.
    """
    import dask

    batch_queue(kind)
    cluster_dir = cluster_dir.absolute()
    log = f"{cluster_dir}/logs/{job_name}"
    if not _PLAIN_PATH.fullmatch(log):
        msg = (
            f"folder {str(cluster_dir)!r}: batch systems read this path in job scripts, so it "
            "may hold letters, digits and . _ - + @ = / only; choose another one by --dir"
        )
        raise ConfigError(msg)
    dask.config.set({f"jobqueue.{_SECTION}": dict.fromkeys(_UNTOLD)})
    try:
        request = REQUESTS[kind](pool, log)
        text = request.write(pool, _common(pool, pool_name, job_name, cluster_dir))
    except ConfigError as error:
        msg = f"settings.pools.{pool_name}.{error}"
        raise ConfigError(msg) from error
    return f"{text.rstrip()}\n"


def _common(
    pool: PoolSettings, pool_name: str, job_name: str, cluster_dir: Path
) -> dict[str, Any]:
    """Keywords of all job classes."""
    return {
        "scheduler": shlex.quote(str(cluster_dir)),
        "name": shlex.quote(job_name),
        "job_name": job_name,
        "config_name": _SECTION,
        "cores": pool.cores,
        "processes": pool.units,
        "memory": pool.memory,
        "python": shlex.quote(pool.python or sys.executable),
        "worker_command": WORKER_MODULE,
        "worker_extra_args": ["--pool", shlex.quote(pool_name)],
    }


def check_pools(kind: str, pools: Mapping[str, PoolSettings]) -> None:
    """See that a batch system can give what pools ask for, before anything starts.

    Raises
    ------
    ConfigError
        As :func:`job_script` does.
    """
    for name, pool in pools.items():
        job_script(kind, pool, pool_name=name, job_name="job", cluster_dir=Path("/"))
