"""D(T) with the cell of each temperature: Figs. 10 and 13 of Huang et al. 2021."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dasksse.loop.units import derived_seed
from dasksse.report.figures.study_diffusion import study_diffusion
from dasksse.study.arrangements import exchanged_cations, lacks_arrangements, lacks_in
from dasksse.study.case import Case, scaled, shuffled, studied_system, temperature_name
from dasksse.study.diffusion_outcome import (
    DISORDERED,
    FIXED_CELL,
    ORDERED,
    diffusion_outcome,
)
from dasksse.study.known_terms import budgets_of
from dasksse.study.points import POINT_KEYS, TRANSPORT_KEYS, points_of
from dasksse.study.published import published_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.config.schema import RunConfig, SystemSection
    from dasksse.records import Json
    from dasksse.study.bench import Bench
    from dasksse.study.outcome import Outcome


FIXED_ABOVE_K = 700.0
"""The paper compares with the fixed cell above this temperature."""
LARGEST_SCALE = 2.0
"""Of volumes that a system may have."""
NO_EXPANSION = (
    "The study thermal-expansion gives no expansion: the cell of the structure file is kept at "
    "all temperatures."
)


class Diffusion:
    """D against temperature, ordered and disordered, with what its error is made of."""

    name = "diffusion"
    title = "Diffusion"
    question = (
        "How fast does the mobile ion diffuse at each temperature, and how well is it known?"
    )
    source = "Huang et al. 2021, Figs. 10 and 13, doi:10.1063/5.0041849"
    caption = (
        "Left: D against temperature in the cell of each temperature, one standard error; "
        "arrows: upper bounds; lines: fits, dashed outside of the data; hollow grey: "
        "values at 300 K that the papers give for this material, moved aside a little. Right: "
        "parts of the error of D; arrows: limits; what is not known is not drawn."
    )

    def lacks(self, config: RunConfig) -> str:
        """Whether the expansion makes a cell that is not taken."""
        section = config.studies.diffusion
        if section.expansion_per_K == "measured":
            return ""
        system = studied_system(config, section.system)
        for temperature_K in section.temperatures_K:
            factor = volume_factor(section.expansion_per_K, temperature_K, section.reference_K)
            if system.volume_scale * factor >= LARGEST_SCALE:
                return (
                    f"studies.diffusion.expansion_per_K: {section.expansion_per_K:g} makes the "
                    f"cell {factor:.2f} times as large at {temperature_K:g} K; allowed: less "
                    f"than {LARGEST_SCALE:g} times the structure file"
                )
        return ""

    def cases(self, config: RunConfig) -> list[Case]:
        """A case for each crystal and temperature, and those of a measured expansion."""
        expansion = config.studies.diffusion.expansion_per_K
        has_disorder = not lacks_arrangements(config)
        cases = [case for _, case in _cases(config, 0.0, has_disorder=has_disorder)]
        if expansion == "measured":
            from dasksse.study.thermal_expansion import ThermalExpansion

            return [*ThermalExpansion().cases(config), *cases]
        return cases

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """D of each crystal and temperature, its fits and its error budget."""
        expansion = _expansion_per_K(bench)
        if expansion is None:
            return None
        notes: list[str] = []
        if math.isnan(expansion):
            notes.append(NO_EXPANSION)
            expansion = 0.0
        section = bench.config.studies.diffusion
        structure = bench.structure(_ordered(bench.config))
        if structure is None:
            return None
        numbers = structure["numbers"]
        lack = _lacks_disorder(bench.config, numbers)
        if section.disordered and lack:
            notes.append(f"No disordered crystal. {lack[0].upper()}{lack[1:]}")
        points: list[dict[str, Any]] = []
        is_complete = True
        for branch, case in _cases(bench.config, expansion, has_disorder=not lack):
            record = bench.diffusion(case)
            if record is None:
                is_complete = False
                continue
            notes += record["damaged"]
            points += points_of(
                record,
                keys=(*POINT_KEYS, *TRANSPORT_KEYS),
                branch=branch,
                n_atoms=len(numbers),
            )
        if not is_complete:
            return None
        return diffusion_outcome(
            bench.config,
            points,
            expansion_per_K=expansion,
            budgets=budgets_of(bench, [p for p in points if p["branch"] != FIXED_CELL]),
            published=[one.to_json() for one in published_for(numbers)],
            notes=notes,
        )

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """D against temperature beside the parts of its error."""
        return study_diffusion(values)


def volume_factor(expansion_per_K: float, temperature_K: float, reference_K: float) -> float:
    """Volume relative to that at the reference, for a linear expansion of the lengths."""
    return (1.0 + expansion_per_K * (temperature_K - reference_K)) ** 3


def _expansion_per_K(bench: Bench) -> float | None:
    """Linear expansion [1/K]; None while it is measured."""
    asked = bench.config.studies.diffusion.expansion_per_K
    if asked != "measured":
        return asked
    from dasksse.study.thermal_expansion import measured_expansion

    return measured_expansion(bench)


def _ordered(config: RunConfig) -> SystemSection:
    """The studied crystal with its cations where the file has them."""
    system = studied_system(config, config.studies.diffusion.system)
    return system.model_copy(update={"cation_ordering": None})


def _lacks_disorder(config: RunConfig, numbers: Sequence[int]) -> str:
    """Why there is no disordered crystal; empty when there is."""
    return lacks_arrangements(config) or lacks_in(config, numbers)


def _cases(
    config: RunConfig, expansion_per_K: float, *, has_disorder: bool
) -> list[tuple[str, Case]]:
    """Branch and case of each temperature, in the cell of that temperature."""
    section = config.studies.diffusion
    ordered = _ordered(config)
    branches = {ORDERED: ordered}
    cations = exchanged_cations(config)
    if section.disordered and has_disorder and cations is not None:
        species, site = cations
        seed = derived_seed(config.seed, "disorder", ordered.name, 0)
        branches[DISORDERED] = shuffled(ordered, species=species, site=site, seed=seed)
    cases = []
    for branch, crystal in branches.items():
        for temperature_K in section.temperatures_K:
            factor = volume_factor(expansion_per_K, temperature_K, section.reference_K)
            grown = crystal if factor == 1.0 else scaled(crystal, factor)
            cases.append((branch, _case(config, branch, grown, temperature_K)))
    if section.also_fixed_cell and section.expansion_per_K != 0.0:
        cases += [
            (FIXED_CELL, _case(config, "fixed", ordered, temperature_K))
            for temperature_K in section.temperatures_K
            if temperature_K > FIXED_ABOVE_K
        ]
    return cases


def _case(config: RunConfig, word: str, system: SystemSection, temperature_K: float) -> Case:
    section = config.studies.diffusion
    is_long = temperature_K < section.long_below_K
    return Case(
        name=f"diffusion-{system.name}-{word}-{temperature_name(temperature_K)}",
        system=system,
        temperatures_K=(temperature_K,),
        length_ps=section.length_ps * (section.long_factor if is_long else 1.0),
        replicas=section.replicas,
    )
