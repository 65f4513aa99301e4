"""Whole numbers of atoms on partially occupied sublattices."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import StructureError
from dasksse.structures.charges import NEUTRAL_e, formula, net_charge
from dasksse.structures.read import SITE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

FULL = 1.0 - 1e-3
"""A site with this occupancy or more has no vacancies."""

CHANGE_SHOWN = 5e-3
"""Changes of the composition below this many atoms are rounding in the file."""

_SHARED_SITE_WEIGHT = 2.0
"""How much dearer it is to change a species without vacancies than one with vacancies."""

_SUBLATTICE_WEIGHT = 0.01
"""Weight of the counts on single sublattices against the composition of the cell."""


@dataclass(frozen=True)
class Sublattice:
    """Sites with the same partial occupancies.

    Attributes
    ----------
    name
        Names of its sites.
    sites
        Their indices in the structure.
    occupancies
        Occupancy by element, between 0 and 1.
    """

    name: str
    sites: tuple[int, ...]
    occupancies: Mapping[str, float]

    @property
    def published(self) -> dict[str, float]:
        """Mean number of atoms of each element on the sublattice."""
        return {e: occupancy * len(self.sites) for e, occupancy in self.occupancies.items()}

    @property
    def has_vacancies(self) -> bool:
        """True when the occupancies leave room."""
        return sum(self.occupancies.values()) < FULL


def find_sublattices(structure: Structure) -> tuple[Sublattice, ...]:
    """Partially occupied or shared sites, grouped by their occupancies.

    Parameters
    ----------
    structure
        Structure with or without partial occupancies.

    Returns
    -------
    tuple[Sublattice, ...]
        Sublattices in order of their first site; empty for an ordered structure. Sites of
        equal occupancy form one sublattice whatever their labels, so that a list of all atoms
        without symmetry gives the same answer as the asymmetric unit.
    """
    groups: dict[tuple[tuple[str, float], ...], list[int]] = defaultdict(list)
    for index, site in enumerate(structure):
        if not site.is_ordered:
            amounts = site.species.element_composition.items()
            groups[tuple((e.symbol, round(float(x), 4)) for e, x in amounts)].append(index)
    names = [str(site.properties.get(SITE_NAMES, site.label)) for site in structure]
    return tuple(
        Sublattice(", ".join(dict.fromkeys(names[i] for i in sites)), tuple(sites), dict(key))
        for key, sites in groups.items()
    )


def neutral_counts(
    sublattices: Sequence[Sublattice],
    fixed: Mapping[str, float],
    charges: Mapping[str, float] | None,
) -> list[dict[str, int]]:
    """Whole atoms on each sublattice, neutral and nearest to the published occupancies.

    Parameters
    ----------
    sublattices
        Partially occupied sublattices.
    fixed
        Atoms by element on fully occupied sites.
    charges
        Formal charge [e] by element; None for rounding without neutrality.

    Returns
    -------
    list[dict[str, int]]
        Atoms by element for each sublattice.

    Raises
    ------
    StructureError
        When no filling of the sublattices is neutral.

    Notes
    -----
    An integer program: the least change of the cell's composition comes first, with species
    that have vacancies (the mobile ones) changing before those that share a full site, then
    the least change of each sublattice.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    keys = [(s, e) for s, lattice in enumerate(sublattices) for e in lattice.occupancies]
    elements = list(dict.fromkeys(e for _, e in keys))
    published = np.array([sublattices[s].published[e] for s, e in keys])
    n, m = len(keys), len(elements)
    totals = np.array([[float(e == element) for _, e in keys] for element in elements])
    rooms = np.array([[float(s == t) for s, _ in keys] for t in range(len(sublattices))])
    sizes = np.array([len(lattice.sites) for lattice in sublattices], float)
    floors = [0.0 if s.has_vacancies else len(s.sites) for s in sublattices]
    # Unknowns: counts, then bounds on |change| of each element and of each count.
    no_m, no_n = np.zeros((len(sublattices), m)), np.zeros((len(sublattices), n))
    parts = [LinearConstraint(np.hstack([rooms, no_m, no_n]), floors, sizes)]
    for sign in (1.0, -1.0):
        change = np.hstack([sign * totals, -np.eye(m), np.zeros((m, n))])
        shift = np.hstack([sign * np.eye(n), np.zeros((n, m)), -np.eye(n)])
        parts.append(LinearConstraint(change, -np.inf, sign * (totals @ published)))
        parts.append(LinearConstraint(shift, -np.inf, sign * published))
    if charges is not None:
        row = np.concatenate([[charges[e] for _, e in keys], np.zeros(m + n)])
        held = -net_charge(fixed, charges)
        parts.append(LinearConstraint(row[None], held - NEUTRAL_e, held + NEUTRAL_e))
    vacant = {e for s in sublattices if s.has_vacancies for e in s.occupancies}
    weights = [1.0 if e in vacant else _SHARED_SITE_WEIGHT for e in elements]
    cost = np.concatenate([np.zeros(n), weights, np.full(n, _SUBLATTICE_WEIGHT)])
    solution = milp(
        cost,
        constraints=parts,
        integrality=np.concatenate([np.ones(n), np.zeros(m + n)]),
        bounds=Bounds(0.0, np.inf),
    )
    if solution.x is None:
        msg = (
            f"no whole-number filling of {', '.join(s.name for s in sublattices)} is neutral "
            f"with charges {charges}; give other `ordering.charges` or a larger cell"
        )
        raise StructureError(msg)
    counts: list[dict[str, int]] = [{} for _ in sublattices]
    for (s, e), count in zip(keys, solution.x[:n], strict=True):
        counts[s][e] = round(count)
    return counts


def composition_notes(
    sublattices: Sequence[Sublattice],
    counts: Sequence[Mapping[str, int]],
    published: Mapping[str, float],
    charges: Mapping[str, float] | None,
    *,
    max_change: float,
) -> tuple[str, ...]:
    """Say how whole numbers change the composition; refuse when they change it too much.

    Parameters
    ----------
    sublattices
        Partially occupied sublattices.
    counts
        Whole atoms by element on each of them.
    published
        Atoms in the cell by element, before.
    charges
        Formal charge [e] by element; None when unknown.
    max_change
        Largest allowed change, as atoms changed over atoms in the cell.

    Raises
    ------
    StructureError
        When the change is larger.
    """
    whole = dict(published)
    for sublattice, filling in zip(sublattices, counts, strict=True):
        for element, count in filling.items():
            whole[element] += count - sublattice.published[element]
    changes = {e: abs(whole[e] - published[e]) for e in published}
    share = sum(changes.values()) / sum(whole.values())
    text = ", ".join(
        f"{e} {published[e]:.4g} -> {whole[e]:.4g}"
        for e in published
        if changes[e] > CHANGE_SHOWN
    )
    kind = "whole-number" if charges is None else "neutral whole-number"
    if share > max_change:
        net = (
            "" if charges is None else f" (net charge {net_charge(published, charges):+.3g} e)"
        )
        msg = (
            f"the nearest {kind} cell to {formula(published)}{net} changes {text}: {share:.1%} "
            f"of its atoms, above max_composition_change {max_change:.1%}; correct the "
            "occupancies or charges, or raise `ordering.max_composition_change`"
        )
        raise StructureError(msg)
    return (f"composition rounded to a {kind} cell: {text}",) if text else ()
