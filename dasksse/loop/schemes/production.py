"""Production: MD with the last ensemble, continued where D needs it, then diffusion."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dasksse.loop.continuation import Chain, convergence_unit, next_unit, part_plans
from dasksse.loop.md_units import diffusion_unit, production_plan
from dasksse.loop.schemes.exploration import commit, valid_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import ProductionSection, RunConfig
    from dasksse.loop.md_units import MdPlan
    from dasksse.loop.schemes.learning import Learning
    from dasksse.loop.walk import Walk
    from dasksse.records import Json, Unit


def produce(walk: Walk, config: RunConfig, learning: Learning, generation: int) -> None:
    """Ask for production MD, its continuations and its analysis; systems go their own way."""
    production = config.production
    if production is None:
        return
    ensemble, levels = learning.trained
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
        commit(walk, plan)
        is_settled = walk.want(plan.units)
        chains = _continue(walk, config, production, plan, system)
        if not is_settled or chains is None:
            is_complete = False
            continue
        unit = diffusion_unit(
            config,
            plan,
            valid_runs(walk, plan),
            levels,
            chains=[chain.to_json() for chain in chains if chain.n_parts > 1],
        )
        is_complete = walk.want([unit]) and is_complete
        result = walk.result(unit)
        if result is not None:
            for number, text in enumerate(result["damaged"]):
                walk.milestone(f"damaged-diffusion-{system}-{number}", text)
            walk.milestone(f"diffusion-{system}", str(result["text"]))
    if not is_complete:
        walk.plan.stage = "production"


def _continue(
    walk: Walk, config: RunConfig, production: ProductionSection, plan: MdPlan, system: str
) -> list[Chain] | None:
    """Runs with their continuations; None while any is under way.

    Temperatures go their own way: one is judged as soon as its own runs are settled.
    """
    if production.extend is None:
        return []
    by_temperature: dict[float, list[Unit]] = {}
    for unit in plan.units:
        by_temperature.setdefault(unit.payload["spec"]["temperature_K"], []).append(unit)
    chains: list[Chain] = []
    is_settled = True
    for units in by_temperature.values():
        if walk.want(units):
            found = _chains_of(walk, units)
            is_settled = _settle(walk, config, production, system, found) and is_settled
            chains += found
        else:
            is_settled = False
    for part in part_plans(plan, system, chains):
        commit(walk, part)
    return chains if is_settled else None


def _chains_of(walk: Walk, units: Sequence[Unit]) -> list[Chain]:
    """Runs with frames, none of them continued yet."""
    records = [(unit, walk.result(unit)) for unit in units]
    return [
        Chain([unit], [record]) for unit, record in records if record and record["n_frames"]
    ]


def _settle(
    walk: Walk,
    config: RunConfig,
    production: ProductionSection,
    system: str,
    chains: Sequence[Chain],
) -> bool:
    """Judge and continue the runs of a temperature in turn; False while either is under way."""
    if production.extend is None or not chains:
        return True
    n_parts = 1
    for rounds_left in range(production.extend.rounds, -1, -1):
        unit = convergence_unit(config, chains, tolerance=production.extend.tolerance)
        if not walk.want([unit]):
            return False
        verdict = walk.result(unit)
        n_wanted = _parts_wanted(verdict, production) if rounds_left else n_parts
        goes_on = n_wanted > n_parts and any(chain.can_go_on for chain in chains)
        if verdict is not None:
            at = f"{system} at {verdict['temperature_K']:g} K"
            more = f"; continued to {n_wanted * production.length_ps:g} ps" if goes_on else ""
            walk.milestone(f"convergence-{unit.key}", f"{at}: {verdict['text']}{more}")
        if not goes_on:
            break
        settled = [_lengthen(walk, chain, system, n_wanted) for chain in chains]
        if not all(settled):
            return False
        n_parts = n_wanted
    return True


def _parts_wanted(verdict: Mapping[str, Json] | None, production: ProductionSection) -> int:
    """Lengths that the runs of a temperature should have in all; 0 where there is no need."""
    if verdict is None or verdict["is_converged"] or verdict["wanted_ps"] is None:
        return 0
    n_wanted = math.ceil(verdict["wanted_ps"] / production.length_ps - 1e-9)
    return min(n_wanted, production.most_parts)


def _lengthen(walk: Walk, chain: Chain, system: str, n_parts: int) -> bool:
    """Ask for the next part of a run as long as it can go on; False while it is under way.

    A part that failed for good leaves the run as long as it is.
    """
    while chain.n_parts < n_parts and chain.can_go_on:
        chain.pending = next_unit(chain, system)
        is_settled = walk.want([chain.pending])
        record = walk.result(chain.pending)
        if record is None:
            return is_settled
        chain.units.append(chain.pending)
        chain.records.append(record)
        chain.pending = None
    return True
