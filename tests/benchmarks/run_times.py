"""Where the time of a run went, from its journal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class UnitTimes:
    """When a finished unit ran and what it cost; times in s, ``ended`` since the epoch."""

    kind: str
    generation: int
    wall_s: float
    cpu_s: float
    ended: float
    result: dict[str, Any]

    @property
    def began(self) -> float:
        """When it began [s since the epoch]."""
        return self.ended - self.wall_s


def unit_times(run_dir: Path) -> list[UnitTimes]:
    """All finished units of a run, in the order in which they ended."""
    query = (
        "SELECT kind, generation, wall_s, cpu_s, ended, result FROM units "
        "WHERE status = 'done' ORDER BY ended"
    )
    uri = f"{(run_dir / 'journal.sqlite').absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        rows = database.execute(query).fetchall()
    return [
        UnitTimes(kind, generation, wall_s, cpu_s, ended, json.loads(result))
        for kind, generation, wall_s, cpu_s, ended, result in rows
    ]


def elapsed_s(units: Sequence[UnitTimes]) -> float:
    """Wall time from the first unit's begin to the last one's end [s]; 0 for none."""
    if not units:
        return 0.0
    return max(unit.ended for unit in units) - min(unit.began for unit in units)
