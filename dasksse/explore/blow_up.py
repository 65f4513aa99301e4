"""Blow-up: when a run stopped being physics, and how to say so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from dasksse.explore.lammps_input import temperature_limit_K
from dasksse.records import Frames
from dasksse.structures.periodic import minimum_distances
from dasksse.units import FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from dasksse.explore.md_spec import MdSpec
    from dasksse.explore.segments import MdFrames

_PHYSICS_MESSAGES = re.compile(
    r"lost atoms|non-numeric|box bounds are invalid|too far|out of range atoms|neighbor bins"
    r"|neighbor list overflow|illegal simulation box|box is too small|tilted box|nan",
    re.IGNORECASE,
)
"""What LAMMPS says when atoms or box run away."""


def is_blow_up_message(message: str) -> bool:
    """Tell a run that ran away from an engine that was misused, by LAMMPS' message."""
    return _PHYSICS_MESSAGES.search(message) is not None


def at_time(step: float, spec: MdSpec) -> str:
    """``at 0.52 ps``."""
    return f"at {step * spec.timestep_fs / FS_PER_PS:.6g} ps"


def describe_halt(facts: Mapping[str, float], spec: MdSpec, volume_A3: float) -> str:
    """Why the engine stopped itself, from temperature and volume at that step.

    Parameters
    ----------
    facts
        ``step``, ``temp`` [K] and ``vol`` [Å³].
    spec
        The run.
    volume_A3
        Volume of the start configuration [Å³].
    """
    when = at_time(facts["step"], spec)
    if not facts["temp"] < temperature_limit_K(spec):
        return f"{facts['temp']:.0f} K (limit {temperature_limit_K(spec):.0f} K) {when}"
    return (
        f"volume {facts['vol'] / volume_A3:.2f} x the start "
        f"(limit {spec.max_volume_ratio:g}) {when}"
    )


def first_bad_frame(
    frames: MdFrames, numbers: NDArray[np.int64], spec: MdSpec, volume_A3: float
) -> tuple[int, str] | None:
    """Index of the first frame that is no physics, and what is wrong with it.

    Parameters
    ----------
    frames
        Frames of a segment.
    numbers
        Atomic numbers, shape ``(atom,)``.
    spec
        Limits of the run.
    volume_A3
        Volume of the start configuration [Å³].
    """
    arrays = frames.arrays()
    if len(spec.models) == 1:
        arrays.pop("atom_deviation")
    is_finite = np.all(
        [np.isfinite(a).reshape(len(frames), -1).all(axis=1) for a in arrays.values()], axis=0
    )
    # Distances need finite numbers: what comes after the first bad frame does not count.
    n_finite = int(np.argmin(np.append(is_finite, [False])))
    ratio = np.full(len(frames), np.inf)
    distance = np.zeros(len(frames))
    if n_finite:
        finite = Frames(numbers, frames.positions[:n_finite], frames.cells[:n_finite])
        ratio[:n_finite] = finite.volumes_A3 / volume_A3
        distance[:n_finite] = minimum_distances(finite)
    checks: list[tuple[NDArray[np.bool_], Callable[[int], str]]] = [
        (~is_finite, lambda _: "energy, force deviation or positions not finite"),
        (distance < spec.min_distance_A, lambda i: f"atoms {distance[i]:.2f} A apart"),
        (
            ~(frames.temperature_K < temperature_limit_K(spec)),
            lambda i: (
                f"{frames.temperature_K[i]:.0f} K (limit {temperature_limit_K(spec):.0f} K)"
            ),
        ),
        (
            ~(np.maximum(ratio, 1.0 / ratio) < spec.max_volume_ratio),
            lambda i: f"volume {ratio[i]:.2f} x the start (limit {spec.max_volume_ratio:g})",
        ),
    ]
    found = [(int(np.argmax(is_bad)), describe) for is_bad, describe in checks if is_bad.any()]
    if not found:
        return None
    index, describe = min(found, key=lambda item: item[0])
    step = frames.steps[index]
    frame = round(step / spec.frame_interval_steps)
    return index, f"{describe(index)} {at_time(step, spec)} (frame {frame})"
