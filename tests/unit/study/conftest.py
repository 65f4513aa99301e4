"""A made-up DFT code among the calculators, and a clock that shows what it costs."""

from __future__ import annotations

import pytest
import studies

from dasksse.label import calculators


@pytest.fixture(autouse=True)
def made_up_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(calculators.CALCULATOR_KINDS, "made-up", studies.MADE_UP)
    monkeypatch.setattr("dasksse.label.single_point.time", studies.CLOCK)
    studies.CALLS.clear()
    studies.FAILING.clear()
    studies.MISSING.clear()
