"""Ordered crystal and random arrangements of its cations: runs that studies share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase.data import atomic_numbers

from dasksse.loop.units import derived_seed
from dasksse.study.case import Case, shuffled, studied_system

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import RunConfig, SystemSection
    from dasksse.records import Json

FEWEST_SPECIES = 2


def exchanged_cations(config: RunConfig) -> tuple[tuple[str, ...], str | None] | None:
    """Species that exchange places and the site they share; None where nothing says so."""
    section = config.studies.disorder
    if section.species:
        return section.species, section.site
    orderings = (system.cation_ordering for system in config.systems)
    known = next((one for one in orderings if one is not None), None)
    return None if known is None else (known.species, section.site or known.site)


def lacks_arrangements(config: RunConfig) -> str:
    """Why there are no arrangements to make; empty when there are."""
    cations = exchanged_cations(config)
    if cations is None:
        return (
            "studies.disorder.species: found none, and no system has a `cation_ordering`; "
            "needed: the species that exchange places, such as [Ge, P]"
        )
    known = sorted(set(cations[0]) & set(config.type_map))
    if len(known) < FEWEST_SPECIES:
        return (
            f"studies.disorder.species: found {list(cations[0])}, needed: at least two of the "
            f"type_map ({', '.join(config.type_map)})"
        )
    return ""


def lacks_in(config: RunConfig, numbers: Sequence[int]) -> str:
    """Why a crystal has nothing to arrange; empty when it has.

    Parameters
    ----------
    config
        The run's configuration.
    numbers
        Atomic numbers of the crystal, shape ``(atom,)``.
    """
    cations = exchanged_cations(config)
    species = () if cations is None else cations[0]
    held = [symbol for symbol in species if atomic_numbers[symbol] in set(numbers)]
    if len(held) >= FEWEST_SPECIES:
        return ""
    return (
        f"The crystal holds {', '.join(held) or 'none'} of {', '.join(species)}: there is "
        "nothing to exchange."
    )


def ordered_crystal(config: RunConfig) -> SystemSection:
    """The studied crystal with its cations where the file has them."""
    system = studied_system(config, config.studies.disorder.system)
    return system.model_copy(update={"cation_ordering": None})


def ordered_case(config: RunConfig) -> Case:
    """Runs of the ordered crystal."""
    system = ordered_crystal(config)
    return _case(config, system, f"disorder-{system.name}-ordered")


def arrangement_cases(config: RunConfig, n_orderings: int) -> list[Case]:
    """Runs of the first random arrangements, each with a seed of its own.

    A longer list begins with the shorter one.
    """
    cations = exchanged_cations(config)
    if cations is None:
        return []
    system = ordered_crystal(config)
    cases = []
    for number in range(n_orderings):
        seed = derived_seed(config.seed, "disorder", system.name, number)
        crystal = shuffled(system, species=cations[0], site=cations[1], seed=seed)
        cases.append(_case(config, crystal, f"disorder-{system.name}-{number:02d}"))
    return cases


def _case(config: RunConfig, system: SystemSection, name: str) -> Case:
    section = config.studies.disorder
    return Case(
        name=name,
        system=system,
        temperatures_K=section.temperatures_K,
        length_ps=section.length_ps,
        replicas=section.replicas,
    )


def lost_runs(
    name: str, frames: Mapping[str, Json], temperatures_K: Sequence[float]
) -> list[str]:
    """A sentence for each run of a case that is lost or broke off.

    Parameters
    ----------
    name
        Of the case.
    frames
        From :meth:`dasksse.study.bench.Bench.frames`.
    temperatures_K
        Of each run [K].
    """
    texts = []
    for run, count in frames["n_valid"].items():
        if count < frames["n_planned"]:
            what = f"broke off after {count} of {frames['n_planned']} frames"
            what = what if count else "was lost"
            texts.append(f"{name}, {temperatures_K[int(run)]:g} K: run {run} {what}")
    return texts
