"""From partial occupancies to whole atoms: neutral counts, then a low-energy arrangement."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers

from dasksse.errors import StructureError
from dasksse.structures.anneal import (
    QuadraticEnergy,
    anneal,
    distinct_minima,
    scaled,
    typical_exchange,
)
from dasksse.structures.charges import composition_of, resolve_charges
from dasksse.structures.ewald import ewald_kernel
from dasksse.structures.occupancy import (
    Sublattice,
    composition_notes,
    find_sublattices,
    neutral_counts,
)
from dasksse.structures.periodic import neighbour_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from dasksse.config.schema import OrderingSection

N_REPLICAS = 32
STEPS_PER_PAIR = 4.0
STEP_BOUNDS = (2_000, 40_000)
"""Exchanges each replica makes for each pair of sites, within bounds."""

FITTING_STEPS_PER_SITE = 20
"""Exchanges each replica makes to part atoms that are too close."""

START_TEMPERATURE = 0.2
"""First temperature of the annealing over the usual energy of an exchange."""

CONFLICT_PENALTY = 10.0
"""Cost of two atoms too close, over the usual energy of an exchange."""

COUNT_PENALTY = 1.0
"""Cost of the squared departure from a sublattice's count, over the usual energy of an exchange
and the number of sites, when the published counts do not fit."""

_VACANCY = 0


@dataclass(frozen=True)
class Ordered:
    """A structure with whole atoms.

    Attributes
    ----------
    structure
        Ordered structure; site labels and properties as before.
    notes
        What was changed to get there.
    energy_eV
        Point-charge (Ewald) energy [eV] of the cell; None when no charges are known.
    """

    structure: Structure
    notes: tuple[str, ...]
    energy_eV: float | None


@dataclass(frozen=True)
class _Problem:
    """What the annealing needs to know about the partially occupied sites.

    Attributes
    ----------
    sites
        Their indices in the structure, shape ``(site,)``.
    sublattice
        Number of each one's sublattice, shape ``(site,)``.
    sublattices
        The sublattices.
    counts
        Whole atoms by element on each sublattice.
    species
        Elements by state, the vacancy first.
    conflict
        Number of pairs that are too close.
    coulomb
        Point-charge energy [eV] of the cell; None without charges.
    fingerprint
        Another such energy, with atomic numbers for charges: equal for copies by symmetry.
    """

    sites: NDArray[np.int64]
    sublattice: NDArray[np.int64]
    sublattices: tuple[Sublattice, ...]
    counts: tuple[Mapping[str, int], ...]
    species: tuple[str, ...]
    conflict: QuadraticEnergy
    coulomb: QuadraticEnergy | None = None
    fingerprint: QuadraticEnergy | None = None


def order_structure(structure: Structure, section: OrderingSection) -> Ordered:
    """Replace partial occupancies by whole atoms.

    Parameters
    ----------
    structure
        Structure with partial occupancies; one without is returned as it is.
    section
        Method, rank, seed, charges and limits.

    Returns
    -------
    Ordered
        The ordering asked for, equal for equal seeds.

    Raises
    ------
    StructureError
        When charges are missing or cannot be guessed (``ewald``), no neutral composition is
        within ``max_composition_change``, the atoms do not fit at ``min_distance_A``, or fewer
        than ``rank + 1`` distinct orderings are found.

    Notes
    -----
    The cell keeps its size. Occupancies become whole numbers on each sublattice
    (:func:`~dasksse.structures.occupancy.neutral_counts`). Annealing exchanges species within
    sublattices; when the counts cannot be had at ``min_distance_A``, also between sublattices
    of the same elements, with a penalty on departures from the counts. ``min_distance_A``
    holds between sites that may stay empty; distances to full sites are the file's own.
    """
    sublattices = find_sublattices(structure)
    if not sublattices:
        return Ordered(structure, ("fully occupied: nothing to order",), None)
    amounts = composition_of(structure)
    charges = resolve_charges(amounts, section.charges)
    problem = _problem(structure, sublattices, charges, section.min_distance_A)
    notes = composition_notes(
        sublattices, problem.counts, amounts, charges, max_change=section.max_composition_change
    )
    state = _METHODS[section.method](problem, section)
    energy = None if problem.coulomb is None else float(problem.coulomb.of(state[None])[0])
    notes += _filling_notes(problem, state, section.min_distance_A)
    return Ordered(_occupy(structure, problem, state), notes, energy)


def _problem(
    structure: Structure,
    sublattices: tuple[Sublattice, ...],
    charges: Mapping[str, float] | None,
    min_distance_A: float,
) -> _Problem:
    """Arrays and energies of an ordering."""
    sites = np.array([i for sublattice in sublattices for i in sublattice.sites])
    held = {i: s.specie.symbol for i, s in enumerate(structure) if i not in set(sites.tolist())}
    amounts = {element: float(n) for element, n in Counter(held.values()).items()}
    counts = tuple(neutral_counts(sublattices, amounts, charges))
    species = ("", *dict.fromkeys(e for lattice in sublattices for e in lattice.occupancies))
    elements = set(species[1:]) | set(held.values())

    def energy(kernel: NDArray[np.float64], value_of: Mapping[str, float]) -> QuadraticEnergy:
        rest = np.array(list(held), dtype=int)
        fixed = np.array([value_of[element] for element in held.values()])
        return QuadraticEnergy(
            kernel[np.ix_(sites, sites)],
            2.0 * kernel[np.ix_(sites, rest)] @ fixed,
            np.array([0.0, *(value_of[element] for element in species[1:])]),
            float(fixed @ kernel[np.ix_(rest, rest)] @ fixed),
        )

    sublattice = np.repeat(np.arange(len(sublattices)), [len(s.sites) for s in sublattices])
    conflict = _conflict(structure, sublattices, len(species), min_distance_A)
    problem = _Problem(sites, sublattice, sublattices, counts, species, conflict)
    if charges is None:
        return problem
    kernel = ewald_kernel(structure)
    numbers = {element: float(atomic_numbers[element]) for element in elements}
    return replace(
        problem, coulomb=energy(kernel, charges), fingerprint=energy(kernel, numbers)
    )


def _conflict(
    structure: Structure,
    sublattices: tuple[Sublattice, ...],
    n_species: int,
    min_distance_A: float,
) -> QuadraticEnergy:
    """Pairs of occupied sites that are too close, among the sites that may stay empty."""
    sites = np.array([i for sublattice in sublattices for i in sublattice.sites])
    may_be_empty = np.concatenate([[s.has_vacancies] * len(s.sites) for s in sublattices])
    first, second, _ = neighbour_pairs(
        structure.cart_coords[sites], structure.lattice.matrix, min_distance_A
    )
    touching = np.zeros((len(sites), len(sites)))
    touching[first, second] = 0.5
    np.fill_diagonal(touching, 0.0)
    touching *= np.outer(may_be_empty, may_be_empty)
    is_atom = np.ones(n_species)
    is_atom[_VACANCY] = 0.0
    return QuadraticEnergy(touching, np.zeros(len(sites)), is_atom)


def _lowest_state(problem: _Problem, section: OrderingSection) -> NDArray[np.int64]:
    """Arrangement with the ``rank``-th lowest point-charge energy."""
    if problem.coulomb is None or problem.fingerprint is None:
        msg = (
            "orderings cannot be ranked: no oxidation states can be guessed for these "
            "elements; give `ordering.charges` for every element, or take `method: random`"
        )
        raise StructureError(msg)
    rng = np.random.default_rng(section.seed)
    fitting, group, counts = _fitting_states(problem, section.min_distance_A, rng)
    start = fitting[rng.integers(len(fitting), size=N_REPLICAS)]
    scale = typical_exchange(problem.coulomb, start, group, rng=rng)
    terms = [problem.coulomb, scaled(problem.conflict, CONFLICT_PENALTY * scale)]
    terms += [scaled(term, scale) for term in counts]
    n_pairs = len(problem.sites) * (len(problem.sites) - 1) / 2
    n_steps = int(np.clip(STEPS_PER_PAIR * n_pairs, *STEP_BOUNDS))
    states = anneal(
        terms, start, group, temperature=START_TEMPERATURE * scale, n_steps=n_steps, rng=rng
    )
    states = states[problem.conflict.of(states) < 0.5]  # noqa: PLR2004 - whole numbers
    ranked = distinct_minima(
        problem.coulomb.of(states), problem.fingerprint.of(states), n_wanted=section.rank + 1
    )
    if len(ranked) <= section.rank:
        msg = (
            f"ordering.rank is {section.rank}, but annealing found {len(ranked)} distinct "
            f"orderings; ask for a rank below {len(ranked)}"
        )
        raise StructureError(msg)
    return np.asarray(states[ranked[-1]])


def _random_state(problem: _Problem, section: OrderingSection) -> NDArray[np.int64]:
    """A random arrangement; each ``rank`` is another one of the same seed."""
    rng = np.random.default_rng(section.seed)
    states, _, _ = _fitting_states(problem, section.min_distance_A, rng)
    return np.asarray(states[rng.permutation(len(states))[section.rank % len(states)]])


_METHODS: dict[str, Callable[[_Problem, OrderingSection], NDArray[np.int64]]] = {
    "ewald": _lowest_state,
    "random": _random_state,
}


def _fitting_states(
    problem: _Problem, min_distance_A: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[QuadraticEnergy]]:
    """Random arrangements without atoms too close, the published counts kept if they can be.

    Returns
    -------
    tuple
        Arrangements ``(arrangement, site)``, groups of sites that may exchange ``(site,)``,
        and penalties on departures from the counts, which are empty where these are kept.
    """
    by_elements = [frozenset(counts) for counts in problem.counts]
    merged = np.array([by_elements.index(e) for e in by_elements])[problem.sublattice]
    start = _random_start(problem, rng)
    n_steps = FITTING_STEPS_PER_SITE * len(problem.sites)
    for group, counts in ((problem.sublattice, []), (merged, _count_terms(problem))):
        terms = [scaled(problem.conflict, CONFLICT_PENALTY), *counts]
        states = anneal(terms, start, group, temperature=1.0, n_steps=n_steps, rng=rng)
        fitting = states[problem.conflict.of(states) < 0.5]  # noqa: PLR2004 - whole numbers
        if len(fitting):
            return np.asarray(fitting), group, counts
    msg = (
        f"the atoms do not fit on {', '.join(s.name for s in problem.sublattices)} with "
        f"{min_distance_A:g} Å between occupied sites; lower `ordering.min_distance_A`"
    )
    raise StructureError(msg)


def _random_start(problem: _Problem, rng: np.random.Generator) -> NDArray[np.int64]:
    """Random arrangements with the counts of each sublattice, shape ``(replica, site)``."""
    blocks = []
    for sublattice, counts in zip(problem.sublattices, problem.counts, strict=True):
        filling = np.zeros(len(sublattice.sites), dtype=int)
        atoms = [problem.species.index(e) for e, count in counts.items() for _ in range(count)]
        filling[: len(atoms)] = atoms
        blocks.append(rng.permuted(np.tile(filling, (N_REPLICAS, 1)), axis=1))
    return np.concatenate(blocks, axis=1)


def _count_terms(problem: _Problem) -> list[QuadraticEnergy]:
    """Squared departure from the counts, one term an element, up to a constant."""
    together = (problem.sublattice[:, None] == problem.sublattice).astype(float)
    weight = COUNT_PENALTY / len(problem.sites)
    terms = []
    for state, element in enumerate(problem.species[1:], start=1):
        target = np.array([counts.get(element, 0) for counts in problem.counts], dtype=float)
        is_element = np.eye(len(problem.species))[state]
        field = -2.0 * target[problem.sublattice]
        terms.append(scaled(QuadraticEnergy(together, field, is_element), weight))
    return terms


def _filling_notes(
    problem: _Problem, state: NDArray[np.int64], min_distance_A: float
) -> tuple[str, ...]:
    """Whole atoms on each sublattice, and where they had to leave the published counts."""
    lines, shifted = [], []
    for number, (sublattice, counts) in enumerate(
        zip(problem.sublattices, problem.counts, strict=True)
    ):
        here = state[problem.sublattice == number]
        for element, published in sublattice.published.items():
            count = int(np.sum(here == problem.species.index(element)))
            lines.append(
                f"{sublattice.name} {element} {published:.4g} -> {count} of {len(here)} sites"
            )
            if count != counts[element]:
                shifted.append(f"{sublattice.name} {element} {counts[element]} -> {count}")
    notes = [f"sites filled: {'; '.join(lines)}"]
    if shifted:
        notes.append(
            f"occupancies cannot be kept with {min_distance_A:g} Å between occupied sites, "
            f"atoms moved between sublattices: {', '.join(shifted)}"
        )
    return tuple(notes)


def _occupy(structure: Structure, problem: _Problem, state: NDArray[np.int64]) -> Structure:
    """Structure with the species of an arrangement on its sites, the vacancies left out."""
    ordered = structure.copy()
    for site, value in zip(problem.sites, state, strict=True):
        if value != _VACANCY:
            label = structure[int(site)].label
            ordered[int(site)].species = problem.species[value]
            ordered[int(site)].label = label
    ordered.remove_sites([int(s) for s in problem.sites[state == _VACANCY]])
    return ordered
