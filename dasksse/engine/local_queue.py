"""Jobs as processes of this machine, behind the face of a batch system."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from dasksse.engine.queues import QueuedJob
from dasksse.process import end_process, launch

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from dasksse.engine.folder import ClusterFolder

END_GRACE_S = 6.0


class LocalQueue:
    """Starts jobs at once; they die with this process.

    Parameters
    ----------
    folder
        Cluster folder of the run.
    """

    kind = "local"

    def __init__(self, folder: ClusterFolder) -> None:
        self._folder = folder
        self._jobs: dict[str, tuple[str, subprocess.Popen[bytes]]] = {}

    def submit(self, name: str, pool: str) -> str:
        """Start a job's program; gives its process id as job id."""
        words = [sys.executable, "-m", "dasksse.engine.worker", str(self._folder.root)]
        words += ["--name", name, "--pool", pool]
        with self.log(name).open("ab") as log:
            process = launch(words, workdir=self._folder.root, stdout=log)
        job_id = str(process.pid)
        self._jobs[job_id] = (name, process)
        return job_id

    def log(self, name: str) -> Path:
        """What a job prints."""
        return self._folder.logs / f"{name}.log"

    def poll(self) -> list[QueuedJob]:
        """Jobs that live."""
        for job_id in [
            j for j, (_, process) in self._jobs.items() if process.poll() is not None
        ]:
            del self._jobs[job_id]
        return [QueuedJob(job_id, name, "running") for job_id, (name, _) in self._jobs.items()]

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Ask jobs to end, all at the same time, and see that they do."""
        processes = [self._jobs[job_id][1] for job_id in job_ids if job_id in self._jobs]
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        end = time.monotonic() + END_GRACE_S
        while time.monotonic() < end and any(p.poll() is None for p in processes):
            time.sleep(0.05)
        for process in processes:
            end_process(process, grace_s=0.0)
        self.poll()
