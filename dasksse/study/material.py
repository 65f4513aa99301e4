"""Whether a crystal is the material that published numbers are for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ase.data import chemical_symbols
from ase.formula import Formula

if TYPE_CHECKING:
    from collections.abc import Sequence


def is_material(numbers: Sequence[int], formula: str) -> bool:
    """Whether atoms have the composition of a formula, such as ``Li10GeP2S12``.

    Parameters
    ----------
    numbers
        Atomic numbers, shape ``(atom,)``.
    formula
        Formula of the material; multiples of it count as equal.
    """
    found = Formula.from_dict(Counter(chemical_symbols[number] for number in numbers))
    reduced, _ = found.reduce()
    wanted, _ = Formula(formula).reduce()
    return dict(reduced.count()) == dict(wanted.count())
