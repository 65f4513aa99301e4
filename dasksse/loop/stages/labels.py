"""Stage that labels frames."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.config.schema import RegistrySection
from dasksse.errors import LabelError, LabelLimitError, ScfError
from dasksse.loop.label_rate import cores_of
from dasksse.loop.stages.frame_deaths import FrameDeaths
from dasksse.loop.stages.structures import LABELS_FILE, labels_record
from dasksse.process import read_log_tail
from dasksse.records import Frames, Json, Labels, UnitContext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.label import LabelCalculator

TIME_MARGIN = 1.3
"""A frame is begun if so many times the longest one of this attempt fits in the time left."""


def label(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Energy, forces and virial of a batch of frames; a bad frame does not stop the others.

    Each label is written at once: an attempt that is broken off loses one at most. Labels that
    exist are taken from the files of the run that the payload names.

    Raises
    ------
    LabelError
        When not one frame of the batch could be labelled.
    ScfError
        When that is so because none of them converged: to try again would change nothing.
    LabelLimitError
        The same when some took too long, or too many workers died with them.
    OutOfTimeError
        When the worker has no time for another frame.
    """
    from dasksse.label import KnownLabels, load_calculator

    calculator = KnownLabels(
        load_calculator(
            RegistrySection.model_validate(payload["calculator"]), base_dir=context.run_dir
        ),
        [Labels.load(context.run_dir / file) for file in payload["known"]],
    )
    frames = Frames.load(context.run_dir / payload["frames_file"]).take(payload["indices"])
    parts: list[Labels] = []
    longest_s = 0.0
    for number in range(len(frames)):
        file = context.workdir / f"label-{number:05d}.npz"
        if file.exists():
            one = Labels.load(file)
        else:
            context.workplace.check_time(TIME_MARGIN * longest_s)
            one = _label_one(frames, number, calculator, payload, context)
            longest_s = float(np.fmax(longest_s, one.seconds[0]))
            _keep(one, number, file, context)
        parts.append(one)
        context.progress(number + 1, "labels")
    labels = _joined(frames, parts)
    labels.save(context.workdir / LABELS_FILE)
    for pattern in ("label-*.npz", "deaths-*.json"):
        for file in context.workdir.glob(pattern):
            file.unlink()
    if (failure := _failure(labels, context)) is not None:
        raise failure
    seconds = labels.seconds[np.isfinite(labels.seconds)]
    return {
        **labels_record(labels, context),
        "reasons": [reason for reason in labels.reasons if reason],
        "seconds_per_frame": float(seconds.mean()) if len(seconds) else None,
        "cores": cores_of(context.workplace.threads, context.workplace.prefix),
    }


def _label_one(
    frames: Frames,
    number: int,
    calculator: LabelCalculator,
    payload: Mapping[str, Json],
    context: UnitContext,
) -> Labels:
    from dasksse.label import LabelLimits, label_frames, without_label
    from dasksse.loop.stages.places import frame_folder, place_of

    frame = frames.take([number])
    deaths = FrameDeaths(context.workdir / f"deaths-{number:05d}.json")
    if deaths.is_too_many:
        reason = (
            f"its worker died {deaths.count} times while it was computed: out of memory, or a "
            f"crash of the calculator? {_last_words(frame_folder(context, number))}"
        )
        return without_label(frame, calculator, reason.strip())
    with deaths.watch():
        return label_frames(
            frame,
            calculator,
            virial=payload["virial"],
            limits=LabelLimits(payload["max_force_eV_A"], payload["max_net_force_eV_A"]),
            place=lambda _: place_of(context, number),
        )


def _last_words(folder: Path) -> str:
    """End of the newest log of a calculator; empty without one."""
    logs = [*folder.rglob("*.log"), *folder.rglob("*.out")]
    newest = max(logs, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None or not (words := read_log_tail(newest, lines=3)):
        return ""
    return f"The end of {newest.relative_to(folder)}: {words}"


def _keep(one: Labels, number: int, file: Path, context: UnitContext) -> None:
    """Write the label of a frame, unless it failed for a reason that may go away.

    What failed in a dying worker deserves another try. The log of a failure is kept.
    """
    from dasksse.label import FINAL, reason_kind
    from dasksse.loop.stages.places import frame_folder

    is_good = bool(one.is_good.all())
    if is_good or reason_kind(one.reasons[0]) in FINAL:
        _save_whole(one, file)
    if is_good:
        shutil.rmtree(frame_folder(context, number))


def _failure(labels: Labels, context: UnitContext) -> LabelError | None:
    """Error of a batch without any good label; None where a frame was above the cap."""
    from dasksse.label import ABOVE_CAP, FINAL, NOT_CONVERGED, reason_kind

    if labels.is_good.any() or any(ABOVE_CAP in reason for reason in labels.reasons):
        return None
    kinds = {reason_kind(reason) for reason in labels.reasons}
    kind = LabelError
    if kinds <= FINAL:
        kind = ScfError if kinds <= NOT_CONVERGED else LabelLimitError
    return kind(labels.source, 1, str(context.workdir), labels.reasons[0])


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
