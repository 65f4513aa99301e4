"""Exploration of one generation: MD, probe, selection, labels, errors of the ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.loop.md_units import MdPlan, exploration_plan, probe_unit, select_unit
from dasksse.loop.schemes.learning import Learning, Round, divide
from dasksse.loop.units import LabelSource, evaluate_unit, label_sources
from dasksse.loop.walk import WaitingError
from dasksse.select.trust import pooled_shares

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dasksse.config.schema import RunConfig
    from dasksse.loop.walk import Walk
    from dasksse.records import Json


def valid_runs(walk: Walk, plan: MdPlan, used: Collection[str] | None = None) -> dict[int, int]:
    """Frames of each run; one lost to engine crashes, or not among the used ones, has none."""
    counts = {}
    for unit in plan.units:
        result = walk.result(unit)
        is_used = result is not None and (used is None or unit.key in used)
        counts[unit.payload["run"]] = (
            int(result["n_frames"]) if result is not None and is_used else 0
        )
    return counts


def commit(walk: Walk, plan: MdPlan) -> None:
    """Name the group of a system's MD, and the frames of its finished runs as data."""
    walk.plan.groups.append(plan.group)
    counts = valid_runs(walk, plan)
    walk.plan.commits[plan.group.path] = {
        unit.payload["run"]: (unit.key, counts[unit.payload["run"]])
        for unit in plan.units
        if walk.result(unit) is not None
    }


def explore(walk: Walk, config: RunConfig, learning: Learning, at: Round) -> float:
    """MD, selection and labels of one generation; share of accurate frames.

    Systems go their way independently: labelling of one starts while another still runs MD.

    Raises
    ------
    WaitingError
        While MD or selection of a system is under way.
    """
    new: list[LabelSource] = []
    selections: list[Mapping[str, Json]] = []
    for system, n_probe in _with_probe(config, at):
        selection = _select(walk, config, learning, at, system=system, n_probe=n_probe)
        if selection is not None:
            selections.append(selection)
            new += _wanted_labels(config, learning, selection, system, at.generation)
    walk.want([source.unit for source in new])
    if len(selections) < len(at.line.systems):
        walk.plan.stage = f"exploration of generation {at.generation}"
        raise WaitingError
    learning.newest = new
    learning.sources += new
    accurate = _milestone_of(walk, selections, at.generation)
    evaluate(walk, config, learning, at.generation, new=new)
    return accurate


def _select(
    walk: Walk,
    config: RunConfig,
    learning: Learning,
    at: Round,
    *,
    system: str,
    n_probe: int,
) -> Mapping[str, Json] | None:
    """Record of the selection of one system; None while it is not known."""
    ensemble, levels = learning.trained
    plan = exploration_plan(
        config,
        system=system,
        at=at,
        structure=learning.structures[system],
        models=ensemble.models,
    )
    commit(walk, plan)
    used = walk.survivors(plan.group.path.replace("/", "-"), plan.units)
    if used is None:
        return None
    runs = valid_runs(walk, plan, used)
    drawn = _draw_probe(walk, config, learning, plan, runs=runs, n_frames=n_probe)
    if drawn is None:
        return None
    unit = select_unit(
        config,
        plan,
        runs,
        levels=levels,
        excluded=drawn,
        labelled=_labelled(learning, system),
        about={
            "system": system,
            "line": config.explore.schedule.index(at.line),
            "ensemble": at.line.ensemble,
            "length_ps": at.length_ps,
        },
    )
    walk.want([unit])
    return walk.result(unit)


def _labelled(learning: Learning, system: str) -> list[list[str]]:
    """Sources of the frames that the ensemble was trained on and that may be like a system's.

    Those of other systems count where the atoms are the same; of imported labels the
    composition is known to the stage alone.
    """
    known = set(learning.members_of_last)
    compositions = {
        name: sorted(structure["numbers"]) for name, structure in learning.structures.items()
    }
    return [
        source.reference
        for source in learning.sources
        if source.unit.key in known
        and compositions.get(source.system, compositions[system]) == compositions[system]
    ]


