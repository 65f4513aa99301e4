"""Engines by name: each turns its settings into a runner."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError

from dasksse.config.schema import RegistrySection, Section
from dasksse.engine.dask_runner import TAGS, DaskRunner
from dasksse.engine.serial_runner import SerialRunner
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dasksse.records import Runner


class LocalSettings(Section):
    """Workers on this machine."""

    workers: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Worker processes; one per core the process may use if absent.",
    )
    threads: Annotated[int, Field(ge=1)] = Field(
        default=1, description="Threads an engine inside a worker may use."
    )
    dashboard_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8787, description="Port of the dashboard on loopback; another if it is taken."
    )


class SerialSettings(Section):
    """No cluster: everything in the driver."""

    threads: Annotated[int, Field(ge=1)] = Field(
        default=1, description="Threads an engine may use."
    )


@dataclass(frozen=True)
class EngineKind:
    """One way to run units."""

    settings: type[Section]
    make: Callable[[Any, Path, bool], Runner]
    summary: str


def usable_cores() -> int:
    """Cores this process may run on."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


_DASK_SETTINGS = {
    # every task on a dying worker counts; the driver has its own budget of failures
    "distributed.scheduler.allowed-failures": 1000,
    "distributed.scheduler.worker-saturation": 1.0,
    # engines run for hours in threads that Dask cannot see into
    "distributed.scheduler.worker-ttl": None,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.admin.tick.limit": "60s",
    "distributed.comm.timeouts.connect": "60s",
    "distributed.comm.timeouts.tcp": "120s",
}


def _make_local(settings: LocalSettings, run_dir: Path, reproducible: bool) -> Runner:
    import dask
    from distributed import LocalCluster

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(settings.threads)
    dask.config.set(_DASK_SETTINGS)
    cluster = LocalCluster(
        n_workers=settings.workers or max(1, usable_cores() // settings.threads),
        threads_per_worker=1,
        processes=True,
        memory_limit=0,
        host="127.0.0.1",
        dashboard_address=f"127.0.0.1:{settings.dashboard_port}",
        resources=dict.fromkeys(TAGS, 1),
        local_directory=str(run_dir / "scratch"),
        silence_logs=40,
    )
    return DaskRunner(cluster, run_dir, threads=settings.threads, reproducible=reproducible)


def _make_serial(settings: SerialSettings, run_dir: Path, reproducible: bool) -> Runner:
    return SerialRunner(run_dir, threads=settings.threads, reproducible=reproducible)


ENGINES: dict[str, EngineKind] = {
    "local": EngineKind(LocalSettings, _make_local, "Dask workers on this machine"),
    "serial": EngineKind(SerialSettings, _make_serial, "one unit after the other, no Dask"),
}


def check_engine(section: RegistrySection) -> Section:
    """Settings of the engine a config names.

    Raises
    ------
    ConfigError
        When there is no such engine, or a setting is wrong; says what is allowed.
    """
    from dasksse.config.messages import describe_validation, nearest

    kind = ENGINES.get(section.kind)
    if kind is None:
        allowed = ", ".join(sorted(ENGINES))
        msg = (
            f"kind: found {section.kind!r}, allowed: {allowed}{nearest(section.kind, ENGINES)}"
        )
        raise ConfigError(msg)
    try:
        return kind.settings.model_validate(section.settings)
    except ValidationError as error:
        raise ConfigError(
            "; ".join(describe_validation(error, prefix="settings", model=kind.settings))
        ) from error


def make_runner(section: RegistrySection, run_dir: Path, *, reproducible: bool) -> Runner:
    """Start the engine a config names."""
    settings = check_engine(section)
    return ENGINES[section.kind].make(settings, run_dir, reproducible)


def slots(section: RegistrySection) -> int:
    """Units that an engine runs at the same time."""
    settings = check_engine(section)
    if isinstance(settings, LocalSettings):
        return settings.workers or max(1, usable_cores() // settings.threads)
    return 1
