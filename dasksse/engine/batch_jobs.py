"""Jobs of a batch system: script, submission, listing, cancelling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.engine.queues import QUEUES, QueuedJob, QueueError, batch_queue
from dasksse.engine.scripts import job_script
from dasksse.errors import ClusterError, StoreError
from dasksse.store.folders import read_json, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.engine.folder import ClusterFolder
    from dasksse.engine.settings import PoolSettings


class BatchJobs:
    """A batch system that runs the jobs of one run.

    Parameters
    ----------
    kind
        ``slurm``, ``pbs`` and so on.
    pools
        Settings by pool.
    folder
        Cluster folder of the run.
    """

    def __init__(
        self, kind: str, pools: Mapping[str, PoolSettings], folder: ClusterFolder
    ) -> None:
        self.kind = kind
        self._pools = pools
        self._folder = folder
        self._queue = batch_queue(kind)

    def submit(self, name: str, pool: str) -> str:
        """Write a job's script and hand it to the queue; gives the job id."""
        script = self._folder.script(name)
        text = job_script(
            self.kind,
            self._pools[pool],
            pool_name=pool,
            job_name=name,
            cluster_dir=self._folder.root,
        )
        write_atomically(script, text)
        return self._queue.submit(script)

    def log(self, name: str) -> Path:
        """What a job printed: the newest file in the log folder that carries its name."""
        found = sorted(
            (path for path in self._folder.logs.glob(f"{name}*") if path.stat().st_size),
            key=lambda path: path.stat().st_mtime,
        )
        return found[-1] if found else self._folder.logs / f"{name}.log"

    def poll(self) -> list[QueuedJob]:
        """The user's jobs, ours among them."""
        return self._queue.poll()

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Cancel jobs by one command."""
        if job_ids:
            self._queue.cancel(job_ids)


def end_jobs_elsewhere(folder: ClusterFolder, kind: str) -> str:
    """Cancel jobs that an earlier driver of this run left in a queue of another kind.

    Returns
    -------
    str
        What was done or could not be done; empty when there was nothing to do.
    """
    try:
        left = read_json(folder.jobs_file)
    except (OSError, StoreError):
        return ""
    if left["kind"] == kind or left["kind"] not in QUEUES or not left["jobs"]:
        return ""
    names = {job["name"] for job in left["jobs"]}
    try:
        queue = batch_queue(left["kind"])
        living = [entry.job_id for entry in queue.poll() if entry.name in names]
        if living:
            queue.cancel(living)
    except (QueueError, ClusterError) as error:
        return (
            f"an earlier driver used {left['kind']}; its jobs {', '.join(sorted(names))} could "
            f"not be looked for ({error}); they end by themselves, or cancel them by name"
        )
    return f"{len(living)} {left['kind']} jobs of an earlier driver are cancelled" * bool(
        living
    )
