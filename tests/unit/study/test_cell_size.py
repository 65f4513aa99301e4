"""D of cells of several sizes, and whether the largest two agree."""

from __future__ import annotations

from typing import Any

import pytest
from study_player import StudyPlayer, arrhenius, lgps

from dasksse.study.cell_size import CellSize

LINE = arrhenius(1.9e-11, 0.23)
SETTINGS: dict[str, Any] = {
    "studies__cell_size__supercells": [[1, 1, 1], [2, 2, 1], [2, 2, 2]],
    "studies__cell_size__temperatures_K": [600.0, 800.0],
}


def play(factor: float, *, relative_error: float = 0.02, unresolved_K: float = 0.0) -> Any:
    """D of 400 atoms differs from that of smaller cells by a factor."""

    def law(name: str, temperature_K: float) -> tuple[float | None, float | None]:
        D, _ = LINE(name, temperature_K)
        D *= factor if name.endswith("2x2x2") else 1.0
        is_lost = name.endswith("2x2x2") and temperature_K == unresolved_K
        return (None, None) if is_lost else (D, relative_error * D)

    return StudyPlayer([CellSize()], lgps(**SETTINGS), law).conclude()


@pytest.mark.parametrize(
    ("factor", "error", "level", "words"),
    [
        (1.05, 0.02, "trust", "D agrees within 20 % (+5 ± 3 %)"),
        (
            0.5,
            0.02,
            "doubt",
            "D differs by -100 ± 4 %, more than 20 %: larger cells are needed",
        ),
        (0.7, 0.3, "care", "undecided, D differs by -43 ± 52 %: smaller errors are needed"),
    ],
)
def test_the_verdict_names_each_temperature(
    factor: float, error: float, level: str, words: str
) -> None:
    outcome = play(factor, relative_error=error)

    assert outcome.verdict.level == level
    assert outcome.verdict.text == " ".join(
        f"At {at_K} K, 400 against 200 atoms: {words}." for at_K in (600, 800)
    )


def test_a_cell_without_d_leaves_its_temperature_undecided() -> None:
    outcome = play(1.0, unresolved_K=600.0)

    assert outcome.verdict.level == "care"
    assert outcome.verdict.text.startswith(
        "At 600 K, 400 against 200 atoms: undecided, D of 2x2x2"
    )
    assert "At 800 K, 400 against 200 atoms: D agrees" in outcome.verdict.text


def test_the_table_has_a_column_for_each_size() -> None:
    (table,) = play(1.0).tables

    assert [row["T [K]"] for row in table.rows] == ["600", "800"]
    assert list(table.rows[0])[1:] == [f"{n} atoms, D [m²/s]" for n in (50, 200, 400)]
