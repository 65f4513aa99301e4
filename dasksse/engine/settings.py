"""Settings of every engine: what a cluster file may say."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from dasksse.config.schema import Section
from dasksse.process import ranks_of

Tag = Literal["TRAIN", "MD", "LABEL", "REDUCE"]
TAGS: tuple[Tag, ...] = ("TRAIN", "MD", "LABEL", "REDUCE")
"""What units ask of a worker."""

PoolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,15}$")]
Count = Annotated[int, Field(ge=1)]
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\n\r\x00]*$")]
Value = Annotated[str, Field(pattern=r"^[^\n\r\x00]*$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,:@+%/=-]*$")]
"""A word that no shell and no batch system reads as anything else."""

MARGIN_SHARE, MARGIN_LEAST_S, MARGIN_MOST_S = 0.1, 10.0, 180.0
_UNITS_S = {"s": 1, "sec": 1, "min": 60, "h": 3600, "d": 86400}
_CLOCK = re.compile(r"^(?:(\d+)-)?(\d+):(\d{2})(?::(\d{2}))?$")
_AMOUNT = re.compile(r"^(\d+(?:\.\d+)?)\s*(s|sec|min|h|d)$")
_MEMORY = re.compile(r"^(\d+(?:\.\d+)?)\s*(MB|GB|TB|MiB|GiB|TiB)$")
_BYTES = {
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}


def parse_time_s(value: object) -> int:
    """Seconds from ``90 min``, ``2 h``, ``HH:MM:SS``, ``D-HH:MM:SS`` or a number of seconds.

    Raises
    ------
    ValueError
        When the value is none of these.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str):
        text = value.strip()
        if match := _CLOCK.match(text):
            days, first, second, third = (int(part or 0) for part in match.groups())
            return days * 86400 + first * 3600 + second * 60 + third
        if match := _AMOUNT.match(text):
            return round(float(match[1]) * _UNITS_S[match[2]])
    msg = "a time such as '24:00:00', '1-12:00:00', '90 min' or '2 h' is needed"
    raise ValueError(msg)


def parse_memory_bytes(text: str) -> int:
    """Bytes from ``4 GB`` and the like.

    Raises
    ------
    ValueError
        When number or unit is missing.
    """
    if match := _MEMORY.match(text.strip()):
        return round(float(match[1]) * _BYTES[match[2]])
    msg = "a memory size such as '4 GB' or '3800 MiB' is needed"
    raise ValueError(msg)


def margin_s(walltime_s: float) -> float:
    """Time before the end of a job at which its units stop at a checkpoint [s]."""
    return min(max(MARGIN_SHARE * walltime_s, MARGIN_LEAST_S), MARGIN_MOST_S)


def _checked_memory(value: object) -> object:
    if isinstance(value, str):
        parse_memory_bytes(value)
    return value


TimeS = Annotated[int, BeforeValidator(parse_time_s), Field(ge=10)]
Interval = Annotated[int, BeforeValidator(parse_time_s), Field(ge=1)]
Memory = Annotated[str, BeforeValidator(_checked_memory)]


class PoolSettings(Section):
    """Workers of one kind: one job shape in one queue."""

    tags: tuple[Tag, ...] = Field(
        default=TAGS, min_length=1, description="Units it takes: TRAIN, MD, LABEL, REDUCE."
    )
    queue: Word | None = Field(default=None, description="Queue or partition.")
    account: Word | None = Field(default=None, description="Account or project to charge.")
    cores: Count = Field(default=1, description="Cores of a job.")
    units: Count = Field(
        default=1, description="Units a job works on at the same time; they share its cores."
    )
    memory: Memory = Field(default="4 GB", description="Memory of a job.")
    gpus: Annotated[int, Field(ge=0)] = Field(default=0, description="GPUs of a job.")
    walltime: TimeS | None = Field(
        default=None, description="Longest a job runs, such as '24:00:00' or '90 min'."
    )
    min_jobs: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Jobs kept even when nothing waits."
    )
    max_jobs: Count = Field(default=1, description="Most jobs at a time, queued ones included.")
    setup: tuple[Line, ...] = Field(
        default=(), description="Shell lines before the worker, such as module loads."
    )
    environment: dict[VariableName, Value] = Field(
        default={}, description="Environment variables of the job."
    )
    prefix: tuple[Line, ...] = Field(
        default=(), description="Words before an engine's command, such as srun or mpirun -n 4."
    )
    directives: tuple[Line, ...] = Field(
        default=(), description="Further directives, as the batch system writes them."
    )
    skip_directives: tuple[Line, ...] = Field(
        default=(),
        description="Directives to leave out: those that contain one of these texts.",
    )
    resource_spec: Line | None = Field(
        default=None,
        description="Resource request in the batch system's words (pbs, sge, oar).",
    )
    python: Line | None = Field(
        default=None, description="Python of the worker; the driver's own if absent."
    )
    scratch: Line | None = Field(
        default=None,
        description="Node-local folder of the worker; in the run folder if absent.",
    )

    @property
    def threads(self) -> int:
        """Threads an engine may use: each of its MPI ranks, where the prefix starts several."""
        return max(1, self.cores // self.units // ranks_of(self.prefix))

    @property
    def life_s(self) -> float:
        """Time that a job can give to units [s]; infinite without a walltime."""
        return (
            float("inf") if self.walltime is None else self.walltime - margin_s(self.walltime)
        )

    @model_validator(mode="after")
    def _check_numbers(self) -> Self:
        if self.min_jobs > self.max_jobs:
            msg = f"min_jobs {self.min_jobs} is above max_jobs {self.max_jobs}"
            raise ValueError(msg)
        if self.units > self.cores:
            msg = f"units {self.units} need at least as many cores, found cores {self.cores}"
            raise ValueError(msg)
        return self


class CommonSettings(Section):
    """What all clusters have in common."""

    dashboard_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8787, description="Port of the dashboard on loopback; another if it is taken."
    )
    tls: bool = Field(
        default=True, description="Encrypt and authenticate what scheduler and workers say."
    )


class LocalSettings(CommonSettings):
    """Workers on this machine."""

    workers: Count | None = Field(
        default=None,
        description="Worker processes; one per core the process may use if absent.",
    )
    threads: Count = Field(default=1, description="Threads an engine in a worker may use.")
    pools: dict[PoolName, PoolSettings] = Field(
        default={}, description="Pools instead of `workers`; queue and account do not matter."
    )


class QueueSettings(CommonSettings):
    """Workers in jobs of a batch system."""

    pools: dict[PoolName, PoolSettings] = Field(min_length=1, description="Pools by name.")
    interface: Word | None = Field(
        default=None, description="Network interface of scheduler and workers, such as ib0."
    )
    host: Word | None = Field(
        default=None, description="Address the scheduler listens on, instead of an interface."
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=0, description="Port of the scheduler; any free one if 0."
    )
    grace: TimeS = Field(
        default=600,
        description="Jobs wait so long for a new driver after theirs has died, then end.",
    )
    poll: Interval = Field(default=15, description="Time between two looks at the queue.")
    idle: TimeS = Field(default=300, description="A job without work is kept for so long.")
    start_timeout: TimeS = Field(
        default=600, description="A job that runs for so long without its worker is replaced."
    )
    job_attempts: Count = Field(
        default=5,
        description="Jobs of a pool that may fail in a row before the pool is given up.",
    )


class SerialSettings(Section):
    """No cluster: everything in the driver."""

    threads: Count = Field(default=1, description="Threads an engine may use.")
