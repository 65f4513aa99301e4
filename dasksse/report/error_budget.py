"""What the error of D is made of: length of the runs, potential, size of the cell."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from dasksse.report.formats import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dasksse.records import Json
    from dasksse.report.arrhenius_text import Row

SCORE_95 = 1.96
"""Standard errors within which 95 % of normal values lie."""


@dataclass(frozen=True)
class Term:
    """One part of the error of D, relative to D.

    Attributes
    ----------
    relative
        Its size as a share of D; None where it is not known, which is not 0.
    is_limit
        Whether the noise hides it: it is below ``relative`` at about 95 %.
    why
        Why it is not known; empty where it is.
    """

    relative: float | None
    is_limit: bool = False
    why: str = ""

    @property
    def is_resolved(self) -> bool:
        """Whether it is a value, neither unknown nor a limit."""
        return self.relative is not None and not self.is_limit

    def text(self) -> str:
        """As a percentage, ``< 12 %`` for a limit, a dash where it is not known."""
        if self.relative is None:
            return UNKNOWN
        return f"{'< ' if self.is_limit else ''}{100 * self.relative:.2g} %"


@dataclass(frozen=True, kw_only=True)
class ErrorBudget:
    """Parts of the error of D at one temperature.

    Attributes
    ----------
    temperature_K
        Temperature [K].
    sampling
        Of the finite number of jumps in the runs.
    models
        Standard deviation across the members of the ensemble, sampling taken off.
    cell_size
        Change of D to the largest cell that was run.
    """

    temperature_K: float
    sampling: Term
    models: Term
    cell_size: Term

    @property
    def terms(self) -> dict[str, Term]:
        """The parts by name."""
        return {"sampling": self.sampling, "models": self.models, "cell size": self.cell_size}

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the parts that are not known."""
        return tuple(name for name, term in self.terms.items() if term.relative is None)

    @property
    def least(self) -> float | None:
        """Root of the summed squares of the parts that are values; None without any."""
        return root_sum_square(
            term.relative for term in self.terms.values() if not term.is_limit
        )

    @property
    def most(self) -> float | None:
        """The same with the limits; None as long as a part is not known."""
        if self.missing:
            return None
        return root_sum_square(term.relative for term in self.terms.values())

    def total_text(self) -> str:
        """The whole error: a value, a range where limits are in it, or a least one."""
        if self.least is None:
            return UNKNOWN
        text = f"{100 * self.least:.2g} %"
        if self.missing:
            return f"≥ {text}, without {' and '.join(self.missing)}"
        if self.most is not None and self.most > self.least:
            return f"{text} … {100 * self.most:.2g} %"
        return text

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return {
            **asdict(self),
            "missing": list(self.missing),
            "least": self.least,
            "most": self.most,
        }


def root_sum_square(values: Iterable[float | None]) -> float | None:
    """Root of the summed squares of the known values; None without any."""
    known = [value for value in values if value is not None]
    return math.hypot(*known) if known else None


def sampling_term(D_m2_s: float | None, D_err_m2_s: float | None) -> Term:
    """Sampling error of D as a share of it."""
    if D_m2_s is None or D_err_m2_s is None:
        return Term(None, why="D is not resolved")
    return Term(D_err_m2_s / D_m2_s)


def excess_term(difference: float, error: float) -> Term:
    """What a difference says beyond its noise; both relative to D.

    The square of the noise is taken off that of the difference. Where the difference is within
    1.96 standard errors, it only limits the term.
    """
    if abs(difference) > SCORE_95 * error:
        return Term(math.sqrt(difference**2 - error**2))
    return Term(abs(difference) + SCORE_95 * error, is_limit=True)


def model_term(spread: Mapping[str, Json]) -> Term:
    """Standard deviation across models.

    Parameters
    ----------
    spread
        ``models``, ``models_high`` and ``is_beyond_sampling`` of a
        :class:`dasksse.analyse.member_spread.Spread` of ln D. Where sampling explains the
        scatter, the upper end of the interval limits the term.
    """
    if spread["is_beyond_sampling"]:
        return Term(spread["models"])
    return Term(spread["models_high"], is_limit=True)


def cell_size_term(cells: Sequence[Mapping[str, Json]], n_atoms: int) -> Term:
    """Change of D from a cell of so many atoms to the largest of a ladder.

    Parameters
    ----------
    cells
        The ladder at one temperature: ``n_atoms``, ``D_m2_s``, ``D_err_m2_s``.
    n_atoms
        Of the cell whose error is asked for. From the largest of the ladder on, the change
        from the next smaller one counts, which is more than what is left.
    """
    ladder = sorted(cells, key=lambda cell: cell["n_atoms"])
    if len({cell["n_atoms"] for cell in ladder}) < 2:  # noqa: PLR2004 - two to compare
        return Term(None, why="no two cells were run at this temperature")
    large = ladder[-1]
    smaller = [cell for cell in ladder if cell["n_atoms"] < large["n_atoms"]]
    if n_atoms < large["n_atoms"]:
        smaller = [cell for cell in smaller if cell["n_atoms"] == n_atoms]
    if not smaller:
        return Term(None, why=f"no cell of {n_atoms} atoms among those of the study cell-size")
    small = smaller[-1]
    if any(cell["D_m2_s"] is None or cell["D_err_m2_s"] is None for cell in (small, large)):
        return Term(None, why="D of the compared cells is not resolved")
    own = small if n_atoms == small["n_atoms"] else large
    return excess_term(
        (large["D_m2_s"] - small["D_m2_s"]) / own["D_m2_s"],
        math.hypot(small["D_err_m2_s"], large["D_err_m2_s"]) / own["D_m2_s"],
    )


def budget_row(budget: Mapping[str, Json]) -> Row:
    """Line of a table for what :meth:`ErrorBudget.to_json` gave, with its ``branch``."""
    whole = ErrorBudget(
        temperature_K=budget["temperature_K"],
        sampling=Term(**budget["sampling"]),
        models=Term(**budget["models"]),
        cell_size=Term(**budget["cell_size"]),
    )
    return {
        "crystal": budget["branch"],
        "T [K]": f"{budget['temperature_K']:g}",
        **{name: term.text() for name, term in whole.terms.items()},
        "whole error": whole.total_text(),
    }
