"""Stages of production: MD that can be continued, and the judgement of its length."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import AnalysisError, StoreError
from dasksse.loop.stages.exploration import END_STATE, publish_once, run_and_publish
from dasksse.loop.stages.structures import relative_final
from dasksse.store.continued import ContinuedTrajectory
from dasksse.store.stored_trajectory import open_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.records import Json, Trajectory, UnitContext


def run(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Run MD from its start, or from the end of another unit, and keep the state at its end."""

    def publish() -> dict[str, Any]:
        from dasksse.explore import keep_end_state

        before = payload.get("continues")
        end_state = None if before is None else context.run_dir / before["end_state"]
        record = run_and_publish(payload, context, end_state=end_state)
        is_kept = keep_end_state(context.workdir, context.workdir / END_STATE)
        return {**record, "end_state": relative_final(context, END_STATE) if is_kept else ""}

    return publish_once(context, publish)


def open_chain(chain: Sequence[Mapping[str, Json]], context: UnitContext) -> Trajectory:
    """Parts of one run as one trajectory.

    Parameters
    ----------
    chain
        ``group``, ``run`` and ``n_frames`` of each part, the start of the run first.

    Raises
    ------
    StoreError
        When the store does not hold so many frames of them.
    """
    first = chain[0]
    whole = open_run(context.run_dir, first["group"], first["run"])
    parts = whole.parts if isinstance(whole, ContinuedTrajectory) else (whole,)
    wanted = [int(part["n_frames"]) for part in chain]
    found = [part.n_frames for part in parts[: len(chain)]]
    if len(found) < len(wanted) or any(np.less(found, wanted)):
        msg = (
            f"{whole.name}: found parts of {found} frames, the units of the run reported "
            f"{wanted}; `dasksse verify {context.run_dir}` finds out what is damaged"
        )
        raise StoreError(msg)
    used = tuple(
        replace(part, n_frames=count) for part, count in zip(parts, wanted, strict=False)
    )
    return used[0] if len(used) == 1 else ContinuedTrajectory(used)


def judge(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Verdict on the length of the runs at one temperature, and the length they should have.

    Runs that nothing can be read from D are not to be continued: ``wanted_ps`` is None then.
    """
    from dasksse.analyse.convergence import convergence_in_time
    from dasksse.analyse.diffusion_points import BROKEN_LIMIT

    runs = [open_chain(chain, context) for chain in payload["runs"]]
    record = {
        "temperature_K": payload["temperature_K"],
        "group": payload["runs"][0][0]["group"],
    }
    broken = _framework_broken(runs)
    if broken > BROKEN_LIMIT:
        text = f"framework broken in {100 * broken:.0f} % of frames: no D to be had"
        return {**record, "is_converged": False, "wanted_ps": None, "text": text}
    try:
        found = convergence_in_time(
            runs, payload["mobile_species"], tolerance=payload["tolerance"]
        )
    except AnalysisError as error:
        return {**record, "is_converged": False, "wanted_ps": None, "text": str(error)}
    return {
        **record,
        "is_converged": found.verdict.is_converged,
        "wanted_ps": max(run.wanted_ps for run in found.runs),
        "text": found.verdict.text,
        "convergence": found.to_json(),
    }


def _framework_broken(runs: Sequence[Trajectory]) -> float:
    """Share of frames after equilibration with a broken framework."""
    columns = [(run.scalars("framework_intact"), run.n_equilibration) for run in runs]
    flags = [column[first:] for column, first in columns if column is not None]
    return float(np.mean(np.concatenate(flags) < 1.0)) if flags else 0.0
