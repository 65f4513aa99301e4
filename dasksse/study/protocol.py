"""The studies of Huang et al. 2021 (doi:10.1063/5.0041849) as one plan of units."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dasksse.errors import ConfigError
from dasksse.loop.label_inputs import imported_labels
from dasksse.loop.walk import Plan, RunState, WaitingError, Walk
from dasksse.study.accuracy import Accuracy
from dasksse.study.bench import Bench
from dasksse.study.cell_size import CellSize
from dasksse.study.comparison import Comparison
from dasksse.study.diffusion import Diffusion
from dasksse.study.disorder import Disorder
from dasksse.study.functional import Functional
from dasksse.study.lattice_scaling import LatticeScaling
from dasksse.study.locality import Locality
from dasksse.study.members import Members
from dasksse.study.pair_distribution import PairDistributions
from dasksse.study.simulation_time import SimulationTime
from dasksse.study.speed import Speed
from dasksse.study.thermal_expansion import ThermalExpansion
from dasksse.study.time_step import TimeStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.config.schema import RunConfig
    from dasksse.study.outcome import Outcome, StudyKind

STUDIES: dict[str, StudyKind] = {
    kind.name: kind
    for kind in (
        Locality(),
        Accuracy(),
        Speed(),
        TimeStep(),
        SimulationTime(),
        CellSize(),
        Functional(),
        LatticeScaling(),
        ThermalExpansion(),
        Disorder(),
        PairDistributions(),
        Diffusion(),
        Members(),
        Comparison(),
    )
}
"""Every study by name, in the order of the paper."""

ALL = "all"

ALONE = Speed.name
"""Study that measures times, which other units would make longer: it waits for all of them."""


def chosen_studies(name: str, config: RunConfig) -> tuple[list[StudyKind], dict[str, str]]:
    """Studies to do, and why others cannot be done.

    Parameters
    ----------
    name
        Of a study, or ``all``.
    config
        The run's configuration.

    Raises
    ------
    ConfigError
        When there is no such study, or the configuration does not allow the one that is asked
        for.
    """
    if name != ALL and name not in STUDIES:
        msg = f"study: found {name!r}, allowed: {', '.join([ALL, *STUDIES])}"
        raise ConfigError(msg)
    asked = list(STUDIES.values()) if name == ALL else [STUDIES[name]]
    lacking = {kind.name: kind.lacks(config) for kind in asked}
    if name != ALL and lacking[name]:
        msg = f"{name}: {lacking[name]}"
        raise ConfigError(msg)
    kinds = [kind for kind in asked if not lacking[kind.name]]
    return kinds, {key: reason for key, reason in lacking.items() if reason}


class Protocol:
    """Some studies of one run as a plan.

    Parameters
    ----------
    kinds
        What to study.
    root
        Folder of the studies.
    models
        Files of the ensemble, below ``root``.
    labels
        Digests of the run's labels, see :func:`dasksse.study.inputs.take_labels`.
    base_dir
        Folder that paths in the configuration are relative to.
    levels
        Trust levels [eV/Å]; those of the configuration when None.
    earlier
        Studies of earlier commands: nothing is done for them, and their outcomes are given
        where all they rest on is still there and fits the configuration.
    """

    name = "study"

    def __init__(
        self,
        kinds: Sequence[StudyKind],
        *,
        root: Path,
        models: tuple[str, ...],
        labels: Mapping[str, str],
        base_dir: Path,
        levels: tuple[float, float] | None = None,
        earlier: Sequence[StudyKind] = (),
    ) -> None:
        self._kinds = kinds
        self._root = root
        self._models = models
        self._labels = labels
        self._base_dir = base_dir
        self._levels = levels
        self._earlier = earlier
        self.outcomes: dict[str, Outcome] = {}
        """What was found so far, by study."""
        self.earlier_outcomes: dict[str, Outcome] = {}
        """What the studies of earlier commands found, once the plan is finished."""

    def plan(self, config: RunConfig, digests: Mapping[str, str], state: RunState) -> Plan:
        """Units that can start now, of all studies at once; those of :data:`ALONE` last."""
        walk = Walk(state)
        bench = self._bench(walk, config, digests)
        for kind in sorted(self._kinds, key=lambda kind: kind.name == ALONE):
            if kind.name == ALONE and walk.plan.ready:
                continue
            try:
                outcome = kind.conclude(bench)
            except WaitingError:
                continue
            if outcome is not None:
                self.outcomes[kind.name] = outcome
                walk.milestone(f"study-{kind.name}", f"{kind.title}: {outcome.verdict.text}")
        waiting = [kind.name for kind in self._kinds if kind.name not in self.outcomes]
        walk.plan.stage = ", ".join(waiting[:3]) + (" ..." if len(waiting) > 3 else "")  # noqa: PLR2004
        walk.plan.is_finished = not waiting and not walk.plan.ready
        if waiting and not walk.plan.ready:  # a study rests on a unit that failed for good
            errors = sorted(
                {str(one.get("error", "")).strip() for one in state.failed.values()}
            )
            walk.block(f"{', '.join(waiting)}: work they rest on failed: {'; '.join(errors)}")
        if walk.plan.is_finished:
            self._look_back(config, digests, state)
        return walk.plan

    def _look_back(
        self, config: RunConfig, digests: Mapping[str, str], state: RunState
    ) -> None:
        """Outcomes of earlier studies that need no more work."""
        for kind in self._earlier:
            walk = Walk(state)
            with contextlib.suppress(WaitingError):
                outcome = kind.conclude(self._bench(walk, config, digests))
                if outcome is not None and not walk.plan.ready:
                    self.earlier_outcomes[kind.name] = outcome

    def _bench(self, walk: Walk, config: RunConfig, digests: Mapping[str, str]) -> Bench:
        trust = config.select.trust
        return Bench(
            walk=walk,
            config=config,
            digests=digests,
            models=self._models,
            labels=tuple(imported_labels(self._labels)),
            root=self._root,
            base_dir=self._base_dir,
            levels=self._levels or (trust.low_eV_A, trust.high_eV_A),
        )
