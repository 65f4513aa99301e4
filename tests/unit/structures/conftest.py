from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def crystals() -> Path:
    """Folder of the structures that come with the package."""
    return Path(__file__).resolve().parents[3] / "configs" / "structures"


@pytest.fixture(scope="session")
def shared_crystals() -> Path:
    """Ordered cells made by others, beside the project."""
    folder = Path(__file__).resolve().parents[3].parent / "shared" / "structures"
    if not folder.is_dir():
        pytest.skip("no reference structures beside the project")
    return folder
