"""Labels that a training set is made of: of one kind, and passed by the filters."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.config.schema import FiltersSection, PolyhedronSection
from dasksse.errors import ConfigError
from dasksse.loop.stages.structures import LABELS_FILE, relative_final
from dasksse.records import Frames, Json, Labels, UnitContext
from dasksse.store.folders import RunFolder, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.label import Filtered, LabelPart, Reference

REJECTED_FILE = "rejected.json"


def sound_labels(
    payload: Mapping[str, Json], context: UnitContext
) -> tuple[list[tuple[str, Labels]], dict[str, Any]]:
    """Labels to learn from by system, and what a record says of the others.

    Labels that are kept out go to a file, with the reasons.

    Raises
    ------
    ConfigError
        When labels of different origin are mixed and must not be, or when none is left.
    """
    from dasksse.label import Filtered, filter_labels, unmixed

    parts, notes = unmixed(_parts(payload, context), payload["mixing"])
    filtered = Filtered(parts, (), ())
    if payload["filters"] is not None:
        section = FiltersSection.model_validate(payload["filters"]["section"])
        filtered = filter_labels(parts, section, _references(payload["filters"], context))
    if not filtered.kept:
        msg = f"no label is left to learn from, of {sum(len(p.labels) for p in parts)}"
        if filtered.rejected:
            example = filtered.rejected[0]
            msg += (
                f": label.filters refused all of them, {_counted(filtered)}; the first one, of "
                f"{example.system}: {example.reason}; widen the limits"
            )
        raise ConfigError(msg)
    rejected: dict[str, dict[str, str]] = defaultdict(dict)
    for one in filtered.rejected:
        rejected[one.system][one.frame_key] = f"{one.rule}: {one.reason}"
    write_json(context.workdir / REJECTED_FILE, rejected)
    return [(part.system, part.labels) for part in filtered.kept], {
        "rejected": filtered.counts,
        "rejected_file": relative_final(context, REJECTED_FILE),
        "notes": [*notes, *filtered.notes],
    }


def _counted(filtered: Filtered) -> str:
    return ", ".join(f"{rule} {n}" for rule, n in filtered.counts.items())


def _parts(payload: Mapping[str, Json], context: UnitContext) -> list[LabelPart]:
    """Good labels of each unit."""
    from dasksse.label import LabelPart

    folder = RunFolder(context.run_dir)
    sampled = (payload["filters"] or {}).get("sampled", {})
    parts = []
    for kind, key, system in payload["sources"]:
        labels = Labels.load(folder.unit(kind, key) / LABELS_FILE)
        temperatures = sampled.get(key) or [np.nan] * len(labels)
        part = LabelPart(system, labels, np.array(temperatures, dtype=float), key in sampled)
        parts.append(part.take(np.flatnonzero(labels.is_good)))
    return [part for part in parts if len(part.labels)]


def _references(filters: Mapping[str, Json], context: UnitContext) -> dict[str, Reference]:
    """Structure and framework of each system."""
    from dasksse.explore import Framework
    from dasksse.label import Reference

    polyhedra: Sequence[PolyhedronSection] | None = filters["framework"] and [
        PolyhedronSection.model_validate(unit) for unit in filters["framework"]
    ]
    references = {}
    for system, file in filters["structures"].items():
        frame = Frames.load(context.run_dir / file)
        framework = Framework.from_structure(
            frame.numbers,
            frame.positions[0],
            frame.cells[0],
            mobile=filters["mobile_species"],
            polyhedra=polyhedra,
        )
        references[system] = Reference(
            frame, framework.bonds, framework.cutoffs_A, framework.atoms
        )
    return references
