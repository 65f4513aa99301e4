from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dasksse.report.error_budget import (
    ErrorBudget,
    Term,
    cell_size_term,
    excess_term,
    model_term,
    sampling_term,
)

UNKNOWN = Term(None, why="not run")


def budget(models: Term, cell_size: Term, sampling: Term | None = None) -> ErrorBudget:
    return ErrorBudget(
        temperature_K=600.0,
        sampling=sampling or Term(0.03),
        models=models,
        cell_size=cell_size,
    )


def cell(n_atoms: int, D: float | None, error: float | None) -> dict[str, float | None]:
    return {"n_atoms": n_atoms, "D_m2_s": D, "D_err_m2_s": error}


def test_known_parts_add_in_squares() -> None:
    whole = budget(Term(0.04), Term(0.12))

    assert whole.least == pytest.approx(0.13)
    assert whole.most == pytest.approx(0.13)
    assert whole.total_text() == "13 %"


def test_a_part_that_is_not_known_is_named_and_never_counts_as_nothing() -> None:
    whole = budget(UNKNOWN, Term(0.04))

    assert whole.missing == ("models",)
    assert whole.most is None
    assert whole.total_text() == "≥ 5 %, without models"
    assert whole.models.text() == "–"


def test_a_limit_opens_a_range() -> None:
    whole = budget(Term(0.04, is_limit=True), Term(0.04))

    assert whole.least == pytest.approx(0.05)
    assert whole.most == pytest.approx(math.sqrt(0.03**2 + 2 * 0.04**2))
    assert whole.total_text() == "5 % … 6.4 %"


def test_without_D_there_is_no_whole_error() -> None:
    whole = budget(UNKNOWN, UNKNOWN, sampling_term(None, None))

    assert whole.least is None
    assert whole.total_text() == "–"
    json.dumps(whole.to_json())


def test_noise_is_taken_off_a_difference_that_stands_out() -> None:
    assert excess_term(-0.5, 0.1).relative == pytest.approx(math.sqrt(0.24))
    assert excess_term(0.1, 0.1) == Term(0.1 + 1.96 * 0.1, is_limit=True)


@pytest.mark.parametrize("true", [0.0, 0.1, 0.3])
def test_a_limit_is_below_the_truth_in_less_than_3_of_100_cases(true: float) -> None:
    drawn = np.random.default_rng(3).normal(true, 0.1, 4000)
    terms = [excess_term(float(difference), 0.1) for difference in drawn]

    assert any(term.is_limit for term in terms)
    wrong = [t for t in terms if t.is_limit and t.relative is not None and t.relative < true]
    assert len(wrong) < 0.03 * len(terms)


def test_models_that_sampling_explains_only_limit_the_part() -> None:
    spread = {"models": 0.1, "models_high": 0.4, "is_beyond_sampling": True}

    assert model_term(spread) == Term(0.1)
    assert model_term({**spread, "is_beyond_sampling": False}) == Term(0.4, is_limit=True)


LADDER = [cell(50, 5.0, 0.01), cell(400, 2.0, 0.01), cell(900, 1.0, 0.01)]


def test_the_size_part_is_the_way_to_the_largest_cell_relative_to_the_own_D() -> None:
    assert cell_size_term(LADDER, 50).relative == pytest.approx(0.8, rel=1e-3)
    assert cell_size_term(LADDER, 400).relative == pytest.approx(0.5, rel=1e-3)


def test_the_largest_cell_takes_the_last_step_of_the_ladder() -> None:
    assert cell_size_term(LADDER, 900).relative == pytest.approx(1.0, rel=1e-3)
    assert cell_size_term(LADDER, 1600).relative == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(
    ("cells", "n_atoms", "why"),
    [
        (LADDER, 200, "no cell of 200 atoms"),
        (LADDER[:1], 50, "no two cells"),
        ([], 50, "no two cells"),
        ([cell(50, None, None), cell(400, 2.0, 0.1)], 50, "not resolved"),
    ],
)
def test_a_size_part_that_cannot_be_told_says_why(cells: list, n_atoms: int, why: str) -> None:
    term = cell_size_term(cells, n_atoms)

    assert term.relative is None
    assert why in term.why
