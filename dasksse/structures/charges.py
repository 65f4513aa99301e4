"""Formal charges of elements and the neutrality of a cell."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from dasksse.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

NEUTRAL_e = 1e-3
"""A cell with less net charge [e] than this is neutral."""

NEARLY_NEUTRAL = 0.05
"""Charges are a plausible guess when the net charge is below this share of the positive one:
a few ions too many or too few, not other oxidation states."""


def composition_of(structure: Structure) -> dict[str, float]:
    """Atoms in the cell by element, partial occupancies summed."""
    amounts = structure.composition.element_composition.items()
    return {element.symbol: float(amount) for element, amount in amounts}


def formula(amounts: Mapping[str, float]) -> str:
    """Write amounts as a formula, such as ``Li20.06 Ge2 P4 S24``."""
    return " ".join(f"{e}{round(amount, 2):g}" for e, amount in amounts.items())


def net_charge(amounts: Mapping[str, float], charges: Mapping[str, float]) -> float:
    """Net charge [e] of a cell.

    Parameters
    ----------
    amounts
        Atoms by element.
    charges
        Formal charge [e] by element.
    """
    return sum(amount * charges[element] for element, amount in amounts.items())


def guess_charges(amounts: Mapping[str, float]) -> dict[str, float] | None:
    """Formal charge [e] by element: usual oxidation states that make the cell nearly neutral.

    Parameters
    ----------
    amounts
        Atoms by element, fractions allowed.

    Returns
    -------
    dict[str, float] | None
        One common oxidation state for each element, the set most frequent in known crystals;
        where no set comes near neutrality, the states of a halide that leaves no choice, None
        for all else (elements, alloys, mixed valence).

    Notes
    -----
    Oxidation states and their frequencies are pymatgen's. One state an element is searched for
    directly: the search over mixtures of states takes seconds for sulfides and answers a
    composition with an ion too many by an odd valence instead of a charge.
    """
    from pymatgen.analysis.bond_valence import PRIOR_PROB
    from pymatgen.core import Element, Species

    def frequency(states: Sequence[int]) -> float:
        species = (Species(e, s) for e, s in zip(amounts, states, strict=True))
        return sum(math.log1p(PRIOR_PROB.get(s, 0)) for s in species)

    best: tuple[float, float] | None = None
    guess = None
    for states in itertools.product(*(Element(e).common_oxidation_states for e in amounts)):
        charges = dict(zip(amounts, map(float, states), strict=True))
        net = abs(net_charge(amounts, charges))
        positive = sum(n * charges[e] for e, n in amounts.items() if charges[e] > 0)
        if positive == 0.0 or net > NEARLY_NEUTRAL * positive:
            continue
        merit = (frequency(states), -net)
        if best is None or merit > best:
            best, guess = merit, charges
    return guess or _charges_without_choice(amounts)


def _charges_without_choice(amounts: Mapping[str, float]) -> dict[str, float] | None:
    """Charges of a halide whose cations leave no choice, however far it is from neutral.

    Oxygen and sulfur do leave one: peroxides, polysulfides.
    """
    from pymatgen.core import Element

    charges = {}
    for symbol in amounts:
        element = Element(symbol)
        states = element.common_oxidation_states
        if element.is_halogen:
            charges[symbol] = -1.0
        elif len(states) == 1 and states[0] > 0:
            charges[symbol] = float(states[0])
        else:
            return None
    signs = {charge > 0 for charge in charges.values()}
    return charges if len(signs) == 2 else None  # noqa: PLR2004 - cations and anions


def resolve_charges(
    amounts: Mapping[str, float], given: Mapping[str, float] | None
) -> dict[str, float] | None:
    """Given charges if there are any, else a guess.

    Parameters
    ----------
    amounts
        Atoms by element.
    given
        Formal charge [e] by element.

    Raises
    ------
    StructureError
        When charges are given, but not for every element.
    """
    if given is None:
        return guess_charges(amounts)
    missing = sorted(set(amounts) - set(given))
    if missing:
        msg = (
            f"ordering.charges has no charge for {', '.join(missing)}; the cell holds "
            f"{', '.join(amounts)}"
        )
        raise StructureError(msg)
    return dict(given)


def check_neutral(
    structure: Structure, charges: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    """Refuse a cell whose formal charges do not cancel.

    Parameters
    ----------
    structure
        Crystal, partial occupancies allowed.
    charges
        Formal charge [e] by element; guessed when None.

    Returns
    -------
    tuple[str, ...]
        A note when neutrality cannot be judged: no plausible oxidation states, or a
        transition metal that may change its own.

    Raises
    ------
    StructureError
        With the net charge and the composition of the cell.
    """
    from pymatgen.core import Element

    amounts = composition_of(structure)
    used = resolve_charges(amounts, charges)
    if used is None:
        return (f"no oxidation states known for {formula(amounts)}: neutrality not checked",)
    net = net_charge(amounts, used)
    if abs(net) < NEUTRAL_e:
        return ()
    text = f"{formula(amounts)} has a net charge of {net:+.3g} e with " + ", ".join(
        f"{e} {charge:+g}" for e, charge in used.items()
    )
    if charges is None and any(
        Element(e).is_transition_metal and len(Element(e).common_oxidation_states) > 1
        for e in amounts
    ):
        return (f"{text}; taken for mixed valence",)
    msg = f"{text}; add or remove ions, or give other charges in `ordering: {{charges: ...}}`"
    raise StructureError(msg)
