"""Stage that labels frames."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.config.schema import RegistrySection
from dasksse.errors import LabelError, ScfError
from dasksse.loop.label_rate import cores_of
from dasksse.loop.stages.structures import LABELS_FILE
from dasksse.records import Frames, Json, Labels, UnitContext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.label import LabelCalculator

TIME_MARGIN = 1.3
"""A frame is begun if so many times the longest one of this attempt fits in the time left."""


def label(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Energy, forces and virial of a batch of frames; a bad frame does not stop the others.

    Each good label is written at once: an attempt that is broken off loses one at most.

    Raises
    ------
    LabelError
        When not one frame of the batch could be labelled.
    ScfError
        When that is so because none of them converged: to try again would change nothing.
    OutOfTimeError
        When the worker has no time for another frame.
    """
    from dasksse.label import ABOVE_CAP, NOT_CONVERGED, load_calculator, reason_kind
    from dasksse.loop.stages.places import frame_folder

    calculator = load_calculator(RegistrySection.model_validate(payload["calculator"]))
    frames = Frames.load(context.run_dir / payload["frames_file"]).take(payload["indices"])
    parts: list[Labels] = []
    seconds: list[float] = []
    for number in range(len(frames)):
        file = context.workdir / f"label-{number:05d}.npz"
        if file.exists():
            parts.append(Labels.load(file))
        else:
            context.workplace.check_time(TIME_MARGIN * max(seconds, default=0.0))
            one = _label_one(frames, number, calculator, payload, context)
            seconds.append(float(one.seconds[0]))
            parts.append(one)
            if one.is_good.all():  # what failed in a dying worker deserves another try
                _save_whole(one, file)
                shutil.rmtree(frame_folder(context, number))  # the log of a failure is kept
        context.progress(number + 1, "labels")
    labels = _joined(frames, parts)
    labels.save(context.workdir / LABELS_FILE)
    for file in context.workdir.glob("label-*.npz"):
        file.unlink()
    n_good = int(labels.is_good.sum())
    if n_good == 0 and all(ABOVE_CAP not in reason for reason in labels.reasons):
        kinds = {reason_kind(reason) for reason in labels.reasons}
        kind = ScfError if kinds <= NOT_CONVERGED else LabelError
        raise kind(labels.source, 1, str(context.workdir), labels.reasons[0])
    return {
        "n": len(labels),
        "n_good": n_good,
        "reasons": [reason for reason in labels.reasons if reason],
        "seconds_per_frame": float(labels.seconds.mean()),
        "cores": cores_of(context.workplace.threads, context.workplace.prefix),
        "source": labels.source,
        "functional": labels.functional,
        "is_surrogate": labels.is_surrogate,
    }


def _label_one(
    frames: Frames,
    number: int,
    calculator: LabelCalculator,
    payload: Mapping[str, Json],
    context: UnitContext,
) -> Labels:
    from dasksse.label import LabelLimits, label_frames
    from dasksse.loop.stages.places import place_of

    return label_frames(
        frames.take([number]),
        calculator,
        virial=payload["virial"],
        limits=LabelLimits(payload["max_force_eV_A"], payload["max_net_force_eV_A"]),
        place=lambda _: place_of(context, number),
    )


def _save_whole(labels: Labels, file: Path) -> None:
    """Write a file that is whole or absent, whatever dies when."""
    temporary = file.with_name("unfinished.npz")
    labels.save(temporary)
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(file)


def _joined(frames: Frames, parts: Sequence[Labels]) -> Labels:
    """Labels of all frames from those of each."""
    return replace(
        parts[0],
        frames=frames,
        energies=np.concatenate([part.energies for part in parts]),
        forces=np.concatenate([part.forces for part in parts]),
        virials=np.concatenate([part.virials for part in parts]),
        reasons=tuple(reason for part in parts for reason in part.reasons),
        seconds=np.concatenate([part.seconds for part in parts]),
        memory_bytes=np.concatenate([part.memory_bytes for part in parts]),
    )
