from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[2] / "golden/explore"


@pytest.fixture(scope="session")
def golden() -> Path:
    return GOLDEN


@pytest.fixture(scope="session")
def toy() -> dict[str, Any]:
    """Functions of ``toy_ensemble.py`` by name."""
    return runpy.run_path(str(GOLDEN / "toy_ensemble.py"))