def _with_probe(config: RunConfig, at: Round) -> list[tuple[str, int]]:
    """Systems of a line, each with the number of probe frames to draw from it."""
    systems = at.line.systems
    n_frames = config.probe.n_frames if at.generation == config.probe.generation else 0
    parts = divide(n_frames, len(systems)) if n_frames else [0] * len(systems)
    return list(zip(systems, parts, strict=True))


def _wanted_labels(
    config: RunConfig,
    learning: Learning,
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
        known=learning.known,
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
            known=learning.known,
        )
    )
    return new


def _milestone_of(
    walk: Walk, selections: Sequence[Mapping[str, Json]], generation: int
) -> float:
    """Announce what a generation met; share of accurate frames."""
    shares = pooled_shares(selections)
    parts = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
    for selection in selections:
        for number, text in enumerate(selection["damaged"]):
            name = f"damaged-{selection['group']}-{number}"
            walk.milestone(name, f"{text}; the other runs are used")
    labels = sum(int(s["n_picks"]) + int(s["n_checks"]) for s in selections)
    walk.milestone(
        f"explore-{generation:03d}",
        f"generation {generation}: {parts}, {labels} to label",
    )
    return shares["accurate"]


def _draw_probe(
    walk: Walk,
    config: RunConfig,
    learning: Learning,
    plan: MdPlan,
    *,
    runs: Mapping[int, int],
    n_frames: int,
) -> list[int] | None:
    """Draw frames that measure progress: once, before selection, never trained on.

    Returns
    -------
    list[int] | None
        Places of the drawn frames among all frames of the system; None while not known.
    """
    if n_frames == 0:
        return []
    _, levels = learning.trained
    system = plan.group.path.rpartition("/")[2]
    # drawn once: other trust levels later do not draw another probe
    high_eV_A = float(walk.decide(f"probe-level-{system}", levels[1]))
    unit = probe_unit(config, plan, runs, n_frames=n_frames, high_eV_A=high_eV_A)
    walk.want([unit])
    drawn = walk.result(unit)
    if drawn is None:
        return None
    learning.probe += label_sources(
        config,
        drawn=drawn,
        indices=range(int(drawn["n_frames"])),
        system=system,
        role="probe",
        generation=unit.generation,
        known=learning.known,
    )
    return [int(i) for i in drawn["places"]]


def evaluate(
    walk: Walk,
    config: RunConfig,
    learning: Learning,
    generation: int,
    *,
    new: Sequence[LabelSource],
) -> None:
    """Ask for the errors of this generation's ensemble once the labels it needs are in.

    Nothing waits for it: the next training runs meanwhile.
    """
    ensemble, _ = learning.trained
    if config.probe.n_frames and not learning.probe:
        learning.unprobed.append((generation, ensemble))
    checks = learning.checks.get(generation, [])
    asked = [*new, *checks, *learning.probe]
    if ensemble.dataset is None and not asked:
        return
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
    _probe_earlier(walk, config, learning)
    result = walk.result(unit)
    if result is not None:
        walk.milestone(f"evaluate-{generation:03d}", _evaluation_text(generation, result))


def _probe_earlier(walk: Walk, config: RunConfig, learning: Learning) -> None:
    """Judge the ensembles from before the probe was drawn on it too."""
    if not learning.probe:
        return
    for generation, ensemble in learning.unprobed:
        unit = evaluate_unit(
            config,
            generation,
            models=ensemble.models,
            dataset=None,
            sources={"probe": _references(walk, learning.probe)},
        )
        walk.want([unit])


def _references(walk: Walk, sources: Sequence[LabelSource]) -> list[list[str]]:
    return [s.reference for s in sources if walk.result(s.unit) is not None]


def _evaluation_text(generation: int, result: Mapping[str, Json]) -> str:
    parts = []
    for name, values in result["rmse"].items():
        error = values["mean"]["force_rmse_meV_A"]
        if error is not None:
            parts.append(f"{name} {error:.0f}")
    return f"generation {generation}: force RMSE in meV/Å: {', '.join(parts)}"
