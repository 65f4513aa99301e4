"""Learning that ends when D is stable: between generations, and across the models.

Convergence on D itself is that of Marcolongo et al. 2019, arXiv:1910.10090.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.analyse.stability import compare_generations, diffusion_of_generation
from dasksse.loop.md_units import diffusion_unit, stability_plan
from dasksse.loop.schemes.exploration import commit, valid_runs
from dasksse.loop.walk import WaitingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.config.schema import RunConfig, StableDiffusionSection
    from dasksse.loop.schemes.learning import Learning
    from dasksse.loop.walk import Walk
    from dasksse.records import Json

KIND = "stability"


def ask_diffusion(walk: Walk, config: RunConfig, learning: Learning, generation: int) -> None:
    """Ask for D from each model of the ensemble; nothing waits for it yet."""
    section = config.stop.stable_diffusion
    if section is not None:
        _members(walk, config, section, learning, generation)


def is_stable(walk: Walk, config: RunConfig, learning: Learning, generation: int) -> bool:
    """Whether learning can end with this generation.

    Raises
    ------
    WaitingError
        While D of this generation is not known.
    """
    section = config.stop.stable_diffusion
    if section is None:
        return False
    records = _members(walk, config, section, learning, generation)
    if records is None:
        walk.plan.stage = walk.plan.stage or f"D of generation {generation}"
        raise WaitingError
    found = diffusion_of_generation(generation, records, section.temperatures_K)
    judged = compare_generations(
        learning.diffusion[-1] if learning.diffusion else None,
        found,
        tolerance=section.tolerance,
        Ea_tolerance_eV=section.Ea_tolerance_eV,
    )
    learning.diffusion.append(found)
    learning.n_stable = learning.n_stable + 1 if judged.is_stable else 0
    name = f"stability-{generation:03d}"
    ends = learning.n_stable >= section.generations
    walk.milestone(name, f"generation {generation}: {judged.text}")
    return bool(walk.decide(name, ends))


def _members(
    walk: Walk,
    config: RunConfig,
    section: StableDiffusionSection,
    learning: Learning,
    generation: int,
) -> list[Mapping[str, Json]] | None:
    """Diffusion record of each model; None while any is under way."""
    ensemble, levels = learning.trained
    system = stable_system(config, section)
    records = []
    is_settled = True
    for member in range(len(ensemble.models)):
        plan = stability_plan(
            config,
            section,
            system=system,
            structure=learning.structures[system],
            models=ensemble.models,
            generation=generation,
            member=member,
        )
        commit(walk, plan)
        if not walk.want(plan.units):
            is_settled = False
            continue
        unit = diffusion_unit(config, plan, valid_runs(walk, plan), levels, kind=KIND)
        is_settled = walk.want([unit]) and is_settled
        record = walk.result(unit)
        if record is not None:
            records.append(record)
    return records if is_settled else None


def stable_system(config: RunConfig, section: StableDiffusionSection) -> str:
    """System whose D is followed."""
    production = config.production.systems if config.production is not None else ()
    return section.system or (production[0] if production else config.systems[0].name)
