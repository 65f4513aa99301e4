"""Stages that read exploration back: verdicts and picks, and the probe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.config.schema import SelectSection
from dasksse.loop.stages.structures import FRAMES_FILE, relative_final
from dasksse.loop.stages.training import read_sources
from dasksse.records import Frames, Json, UnitContext
from dasksse.store.trajectories import StoredRun, read_runs, write_verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dasksse.select import CandidateSet, Selection, Shares


def read_group(
    payload: Mapping[str, Json], context: UnitContext
) -> tuple[list[StoredRun], list[str]]:
    """Runs of the payload's group, with the number of frames the MD units reported."""
    n_valid = {int(run): int(count) for run, count in payload["n_valid"].items()}
    return read_runs(context.run_dir, payload["group"], n_valid)


def _candidates(
    payload: Mapping[str, Json], runs: Sequence[StoredRun], deviation_of: str
) -> CandidateSet:
    from dasksse.select import CandidateSet

    name = "deviation_max"
    if deviation_of == "mobile":
        name = f"deviation_max_{payload['mobile_species']}"
    frames = Frames(
        runs[0].frames.numbers,
        np.concatenate([run.frames.positions for run in runs]),
        np.concatenate([run.frames.cells for run in runs]),
    )
    first_volume = [np.full(len(run.frames), run.frames.volumes_A3[0]) for run in runs]
    scalar = {
        key: np.concatenate([run.scalars[key] for run in runs])
        for key in (name, "min_distance", "framework_intact")
    }
    planned = payload["n_planned"] * len(payload["n_valid"])
    return CandidateSet(
        frames=frames,
        run=np.concatenate([np.full(len(run.frames), run.run) for run in runs]),
        index=np.concatenate([np.arange(len(run.frames)) for run in runs]),
        deviation=scalar[name],
        min_distance_A=scalar["min_distance"],
        framework_intact=scalar["framework_intact"] > 0,
        volume_ratio=frames.volumes_A3 / np.concatenate(first_volume),
        temperature_K=np.concatenate([np.full(len(r.frames), r.temperature_K) for r in runs]),
        n_planned=planned,
        is_equilibration=np.concatenate([run.is_equilibration for run in runs]),
    )


def _labelled(
    payload: Mapping[str, Json], context: UnitContext, numbers: NDArray[np.int64]
) -> list[Frames]:
    """Frames the models know that are of the same composition, whatever their system."""
    composition = np.sort(numbers)
    return [
        labels.frames
        for _, labels in read_sources(context, payload["labelled"])
        if np.array_equal(np.sort(labels.frames.numbers), composition)
    ]


def select(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Verdict on every frame; the frames to label go to a file, checks after the picks."""
    from dasksse.select import REASONS, select_frames

    section = SelectSection.model_validate(payload["section"])
    low, high = payload["levels"]
    runs, damaged = read_group(payload, context)
    record = {**_record_of_nothing(payload, context), "damaged": damaged}
    verdict = np.full((len(payload["n_valid"]), payload["n_planned"]), -1, dtype=np.int8)
    reason = verdict.copy()
    if runs:
        candidates = _candidates(payload, runs, section.deviation_of)
        chosen = select_frames(
            candidates,
            section,
            max_labels=section.labels_of(payload["about"]["system"]),
            low=low,
            high=high,
            seed=payload["seed"],
            excluded=payload["excluded"],
            labelled=_labelled(payload, context, candidates.frames.numbers),
        )
        picked = candidates.frames.take([*chosen.picks, *chosen.checks])
        picked.save(context.workdir / FRAMES_FILE)
        verdict[candidates.run, candidates.index] = chosen.verdict
        reason[candidates.run, candidates.index] = chosen.reason
        temperatures = candidates.temperature_K[[*chosen.picks, *chosen.checks]]
        record |= {
            **_record_of(chosen),
            "frame_keys": picked.content_keys(),
            "temperatures_K": [float(t) for t in temperatures],
        }
    table = {
        "verdict": {"levels_eV_A": [low, high], "deviation_of": section.deviation_of},
        "reason": {"table": [text for _, text in sorted(REASONS.items())]},
    }
    write_verdicts(
        context.run_dir, payload["group"], verdict=verdict, reason=reason, attributes=table
    )
    return record


def _record_of_nothing(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """What a selection returns when no run can be read: all planned frames have failed."""
    return {
        "file": relative_final(context, FRAMES_FILE),
        "group": payload["group"],
        "levels": list(payload["levels"]),
        "n_picks": 0,
        "n_checks": 0,
        "n_candidates": 0,
        "n_frames": 0,
        "n_planned": payload["n_planned"] * len(payload["n_valid"]),
        "accurate": 0.0,
        "candidate": 0.0,
        "failed": 1.0,
        "by_temperature": [],
        **payload["about"],
    }


def _record_of(chosen: Selection) -> dict[str, Any]:
    from dasksse.select import CANDIDATE

    return {
        "n_picks": len(chosen.picks),
        "n_checks": len(chosen.checks),
        "n_candidates": int(np.sum(chosen.verdict == CANDIDATE)),
        "n_frames": chosen.shares.n_frames,
        **_shares(chosen.shares),
        "by_temperature": [
            {"temperature_K": temperature, **_shares(part)}
            for temperature, part in chosen.shares_by_temperature.items()
        ],
    }


def _shares(part: Shares) -> dict[str, float]:
    return {
        "accurate": part.accurate,
        "candidate": part.candidate,
        "failed": part.failed,
        "n_planned": part.n_planned,
    }


def probe(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Draw sound frames, as many from each temperature.

    Failed frames are left out: a trajectory that fell apart says nothing on how well the models
    describe the crystal.
    """
    from dasksse.select import draw_probe

    section = SelectSection.model_validate(payload["section"])
    runs, _ = read_group(payload, context)
    record: dict[str, Any] = {
        "file": relative_final(context, FRAMES_FILE),
        "n_frames": 0,
        "places": [],
        "temperatures_K": [],
    }
    if runs:
        candidates = _candidates(payload, runs, "all")
        failed = ~(candidates.deviation < payload["high_eV_A"])
        drawn = draw_probe(
            candidates,
            payload["n_frames"],
            seed=payload["seed"],
            section=section,
            excluded=[int(i) for i in np.flatnonzero(failed)],
        )
        frames = candidates.frames.take(drawn)
        frames.save(context.workdir / FRAMES_FILE)
        record |= {
            "n_frames": len(drawn),
            "frame_keys": frames.content_keys(),
            "places": [int(i) for i in drawn],
            "temperatures_K": [float(t) for t in candidates.temperature_K[drawn]],
        }
    return record
