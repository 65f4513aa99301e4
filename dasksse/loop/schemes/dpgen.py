"""The Deep Potential Generator scheme of Huang et al. 2021, doi:10.1063/5.0041849.

Label a start set; then, generation after generation: train an ensemble, explore by MD, select
what the ensemble disagrees on, label it. At the end, production MD and diffusion. The walk is a
pure function of the configuration and of what is done, so the same call gives the plan of a new
run, of a running one and of a finished one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dasksse.loop.units import (
    LabelSource,
    MdPlan,
    dataset_unit,
    diffusion_unit,
    evaluate_unit,
    exploration_plan,
    label_sources,
    probe_unit,
    production_plan,
    relax_unit,
    select_unit,
    start_unit,
    structure_unit,
    train_units,
)
from dasksse.loop.walk import Plan, RunState, WaitingError, Walk
from dasksse.records import content_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import RunConfig, ScheduleSection
    from dasksse.records import Json, Unit


@dataclass(frozen=True)
class Ensemble:
    """Trained models of one generation.

    Attributes
    ----------
    members
        Records of the trainings that succeeded.
    dataset
        Unit of the data they were trained on.
    sel
        Neighbour counts the networks were built for.
    """

    members: tuple[Mapping[str, Json], ...]
    dataset: Unit
    sel: tuple[int, ...]

    @property
    def models(self) -> list[str]:
        """Model files, relative to the run folder."""
        return [str(member["model"]) for member in self.members]

    @property
    def training_error_eV_A(self) -> float:
        """Mean force error at the end of training [eV/Å]."""
        errors = [float(member["force_rmse_eV_A"]) for member in self.members]
        return sum(errors) / len(errors)


@dataclass
class _Learning:
    """What a walk carries from generation to generation."""

    structures: dict[str, Mapping[str, Json]]
    sources: list[LabelSource] = field(default_factory=list)
    probe: list[LabelSource] = field(default_factory=list)
    checks: dict[int, list[LabelSource]] = field(default_factory=dict)
    newest: list[LabelSource] = field(default_factory=list)
    members_of_last: tuple[str, ...] = ()
    ensemble: Ensemble | None = None
    levels: tuple[float, float] | None = None


def plan_dpgen(config: RunConfig, digests: Mapping[str, str], state: RunState) -> Plan:
    """Units that can start now.

    Parameters
    ----------
    config
        The run's configuration.
    digests
        Digest of each system's structure file, by system name.
    state
        What is done.
    """
    walk = Walk(state)
    try:
        _walk(walk, config, digests)
    except WaitingError:
        return walk.plan
    walk.plan.is_finished = not walk.plan.ready
    return walk.plan


def _walk(walk: Walk, config: RunConfig, digests: Mapping[str, str]) -> None:
    learning = _prepare(walk, config, digests)
    generation = 0
    for line in config.explore.schedule:
        for round_ in range(line.max_generations):
            if generation >= config.stop.max_generations:
                break
            _train(walk, config, learning, generation)
            share = _explore(walk, config, learning, line, generation=generation, round_=round_)
            generation += 1
            if share >= config.stop.accurate_share:
                break
    _train(walk, config, learning, generation, is_last=True)
    _evaluate(walk, config, learning, generation, new=[])
    _produce(walk, config, learning, generation)
    _note_labels(walk, learning)
    if walk.plan.ready:
        walk.plan.stage = walk.plan.stage or "evaluation"
        raise WaitingError


def _prepare(walk: Walk, config: RunConfig, digests: Mapping[str, str]) -> _Learning:
    """Structures, start set and its labels."""
    units = {s.name: structure_unit(config, s.name, digests[s.name]) for s in config.systems}
    walk.need(list(units.values()), "structures")
    structures = {name: walk.state.results[unit.key] for name, unit in units.items()}
    learning = _Learning(dict(structures))
    names = config.start.systems or (config.systems[0].name,)
    _relax(walk, config, learning, names, units)
    shares = _divide(config.start.n_frames, len(names))
    for name, n_frames in zip(names, shares, strict=True):
        unit = start_unit(config, name, str(learning.structures[name]["file"]), n_frames)
        (made,) = walk.need([unit], "start set")
        learning.newest += label_sources(
            config,
            drawn=made,
            indices=range(int(made["n_frames"])),
            system=name,
            role="start",
            generation=-1,
        )
    learning.sources += learning.newest
    walk.want([source.unit for source in learning.newest])
    return learning


def _relax(
    walk: Walk,
    config: RunConfig,
    learning: _Learning,
    names: Sequence[str],
    units: Mapping[str, Unit],
) -> None:
    if config.start.relax is None:
        return
    relaxations = {name: relax_unit(config, name, units[name]) for name in names}
    walk.need(list(relaxations.values()), "relaxation")
    for name, unit in relaxations.items():
        result = walk.result(unit)
        if result is not None:
            learning.structures[name] = {**learning.structures[name], "file": result["file"]}
            source = LabelSource(unit, name, "relax", -1)
            learning.sources.append(source)
            learning.newest.append(source)


def _divide(total: int, parts: int) -> list[int]:
    """Split a number as evenly as whole numbers allow, at least one each."""
    return [max(1, total // parts + (i < total % parts)) for i in range(parts)]


def _settled(walk: Walk, config: RunConfig, learning: _Learning, generation: int) -> list[str]:
    """Keys of the label units this generation trains on: decided once, kept on disk."""
    units = [source.unit for source in learning.newest]
    complete = walk.want(units)
    name = f"membership-{generation:03d}-{content_key([unit.key for unit in units])}"
    if name not in walk.state.decisions:
        done = sum(walk.is_settled(unit) for unit in units)
        share = 1.0 if config.reproducible else config.label.wait_share
        if not complete and done < math.ceil(share * len(units)):
            walk.plan.stage = "labels"
            raise WaitingError
    keys: list[str] = walk.decide(
        name, [s.unit.key for s in learning.sources if walk.result(s.unit) is not None]
    )
    return keys


def _train(
    walk: Walk,
    config: RunConfig,
    learning: _Learning,
    generation: int,
    *,
    is_last: bool = False,
) -> None:
    """Train the ensemble of a generation; kept as it is when nothing was learned since."""
    members = tuple(_settled(walk, config, learning, generation))
    _note_labels(walk, learning)
    production = config.production.train_steps if is_last and config.production else 0
    if members == learning.members_of_last and not production and learning.ensemble:
        walk.plan.models[generation] = learning.ensemble.models
        return
    keys = set(members)
    sources = [s.reference for s in learning.sources if s.unit.key in keys]
    last = learning.ensemble
    dataset = dataset_unit(config, generation, sources, last.sel if last else None)
    (data,) = walk.need([dataset], "training data")
    initial = None
    if config.train.warm_start and last is not None and not data["sel_changed"]:
        initial = last.members
    steps = production or (config.train.steps if initial is None else config.train.steps_warm)
    units = train_units(config, generation, dataset, initial=initial, steps=steps)
    records = walk.need(units, f"training of generation {generation}")
    learning.ensemble = Ensemble(tuple(records), dataset, tuple(data["sel"]))
    learning.members_of_last = members
    walk.plan.models[generation] = learning.ensemble.models
    walk.milestone(
        f"train-{generation:03d}",
        f"generation {generation}: {len(records)} models on {data['n_train']} labels, "
        f"training force error {1000 * learning.ensemble.training_error_eV_A:.0f} meV/Å",
    )
    if learning.levels is None:
        learning.levels = _trust_levels(config, learning.ensemble)


def _trust_levels(config: RunConfig, ensemble: Ensemble) -> tuple[float, float]:
    from dasksse.select import auto_levels

    trust = config.select.trust
    if trust.mode == "auto":
        return auto_levels(ensemble.training_error_eV_A, trust)
    return trust.low_eV_A, trust.high_eV_A


def _valid_runs(walk: Walk, plan: MdPlan) -> dict[int, int]:
    """Frames of each run; a run lost to engine crashes has none."""
    counts = {}
    for run, unit in enumerate(plan.units):
        result = walk.result(unit)
        counts[run] = 0 if result is None else int(result["n_frames"])
    return counts


def _commit(walk: Walk, plan: MdPlan) -> bool:
    """Ask for the MD of a system; True when all of it is settled."""
    walk.plan.groups.append(plan.group)
    settled = walk.want(plan.units)
    walk.plan.commits[plan.group.path] = {
        run: (unit.key, count)
        for (run, unit), count in zip(
            enumerate(plan.units), _valid_runs(walk, plan).values(), strict=True
        )
        if walk.result(unit) is not None
    }
    return settled


def _explore(  # noqa: PLR0913 - all by keyword
    walk: Walk,
    config: RunConfig,
    learning: _Learning,
    line: ScheduleSection,
    *,
    generation: int,
    round_: int,
) -> float:
    """MD, selection and labels of one generation; share of accurate frames.

    Systems go their way independently: labelling of one starts while another still runs MD.
    """
    ensemble, levels = _trained(learning)
    new: list[LabelSource] = []
    selections: list[Mapping[str, Json]] = []
    is_complete = True
    for system, n_probe in _with_probe(config, line, generation):
        plan = exploration_plan(
            config,
            system=system,
            line=line,
            round_=round_,
            generation=generation,
            structure=learning.structures[system],
            models=ensemble.models,
        )
        selection = None
        if _commit(walk, plan):
            drawn = _draw_probe(walk, config, learning, plan, system, n_probe, generation)
            if drawn is not None:
                unit = select_unit(
                    config,
                    plan,
                    _valid_runs(walk, plan),
                    generation=generation,
                    levels=levels,
                    excluded=drawn,
                    labelled=_labelled(learning, system),
                    about=_about(config, line, system, round_),
                )
                walk.want([unit])
                selection = walk.result(unit)
        if selection is None:
            is_complete = False
            continue
        selections.append(selection)
        new += _wanted_labels(config, learning, selection, system, generation)
    walk.want([source.unit for source in new])
    if not is_complete:
        walk.plan.stage = f"exploration of generation {generation}"
        raise WaitingError
    learning.newest = new
    learning.sources += new
    share = _accurate_share(selections)
    _milestone_of(walk, selections, generation)
    _evaluate(walk, config, learning, generation, new=new)
    return share


def _labelled(learning: _Learning, system: str) -> list[list[str]]:
    """Sources of the frames of a system that the ensemble was trained on."""
    known = set(learning.members_of_last)
    return [
        source.reference
        for source in learning.sources
        if source.system == system and source.unit.key in known
    ]


def _about(
    config: RunConfig, line: ScheduleSection, system: str, round_: int
) -> dict[str, Json]:
    """What a report says of an exploration: passed through to the selection's record."""
    return {
        "system": system,
        "line": config.explore.schedule.index(line),
        "ensemble": line.ensemble,
        "length_ps": line.lengths_ps[min(round_, len(line.lengths_ps) - 1)],
    }


