"""What the driver keeps in memory of a run; all of it can be read back from the run folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dasksse.loop.walk import RunState
from dasksse.store.folders import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.records import Json
    from dasksse.store.folders import RunFolder
    from dasksse.store.journal import UnitRow


@dataclass
class Books:
    """Units that are done or given up, and decisions.

    Attributes
    ----------
    results
        Record of every finished unit, by key.
    kinds
        Its kind.
    failed
        Reason of every quarantined unit, by key.
    decisions
        By name.
    """

    results: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    decisions: dict[str, Json] = field(default_factory=dict)

    @property
    def state(self) -> RunState:
        """What a plan may look at."""
        return RunState(self.results, self.failed, self.decisions)

    def kind_of(self, key: str) -> str:
        """Kind of a unit that is done or given up; empty for another one."""
        if key in self.kinds:
            return self.kinds[key]
        return str(self.failed[key]["kind"]) if key in self.failed else ""


def read_books(folder: RunFolder, rows: list[UnitRow]) -> Books:
    """Books of a run, from its journal's rows and its folder.

    Raises
    ------
    StoreError
        When a decision or the reason of a quarantined unit cannot be read.
    """
    done = [row for row in rows if row.status == "done"]
    return Books(
        results={row.key: row.result for row in done},
        kinds={row.key: row.kind for row in done},
        failed=dict(folder.quarantined()),
        decisions={
            path.stem: read_json(path) for path in sorted(folder.decisions.glob("*.json"))
        },
    )
