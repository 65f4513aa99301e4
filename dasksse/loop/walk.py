"""Walking a scheme: which units are ready, given what is done. Pure and repeatable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dasksse.records import Json, Unit, content_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.store.allocation import TrajectoryGroup


ESSENTIAL = frozenset(
    {
        "structure",
        "imported",
        "initial",
        "relax",
        "start",
        "dataset",
        "probe",
        "select",
        "diffusion",
    }
)
"""Kinds without which a run cannot be finished."""

RELEASE = "mend the cause, then `dasksse retry RUN` and the same command continue"


@dataclass(frozen=True)
class RunState:
    """What is known of a run: everything a plan may look at besides the configuration.

    Attributes
    ----------
    results
        Record of every finished unit, by key.
    failed
        Reason of every quarantined unit, by key.
    decisions
        Decisions that depended on when results came in, by name.
    """

    results: Mapping[str, Mapping[str, Json]]
    failed: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    decisions: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Milestone:
    """A stage that is done, for the log and the screen."""

    name: str
    text: str


@dataclass
class Plan:
    """What to do next.

    Attributes
    ----------
    ready
        Units that can start now, most urgent first.
    groups
        Trajectory groups that must exist before MD units write into them.
    decisions
        New decisions to keep on disk before anything that rests on them starts.
    milestones
        Stages that are done, in order.
    models
        Model files of each generation's ensemble, to be published.
    labels
        Label sources that are done: ``(kind, key, system, role, generation)``.
    commits
        Key of the finished unit and frames that are data, by group and run.
    rejected
        File of the labels that the newest training set leaves out, from the run folder; empty
        before the first one.
    touched
        Keys of all units of the plan so far; others on disk belong to an earlier version of
        the configuration.
    stage
        What the run is about, for the user.
    blocked
        Why the run cannot be finished as things are; empty when it can.
    is_finished
        True when nothing is left to do.
    """

    ready: list[Unit] = field(default_factory=list)
    groups: list[TrajectoryGroup] = field(default_factory=list)
    decisions: dict[str, Json] = field(default_factory=dict)
    milestones: list[Milestone] = field(default_factory=list)
    models: dict[int, list[str]] = field(default_factory=dict)
    labels: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    commits: dict[str, dict[int, tuple[str, int]]] = field(default_factory=dict)
    rejected: str = ""
    touched: set[str] = field(default_factory=set)
    stage: str = ""
    blocked: str = ""
    is_finished: bool = False


class WaitingError(Exception):
    """The walk cannot go further before some ready unit is done."""


class Walk:
    """Collects ready units while a scheme is walked from its beginning."""

    def __init__(self, state: RunState) -> None:
        self.state = state
        self.plan = Plan()
        self._seen: set[str] = set()  # units that several parts of a scheme ask for

    def result(self, unit: Unit) -> Mapping[str, Json] | None:
        """Record of a unit; None while it is not done, or when it failed."""
        return self.state.results.get(unit.key)

    def is_settled(self, unit: Unit) -> bool:
        """True when the unit is done or has failed for good."""
        return unit.key in self.state.results or unit.key in self.state.failed

    def want(self, units: Sequence[Unit]) -> bool:
        """Ask for units; True when all of them are settled.

        The failure of one that the run cannot be finished without settles nothing.
        """
        settled = True
        for unit in units:
            self.plan.touched.add(unit.key)
            if unit.key in self.state.results:
                continue
            if unit.key in self.state.failed:
                if unit.kind in ESSENTIAL:
                    error = str(self.state.failed[unit.key].get("error", ""))
                    self.block(f"{unit.kind} {unit.key} failed for good: {error.strip()}")
                    settled = False
                continue
            settled = False
            if unit.key not in self._seen:
                self._seen.add(unit.key)
                self.plan.ready.append(unit)
        return settled

    def need(self, units: Sequence[Unit], stage: str = "") -> list[Mapping[str, Json]]:
        """Records of units that must be settled before the walk goes on; failed ones left out.

        Raises
        ------
        WaitingError
            While any of them is not settled.
        """
        if not self.want(units):
            self.plan.stage = self.plan.stage or stage
            raise WaitingError
        return [self.state.results[u.key] for u in units if u.key in self.state.results]

    def survivors(
        self, name: str, units: Sequence[Unit], *, least: int = 0
    ) -> frozenset[str] | None:
        """Keys of the units that the next step rests on; None while they are not known.

        Once all are settled these are the ones that succeeded. If some failed for good, the
        choice is kept: one of them that is released and comes back later would otherwise change
        the inputs, and with them the keys, of all that was built on the others since.

        Parameters
        ----------
        name
            What the units are, for the file of the decision.
        units
            The units.
        least
            How many must succeed; with fewer the run is blocked and nothing is decided.
        """
        name = f"{name}-{content_key([unit.key for unit in units])}"
        kept = self.state.decisions.get(name)
        if kept is not None:
            chosen = frozenset(kept)
            self.plan.touched.update(unit.key for unit in units)
            is_settled = self.want([unit for unit in units if unit.key in chosen])
            return chosen if is_settled else None
        if not self.want(units):
            return None
        succeeded = [unit.key for unit in units if unit.key in self.state.results]
        if len(succeeded) < least:
            at = f"{units[0].kind} units of generation {units[0].generation}"
            self.block(f"{len(succeeded)} of {len(units)} {at} succeeded, {least} are needed")
            return None
        if len(succeeded) < len(units):
            self.decide(name, succeeded)
        return frozenset(succeeded)

    def block(self, text: str) -> None:
        """Say why the run cannot be finished as things are; the first reason counts."""
        self.plan.blocked = self.plan.blocked or f"{text}; {RELEASE}"

    def decide(self, name: str, value: Json) -> Json:
        """A decision made once: the stored value, or this one, to be stored."""
        if name in self.state.decisions:
            return self.state.decisions[name]
        self.plan.decisions[name] = value
        return value

    def milestone(self, name: str, text: str) -> None:
        """Note that a stage is done."""
        self.plan.milestones.append(Milestone(name, text))


def make_unit(
    kind: str,
    tag: str,
    stage: str,
    payload: Mapping[str, Json],
    *,
    generation: int = -1,
    amount: float = 1.0,
    amount_name: str = "",
    identity: Any = None,  # noqa: ANN401 - any JSON value
) -> Unit:
    """Build a unit whose key is the digest of its kind and payload.

    Parameters
    ----------
    stage
        ``module:function`` below :mod:`dasksse.loop.stages`, or with its whole path.
    identity
        What the key is made from instead of the payload, where the payload holds parts that
        do not determine the result, such as the place a run is published to.
    """
    key = content_key(kind, payload if identity is None else identity)
    is_whole = stage.startswith("dasksse.")
    function = stage if is_whole else f"dasksse.loop.stages.{stage}"
    return Unit(kind, key, tag, function, payload, generation, amount, amount_name)
