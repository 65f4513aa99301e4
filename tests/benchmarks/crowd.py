"""Many Dask workers in one process: ``python crowd.py CLUSTER_FOLDER JOB POOL WORKERS``.

Real workers that register, take units and answer, as threads of one process: they show what
scheduler and driver bear, not what workers cost.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from pathlib import Path

import dask
from distributed import Worker

from dasksse.engine.dask_settings import set_up_dask
from dasksse.engine.folder import ClusterFolder
from dasksse.engine.settings import TAGS
from dasksse.engine.tls import security
from dasksse.engine.worker_setup import WORKPLACE_VARIABLE, startup_facts

AT_ONCE = 50


async def crowd(folder: ClusterFolder, job: str, pool: str, count: int) -> None:
    """Keep the workers until told to end."""
    facts = folder.read_scheduler()
    while facts is None or not facts.address:
        await asyncio.sleep(0.1)
        facts = folder.read_scheduler()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    workers = [
        Worker(
            facts.address,
            nthreads=1,
            name=f"{job}-{index}",
            memory_limit=0,
            resources=dict.fromkeys(TAGS, 1),
            security=security(folder.tls, tls=facts.tls),
            startup_information={"dasksse": startup_facts},
            local_directory=str(folder.root.parent / "scratch"),
            dashboard=False,
        )
        for index in range(count)
    ]
    for first in range(0, count, AT_ONCE):
        await asyncio.gather(*workers[first : first + AT_ONCE])
    await ended.wait()
    os._exit(0)


if __name__ == "__main__":
    root, job, pool, count = sys.argv[1:]
    set_up_dask()
    # each worker would watch the one process they share, and count its thousand files
    dask.config.set({"distributed.admin.system-monitor.interval": "1h"})
    dask.config.set({"distributed.worker.profile.enabled": False})
    os.environ[WORKPLACE_VARIABLE] = json.dumps({"pool": pool, "job": job})
    cluster = ClusterFolder(Path(root))
    sys.path += cluster.read_pool(pool).modules
    importlib.import_module("dasksse.loop.execute")  # not for the first time in many threads
    asyncio.run(crowd(cluster, job, pool, int(count)))