def _with_probe(
    config: RunConfig, line: ScheduleSection, generation: int
) -> list[tuple[str, int]]:
    """Systems of a line, each with the number of probe frames to draw from it."""
    n_frames = config.probe.n_frames if generation == config.probe.generation else 0
    parts = _divide(n_frames, len(line.systems)) if n_frames else [0] * len(line.systems)
    return list(zip(line.systems, parts, strict=True))


def _trained(learning: _Learning) -> tuple[Ensemble, tuple[float, float]]:
    if learning.ensemble is None or learning.levels is None:
        msg = "exploration before training"
        raise RuntimeError(msg)
    return learning.ensemble, learning.levels


def _wanted_labels(
    config: RunConfig,
    learning: _Learning,
    selection: Mapping[str, Json],
    system: str,
    generation: int,
) -> list[LabelSource]:
    new = label_sources(
        config,
        drawn=selection,
        indices=range(int(selection["n_picks"])),
        system=system,
        role="candidate",
        generation=generation,
    )
    first = int(selection["n_picks"])
    learning.checks.setdefault(generation, []).extend(
        label_sources(
            config,
            drawn=selection,
            indices=range(first, first + int(selection["n_checks"])),
            system=system,
            role="check",
            generation=generation,
        )
    )
    return new


def _accurate_share(selections: Sequence[Mapping[str, Json]]) -> float:
    planned = sum(int(s["n_planned"]) for s in selections)
    return sum(s["accurate"] * int(s["n_planned"]) for s in selections) / max(1, planned)


