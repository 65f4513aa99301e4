"""Runs a DFT program that reads and writes files: threads, time limit, silence, memory."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import psutil

from dasksse.errors import LabelError
from dasksse.label.dft.base import out_of_time
from dasksse.process import run_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.label.dft.base import Job

LOG = "output.log"
"""What the program prints, in the folder of its job."""


class Watch:
    """Looks after a running program: ends it at its time limit, notes its largest memory.

    Parameters
    ----------
    job
        The calculation.
    name
        Name of the program, for the user.
    """

    def __init__(self, job: Job, name: str) -> None:
        self._job = job
        self._name = name
        self._started = time.monotonic()
        self.memory_bytes = 0.0

    def __call__(self) -> None:
        """Look once.

        Raises
        ------
        LabelLimitError
            At the label's time limit.
        OutOfTimeError
            At the worker's walltime.
        """
        self.memory_bytes = max(self.memory_bytes, memory_in(self._job.folder))
        if time.monotonic() - self._started > self._job.time_limit_s:
            raise out_of_time(self._job, self._name)


def memory_in(folder: Path) -> float:
    """Resident memory of all processes below this one that work in a folder [bytes]."""
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            if child.cwd() == str(folder):
                total += child.memory_info().rss
        except psutil.Error:
            continue
    return total


def environment_of(job: Job) -> Mapping[str, str]:
    """Environment of a DFT program: as many threads as its worker has for it."""
    threads = str(job.workplace.threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, threads)}


def run_dft(
    command: Sequence[str], job: Job, *, name: str, outputs: Sequence[str] = ()
) -> float | None:
    """Run a program in the folder of its job, under the prefix of its worker.

    Parameters
    ----------
    command
        Program and arguments, as words; no shell is involved.
    job
        Where and how.
    name
        Name of the program, for the user.
    outputs
        Files in the folder that grow while it works, besides what it prints.

    Returns
    -------
    float | None
        Largest resident memory of the program and its children [bytes], sampled twice a second;
        None when it was over before the first look.

    Raises
    ------
    ProgramMissingError
        The program is not there.
    LabelError
        It ended with another code than 0, or was silent for too long.
    LabelLimitError
        It took too long.
    OutOfTimeError
        The worker's walltime ended.
    """
    watch = Watch(job, name)
    run_program(
        [*job.workplace.prefix, *command],
        name=name,
        log=job.folder / LOG,
        env=environment_of(job),
        silence_s=job.workplace.hung_after_s,
        watch=[job.folder / output for output in outputs],
        on_poll=watch,
        error=LabelError,
    )
    return watch.memory_bytes or None
