"""Stage that labels frames."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dasksse.config.schema import RegistrySection
from dasksse.errors import LabelError
from dasksse.loop.stages.structures import LABELS_FILE
from dasksse.records import Frames, Json, UnitContext

if TYPE_CHECKING:
    from collections.abc import Mapping


def label(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Energy, forces and virial of a batch of frames; a bad frame does not stop the others.

    Raises
    ------
    LabelError
        When not one frame of the batch could be labelled.
    """
    from dasksse.label import ABOVE_CAP, label_frames, load_calculator

    calculator = load_calculator(RegistrySection.model_validate(payload["calculator"]))
    frames = Frames.load(context.run_dir / payload["frames_file"]).take(payload["indices"])
    started = time.monotonic()
    labels = label_frames(
        frames,
        calculator,
        virial=payload["virial"],
        max_force_eV_A=payload["max_force_eV_A"],
        on_frame=lambda done: context.progress(done, "labels"),
    )
    labels.save(context.workdir / LABELS_FILE)
    n_good = int(labels.is_good.sum())
    if n_good == 0 and all(ABOVE_CAP not in reason for reason in labels.reasons):
        raise LabelError(labels.source, 1, str(context.workdir), labels.reasons[0])
    return {
        "n": len(labels),
        "n_good": n_good,
        "reasons": [reason for reason in labels.reasons if reason],
        "seconds_per_frame": (time.monotonic() - started) / len(labels),
        "source": labels.source,
        "functional": labels.functional,
        "is_surrogate": labels.is_surrogate,
    }
