"""How busy a finished run kept its cores, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from measure import Outcome, Row, SkippedError
from run_times import elapsed_s, unit_times

from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import slots
from dasksse.store.folders import RunFolder
from dasksse.store.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from measure import Options
    from run_times import UnitTimes

    from dasksse.records import Json

ENGINE_KINDS = ("train", "md", "production", "label", "relax", "evaluate")


def measure(options: Options) -> Outcome:
    """Read the journal of a run: CPU time by kind over cores times wall time."""
    folder = RunFolder(options.run_dir)
    facts = _facts(folder)
    resolved = yaml.safe_load(folder.resolved_config.read_text(encoding="utf-8"))
    cores = slots(RegistrySection.model_validate(resolved["engine"]))
    units = unit_times(folder.root)
    available_s = cores * float(facts["wall_s"])
    engines_s = sum(unit.cpu_s for unit in units if unit.kind in ENGINE_KINDS)
    occupied_s = sum(unit.wall_s for unit in units)
    rows = [
        Row("CPU time of engines over cores x wall time", 100 * engines_s / available_s, "%",
            at_least=85.0),
        Row("wall time of the run, report not counted", float(facts["wall_s"]), "s"),
        Row("workers that had a unit, share of the time", 100 * occupied_s / available_s, "%"),
    ]  # fmt: skip
    if "driver_busy_share" in facts:
        share = 100 * float(facts["driver_busy_share"])
        rows.insert(1, Row("driver outside engines, share of the run", share, "%", at_most=3.0))
    return Outcome(
        rows,
        breakdown=_breakdown(units, available_s),
        notes=[
            (
                f"Run {resolved['name']!r}, {len(units)} units, {cores} workers; engines: "
                f"{', '.join(ENGINE_KINDS)}."
            ),
            "The driver's share is that of the last session that had work to do.",
        ],
    )


def _facts(folder: RunFolder) -> dict[str, Json]:
    """What the journal of a finished run says of it.

    Raises
    ------
    SkippedError
        When there is no run, or it is not finished.
    """
    if not folder.journal.is_file():
        msg = f"{folder.root} holds no run: make quickstart, or give --run-dir"
        raise SkippedError(msg)
    journal = Journal(folder.journal, read_only=True)
    facts = journal.facts()
    journal.close()
    if facts.get("state") != "finished":
        msg = f"the run in {folder.root} is not finished (state: {facts.get('state')})"
        raise SkippedError(msg)
    return facts


def _breakdown(
    units: Sequence[UnitTimes], available_s: float
) -> list[dict[str, float | int | str]]:
    """Cost of each kind of unit, the dearest first."""
    by_kind: dict[str, list[UnitTimes]] = {}
    for unit in units:
        by_kind.setdefault(unit.kind, []).append(unit)
    cpu_s = {kind: sum(unit.cpu_s for unit in part) for kind, part in by_kind.items()}
    return [
        {
            "kind": kind,
            "units": len(by_kind[kind]),
            "CPU [s]": cpu_s[kind],
            "wall, all units [s]": sum(unit.wall_s for unit in by_kind[kind]),
            "first to last [s]": elapsed_s(by_kind[kind]),
            "CPU share of cores x wall [%]": 100 * cpu_s[kind] / available_s,
        }
        for kind in sorted(cpu_s, key=lambda kind: -cpu_s[kind])
    ]
