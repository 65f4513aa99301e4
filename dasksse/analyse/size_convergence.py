"""D at one temperature against the size of the cell: whether the largest two agree."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from dasksse.analyse.size_extrapolation import extrapolate_size
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.analyse.size_extrapolation import SizeExtrapolation
    from dasksse.records import Json

SizeState = Literal["agree", "differ", "undecided"]

SIGNIFICANT = 2.0
"""Standard errors by which two values must differ to be told from one another."""


@dataclass(frozen=True)
class CellD:
    """D of one cell.

    Attributes
    ----------
    name
        System, or store and group.
    n_atoms
        Atoms of the cell.
    length_A
        Cube root of its volume [Å].
    D_m2_s, D_err_m2_s
        Diffusion coefficient and its standard error [m²/s]; None where it is not diffusive.
    upper_bound_m2_s
        D is below this with 95 % confidence [m²/s], where D is unknown and it is bounded.
    """

    name: str
    n_atoms: int
    length_A: float
    D_m2_s: float | None
    D_err_m2_s: float | None
    upper_bound_m2_s: float | None = None


@dataclass(frozen=True)
class ConvergenceInSize:
    """D of several cells of one substance at one temperature.

    Attributes
    ----------
    temperature_K
        Temperature [K]; None where it is not known.
    cells
        The cells, the smallest first.
    tolerance
        Relative difference that is allowed.
    state
        ``agree``: D of the largest two sizes is the same within the tolerance, and so is the
        error of the difference; ``differ``: it is not, beyond the error; ``undecided``: the
        error does not tell.
    difference, difference_err
        D of the largest cell less that of the next size, relative to it, and its error; None
        where D of either is unknown.
    length_factor
        By how much the runs of both should be longer to decide it; None where that would not
        help or cannot be said.
    infinite
        Extrapolation to infinite size, where it was asked for.
    compared
        Names of the cells that were compared, the smaller first.
    text
        One sentence.
    """

    temperature_K: float | None
    cells: tuple[CellD, ...]
    tolerance: float
    state: SizeState
    difference: float | None
    difference_err: float | None
    length_factor: float | None
    infinite: SizeExtrapolation | None
    compared: tuple[str, str]
    text: str

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return {
            **asdict(self),
            "cells": [asdict(cell) for cell in self.cells],
            "compared": list(self.compared),
            "infinite": None if self.infinite is None else self.infinite.to_json(),
        }


def convergence_in_size(
    cells: Sequence[CellD],
    *,
    temperature_K: float | None = None,
    tolerance: float = 0.1,
    extrapolates: bool = False,
) -> ConvergenceInSize:
    """Compare D of the largest two sizes.

    Parameters
    ----------
    cells
        Cells of at least two sizes; of several of one size, the one with the smallest relative
        error is compared.
    temperature_K
        Their temperature [K].
    tolerance
        Relative difference that is allowed, above 0.
    extrapolates
        Also fit a line in 1/L, where D of two sizes is known.

    Raises
    ------
    AnalysisError
        If there are fewer than two sizes or the tolerance is not above 0.
    """
    ordered = tuple(sorted(cells, key=lambda cell: (cell.n_atoms, cell.name)))
    sizes = sorted({cell.n_atoms for cell in ordered})
    if len(sizes) < 2 or not tolerance > 0.0:  # noqa: PLR2004 - a comparison needs two
        msg = f"cells of {sizes} atoms, tolerance {tolerance:g}: need two sizes and above 0"
        raise AnalysisError(msg)
    small, large = (
        min((cell for cell in ordered if cell.n_atoms == size), key=_relative_error)
        for size in sizes[-2:]
    )
    difference, error, factor = _compare(small, large, tolerance)
    state = _state(difference, error, tolerance)
    known = [cell for cell in ordered if math.isfinite(_relative_error(cell))]
    can_fit = len({cell.n_atoms for cell in known}) > 1
    infinite = None
    if extrapolates and can_fit:
        infinite = extrapolate_size(
            [cell.length_A for cell in known],
            [cell.D_m2_s or 0.0 for cell in known],
            [cell.D_err_m2_s or 0.0 for cell in known],
        )
    return ConvergenceInSize(
        temperature_K,
        ordered,
        tolerance,
        state,
        difference,
        error,
        factor if state == "undecided" else None,
        infinite,
        (small.name, large.name),
        _text(small, large, state, difference, error, tolerance),
    )


def _relative_error(cell: CellD) -> float:
    if cell.D_m2_s is None or cell.D_err_m2_s is None:
        return math.inf
    return cell.D_err_m2_s / cell.D_m2_s


def _compare(
    small: CellD, large: CellD, tolerance: float
) -> tuple[float | None, float | None, float | None]:
    """Relative difference, its error, and by what factor of length that is small enough."""
    if small.D_m2_s is None or large.D_m2_s is None:
        return None, None, None
    difference = (large.D_m2_s - small.D_m2_s) / large.D_m2_s
    error = math.hypot(small.D_err_m2_s or 0.0, large.D_err_m2_s or 0.0) / large.D_m2_s
    # half the tolerance leaves room for a difference that is there
    return difference, error, max((SIGNIFICANT * error / tolerance) ** 2, 1.0)


def _state(difference: float | None, error: float | None, tolerance: float) -> SizeState:
    if difference is None or error is None:
        return "undecided"
    if abs(difference) > max(tolerance, SIGNIFICANT * error):
        return "differ"
    return "agree" if max(abs(difference), error) <= tolerance else "undecided"


def _text(
    small: CellD,
    large: CellD,
    state: SizeState,
    difference: float | None,
    error: float | None,
    tolerance: float,
) -> str:
    sizes = f"{large.n_atoms} against {small.n_atoms} atoms"
    if difference is None or error is None:
        unknown = " and ".join(cell.name for cell in (small, large) if cell.D_m2_s is None)
        return f"{sizes}: undecided, D of {unknown} is not known: longer runs are needed"
    found = f"{100 * difference:+.0f} ± {100 * error:.0f} %"
    percent = f"{100 * tolerance:g} %"
    if state == "agree":
        return f"{sizes}: D agrees within {percent} ({found})"
    if state == "differ":
        return f"{sizes}: D differs by {found}, more than {percent}: larger cells are needed"
    return f"{sizes}: undecided, D differs by {found}: smaller errors are needed"
