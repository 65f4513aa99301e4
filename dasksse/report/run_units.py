"""What the units of a run have left: their records and arrays, by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.store.folders import RunFolder
    from dasksse.store.journal import Journal, UnitRow


class RunUnits:
    """Finished units of a run by kind, those of abandoned plans left out."""

    def __init__(self, folder: RunFolder, journal: Journal) -> None:
        self.folder = folder
        self.facts = journal.facts()
        current = set(self.facts.get("current", []))
        rows = journal.units()
        self.rows = [row for row in rows if not current or row.key in current]
        self.all_rows = rows
        self.config: dict[str, Any] = yaml.safe_load(folder.resolved_config.read_text())

    def done(self, kind: str, generation: int | None = None) -> list[UnitRow]:
        """Finished units of a kind, of one generation or of all."""
        return [
            row
            for row in self.rows
            if row.kind == kind
            and row.status == "done"
            and generation in {None, row.generation}
        ]

    def results(self, kind: str, generation: int | None = None) -> list[dict[str, Any]]:
        """Their records."""
        return [row.result for row in self.done(kind, generation)]

    def arrays(self, path: str) -> dict[str, NDArray[Any]]:
        """Arrays of an ``.npz`` file of a unit; empty when it cannot be read."""
        try:
            with np.load(self.folder.root / path) as data:
                return {name: data[name] for name in data.files}
        except (OSError, ValueError):
            return {}
