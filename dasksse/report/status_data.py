"""Where a run stands: numbers for the terminal and for the dashboard, read while it works."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from dasksse.label import reason_kind
from dasksse.select.trust import pooled_shares
from dasksse.store.folders import PART, PROGRESS, FileLock, unit_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from dasksse.store.folders import RunFolder
    from dasksse.store.journal_reader import JournalReader, KindTotal

N_EVENTS = 8


def read_status(folder: RunFolder, journal: JournalReader) -> dict[str, Any]:
    """Where a run stands, as JSON values; unknown ones are None.

    Parameters
    ----------
    folder
        Run folder; of the units that run now it is asked how far they are.
    journal
        Its journal.

    Notes
    -----
    The cost grows with the units that run, and with generations and systems, hardly with the
    number of finished units.
    """
    facts = journal.facts()
    state = facts.get("state", "new")
    if state == "running" and not FileLock(folder.root / "driver.lock").is_held():
        state = "interrupted"
    is_over = state == "finished"
    ready = _ready(facts, is_over=is_over)
    running = running_units(folder) if state == "running" else []
    totals = journal.totals()
    return {
        "state": state,
        "stage": facts.get("stage", ""),
        "iteration": journal.generation(),
        "generations": _generations(journal),
        "probe": _probe(journal),
        "labels": _labels(journal.n_labels(), totals, ready, running),
        "not_labelled": _not_labelled(journal),
        "units": _unit_counts(totals, ready, running),
        "running": running,
        "pools": facts.get("pools", []),
        "quarantined": journal.quarantined(),
        "D": [
            {"system": str(record["group"]).rpartition("/")[2], **point}
            for _, record in journal.records("diffusion")
            for point in record["points"]
        ],
        "eta_s": None if is_over else facts.get("eta_s"),
        "core_hours": sum(total.cpu_s for total in totals) / 3600.0,
        "wall_s": float(facts.get("wall_s", 0.0)),
        "dashboard": facts.get("dashboard", ""),
        "updated": facts.get("updated"),
        "events": [text for _, text in journal.events(last=N_EVENTS)],
    }


def _ready(facts: Mapping[str, Any], *, is_over: bool) -> dict[str, dict[str, float]]:
    """Units and amount of work that are not done though nothing hinders them, by kind."""
    ready = facts.get("ready", {})
    return {} if is_over or not isinstance(ready, dict) else ready


def running_units(folder: RunFolder) -> list[dict[str, Any]]:
    """Units that a worker holds now: kind, key, amount done (None if not said), and a note."""
    found = []
    for kind in sorted(_names(folder.work)):
        for name in _names(folder.work / kind):
            if not name.endswith(PART):
                continue
            key = name.removesuffix(PART)
            part = folder.part(kind, key)
            if unit_lock(part).is_held():
                found.append({"kind": kind, "key": key, **_progress(part)})
    return found


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _progress(part: Path) -> dict[str, Any]:
    try:
        value = json.loads((part / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # nothing said yet, or the unit has just ended
        return {"done": None, "note": ""}
    return {"done": value["done"], "note": value["note"]}


def _generations(journal: JournalReader) -> list[dict[str, Any]]:
    """Shares of the frames of each generation that has explored."""
    selections: dict[int, list[dict[str, Any]]] = {}
    for generation, record in journal.records("select"):
        selections.setdefault(generation, []).append(record)
    return [
        {
            "generation": generation,
            **pooled_shares(parts),
            "n_labels": sum(int(part["n_picks"]) for part in parts),
            "trust_levels_eV_A": parts[-1]["levels"],
        }
        for generation, parts in sorted(selections.items())
    ]


def _probe(journal: JournalReader) -> list[dict[str, Any]]:
    """Errors of each generation's ensemble on the probe, which is never trained on."""
    rows = {}
    for generation, record in journal.records("evaluate"):
        if "probe" in record["rmse"]:
            errors = record["rmse"]["probe"]
            rows[generation] = {
                "generation": generation,
                "force_rmse_meV_A": errors["mean"]["force_rmse_meV_A"],
                "force_rmse_std_meV_A": errors["std"]["force_rmse_meV_A"],
                "deviation_eV_A": record["mean_deviation_eV_A"]["probe"],
            }
    return [rows[generation] for generation in sorted(rows)]


def _labels(
    n_done: int,
    totals: Iterable[KindTotal],
    ready: Mapping[str, Mapping[str, float]],
    running: Iterable[Mapping[str, Any]],
) -> dict[str, int]:
    """Labels by how far they are; those that run are counted by the mean size of a batch."""
    waiting = ready.get("label", {"units": 0, "amount": 0.0})
    n_running = sum(unit["kind"] == "label" for unit in running)
    share = min(1.0, n_running / waiting["units"]) if waiting["units"] else 0.0
    in_work = round(share * waiting["amount"])
    lost = sum(t.amount for t in totals if t.kind == "label" and t.status != "done")
    return {
        "done": n_done,
        "running": in_work,
        "queued": round(waiting["amount"]) - in_work,
        "quarantined": int(lost),
    }


def _not_labelled(journal: JournalReader) -> dict[str, int]:
    """Frames that were refused or failed, by kind of reason, the most frequent first."""
    counts: Counter[str] = Counter()
    for reason, count in journal.label_failures():
        counts[reason_kind(reason)] += count
    return dict(counts.most_common())


def _unit_counts(
    totals: Iterable[KindTotal],
    ready: Mapping[str, Mapping[str, float]],
    running: Iterable[Mapping[str, Any]],
) -> dict[str, dict[str, int]]:
    """Units by kind: done, running, open (they could start) and quarantined."""
    empty = {"done": 0, "running": 0, "open": 0, "quarantined": 0}
    counts: dict[str, dict[str, int]] = {}
    for total in totals:
        name = "done" if total.status == "done" else "quarantined"
        counts.setdefault(total.kind, dict(empty))[name] += total.units
    at_work = Counter(unit["kind"] for unit in running)
    for kind in sorted(ready.keys() | at_work.keys()):
        entry = counts.setdefault(kind, dict(empty))
        waiting = int(ready[kind]["units"]) if kind in ready else 0
        entry["running"] = at_work[kind]
        entry["open"] = max(0, waiting - at_work[kind])
    return counts
