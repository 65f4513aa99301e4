"""Production: MD with the last ensemble, continued where D needs it, then diffusion."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dasksse.loop.continuation import Chain, convergence_unit, next_unit, part_plan
from dasksse.loop.md_units import diffusion_unit, production_plan
from dasksse.loop.schemes.exploration import commit, valid_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import ExtendSection, ProductionSection, RunConfig
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
    asked: dict[int, list[Unit]] = {}
    chains: list[Chain] = []
    is_settled = True
    for units in by_temperature.values():
        if not walk.want(units):
            is_settled = False
            continue
        group = _Temperature(walk, system, _chains_of(walk, units), asked)
        is_settled = group.settle(config, production.extend, production) and is_settled
        chains += group.chains
    for number, units in sorted(asked.items()):
        commit(walk, part_plan(plan, system, number, units))
    return chains if is_settled else None


def _chains_of(walk: Walk, units: Sequence[Unit]) -> list[Chain]:
    """Runs with frames, none of them continued yet."""
    records = [(unit, walk.result(unit)) for unit in units]
    return [
        Chain(unit.payload["run"], [unit], [record])
        for unit, record in records
        if record is not None and record["n_frames"]
    ]


class _Temperature:
    """Runs of one system at one temperature, continued as far as was found necessary.

    Parameters
    ----------
    walk
        Where units are asked for.
    system
        Name of the system.
    chains
        The runs.
    asked
        Units of continuations by number of the part, added to.
    """

    def __init__(
        self, walk: Walk, system: str, chains: list[Chain], asked: dict[int, list[Unit]]
    ) -> None:
        self.chains = chains
        self._walk = walk
        self._system = system
        self._asked = asked

    def settle(
        self, config: RunConfig, extend: ExtendSection, production: ProductionSection
    ) -> bool:
        """Judge and continue in turn; False while either is under way."""
        n_parts = 1
        for round_ in range(extend.rounds + 1):
            verdict = self._judge(config, extend)
            if verdict is None:
                return False
            n_wanted = n_parts
            if round_ < extend.rounds and verdict.get("wanted_ps"):
                n_wanted = math.ceil(verdict["wanted_ps"] / production.length_ps - 1e-9)
            n_wanted = min(n_wanted, production.most_parts)
            goes_on = not verdict.get("is_converged", True) and n_wanted > n_parts
            goes_on = goes_on and any(chain.can_go_on for chain in self.chains)
            self._announce(verdict, round_, n_wanted * production.length_ps * goes_on)
            if not goes_on:
                return True
            if not self._continue_to(n_wanted):
                return False
            n_parts = n_wanted
        return True

    def _judge(self, config: RunConfig, extend: ExtendSection) -> Mapping[str, Json] | None:
        """Record of the judgement, empty where there can be none; None while under way."""
        if not self.chains:
            return {}
        unit = convergence_unit(
            config,
            self.chains,
            temperature_K=self.chains[0].records[0]["temperature_K"],
            tolerance=extend.tolerance,
        )
        return self._walk.result(unit) or {} if self._walk.want([unit]) else None

    def _continue_to(self, n_parts: int) -> bool:
        """Ask for the next part of every run that can go on; False while any is under way.

        One that failed for good leaves its run as long as it is.
        """
        is_settled = True
        for chain in self.chains:
            while chain.n_parts < n_parts and chain.can_go_on:
                unit = next_unit(chain, self._system)
                self._asked.setdefault(chain.n_parts, []).append(unit)
                is_done = self._walk.want([unit])
                record = self._walk.result(unit)
                is_settled = is_settled and is_done
                if record is None:
                    break
                chain.units.append(unit)
                chain.records.append(record)
        return is_settled

    def _announce(self, verdict: Mapping[str, Json], round_: int, length_ps: float) -> None:
        if not verdict:
            return
        at = f"{self._system} at {verdict['temperature_K']:g} K"
        more = f"; runs are continued to {length_ps:g} ps" if length_ps else ""
        name = f"convergence-{self._system}-{verdict['temperature_K']:g}-{round_}"
        self._walk.milestone(name, f"{at}: {verdict['text']}{more}")