def _milestone_of(
    walk: Walk, selections: Sequence[Mapping[str, Json]], generation: int
) -> None:
    planned = max(1, sum(int(s["n_planned"]) for s in selections))
    shares = {
        name: 100 * sum(s[name] * int(s["n_planned"]) for s in selections) / planned
        for name in ("accurate", "candidate", "failed")
    }
    labels = sum(int(s["n_picks"]) + int(s["n_checks"]) for s in selections)
    walk.milestone(
        f"explore-{generation:03d}",
        f"generation {generation}: accurate {shares['accurate']:.1f} %, candidate "
        f"{shares['candidate']:.1f} %, failed {shares['failed']:.1f} %, {labels} to label",
    )


def _draw_probe(  # noqa: PLR0913 - one private call
    walk: Walk,
    config: RunConfig,
    learning: _Learning,
    plan: MdPlan,
    system: str,
    n_frames: int,
    generation: int,
) -> list[int] | None:
    """Draw frames that measure progress: once, before selection, never trained on.

    Returns
    -------
    list[int] | None
        Places of the drawn frames among all frames of the system; None while not known.
    """
    if n_frames == 0:
        return []
    runs = _valid_runs(walk, plan)
    unit = probe_unit(config, plan, runs, n_frames=n_frames, generation=generation)
    if not walk.want([unit]):
        return None
    drawn = walk.result(unit)
    if drawn is None:
        return []
    learning.probe += label_sources(
        config,
        drawn=drawn,
        indices=range(int(drawn["n_frames"])),
        system=system,
        role="probe",
        generation=generation,
    )
    return [int(i) for i in drawn["places"]]


