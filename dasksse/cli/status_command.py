"""``dasksse status``: how far a run is, while it works and after."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dasksse.errors import ConfigError, StoreError
from dasksse.report.formats import format_duration
from dasksse.select.trust import pooled_shares
from dasksse.store.folders import FileLock, RunFolder
from dasksse.store.journal import Journal, open_journal

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from dasksse.store.journal import UnitRow

WATCH_INTERVAL_S = 2.0


def open_run(root: Path) -> tuple[RunFolder, Journal]:
    """Open a run folder to read; a damaged journal is rebuilt when no driver works there.

    Raises
    ------
    ConfigError
        When the folder holds no run.
    """
    folder = RunFolder(root.absolute())
    if not folder.resolved_config.is_file():
        msg = f"{root} holds no run (no {folder.resolved_config.name} in it)"
        raise ConfigError(msg)
    try:
        return folder, Journal(folder.journal, read_only=True)
    except StoreError:
        lock = FileLock(folder.root / "driver.lock")
        if not lock.acquire():
            raise
        try:
            journal, _ = open_journal(folder)
        finally:
            lock.release()
        return folder, journal


def _is_driven(folder: RunFolder) -> bool:
    lock = FileLock(folder.root / "driver.lock")
    if not lock.path.exists():
        return False
    if lock.acquire():
        lock.release()
        return False
    return True


def read_status(folder: RunFolder, journal: Journal) -> dict[str, Any]:
    """Where a run stands, as JSON values."""
    facts = journal.facts()
    units = journal.units()
    done = [unit for unit in units if unit.status == "done"]
    state = facts.get("state", "new")
    if state == "running" and not _is_driven(folder):
        state = "interrupted"
    ready = facts.get("ready", [])
    is_over = state == "finished"
    return {
        "state": state,
        "stage": facts.get("stage", ""),
        "iteration": max((u.generation for u in done if u.kind == "train"), default=None),
        "generations": _generations(done),
        "labels": {
            "done": sum(_labels(u) for u in done),
            "queued": 0 if is_over else int(sum(r[2] for r in ready if r[0] == "label")),
            "quarantined": int(
                sum(u.amount for u in units if u.kind == "label" and u.status != "done")
            ),
        },
        "units": _unit_counts(units, ready),
        "quarantined": [
            {"kind": u.kind, "key": u.key, "error": u.result.get("error", "")}
            for u in units
            if u.status == "quarantined"
        ],
        "D": [point for u in done if u.kind == "diffusion" for point in u.result["points"]],
        "eta_s": None if is_over else facts.get("eta_s"),
        "core_hours": sum(u.cpu_s for u in done) / 3600.0,
        "wall_s": float(facts.get("wall_s", 0.0)),
        "dashboard": facts.get("dashboard", ""),
        "updated": facts.get("updated"),
        "events": [text for _, text in journal.events(last=8)],
    }


def _labels(unit: UnitRow) -> int:
    return int(unit.result.get("n_good", 0)) if unit.kind in {"label", "relax"} else 0


def _generations(done: list[UnitRow]) -> list[dict[str, Any]]:
    rows = []
    for generation in sorted({u.generation for u in done if u.kind == "select"}):
        parts = [u.result for u in done if u.kind == "select" and u.generation == generation]
        rows.append(
            {
                "generation": generation,
                **pooled_shares(parts),
                "n_labels": sum(int(p["n_picks"]) for p in parts),
            }
        )
    return rows


def _unit_counts(units: list[UnitRow], ready: list[list[Any]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for unit in units:
        entry = counts.setdefault(unit.kind, {"done": 0, "quarantined": 0, "open": 0})
        entry["done" if unit.status == "done" else "quarantined"] += 1
    for kind, _, _ in ready:
        counts.setdefault(kind, {"done": 0, "quarantined": 0, "open": 0})["open"] += 1
    return counts


def _render(status: dict[str, Any], root: Path) -> Group:
    head = Text(f"{root}: {status['state']}", style="bold")
    if status["stage"] and status["state"] != "finished":
        head.append(f", {status['stage']}", style="not bold")
    lines: list[Any] = [head]
    if status["eta_s"] is not None:
        lines.append(Text(f"at most {format_duration(status['eta_s'])} to go"))
    if status["dashboard"] and status["state"] == "running":
        lines.append(Text(f"dashboard {status['dashboard']}"))
    labels = status["labels"]
    lines.append(
        Text(
            f"labels {labels['done']} done, {labels['queued']} queued, "
            f"{labels['quarantined']} quarantined; {status['core_hours']:.2f} core-hours"
        )
    )
    if status["generations"]:
        table = Table(box=None, pad_edge=False)
        for column in ("generation", "accurate %", "candidate %", "failed %", "labels"):
            table.add_column(column, justify="right")
        for row in status["generations"]:
            shares = [f"{100 * row[n]:.1f}" for n in ("accurate", "candidate", "failed")]
            table.add_row(str(row["generation"]), *shares, str(row["n_labels"]))
        lines.append(table)
    lines += [Text(_diffusion_line(point)) for point in status["D"]]
    lines += [
        Text(
            f"quarantined {q['kind']} {q['key']}: {q['error'].splitlines()[0]}", style="yellow"
        )
        for q in status["quarantined"]
    ]
    return Group(*lines)


def _diffusion_line(point: dict[str, Any]) -> str:
    at = f"D({point['species']}) at {point['temperature_K']:g} K"
    if point["D_m2_s"] is None:
        bound = point["upper_bound_m2_s"]
        return f"{at}: not resolved" + ("" if bound is None else f", below {bound:.1e} m²/s")
    return f"{at}: {point['D_m2_s']:.2e} ± {point['D_err_m2_s']:.1e} m²/s ({point['regime']})"


def command(arguments: argparse.Namespace) -> int:
    """Print where a run stands, once or again and again."""
    folder, journal = open_run(arguments.run)
    if arguments.json:
        print(json.dumps(read_status(folder, journal), indent=1))  # noqa: T201
        return 0
    console = Console(soft_wrap=True)
    if not arguments.watch:
        console.print(_render(read_status(folder, journal), arguments.run))
        return 0
    with Live(console=console, refresh_per_second=1) as live:
        while True:
            status = read_status(folder, journal)
            live.update(_render(status, arguments.run))
            if status["state"] == "finished" or status["state"].startswith("stopped"):
                return 0
            time.sleep(WATCH_INTERVAL_S)
