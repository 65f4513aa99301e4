"""Stage that runs one MD trajectory and publishes it to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.config.schema import PolyhedronSection
from dasksse.records import Frames, Json, UnitContext
from dasksse.store.folders import read_json, write_json
from dasksse.store.layout import scalar_names
from dasksse.store.trajectories import write_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.explore import MdFrames


PUBLISHED = "published.json"
END_STATE = "end_state.npz"
"""What a run is continued from; of a finished unit the only array file."""


def run(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Run MD segment by segment, then publish the whole run as one shard per array.

    The segments are dropped only when the record of the published run is on disk, so a crash at
    any moment costs at most one segment.
    """
    return publish_once(context, lambda: run_and_publish(payload, context))


def publish_once(context: UnitContext, publish: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Record of a published run; once it is on disk, the files of segments are dropped."""
    published = context.workdir / PUBLISHED
    if not published.exists():
        write_json(published, publish())
    for path in context.workdir.glob("*.npz"):
        if path.name != END_STATE:
            path.unlink()
    record: dict[str, Any] = read_json(published)
    return record


def run_and_publish(
    payload: Mapping[str, Json], context: UnitContext, *, end_state: Path | None = None
) -> dict[str, Any]:
    """Run MD, from its start or from the end of another run, and write it to the store."""
    from dasksse.explore import MdSpec, read_md, run_md

    models = [str(context.run_dir / path) for path in payload["spec"]["models"]]
    spec = MdSpec.from_json({**payload["spec"], "models": models})
    start = Frames.load(context.run_dir / payload["structure_file"])
    result = run_md(
        spec,
        start,
        workdir=context.workdir,
        workplace=context.workplace,
        reproducible=context.reproducible,
        on_progress=context.progress,
        end_state=end_state,
    )
    frames = read_md(context.workdir)
    scalars = _scalars(payload, start, frames)
    names = scalar_names(payload["spec"]["type_map"])
    write_run(
        context.run_dir,
        payload["group"],
        payload["run"],
        key=context.key,
        arrays={
            "positions": frames.positions,
            "cell": frames.cells,
            "scalars": np.stack([scalars[name] for name in names], axis=1),
        },
        continued_key=payload["continues"]["key"] if "continues" in payload else "",
    )
    intact = scalars["framework_intact"]
    return {
        "n_frames": result.n_frames,
        "n_planned": result.n_frames_planned,
        "end": result.end,
        "reason": result.reason,
        "steps_done": result.steps_done,
        "steps_repeated": result.steps_repeated,
        "framework_broken": float(np.mean(intact < 1.0)) if len(intact) else 0.0,
        "group": payload["group"],
        "run": payload["run"],
        "temperature_K": payload["spec"]["temperature_K"],
    }


def _scalars(
    payload: Mapping[str, Json], start: Frames, frames: MdFrames
) -> dict[str, NDArray[np.float64]]:
    """Per-frame scalars of the store, by name."""
    from dasksse.explore import Framework, deviation_scalars
    from dasksse.structures import minimum_distances

    configurations = Frames(start.numbers, frames.positions, frames.cells)
    watch = Framework.from_structure(
        start.numbers,
        start.positions[0],
        start.cells[0],
        mobile=payload["mobile_species"],
        polyhedra=_polyhedra(payload["framework"]),
    ).watch(frames.positions, frames.cells)
    return {
        **deviation_scalars(frames.atom_deviation, start.numbers, payload["spec"]["type_map"]),
        "temperature": frames.temperature_K,
        "pressure": frames.pressure_GPa,
        "energy": frames.potential_eV,
        "framework_intact": watch.intact.astype(float),
        "framework_drift": watch.drift_A,
        "framework_rmsd": watch.framework_rmsd_A,
        "min_distance": minimum_distances(configurations),
    }


def _polyhedra(
    sections: Sequence[Mapping[str, Json]] | None,
) -> tuple[PolyhedronSection, ...] | None:
    if sections is None:
        return None
    return tuple(PolyhedronSection.model_validate(section) for section in sections)
