"""Fill a :class:`RunReport` from a run folder, finished or not."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from dasksse import __version__
from dasksse.records import content_key
from dasksse.report.collect_labels import label_notes, label_rows
from dasksse.report.collect_learning import generation_rows
from dasksse.report.collect_results import (
    arrhenius_fits,
    parity_by_set,
    production_rows,
    stability_of,
)
from dasksse.report.data import FailureRow, RunReport, SystemRow
from dasksse.report.run_units import RunUnits
from dasksse.store.provenance import package_versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.store.folders import RunFolder
    from dasksse.store.journal import Journal


def collect_report(folder: RunFolder, journal: Journal) -> RunReport:
    """Read what a report shows.

    Parameters
    ----------
    folder
        Run folder.
    journal
        Its journal.
    """
    run = RunUnits(folder, journal)
    labels = run.results("label") + run.results("relax") + run.results("imported")
    state = str(run.facts.get("state", "running"))
    notes = [note for s in run.results("structure") for note in s["notes"]]
    notes += [
        text
        for kind in ("select", "diffusion")
        for s in run.results(kind)
        for text in s["damaged"]
    ]
    notes += [
        f"learned from {part['n_good']} frames labelled before: {part['source']}, functional "
        f"{part['functional']}"
        for part in run.results("imported")
    ]
    return RunReport(
        name=run.config["name"],
        status=state,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        dasksse_version=__version__,
        config_hash=content_key(run.config),
        label_source=labels[0]["source"] if labels else "",
        functional=labels[0]["functional"] if labels else "",
        is_surrogate=bool(labels[0]["is_surrogate"]) if labels else False,
        type_map=tuple(run.config["type_map"]),
        mobile_species=run.config["mobile_species"],
        versions=package_versions(),
        systems=tuple(_system(s) for s in run.results("structure")),
        labels=tuple(label_rows(run)),
        label_notes=tuple(label_notes(run)),
        generations=tuple(generation_rows(run)),
        production=tuple(production_rows(run)),
        parity=parity_by_set(run),
        arrhenius=arrhenius_fits(run),
        stability=tuple(stability_of(run)),
        timing=_timing(run),
        failures=tuple(_failures(folder)),
        notes=tuple(dict.fromkeys(notes)),
    )


def _system(record: Mapping[str, Any]) -> SystemRow:
    return SystemRow(
        name=record["name"],
        formula=record["formula"],
        n_atoms=record["n_atoms"],
        volume_A3=record["volume_A3"],
        notes="; ".join(record["notes"]),
    )


def _timing(run: RunUnits) -> dict[str, Any]:
    hours: dict[str, float] = defaultdict(float)
    for row in run.all_rows:
        hours[row.kind] += row.cpu_s / 3600.0
    timing: dict[str, Any] = {"cpu_hours": dict(hours)}
    if "wall_s" in run.facts:
        timing["wall_s"] = run.facts["wall_s"]
    if "driver_busy_share" in run.facts:
        timing["driver_share"] = run.facts["driver_busy_share"]
    return timing


def _failures(folder: RunFolder) -> list[FailureRow]:
    return [
        FailureRow(
            kind=reason["kind"],
            key=key,
            reason=reason["error"],
            folder=str(folder.failed(key)),
        )
        for key, reason in folder.quarantined().items()
    ]
