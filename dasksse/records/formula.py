"""Names of materials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase.formula import Formula

if TYPE_CHECKING:
    from collections.abc import Sequence


def reduced_formula(formula: str, type_map: Sequence[str]) -> str:
    """Reduced formula, such as ``Li10GeP2S12`` of ``Ge2Li20P4S24``.

    Parameters
    ----------
    formula
        Of a cell.
    type_map
        Order of the elements; others follow in that of the alphabet.
    """
    counts = Formula(formula).reduce()[0].count()
    order = [element for element in type_map if element in counts]
    order += sorted(counts.keys() - set(order))
    return "".join(
        f"{element}{counts[element] if counts[element] > 1 else ''}" for element in order
    )
