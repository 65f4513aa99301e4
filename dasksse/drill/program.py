"""The drill: a calm run, disturbed runs with the same configuration, and the comparison."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.drill.compare import compare_runs, models_differ_where_hit
from dasksse.drill.kinds import KINDS
from dasksse.drill.outcome import Outcome
from dasksse.drill.pinning import pin_models
from dasksse.drill.rounds import CalmUnits, GaveUp, Round
from dasksse.drill.scene import hosts_of_jobs, this_host
from dasksse.drill.schedule import Schedule
from dasksse.drill.session import Session
from dasksse.drill.strays import END_S, end_strays
from dasksse.drill.toy import GENERATIONS, SEGMENT_STEPS, write_toy
from dasksse.errors import ConfigError
from dasksse.report.formats import format_duration
from dasksse.store.folders import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.drill.rounds import Screen

LOOK_S = 0.2
CALM = "calm"
CALM_HUNG_AFTER_S = 600.0
LEAST_HUNG_AFTER_S = 10.0
CLUSTER_END_S = 60.0
"""A batch system may need so long to end a job [s]."""


@dataclass(frozen=True)
class DrillSettings:
    """What to do.

    Attributes
    ----------
    root
        Folder for all runs; must be new.
    kills
        Deaths in all.
    seed
        Of the kinds, moments and victims.
    engine
        Kind of the engine.
    cluster
        Cluster file that says so; two workers on this machine when None.
    generations
        Learning generations of the runs.
    kinds
        Kinds of death.
    """

    root: Path
    kills: int = 20
    seed: int = 0
    engine: str = "local"
    cluster: Path | None = None
    generations: int = GENERATIONS
    kinds: tuple[str, ...] = tuple(KINDS)


class Drill:
    """One drill.

    Parameters
    ----------
    settings
        What to do.
    screen
        Where the user watches.
    """

    def __init__(self, settings: DrillSettings, screen: Screen) -> None:
        self._settings = settings
        self._screen = screen
        self._schedule = Schedule(settings.kinds, settings.kills, seed=settings.seed)
        self._outcome = Outcome(settings.seed, settings.engine, SEGMENT_STEPS)
        self._calm_units = CalmUnits({}, 0.0)

    @property
    def _calm(self) -> Path:
        return self._settings.root / CALM

    @property
    def _is_local(self) -> bool:
        return self._settings.engine == "local"

    def run(self) -> Outcome:
        """Do all of it.

        Raises
        ------
        ConfigError
            When the folder is not new, or the cluster file cannot be used.
        """
        root = self._settings.root
        if root.exists() and any(root.iterdir()):
            msg = f"{root} is not empty; choose another folder with --dir, or remove it"
            raise ConfigError(msg)
        started = time.monotonic()
        root.mkdir(parents=True, exist_ok=True)
        try:
            self._run_calmly(self._write_config("config", CALM_HUNG_AFTER_S))
            # No unit is silent for as long as the longest one takes.
            hung_after_s = max(LEAST_HUNG_AFTER_S, self._calm_units.longest_s)
            config = self._write_config("config-disturbed", hung_after_s)
            while self._schedule.left:
                self._run_disturbed(config)
            self._outcome.is_compared = self._outcome.rounds > 0
        except GaveUp as error:
            self._outcome.troubles.append(str(error))
        self._outcome.wall_s = time.monotonic() - started
        return self._outcome

    def _write_config(self, name: str, hung_after_s: float) -> Path:
        return write_toy(
            self._settings.root / name,
            generations=self._settings.generations,
            hung_after_s=hung_after_s,
        )

    def _session(self, config: Path, run_dir: Path) -> Session:
        return Session(config, run_dir, self._settings.cluster)

    def _run_calmly(self, config: Path) -> None:
        """Do the run that all others are compared with."""
        session = self._session(config, self._calm)
        started = time.monotonic()
        session.start()
        try:
            while (code := session.code()) is None:
                self._screen.show(f"calm run, {format_duration(time.monotonic() - started)}")
                time.sleep(LOOK_S)
        finally:
            session.stop()
        if code != 0:
            msg = f"the calm run ended with {code}; end of its log:\n{session.last_words()}"
            raise GaveUp(msg)
        folder = RunFolder(self._calm)
        results = {key: folder.unit_result(kind, key) for kind, key in folder.done_units()}
        self._calm_units = CalmUnits(
            {key: int(result["generation"]) for key, result in results.items()},
            max(float(result["wall_s"]) for result in results.values()),
        )
        took = format_duration(time.monotonic() - started)
        self._screen.say(f"calm run: {len(results)} units in {took}")
        self._leave_out_what_cannot_be()

    def _leave_out_what_cannot_be(self) -> None:
        """Strike off the deaths of processes that run on other hosts."""
        hosts = hosts_of_jobs(self._calm)
        if this_host() in hosts:
            return
        reason = f"workers run on {', '.join(sorted(hosts))}, out of this drill's reach"
        for kind in self._schedule.drop(lambda kind: KINDS[kind].is_local):
            self._outcome.left_out[kind] = reason
        if self._outcome.left_out:
            self._screen.say(f"left out: {', '.join(self._outcome.left_out)}: {reason}")

    def _run_disturbed(self, config: Path) -> None:
        """Do one run with deaths, and compare it."""
        outcome = self._outcome
        outcome.rounds += 1
        run_dir = self._settings.root / f"round-{outcome.rounds}"
        if outcome.is_pinned:
            pin_models(self._calm, run_dir)
        self._screen.say(f"round {outcome.rounds}" + (", models pinned" * outcome.is_pinned))
        round_ = Round(
            self._session(config, run_dir),
            self._schedule,
            outcome,
            calm=self._calm_units,
            is_local=self._is_local,
            screen=self._screen,
        )
        try:
            round_.run()
        finally:
            patience_s = END_S if self._is_local else CLUSTER_END_S
            outcome.orphans += end_strays(run_dir, patience_s=patience_s)
        self._compare(run_dir, round_.happened)
        if not round_.happened:
            kinds = ", ".join(sorted(set(self._schedule.left)))
            msg = f"a whole run offered no victim for {kinds}"
            raise GaveUp(msg)

    def _compare(self, run_dir: Path, happened: list[str]) -> None:
        """Compare a run with the calm one; with pinned models where training itself differs."""
        differences = compare_runs(self._calm, run_dir)
        if not differences:
            self._screen.say(f"{run_dir.name} is equal to the calm run")
        elif not self._outcome.is_pinned and models_differ_where_hit(self._calm, run_dir):
            self._outcome.is_pinned = True
            self._schedule.put_back(happened)
            self._screen.say(
                f"{run_dir.name}: trainings that were hit gave other models; once more "
                "with the models of the calm run"
            )
        else:
            self._outcome.differences += [f"{run_dir.name}: {text}" for text in differences]
            self._screen.say(f"{run_dir.name} differs from the calm run")
