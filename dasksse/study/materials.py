"""Which material a formula stands for: published values are shown for their own only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase.formula import Formula

if TYPE_CHECKING:
    from collections.abc import Sequence


def material(formula: str, type_map: Sequence[str] = ()) -> str:
    """Reduced formula, such as ``Li10GeP2S12``.

    Parameters
    ----------
    formula
        Of a cell, such as ``Li20Ge2P4S24``.
    type_map
        Order of the elements; others follow in that of the formula.
    """
    counts = Formula(formula).reduce()[0].count()
    order = [*(e for e in type_map if e in counts), *(e for e in counts if e not in type_map)]
    return "".join(
        f"{element}{counts[element] if counts[element] > 1 else ''}" for element in order
    )


def is_material(formula: str, name: str) -> bool:
    """Whether two formulas have the same composition."""
    reduced = [Formula(one).reduce()[0].count() for one in (formula, name)]
    return bool(reduced[0] == reduced[1])
