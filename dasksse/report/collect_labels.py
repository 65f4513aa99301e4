"""Labels of a run by where they come from: how many, why not, and what they took."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from dasksse.config.schema import RegistrySection
from dasksse.label import REFUSALS, label_costs, reason_kind
from dasksse.records import Labels
from dasksse.report.data import LabelRow
from dasksse.report.formats import SECONDS_PER_HOUR
from dasksse.store.labels import LabelFacts, read_label_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dasksse.records import Json
    from dasksse.report.run_units import RunUnits


def label_rows(run: RunUnits) -> list[LabelRow]:
    """One row for each source and functional, frames of quarantined units included."""
    groups: dict[tuple[str, str], list[LabelFacts]] = defaultdict(list)
    for facts in (*read_label_facts(run.folder.root), *_quarantined(run)):
        groups[facts.source, facts.functional].append(facts)
    cores = max((int(record.get("cores", 1)) for record in run.results("label")), default=1)
    section = RegistrySection.model_validate(run.config["label"]["calculator"])
    return [_row(parts, section, cores) for parts in groups.values()]


def label_notes(run: RunUnits) -> list[str]:
    """What was done with labels of the newest training set: mixed, shifted, not filtered."""
    newest = sorted(run.done("dataset"), key=lambda row: row.generation)[-1:]
    notes = [note for row in newest for note in row.result.get("notes", [])]
    return [_on_one_line(note) for note in notes]


def _on_one_line(note: str) -> str:
    first, *others = map(str.strip, note.splitlines())
    return f"{first} {'; '.join(others)}".strip()


def _row(parts: Sequence[LabelFacts], section: RegistrySection, cores: int) -> LabelRow:
    why, n_refused = _why(parts)
    n_frames = sum(len(part.reasons) for part in parts)
    seconds, memory_bytes = (
        values[np.isfinite(values)]
        for values in (
            np.concatenate([part.seconds for part in parts]),
            np.concatenate([part.memory_bytes for part in parts]),
        )
    )
    is_timed = len(seconds) > 0
    return LabelRow(
        source=parts[0].source,
        functional=parts[0].functional,
        is_surrogate=parts[0].is_surrogate,
        n_good=n_frames - why.total(),
        n_refused=n_refused,
        n_failed=why.total() - n_refused,
        why=dict(why.most_common()),
        median_s=float(np.median(seconds)) if is_timed else None,
        p95_s=float(np.percentile(seconds, 95)) if is_timed else None,
        core_hours=cores * float(seconds.sum()) / SECONDS_PER_HOUR if is_timed else None,
        estimated_core_hours=_estimated_core_hours(parts, section) if is_timed else None,
        memory_bytes=float(memory_bytes.max()) if len(memory_bytes) else None,
    )


def _why(parts: Sequence[LabelFacts]) -> tuple[Counter[str], int]:
    """Frames that nothing is learned from by kind of reason, and how many have a label."""
    kinds: Counter[str] = Counter()
    n_refused = 0
    for part in parts:
        for reason, is_rejected in zip(part.reasons, part.is_rejected, strict=True):
            if not reason:
                continue
            rule = str(reason).partition(":")[0]
            kind = f"filter {rule}" if is_rejected else reason_kind(str(reason))
            kinds[kind] += 1
            n_refused += bool(is_rejected) or kind in REFUSALS
    return kinds, n_refused


def _estimated_core_hours(
    parts: Sequence[LabelFacts], section: RegistrySection
) -> float | None:
    """What is said beforehand of the labels whose time is known; None where nothing is."""
    total = 0.0
    for part in parts:
        seconds = label_costs(section).seconds_per_frame(part.n_atoms)
        if seconds is None:
            return None
        total += seconds * int(np.isfinite(part.seconds).sum())
    return total / SECONDS_PER_HOUR


def _quarantined(run: RunUnits) -> Iterator[LabelFacts]:
    """Frames of the units that failed for good: the store does not have them."""
    for key, reason in run.folder.quarantined().items():
        if reason["kind"] != "label":
            continue
        try:
            labels = Labels.load(run.folder.failed(key) / "labels.npz")
        except (OSError, ValueError, KeyError):  # it did not come so far
            yield _without_file(run, reason)
            continue
        yield LabelFacts(
            labels.frames.n_atoms,
            labels.source,
            labels.functional,
            labels.is_surrogate,
            np.array(labels.reasons),
            np.zeros(len(labels), dtype=bool),
            labels.seconds,
            labels.memory_bytes,
        )


def _without_file(run: RunUnits, reason: Mapping[str, Json]) -> LabelFacts:
    """Frames of a batch that has left nothing but its error."""
    done = run.results("label")
    about = done[0] if done else {}
    n_frames = int(reason["amount"])
    return LabelFacts(
        0,
        about.get("source", ""),
        about.get("functional", ""),
        about.get("is_surrogate", False),
        np.full(n_frames, reason["error"] or "no message"),
        np.zeros(n_frames, dtype=bool),
        np.full(n_frames, np.nan),
        np.full(n_frames, np.nan),
    )
