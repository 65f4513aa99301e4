"""D by generation and the parts of its error, in tables and on the page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dasksse.analyse.stability import DiffusionOfGeneration, TemperatureD
from dasksse.report.html import render_page
from dasksse.report.stability_tables import budget_rows, stability_rows

if TYPE_CHECKING:
    from dasksse.report.data import RunReport


def generation(number: int, D_m2_s: float, *, spread: float) -> DiffusionOfGeneration:
    values = tuple(D_m2_s * factor for factor in (1 - spread, 1.0, 1.0, 1 + spread))
    errors = tuple(0.02 * D_m2_s for _ in values)
    unresolved = TemperatureD(400.0, values[:1], errors[:1], 4)
    return DiffusionOfGeneration(number, (unresolved, TemperatureD(600.0, values, errors, 4)))


@pytest.fixture
def report(full_report: RunReport) -> RunReport:
    found = (generation(0, 2e-10, spread=0.5), generation(1, 1e-10, spread=0.3))
    return replace(full_report, stability=found)


def test_each_generation_has_its_d_change_and_spread(report: RunReport) -> None:
    rows = stability_rows(report)

    assert [(row["generation"], row["T [K]"]) for row in rows] == [
        ("0", "400"),
        ("0", "600"),
        ("1", "400"),
        ("1", "600"),
    ]
    assert rows[2]["models with D"] == "1 of 4"
    assert rows[2]["D [m²/s]"] == rows[2]["change"] == rows[2]["spread of the models"] == "–"
    assert rows[1]["change"] == "–"
    assert rows[3]["change"].startswith("-4")  # 2e-10 to 1e-10, mean of the logarithms
    assert rows[3]["spread of the models"] == "25 %"


def test_parts_that_nobody_looked_at_are_unknown_and_not_zero(report: RunReport) -> None:
    rows = {(row["system"], row["T [K]"]): row for row in budget_rows(report)}
    known = [row for (_, temperature), row in rows.items() if temperature == "600"]

    assert known
    assert {row["models"] for row in known} == {"25 %"}
    others = [row for (_, temperature), row in rows.items() if temperature != "600"]
    assert others
    assert {row["models"] for row in others} == {"–"}
    assert all("without models" in row["whole error"] for row in others)


def test_the_page_shows_both(report: RunReport) -> None:
    page = render_page(report)

    assert "D by generation" in page
    assert "What the error of D is made of" in page
    assert "D by generation" not in render_page(replace(report, stability=()))
