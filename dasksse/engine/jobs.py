"""Keeps the right number of jobs in each pool: submits, replaces, cancels, says why."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

from dasksse.engine.folder import JOB_PREFIX
from dasksse.engine.job_books import Demand, Job, JobBooks, PoolCare, is_overdue
from dasksse.engine.queues import QueueError
from dasksse.engine.scaling import BackOff, SlowToShrink, wanted_jobs
from dasksse.errors import ClusterError
from dasksse.process import read_log_tail
from dasksse.records import PoolState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dasksse.engine.folder import ClusterFolder
    from dasksse.engine.hub import Worker
    from dasksse.engine.job_queue import JobQueue, Pace
    from dasksse.engine.queues import QueuedJob
    from dasksse.engine.settings import PoolSettings

SUBMIT_AT_ONCE = 10
"""Jobs submitted between two looks at the queue, at most: queues dislike storms."""

SHORT_LIFE_S = 60.0
"""A job that dies younger counts as a failure, not as a loss."""

HARMLESS = frozenset({"", "None", "Priority", "Resources", "BeginTime"})
"""Reasons to wait that mean nothing but patience."""

_NUMBER = re.compile(r"\d+")


class JobKeeper:
    """Runs rounds in a thread of its own, so that a slow queue holds up nobody.

    Parameters
    ----------
    queue
        Where jobs run.
    pools
        Settings by name.
    folder
        Cluster folder.
    workers
        Gives the workers that are connected.
    pace
        How fast.
    """

    def __init__(
        self,
        queue: JobQueue,
        pools: Mapping[str, PoolSettings],
        folder: ClusterFolder,
        *,
        workers: Callable[[], Mapping[str, Worker]],
        pace: Pace,
    ) -> None:
        self._queue = queue
        self._workers = workers
        self._pace = pace
        self._pools = {
            name: PoolCare(
                settings,
                SlowToShrink(pace.idle_s),
                BackOff(pace.back_off_s, pace.back_off_most_s),
            )
            for name, settings in pools.items()
        }
        self._lock = threading.RLock()
        self._demand = Demand()
        self._news: list[str] = []
        self._polled = 0.0
        self._listing: dict[str, QueuedJob] = {}
        self._queue_failures = 0
        self._broken = ""
        self._closing = threading.Event()
        run_id = folder.prepare()
        self._books = JobBooks(folder, queue.kind, f"{JOB_PREFIX}-{run_id}")
        self._thread = threading.Thread(target=self._run, name="job-keeper", daemon=True)

    def start(self) -> None:
        """Begin; the first round starts jobs that a minimum asks for."""
        self._adopt()
        self._thread.start()

    def tell(self, waiting: Mapping[str, int], running: Mapping[str, int]) -> None:
        """Units that wait, by tag, and that run, by job."""
        with self._lock:
            self._demand = Demand(dict(waiting), dict(running))

    def is_open(self, job: str) -> bool:
        """True when a job may be given units."""
        with self._lock:
            known = self._books.jobs.get(job)
            return known is not None and not known.leaving

    def longest_life_s(self, tag: str) -> float:
        """Longest time that a job which takes this tag can give to one unit [s]."""
        pools = (pool.settings for pool in self._pools.values())
        return max((p.life_s for p in pools if tag in p.tags), default=float("inf"))

    def unit_done(self, job: str) -> None:
        """A unit was done: the pool of this job works."""
        with self._lock:
            if (known := self._books.jobs.get(job)) is not None:
                self._pools[known.pool].back_off.succeed()
                self._pools[known.pool].given_up = ""

    def news(self) -> list[str]:
        """What happened since the last call."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def hopeless(self) -> str:
        """Why no unit that waits can ever run; empty while there is hope."""
        if self._broken:
            return self._broken
        with self._lock:
            if any(job.connected for job in self._books.jobs.values()):
                return ""
            for tag, count in self._demand.waiting.items():
                offering = [p for p in self._pools.values() if tag in p.settings.tags]
                if count and offering and all(pool.given_up for pool in offering):
                    return "; ".join(pool.given_up for pool in offering)
        return ""

    def states(self) -> list[PoolState]:
        """How the pools stand."""
        workers = self._workers().values()
        with self._lock:
            states = []
            for name, pool in self._pools.items():
                jobs = [job for job in self._books.jobs.values() if job.pool == name]
                connected = len({w.job for w in workers} & {job.name for job in jobs})
                states.append(
                    PoolState(
                        name=name,
                        tags=tuple(pool.settings.tags),
                        jobs_running=connected,
                        jobs_queued=len(jobs) - connected,
                        max_jobs=pool.settings.max_jobs,
                        workers=sum(worker.pool == name for worker in workers),
                        units_running=sum(self._demand.running.get(j.name, 0) for j in jobs),
                        trouble=pool.given_up or pool.trouble,
                    )
                )
            return states

    def close(self) -> None:
        """Cancel all jobs and stop."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self.round(time.time())
            except ClusterError as error:  # its commands are not there: nothing will help
                self._broken = str(error)
            except Exception as error:  # noqa: BLE001 - the keeper must outlive any surprise
                self._say(f"job keeper: {type(error).__name__}: {error}")
                self._closing.wait(5.0)
            self._closing.wait(self._pace.tick_s)
        self._end(list(self._books.jobs.values()))

    def round(self, now: float) -> None:
        """Look, judge, act, once."""
        is_fresh = now - self._polled >= self._pace.poll_s
        if is_fresh and not self._look(now):
            return
        workers = {worker.job for worker in self._workers().values()}
        with self._lock:
            for job in list(self._books.jobs.values()):
                self._judge(job, is_connected=job.name in workers, is_fresh=is_fresh, now=now)
            by_pool: dict[str, int] = {}
            for name, units in self._demand.running.items():
                if (known := self._books.jobs.get(name)) is not None:
                    by_pool[known.pool] = by_pool.get(known.pool, 0) + units
            settings = {name: pool.settings for name, pool in self._pools.items()}
            wanted = wanted_jobs(settings, self._demand.waiting, by_pool)
        for name, pool in self._pools.items():
            pool.target = pool.shrink(now, wanted[name])
            self._steer(name, pool, now)
        self._books.save()

    def _look(self, now: float) -> bool:
        """Ask the queue once for all jobs; False when it does not answer."""
        self._polled = now
        try:
            listing = self._queue.poll()
        except QueueError as error:
            self._queue_failures += 1
            if self._queue_failures in {3, 30, 300}:
                self._say(f"the queue does not answer, jobs are left as they are: {error}")
            return False
        if self._queue_failures >= 3:  # noqa: PLR2004 - when it was said
            self._say("the queue answers again")
        self._queue_failures = 0
        self._listing = {job.job_id: job for job in listing}
        return True

    def _judge(self, job: Job, *, is_connected: bool, is_fresh: bool, now: float) -> None:
        """Bring one job up to date; drop it when it is gone."""
        job.connected = is_connected
        if is_connected:
            job.first_seen = job.first_seen or now
            job.last_seen = now
        entry = self._listing.get(job.job_id)
        if entry is not None and entry.state != "ending":
            self._judge_living(job, entry, now)
        elif is_fresh and (entry is not None or now - job.submitted >= self._pace.settle_s):
            if entry is not None:
                self._end([job])
            self._books.drop(job)
            if not job.leaving:
                self._judge_gone(job, "" if entry is None else entry.reason, now)

    def _judge_living(self, job: Job, entry: QueuedJob, now: float) -> None:
        """Replace a job that runs and has no worker."""
        pool = self._pools[job.pool]
        if entry.state == "running":
            job.running_since = job.running_since or now
        self._note_reason(job, pool, entry.reason)
        silent_since = max(job.running_since, job.last_seen)
        is_silent = job.running_since and not job.connected and not job.leaving
        if is_silent and now - silent_since > self._pace.start_timeout_s:
            self._fail(job, pool, now, "its worker never came")
            self._end([job])

    def _judge_gone(self, job: Job, reason: str, now: float) -> None:
        """Say why a job is gone; one that failed makes the next one wait."""
        pool = self._pools[job.pool]
        if not job.first_seen:
            self._fail(job, pool, now, f"it ended before its worker came {reason}".rstrip())
        elif is_overdue(job, pool.settings, now):
            self._say(f"{job.name} has reached its walltime; another job goes on")
        elif now - job.first_seen < SHORT_LIFE_S:
            self._fail(job, pool, now, "it died young")
        else:
            self._say(f"{job.name} ({job.job_id}) was lost; another job goes on")

    def _note_reason(self, job: Job, pool: PoolCare, reason: str) -> None:
        """Remember why a job waits; say it once when patience alone will not help."""
        if reason in HARMLESS:
            if job.running_since:
                pool.trouble = ""
            return
        # some batch systems count in their reasons: the same words are no news
        if _NUMBER.sub("", pool.trouble) != _NUMBER.sub("", reason):
            self._say(f"{job.name} waits in the queue: {reason}")
        pool.trouble = reason

    def _fail(self, job: Job, pool: PoolCare, now: float, what: str) -> None:
        wait_s = pool.back_off.fail(now)
        tail = read_log_tail(self._queue.log(job.name), lines=6)
        text = f"{job.name} ({job.job_id}): {what}"
        self._refuse(pool, f"{text}\n{tail}".rstrip(), wait_s)

    def _refuse(self, pool: PoolCare, text: str, wait_s: float) -> None:
        """Say what went wrong and what comes next."""
        failures = pool.back_off.failures
        if failures >= self._pace.job_attempts:
            pool.given_up = f"{text} (failure {failures} in a row)"
            self._say(f"{pool.given_up}; no more jobs for this pool")
        else:
            self._say(f"{text}\nnext try in {wait_s:.0f} s")

    def _steer(self, name: str, pool: PoolCare, now: float) -> None:
        """Submit what is missing or cancel what is too much."""
        with self._lock:
            jobs = [job for job in self._books.jobs.values() if job.pool == name]
            useful = [
                job
                for job in jobs
                if not job.leaving and not is_overdue(job, pool.settings, now)
            ]
        missing = min(pool.target - len(useful), pool.settings.max_jobs - len(jobs))
        if missing > 0 and not pool.given_up and not pool.back_off.is_waiting(now):
            for _ in range(min(missing, SUBMIT_AT_ONCE)):
                if not self._submit(name, pool, now):
                    return
        elif len(useful) > pool.target:
            self._shrink(useful, len(useful) - pool.target)

    def _submit(self, name: str, pool: PoolCare, now: float) -> bool:
        job_name = self._books.next_name(name)
        try:
            job_id = self._queue.submit(job_name, name)
        except QueueError as error:
            wait_s = pool.back_off.fail(now)
            pool.trouble = str(error)
            self._refuse(pool, f"the queue refused {job_name}: {error}", wait_s)
            return False
        with self._lock:
            self._books.add(Job(job_name, name, job_id, now))
        return True

    def _shrink(self, jobs: list[Job], count: int) -> None:
        """End jobs that are not needed: waiting ones first, never one with a unit."""
        with self._lock:
            idle = [job for job in jobs if not self._demand.running.get(job.name)]
            idle.sort(key=lambda job: job.connected)
            for job in idle[:count]:
                job.leaving = True
        self._end(idle[:count])

    def _end(self, jobs: list[Job]) -> None:
        """Cancel jobs by one command and forget them."""
        try:
            if jobs:
                self._queue.cancel([job.job_id for job in jobs])
        except QueueError as error:
            self._say(f"jobs could not be cancelled: {error}")
            return
        with self._lock:
            for job in jobs:
                self._books.drop(job)
        self._books.save()

    def _adopt(self) -> None:
        """Take over jobs that an earlier driver of this run left behind; cancel unfit ones."""
        try:
            listing = self._queue.poll()
        except QueueError as error:
            self._say(f"jobs of an earlier driver could not be looked for: {error}")
            return
        fit, unfit = self._books.adopt(listing, set(self._pools), time.time())
        if fit:
            self._say(f"{len(fit)} jobs of an earlier driver go on: {', '.join(fit)}")
        if unfit:
            self._say(f"{len(unfit)} jobs of an earlier driver are cancelled")
            self._queue.cancel(unfit)

    def _say(self, text: str) -> None:
        with self._lock:
            self._news.append(text)