def _evaluate(
    walk: Walk,
    config: RunConfig,
    learning: _Learning,
    generation: int,
    *,
    new: Sequence[LabelSource],
) -> None:
    """Ask for the errors of this generation's ensemble once the labels it needs are in.

    Nothing waits for it: the next training runs meanwhile.
    """
    ensemble, _ = _trained(learning)
    checks = learning.checks.get(generation, [])
    asked = [*new, *checks, *learning.probe]
    if not walk.want([source.unit for source in asked]):
        return
    sources = {
        "new": _references(walk, new),
        "check": _references(walk, checks),
        "probe": _references(walk, learning.probe),
    }
    unit = evaluate_unit(
        config, generation, models=ensemble.models, dataset=ensemble.dataset, sources=sources
    )
    walk.want([unit])
    result = walk.result(unit)
    if result is not None:
        walk.milestone(f"evaluate-{generation:03d}", _evaluation_text(generation, result))


def _references(walk: Walk, sources: Sequence[LabelSource]) -> list[list[str]]:
    return [s.reference for s in sources if walk.result(s.unit) is not None]


def _evaluation_text(generation: int, result: Mapping[str, Json]) -> str:
    parts = []
    for name, values in result["rmse"].items():
        error = values["mean"]["force_rmse_meV_A"]
        if error is not None:
            parts.append(f"{name} {error:.0f}")
    return f"generation {generation}: force RMSE in meV/Å: {', '.join(parts)}"


def _produce(walk: Walk, config: RunConfig, learning: _Learning, generation: int) -> None:
    """Production MD with the last ensemble, then diffusion."""
    production = config.production
    if production is None:
        return
    ensemble, levels = _trained(learning)
    is_complete = True
    for system in production.systems or (config.systems[0].name,):
        plan = production_plan(
            config,
            production,
            system=system,
            structure=learning.structures[system],
            models=ensemble.models,
            generation=generation,
        )
        if not _commit(walk, plan):
            is_complete = False
            continue
        unit = diffusion_unit(config, plan, _valid_runs(walk, plan), levels)
        is_complete = walk.want([unit]) and is_complete
        result = walk.result(unit)
        if result is not None:
            walk.milestone(f"diffusion-{system}", str(result["text"]))
    if not is_complete:
        walk.plan.stage = "production"


def _note_labels(walk: Walk, learning: _Learning) -> None:
    """List the label sources that are done, for the store."""
    asked = [*learning.sources, *learning.probe]
    asked += [source for part in learning.checks.values() for source in part]
    walk.plan.labels = [
        (s.unit.kind, s.unit.key, s.system, s.role, s.generation)
        for s in asked
        if walk.result(s.unit) is not None
    ]


__all__ = ["plan_dpgen"]
