"""Engines by name: each turns its settings into a runner."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dasksse.engine.serial_runner import SerialRunner
from dasksse.engine.settings import (
    LocalSettings,
    PoolSettings,
    QueueSettings,
    SerialSettings,
)
from dasksse.errors import ConfigError
from dasksse.loop.label_rate import cores_of
from dasksse.records import Workplace
from dasksse.report.html import PERFORMANCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dasksse.config.schema import RegistrySection, Section
    from dasksse.records import Runner

LOCAL_GRACE_S = 60.0
"""A local job waits so long for a new scheduler; it dies with its driver anyway."""


@dataclass(frozen=True)
class Start:
    """What an engine is started with, besides its own settings.

    Attributes
    ----------
    run_dir
        Run folder.
    reproducible
        True in comparison mode.
    hung_after_s
        Silence after which an engine's child is taken for hung [s].
    """

    run_dir: Path
    reproducible: bool = False
    hung_after_s: float = 900.0


@dataclass(frozen=True)
class EngineKind:
    """One way to run units."""

    settings: type[Section]
    make: Callable[[str, Any, Start], Runner]
    summary: str


def usable_cores() -> int:
    """Cores this process may run on."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


def local_pools(settings: LocalSettings) -> dict[str, PoolSettings]:
    """Pools on this machine: as set, or one for everything."""
    if settings.pools:
        return dict(settings.pools)
    workers = settings.workers or max(1, usable_cores() // settings.threads)
    pool = PoolSettings(cores=workers * settings.threads, units=workers, min_jobs=1)
    return {"local": pool}


def _make_local(_: str, settings: LocalSettings, start: Start) -> Runner:
    from dasksse.engine.folder import ClusterFolder
    from dasksse.engine.hub import Listening
    from dasksse.engine.job_queue import Pace
    from dasksse.engine.local_queue import LocalQueue

    folder = ClusterFolder(start.run_dir / "cluster")
    folder.prepare()
    listening = Listening(dashboard_port=settings.dashboard_port, tls=settings.tls)
    pace = Pace(
        tick_s=0.25,
        poll_s=0.25,
        settle_s=0.0,
        start_timeout_s=120.0,
        back_off_s=1.0,
        back_off_most_s=60.0,
    )
    pools = local_pools(settings)
    _write_pools(folder, pools, start, grace_s=LOCAL_GRACE_S, interface=None)
    return _connect(folder, LocalQueue(folder), pools, listening, pace, start)


def _make_queue(kind: str, settings: QueueSettings, start: Start) -> Runner:
    from distributed.utils import get_ip

    from dasksse.engine.batch_jobs import BatchJobs
    from dasksse.engine.folder import ClusterFolder
    from dasksse.engine.hub import Listening
    from dasksse.engine.job_queue import Pace

    folder = ClusterFolder(start.run_dir / "cluster")
    folder.prepare()
    host = settings.host or (None if settings.interface else get_ip())
    listening = Listening(
        host=host,
        interface=None if settings.host else settings.interface,
        port=settings.port,
        dashboard_port=settings.dashboard_port,
        tls=settings.tls,
    )
    pace = Pace(
        poll_s=settings.poll,
        idle_s=settings.idle,
        settle_s=max(30.0, 2.0 * settings.poll),
        start_timeout_s=settings.start_timeout,
        job_attempts=settings.job_attempts,
    )
    _write_pools(
        folder,
        settings.pools,
        start,
        grace_s=settings.grace,
        interface=settings.interface,
    )
    queue = BatchJobs(kind, settings.pools, folder)
    return _connect(folder, queue, settings.pools, listening, pace, start)


def _write_pools(
    folder: Any,  # noqa: ANN401 - imported late
    pools: Mapping[str, PoolSettings],
    start: Start,
    *,
    grace_s: float,
    interface: str | None,
) -> None:
    from dasksse.engine.folder import PoolFacts

    for name, pool in pools.items():
        facts = PoolFacts.of(
            pool, hung_after_s=start.hung_after_s, grace_s=grace_s, interface=interface
        )
        folder.write_pool(name, facts)


def _connect(
    folder: Any,  # noqa: ANN401
    queue: Any,  # noqa: ANN401
    pools: Mapping[str, PoolSettings],
    listening: Any,  # noqa: ANN401
    pace: Any,  # noqa: ANN401
    start: Start,
) -> Runner:
    """Start the scheduler, then the jobs."""
    from dasksse.engine.batch_jobs import end_jobs_elsewhere
    from dasksse.engine.dask_runner import DaskRunner
    from dasksse.engine.hub import Hub
    from dasksse.engine.jobs import JobKeeper

    left = end_jobs_elsewhere(folder, queue.kind)
    hub = Hub(folder, listening)
    hub.record(start.run_dir / "report" / PERFORMANCE)
    jobs = JobKeeper(queue, pools, folder, workers=lambda: hub.workers, pace=pace)
    jobs.start()
    runner = DaskRunner(hub, jobs, start.run_dir, reproducible=start.reproducible)
    if left:
        runner.tell(left)
    return runner


def _make_serial(_: str, settings: SerialSettings, start: Start) -> Runner:
    workplace = Workplace(threads=settings.threads, hung_after_s=start.hung_after_s)
    return SerialRunner(start.run_dir, workplace=workplace, reproducible=start.reproducible)


_BATCH = {
    "slurm": "SLURM",
    "pbs": "PBS Pro and Torque",
    "sge": "Grid Engine",
    "lsf": "LSF",
    "htcondor": "HTCondor",
    "oar": "OAR",
    "moab": "Moab",
}

ENGINES: dict[str, EngineKind] = {
    "local": EngineKind(LocalSettings, _make_local, "Dask workers on this machine"),
    "serial": EngineKind(SerialSettings, _make_serial, "one unit after the other, no Dask"),
    **{
        kind: EngineKind(QueueSettings, _make_queue, f"Dask workers in jobs of {name}")
        for kind, name in _BATCH.items()
    },
}


def check_engine(section: RegistrySection) -> Section:
    """Settings of the engine a config names.

    Raises
    ------
    ConfigError
        When there is no such engine, a setting is wrong, no pool takes some kind of unit, or
        the batch system cannot give what a pool asks for; says what is allowed.
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
        settings = kind.settings.model_validate(section.settings)
    except ValidationError as error:
        raise ConfigError(
            "; ".join(describe_validation(error, prefix="settings", model=kind.settings))
        ) from error
    _check_tags(settings)
    if isinstance(settings, QueueSettings):
        from dasksse.engine.scripts import check_pools

        check_pools(section.kind, settings.pools)
    return settings


def _check_tags(settings: Section) -> None:
    """Refuse pools that leave a kind of unit without a worker: it would wait for ever."""
    from dasksse.engine.settings import TAGS

    pools: Mapping[str, PoolSettings] = getattr(settings, "pools", {})
    offered = {tag for pool in pools.values() for tag in pool.tags}
    missing = [tag for tag in TAGS if tag not in offered]
    if pools and missing:
        msg = (
            f"settings.pools: no pool takes {', '.join(missing)} units; "
            "add the tag to a pool's `tags`"
        )
        raise ConfigError(msg)


def make_runner(section: RegistrySection, start: Start) -> Runner:
    """Start the engine a config names."""
    settings = check_engine(section)
    return ENGINES[section.kind].make(section.kind, settings, start)


def slots(section: RegistrySection) -> int:
    """Units that an engine runs at the same time, at most."""
    pools = _pools(check_engine(section)).values()
    return sum(pool.units * pool.max_jobs for pool in pools) or 1


def label_cores(section: RegistrySection) -> int:
    """Cores that an engine gives to one label; the most, where its pools differ."""
    settings = check_engine(section)
    pools = [pool for pool in _pools(settings).values() if "LABEL" in pool.tags]
    cores = (cores_of(pool.threads, pool.prefix) for pool in pools)
    return max(cores, default=int(getattr(settings, "threads", 1)))


def _pools(settings: Section) -> Mapping[str, PoolSettings]:
    """Pools of an engine; none of one without."""
    if isinstance(settings, LocalSettings):
        return local_pools(settings)
    return settings.pools if isinstance(settings, QueueSettings) else {}
