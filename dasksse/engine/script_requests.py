"""What a pool asks of its batch system, in that batch system's words: one function for each."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasksse.engine.settings import parse_memory_bytes
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dasksse.engine.settings import PoolSettings

_OWN_PREFIX = re.compile(r"^#(SBATCH|PBS|MSUB|\$|BSUB|OAR)\s+")
_CONDOR_MACRO = re.compile(r"\$(?=[\w$]*\()")
_CONDOR_DISK = "1 GB"


@dataclass(frozen=True)
class Request:
    """What one batch system is asked for.

    Attributes
    ----------
    job
        Job class of dask-jobqueue.
    keywords
        Its keywords, besides those that all classes have.
    directives
        Ours; those of the user come after them.
    skip
        Texts of directives that dask-jobqueue is to leave out.
    """

    job: Any
    keywords: Mapping[str, Any]
    directives: Sequence[str] = ()
    skip: Sequence[str] = ()

    def write(self, pool: PoolSettings, common: Mapping[str, Any]) -> str:
        """Shell script with directives."""
        ours = [line for line in self.directives if not _is_skipped(line, pool)]
        theirs = [_OWN_PREFIX.sub("", line) for line in pool.directives]
        job = self.job(
            job_script_prologue=[*_exports(pool), *pool.setup],
            job_directives_skip=[*pool.skip_directives, *self.skip],
            job_extra_directives=[*ours, *theirs],
            shebang="#!/usr/bin/env bash",
            **common,
            **self.keywords,
        )
        text: str = job.job_script()
        return text


class CondorRequest(Request):
    """HTCondor takes ``key = value`` lines and one command line instead of a script."""

    def write(self, pool: PoolSettings, common: Mapping[str, Any]) -> str:
        """Submit description."""
        setup = [f"eval {_one_line(pool.setup)}"] if pool.setup else []
        job = self.job(
            job_script_prologue=["exec 2>&1", *_exports(pool), *setup],
            job_directives_skip=[],
            job_extra_directives={},
            shebang="#!/usr/bin/env condor_submit",
            **common,
            **self.keywords,
        )
        job.executable = "/bin/bash"
        theirs = dict(map(_split, pool.directives))
        told = set(map(_condor_key, theirs))
        header = job.job_header_dict | dict(map(_split, self.directives))
        job.job_header_dict = {
            key: value
            for key, value in header.items()
            if _condor_key(key) not in told and not _is_skipped(f"{key} = {value}", pool)
        } | theirs
        return "\n".join(
            _CONDOR_MACRO.sub("$(DOLLAR)", line) if line.startswith("Arguments =") else line
            for line in job.job_script().splitlines()
        )


def _condor_key(key: str) -> str:
    """``request_memory`` and ``RequestMemory`` are the same to HTCondor."""
    return key.lower().replace("_", "")


def _split(line: str) -> tuple[str, str]:
    key, equals, value = line.partition("=")
    if not equals:
        msg = f"directives: found {line!r}, HTCondor needs lines such as 'key = value'"
        raise ConfigError(msg)
    return key.strip(), value.strip()


def _one_line(lines: Sequence[str]) -> str:
    """Shell lines as one word of one line, comments and blocks intact."""
    text = "\n".join(lines).replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + text.replace("\n", "\\n") + "'"


def _exports(pool: PoolSettings) -> list[str]:
    return [f"export {name}={shlex.quote(v)}" for name, v in pool.environment.items()]


def _is_skipped(line: str, pool: PoolSettings) -> bool:
    return any(text in line for text in pool.skip_directives)


def _gpu_directives(pool: PoolSettings, line: str) -> list[str]:
    """A directive for GPUs, unless the user has written one."""
    told = " ".join((*pool.directives, pool.resource_spec or "")).lower()
    return [line] if pool.gpus and "gpu" not in told and "gres" not in told else []


def _refuse(pool: PoolSettings, key: str, instead: str) -> None:
    if (found := getattr(pool, key)) is not None:
        msg = f"{key}: found {found!r}, which this batch system does not have; {instead}"
        raise ConfigError(msg)


def _clock(seconds: int | None) -> str | None:
    """``HH:MM:SS``; hours may exceed 24, which all batch systems read."""
    if seconds is None:
        return None
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _memory_mib(pool: PoolSettings) -> int:
    return math.ceil(parse_memory_bytes(pool.memory) / (1 << 20))


# --- one function for each batch system -------------------------------------------------------


def _slurm(pool: PoolSettings, log: str) -> Request:
    from dask_jobqueue.slurm import SLURMJob

    _refuse(pool, "resource_spec", "write `directives`, such as --constraint=skylake")
    keywords = {
        "queue": pool.queue,
        "account": pool.account,
        "walltime": _clock(pool.walltime),
    }
    gpus = _gpu_directives(pool, f"--gres=gpu:{pool.gpus}")
    return Request(SLURMJob, keywords, [f"-o {log}.log", "--no-requeue", *gpus])


def _pbs_like(job: Any, pool: PoolSettings, log: str, spec: str) -> Request:  # noqa: ANN401
    keywords = {
        "queue": pool.queue,
        "account": pool.account,
        "walltime": _clock(pool.walltime),
        "resource_spec": pool.resource_spec or spec,
    }
    directives = ["-j oe", f"-o {log}.log", "-r n", "-S /bin/bash"]
    # else the class takes an account from the environment
    skip = ["#PBS -A "] if pool.account is None else []
    return Request(job, keywords, directives, skip)


def _pbs(pool: PoolSettings, log: str) -> Request:
    from dask_jobqueue.pbs import PBSJob

    gpus = f":ngpus={pool.gpus}" if pool.gpus else ""
    spec = f"select=1:ncpus={pool.cores}:mem={_memory_mib(pool)}mb{gpus}"
    return _pbs_like(PBSJob, pool, log, spec)


def _moab(pool: PoolSettings, log: str) -> Request:
    from dask_jobqueue.moab import MoabJob

    gpus = f":gpus={pool.gpus}" if pool.gpus else ""
    spec = f"nodes=1:ppn={pool.cores}{gpus},mem={_memory_mib(pool)}mb"
    return _pbs_like(MoabJob, pool, log, spec)


def _sge(pool: PoolSettings, log: str) -> Request:
    from dask_jobqueue.sge import SGEJob

    if pool.cores > 1 and not any("-pe " in line for line in pool.directives):
        msg = (
            f"cores: found {pool.cores}; Grid Engine gives several cores only in a parallel "
            f"environment: add to directives '-pe smp {pool.cores}' (`qconf -spl` lists them)"
        )
        raise ConfigError(msg)
    keywords = {
        "queue": pool.queue,
        "project": pool.account,
        "walltime": _clock(pool.walltime),
        "resource_spec": pool.resource_spec,
    }
    gpus = _gpu_directives(pool, f"-l gpu={pool.gpus}")
    return Request(SGEJob, keywords, [f"-o {log}.log", "-r n", "-S /bin/bash", *gpus])


def _lsf(pool: PoolSettings, log: str) -> Request:
    from dask_jobqueue.lsf import LSFJob

    _refuse(pool, "resource_spec", 'write `directives`, such as -R "rusage[mem=4GB]"')
    walltime = None if pool.walltime is None else _clock(60 * math.ceil(pool.walltime / 60))
    keywords = {
        "queue": pool.queue,
        "project": pool.account,
        "walltime": walltime and walltime.removesuffix(":00"),
        "use_stdin": True,
    }
    gpus = _gpu_directives(pool, f'-gpu "num={pool.gpus}"')
    return Request(LSFJob, keywords, [f"-o {log}.log", "-rn", *gpus])


def _htcondor(pool: PoolSettings, log: str) -> Request:
    from dask_jobqueue.htcondor import HTCondorJob

    _refuse(pool, "resource_spec", "write `directives`, such as 'Requirements = ...'")
    _refuse(pool, "queue", "write `directives`, such as 'Requirements = ...'")
    over = (
        []
        if pool.walltime is None
        else [f"(JobStatus == 2 && time() - EnteredCurrentStatus > {pool.walltime})"]
    )
    # a job that was put off its machine is replaced by dasksse and must not start again
    remove = " || ".join(["(JobStatus == 1 && NumJobStarts > 0)", *over])
    directives = [
        f"Output = {log}.log",
        "Stream_Output = True",
        "transfer_executable = False",
        f"periodic_remove = {remove}",
        *([f"accounting_group = {pool.account}"] if pool.account else []),
        *_gpu_directives(pool, f"request_gpus = {pool.gpus}"),
    ]
    keywords = {"disk": _CONDOR_DISK, "submit_command_extra": [], "cancel_command_extra": []}
    return CondorRequest(HTCondorJob, keywords, directives)


def _oar(pool: PoolSettings, log: str) -> Request:
    from dask_jobqueue.oar import OARJob

    # the cores of a node come with its GPUs
    spec = f"/nodes=1/gpu={pool.gpus}" if pool.gpus else f"/nodes=1/core={pool.cores}"
    keywords = {
        "queue": pool.queue,
        "project": pool.account,
        "walltime": _clock(pool.walltime),
        "resource_spec": pool.resource_spec or spec,
        "memory_per_core_property_name": "not_applicable",
    }
    return Request(OARJob, keywords, [f"-O {log}.log", f"-E {log}.err"])


REQUESTS: Mapping[str, Callable[[PoolSettings, str], Request]] = {
    "slurm": _slurm,
    "pbs": _pbs,
    "sge": _sge,
    "lsf": _lsf,
    "htcondor": _htcondor,
    "oar": _oar,
    "moab": _moab,
}
"""By kind: takes the pool and the path of the job's log without its ending."""
