"""The parent's side of the resident GPAW child: one child a process, shared by all threads."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasksse.errors import ExternalProgramError, LabelError
from dasksse.label.dft.base import out_of_time
from dasksse.label.dft.program import environment_of
from dasksse.process import ResidentChild
from dasksse.scratch import ScratchFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.label.dft.base import Job

NAME = "GPAW"
# -P: modules beside the child's file must not shadow GPAW and others of their names.
COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("gpaw_child.py")))


class _Child:
    """GPAW's process with its folder, and the threads it was started with."""

    def __init__(self, job: Job) -> None:
        self.threads = job.workplace.threads
        self._folder = ScratchFolder("gpaw")
        # The parent-death signal follows the thread that starts the child, and worker threads
        # come and go: one thread lives as long as the process.
        self.process = _LAUNCHER.submit(
            ResidentChild,
            COMMAND,
            name=NAME,
            workdir=self._folder.path,
            env=environment_of(job),
        ).result()

    def close(self) -> None:
        """End the process and remove its folder."""
        self.process.close()
        self._folder.close()


_LAUNCHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gpaw-launcher")
_children: list[_Child] = []
"""The one child of this process, when there is one."""
_lock = threading.RLock()
"""Held while the child works: it serves one thread at a time."""


def close_child() -> None:
    """End the child of this process, if there is one."""
    with _lock:
        while _children:
            _children.pop().close()


atexit.register(close_child)


def _child_for(job: Job) -> ResidentChild:
    """A living child with as many threads as the job has."""
    alive = _children and _children[0].process.is_alive
    if not alive or _children[0].threads != job.workplace.threads:
        close_child()
        _children.append(_Child(job))
    return _children[0].process


def ask(request: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """The child's answer to a request; the child is started first if need be.

    Parameters
    ----------
    request
        What :mod:`dasksse.label.dft.gpaw_child` takes.
    job
        Where and how; the child is ended at its time limit.

    Raises
    ------
    LabelError
        The child died, was silent for too long, or took too long.
    OutOfTimeError
        The worker's walltime ended.
    """
    with _lock:
        child = _child_for(job)
        limit_s = max(0.0, min(job.time_limit_s, threading.TIMEOUT_MAX))
        ended_at_limit = threading.Event()

        def end() -> None:
            ended_at_limit.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

        timer = threading.Timer(limit_s, end)
        timer.daemon = True
        timer.start()
        try:
            *_, reply = child.request(request, silence_s=job.workplace.hung_after_s)
        except BaseException as error:
            close_child()  # an interrupted request leaves an answer in the pipe
            if ended_at_limit.is_set():
                raise out_of_time(job, NAME) from error
            if isinstance(error, ExternalProgramError):
                folder, tail = str(job.folder), error.log_tail
                raise LabelError(error.program, error.returncode, folder, tail) from error
            raise
        finally:
            timer.cancel()
        return reply
