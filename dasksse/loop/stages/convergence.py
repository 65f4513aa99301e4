"""Stages that compute frames with other settings of the calculator and compare the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import ConfigError
from dasksse.loop.stages.labels import label
from dasksse.loop.stages.structures import LABELS_FILE
from dasksse.records import Json, Labels, UnitContext
from dasksse.store.folders import RunFolder
from dasksse.units import EV_A3_PER_GPA, MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def single_point(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Label one frame; settings that the calculator lacks for its elements are a result.

    Raises
    ------
    LabelError
        When the frame could not be labelled.
    OutOfTimeError
        When the worker has no time for it.
    """
    try:
        return label(payload, context)
    except ConfigError as error:
        return {"unavailable": str(error)}


def errors(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Errors of each point of a ladder against its last one, and the time each takes.

    A point is a list of label units, one for each frame, in the order of the frames; None
    stands for one without a label.
    """
    points = [_labels(keys, payload["kind"], context) for keys in payload["points"]]
    finest = points[-1]
    return {"rows": [_row(labels, finest) for labels in points]}


def _labels(keys: Sequence[str | None], kind: str, context: UnitContext) -> list[Labels] | None:
    if None in keys:
        return None
    folder = RunFolder(context.run_dir)
    return [Labels.load(folder.unit(kind, str(key)) / LABELS_FILE) for key in keys]


def _row(labels: list[Labels] | None, finest: list[Labels] | None) -> dict[str, Any] | None:
    if labels is None:
        return None
    return {
        "source": labels[0].source,
        "seconds": float(np.median([one.seconds[0] for one in labels])),
        "errors": None if finest is None else label_errors(labels, finest),
    }


def label_errors(
    labels: Sequence[Labels], reference: Sequence[Labels]
) -> dict[str, float | None]:
    """Errors of labels against better ones of the same frames.

    Parameters
    ----------
    labels, reference
        One label for each frame.

    Returns
    -------
    dict[str, float | None]
        ``energy_meV_atom``: mean error of the energy, which an offset common to all frames
        makes large and harmless; ``energy_difference_meV_atom``: largest error of a difference
        between two frames; ``force_meV_A``: root mean square over components;
        ``force_largest_meV_A``: largest component; ``stress_GPa``: root mean square over
        components, None where a label has no virial.
    """
    pairs = list(zip(labels, reference, strict=True))
    energies = np.array([(a.energies[0] - b.energies[0]) / a.frames.n_atoms for a, b in pairs])
    forces = np.stack([a.forces[0] - b.forces[0] for a, b in pairs])
    volumes = np.array([a.frames.volumes_A3[0] for a, _ in pairs])
    stresses = np.stack([a.virials[0] - b.virials[0] for a, b in pairs])
    stresses /= volumes[:, None, None] * EV_A3_PER_GPA
    stress = float(np.sqrt(np.mean(stresses**2)))
    return {
        "energy_meV_atom": MEV_PER_EV * float(energies.mean()),
        "energy_difference_meV_atom": MEV_PER_EV * float(np.ptp(energies)),
        "force_meV_A": MEV_PER_EV * float(np.sqrt(np.mean(forces**2))),
        "force_largest_meV_A": MEV_PER_EV * float(np.abs(forces).max()),
        "stress_GPa": stress if np.isfinite(stress) else None,
    }
