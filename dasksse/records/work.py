"""Units of work, their outcomes, where they run, and who runs them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from dasksse.errors import OutOfTimeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dasksse.records.data import Json

FailureClass = Literal[
    "lost", "walltime", "engine", "scf", "limit", "input", "disk", "interrupted"
]
"""Why a unit failed: ``lost`` worker (retried free of charge), ``walltime`` of its worker (it
stopped at a checkpoint; goes on elsewhere), ``engine`` crash, ``scf`` not converged, ``limit``
of time or of dead workers that a label reached, bad ``input`` (stops the run), ``disk`` full,
``interrupted`` by the user."""


@dataclass(frozen=True)
class Unit:
    """One resumable piece of work, run by one worker in its own folder.

    Attributes
    ----------
    kind
        What it does, in science terms: ``label``, ``train``, ``md``, ``select`` ...
    key
        Digest of all inputs; also the name of its folder.
    tag
        Worker resource it needs: ``TRAIN``, ``MD``, ``LABEL`` or ``REDUCE``.
    function
        ``package.module:name`` of a stage ``f(payload, context) -> dict``.
    payload
        JSON inputs of the stage.
    generation
        Learning generation it belongs to, -1 for none.
    amount
        How much work it is, in ``amount_name`` (MD steps, training steps, labels).
    amount_name
        Unit of ``amount``.
    """

    kind: str
    key: str
    tag: str
    function: str
    payload: Mapping[str, Json]
    generation: int = -1
    amount: float = 1.0
    amount_name: str = ""


@dataclass(frozen=True)
class Done:
    """A finished unit and the JSON record its stage returned."""

    unit: Unit
    value: Mapping[str, Json]
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Failed:
    """A unit that did not finish: data, not an exception."""

    unit: Unit
    failure_class: FailureClass
    error: str
    workdir: str
    wall_s: float = 0.0


Outcome = Done | Failed


class Progress(Protocol):
    """Called by a stage to say how far it is."""

    def __call__(self, done: float, note: str = "") -> None:
        """Report the amount of work done so far, with a short note."""


@dataclass(frozen=True)
class Workplace:
    """What a worker gives the units that run on it.

    Attributes
    ----------
    threads
        Threads an engine may use.
    prefix
        Words before the command of an engine, such as ``("srun", "-n", "4")``.
    stop_at
        Seconds since the epoch at which the worker wants to be free; None for never.
    hung_after_s
        An engine that says nothing for so long [s] is taken for hung.
    pool
        Name of the worker's pool.
    """

    threads: int = 1
    prefix: tuple[str, ...] = ()
    stop_at: float | None = None
    hung_after_s: float = 900.0
    pool: str = ""

    def time_left_s(self) -> float:
        """Time until the worker wants to be free [s]; infinite without a walltime."""
        return math.inf if self.stop_at is None else self.stop_at - time.time()

    def check_time(self, need_s: float = 0.0) -> None:
        """Stop here when there is no time for the next step; call where nothing is lost.

        Raises
        ------
        OutOfTimeError
            When less than ``need_s`` is left.
        """
        left = self.time_left_s()
        if left < need_s:
            msg = f"{max(0.0, left):.0f} s of walltime left, the next step needs {need_s:.0f} s"
            raise OutOfTimeError(msg)


@dataclass(frozen=True)
class UnitContext:
    """What a stage may touch: its own folder, the run folder to read, a progress sink.

    Attributes
    ----------
    run_dir
        The run folder.
    workdir
        The unit's staging folder; it survives a crash, so a stage finds its checkpoints there.
    progress
        Where to report progress.
    workplace
        Threads, command prefix and remaining time of the worker.
    reproducible
        True in comparison mode.
    key
        Key of the unit.
    """

    run_dir: Path
    workdir: Path
    progress: Progress
    workplace: Workplace = field(default_factory=Workplace)
    reproducible: bool = False
    key: str = ""

    @property
    def threads(self) -> int:
        """Threads an engine may use."""
        return self.workplace.threads


@dataclass(frozen=True)
class PoolState:
    """How a pool of workers stands.

    Attributes
    ----------
    name
        Name of the pool.
    tags
        Tags of the units it takes.
    jobs_running, jobs_queued
        Batch jobs whose workers are there, and jobs that wait or start.
    max_jobs
        Most jobs it may have.
    workers
        Units it can run at the same time now.
    units_running
        Units that run on it.
    trouble
        Why it has no more jobs, in the queue's own words; empty when all is well.
    """

    name: str
    tags: tuple[str, ...]
    jobs_running: int
    jobs_queued: int
    max_jobs: int
    workers: int
    units_running: int
    trouble: str = ""


class Runner(Protocol):
    """Runs units somewhere; the engine implements it."""

    def describe(self) -> list[str]:
        """Lines for the user: where work runs and where to watch it."""

    def free_slots(self, tag: str, kind: str = "") -> int:
        """How many more units with this tag, and of this kind, can start now."""

    def submit(self, unit: Unit) -> None:
        """Start a unit; its outcome comes from :meth:`wait`."""

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Outcomes that arrived within the time, possibly none.

        Raises
        ------
        ClusterError
            When no worker can be had any more.
        """

    def demand(self, waiting: Mapping[str, int]) -> None:
        """Say how many units of each tag wait for a slot; pools grow and shrink by it."""

    def news(self) -> list[str]:
        """What happened to workers and jobs since the last call, for the user and the log."""

    def pools(self) -> list[PoolState]:
        """How the pools stand."""

    def close(self) -> None:
        """Stop everything that still runs and every process that was started."""
