"""The Deep Potential Generator scheme of Huang et al. 2021, doi:10.1063/5.0041849.

Label a start set; then, generation after generation: train an ensemble, explore by MD, select
what the ensemble disagrees on, label it. At the end, production MD and diffusion. The walk is a
pure function of the configuration and of what is done, so the same call gives the plan of a new
run, of a running one and of a finished one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dasksse.loop.initial_models import initial_model_units
from dasksse.loop.label_inputs import imported_labels, known_labels
from dasksse.loop.schemes.exploration import evaluate, explore
from dasksse.loop.schemes.learning import Ensemble, Learning, Round, divide
from dasksse.loop.schemes.production import produce
from dasksse.loop.schemes.stability import ask_diffusion, is_stable
from dasksse.loop.units import (
    LabelSource,
    dataset_unit,
    label_sources,
    relax_unit,
    start_unit,
    structure_unit,
    train_units,
)
from dasksse.loop.walk import Plan, RunState, WaitingError, Walk
from dasksse.records import content_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json, Unit


LEAST_MEMBERS = 2
"""Models without which there is no deviation between models."""


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
    return _plan(config, digests, state, produces=True)


def plan_learning(config: RunConfig, digests: Mapping[str, str], state: RunState) -> Plan:
    """As :func:`plan_dpgen`, up to the last training; production is left to others."""
    return _plan(config, digests, state, produces=False)


def _plan(
    config: RunConfig, digests: Mapping[str, str], state: RunState, *, produces: bool
) -> Plan:
    walk = Walk(state)
    try:
        _walk(walk, config, digests, produces=produces)
    except WaitingError:
        return walk.plan
    walk.plan.is_finished = not walk.plan.ready and not walk.plan.blocked
    return walk.plan


def _walk(walk: Walk, config: RunConfig, digests: Mapping[str, str], *, produces: bool) -> None:
    learning = _prepare(walk, config, digests)
    generation = _learn(walk, config, learning)
    _train(walk, config, learning, generation, is_last=True)
    evaluate(walk, config, learning, generation, new=[])
    if produces:
        produce(walk, config, learning, generation)
    learning.note_labels(walk)
    if walk.plan.ready:
        walk.plan.stage = walk.plan.stage or "evaluation"
        raise WaitingError


def _learn(walk: Walk, config: RunConfig, learning: Learning) -> int:
    """Generations of the schedule; their number."""
    generation = 0
    for line in config.explore.schedule:
        for round_ in range(line.max_generations):
            if generation >= config.stop.max_generations:
                return generation
            _train(walk, config, learning, generation)
            ask_diffusion(walk, config, learning, generation)
            share = explore(walk, config, learning, Round(line, generation, round_))
            generation += 1
            if is_stable(walk, config, learning, generation - 1):
                return generation
            if share >= config.stop.accurate_share:
                break
    return generation


def _prepare(walk: Walk, config: RunConfig, digests: Mapping[str, str]) -> Learning:
    """Structures, imported labels, start set and its labels."""
    units = {s.name: structure_unit(config, s.name, digests[s.name]) for s in config.systems}
    imported = imported_labels(digests)
    models = initial_model_units(config, digests)
    inputs = [*units.values(), *(source.unit for source in imported), *models]
    walk.need(inputs, "structures")
    structures = {name: walk.state.results[unit.key] for name, unit in units.items()}
    known = known_labels(walk.state.results)
    initial = tuple(walk.state.results[unit.key] for unit in models)
    learning = Learning(dict(structures), known, newest=imported, initial=initial)
    names = config.start.systems or (config.systems[0].name,)
    _relax(walk, config, learning, names, units)
    shares = divide(config.start.n_frames, len(names)) if config.start.n_frames else ()
    for name, n_frames in zip(names, shares, strict=False):
        unit = start_unit(config, name, str(learning.structures[name]["file"]), n_frames)
        (made,) = walk.need([unit], "start set")
        learning.newest += label_sources(
            config,
            drawn=made,
            indices=range(int(made["n_frames"])),
            system=name,
            role="start",
            generation=-1,
            known=learning.known,
        )
    learning.sources += learning.newest
    walk.want([source.unit for source in learning.newest])
    return learning


def _relax(
    walk: Walk,
    config: RunConfig,
    learning: Learning,
    names: Sequence[str],
    units: Mapping[str, Unit],
) -> None:
    if config.start.relax is None:
        return
    imported = [str(source.unit.payload["file"]) for source in learning.newest]
    relaxations = {
        name: relax_unit(config, name, units[name], known=imported) for name in names
    }
    walk.need(list(relaxations.values()), "relaxation")
    for name, unit in relaxations.items():
        result = walk.result(unit)
        if result is not None:
            learning.structures[name] = {**learning.structures[name], "file": result["file"]}
            learning.newest.append(LabelSource(unit, name, "relax", -1))


def _settled(walk: Walk, config: RunConfig, learning: Learning, generation: int) -> list[str]:
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
    learning: Learning,
    generation: int,
    *,
    is_last: bool = False,
) -> None:
    """Train the ensemble of a generation; kept as it is when nothing was learned since."""
    members = tuple(_settled(walk, config, learning, generation))
    learning.note_labels(walk)
    _announce_known(walk, learning, members, generation)
    production = config.production.train_steps if is_last and config.production else 0
    if members == learning.members_of_last and not production and learning.ensemble:
        walk.plan.models[generation] = learning.ensemble.models
        return
    if learning.ensemble is None and config.train.takes_models_as_they_are and not production:
        _take_initial(walk, config, learning, members)
        return
    keys = set(members)
    last = learning.ensemble or _initial_ensemble(learning)
    dataset = dataset_unit(
        config,
        generation,
        [source for source in learning.sources if source.unit.key in keys],
        structures={name: str(made["file"]) for name, made in learning.structures.items()},
        previous_sel=last.sel if last else None,
    )
    (data,) = walk.need([dataset], "training data")
    walk.plan.rejected = str(data.get("rejected_file", ""))
    steps = production or config.train.steps
    initial = _warm_start(walk, config, learning, last, data, steps=steps)
    is_later = initial is not None and learning.ensemble is not None
    if is_later and not production:
        steps = config.train.steps_warm
    units = train_units(config, generation, dataset, initial=initial, steps=steps)
    records = _trained(walk, units, generation)
    learning.ensemble = Ensemble(tuple(records), dataset, tuple(data["sel"]))
    learning.members_of_last = members
    walk.plan.models[generation] = learning.ensemble.models
    walk.milestone(
        f"train-{generation:03d}",
        f"generation {generation}: {len(records)} models on {_labels_text(data)}, "
        f"training force error {1000 * learning.ensemble.training_error_eV_A:.0f} meV/Å",
    )
    if learning.levels is None:
        learning.levels = _trust_levels(config, learning.ensemble)


def _initial_ensemble(learning: Learning) -> Ensemble | None:
    """Models that the run begins with, if there are any."""
    if not learning.initial:
        return None
    return Ensemble(learning.initial, None, tuple(learning.initial[0]["sel"]))


def _take_initial(
    walk: Walk, config: RunConfig, learning: Learning, members: tuple[str, ...]
) -> None:
    """The models that the run begins with are the ensemble of its first generation."""
    learning.ensemble = Ensemble(learning.initial, None, tuple(learning.initial[0]["sel"]))
    learning.members_of_last = members
    learning.levels = config.select.trust.low_eV_A, config.select.trust.high_eV_A
    walk.plan.models[0] = learning.ensemble.models
    walk.milestone(
        "train-000",
        f"generation 0: {len(learning.initial)} models that were there already, not trained",
    )


def _warm_start(
    walk: Walk,
    config: RunConfig,
    learning: Learning,
    last: Ensemble | None,
    data: Mapping[str, Json],
    *,
    steps: int,
) -> tuple[Mapping[str, Json], ...] | None:
    """Records to start a training from; None to start from nothing, with so many steps.

    Raises
    ------
    WaitingError
        When models that the run should begin with do not fit its labels, or a training from
        nothing would have no steps; it is blocked.
    """
    if last is None:
        return None
    is_asked = learning.ensemble is None  # `initial_models` with steps: a wish, not a short cut
    if not is_asked and not config.train.warm_start:
        return None
    if not data["sel_changed"]:
        return last.members
    if is_asked or not steps:
        way_out = "leave initial_models out" if is_asked else "give train.steps above 0"
        walk.block(
            f"train.initial_models have places for {list(last.sel)} neighbours of each type "
            "(one number: of all types together), the labels need "
            f"{list(data['sel'])}: {way_out}"
        )
        raise WaitingError
    return None


def _announce_known(
    walk: Walk, learning: Learning, members: Sequence[str], generation: int
) -> None:
    """Say how many labels that are new to the ensemble existed and were not computed."""
    new = set(members).difference(learning.members_of_last)
    records = [
        walk.state.results[source.unit.key]
        for source in learning.sources
        if source.role != "imported" and source.unit.key in new
    ]
    n_known = sum(int(record.get("n_known", 0)) for record in records)
    if n_known:
        n_good = sum(int(record["n_good"]) for record in records)
        walk.milestone(
            f"known-{generation:03d}",
            f"generation {generation}: {n_known} of {n_good} new labels existed already and "
            "were not computed again",
        )


def _labels_text(data: Mapping[str, Json]) -> str:
    """How many labels are learned from, and how many the filters keep out, by rule."""
    rejected: Mapping[str, int] = data.get("rejected", {})
    if not rejected:
        return f"{data['n_train']} labels"
    rules = ", ".join(f"{rule} {n}" for rule, n in rejected.items())
    return f"{data['n_train']} labels ({sum(rejected.values())} rejected: {rules})"


def _trained(walk: Walk, units: Sequence[Unit], generation: int) -> list[Mapping[str, Json]]:
    """Records of the members of an ensemble.

    Raises
    ------
    WaitingError
        While they are under way, or when too many failed for good.
    """
    survivors = walk.survivors(f"ensemble-{generation:03d}", units, least=LEAST_MEMBERS)
    if survivors is None:
        walk.plan.stage = walk.plan.stage or f"training of generation {generation}"
        raise WaitingError
    records = {unit.key: walk.result(unit) for unit in units if unit.key in survivors}
    return [record for record in records.values() if record is not None]


def _trust_levels(config: RunConfig, ensemble: Ensemble) -> tuple[float, float]:
    from dasksse.select import auto_levels

    trust = config.select.trust
    if trust.mode == "auto":
        return auto_levels(ensemble.training_error_eV_A, trust)
    return trust.low_eV_A, trust.high_eV_A


__all__ = ["plan_dpgen", "plan_learning"]
