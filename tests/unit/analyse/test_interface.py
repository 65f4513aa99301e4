from __future__ import annotations

from pathlib import Path

import dasksse.analyse

API = Path(__file__).parents[3] / "docs" / "api.md"


def test_every_exported_name_is_there_and_documented() -> None:
    page = API.read_text()

    listed = [name for name in dasksse.analyse.__all__ if f"dasksse.analyse.{name}\n" in page]

    assert listed == dasksse.analyse.__all__
    assert [name for name in listed if not hasattr(dasksse.analyse, name)] == []
