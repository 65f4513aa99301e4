"""What a study says when the work it rests on failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.report.data import Verdict
from dasksse.study.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.records import Unit
    from dasksse.study.bench import Bench


def why_failed(bench: Bench, unit: Unit) -> str:
    """Error of a unit that failed for good, its first line; empty when it did not fail."""
    error = str(bench.walk.state.failed.get(unit.key, {}).get("error", "")).strip()
    return error.splitlines()[0] if error else ""


def nothing_found(subject: str, text: str, notes: Sequence[str] = ()) -> Outcome:
    """Outcome of a study that has nothing to show."""
    return Outcome(
        verdict=Verdict("doubt", subject, text), tables=(), values={}, notes=tuple(notes)
    )
