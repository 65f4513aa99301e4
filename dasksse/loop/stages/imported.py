"""Stage that brings labels that existed before into a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.loop.stages.structures import LABELS_FILE, labels_record
from dasksse.records import Json, Labels, UnitContext

if TYPE_CHECKING:
    from collections.abc import Mapping


def take(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Labels of one system from the run's copy of the label stores."""
    labels = Labels.load(context.run_dir / payload["file"])
    unknown = np.full(len(labels), np.nan)  # what they took elsewhere is no cost of this run
    labels = replace(labels, seconds=unknown, memory_bytes=unknown)
    labels.save(context.workdir / LABELS_FILE)
    return labels_record(labels, context)
