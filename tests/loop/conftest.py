"""Factory of toy runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from toy_runs import ToyRun, make_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Callable[..., ToyRun]]:
    """Factory of toy runs; what still runs at the end is ended."""
    runs: list[ToyRun] = []

    def make(**changes: Any) -> ToyRun:
        folder = tmp_path / f"toy-{len(runs)}"
        runs.append(make_run(folder, **changes))
        return runs[-1]

    yield make
    for run in runs:
        run.stop()
