"""Production of a run: rows of what was analysed, is still to be, and could not be."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from made_up_convergence import make_convergence

from dasksse.report.collect_results import production_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

PRODUCTION = {"frame_interval_steps": 10, "timestep_fs": 2.0, "equilibration_ps": 0.1}
SHORT = (
    "the longest run has 14 frames, diffusion needs at least 20: run longer, write frames more "
    "often or discard less equilibration"
)


def part(run: int, n_frames: int, *, temperature_K: float = 300.0, number: int = 0) -> Any:
    folder = f"continued/{number:03d}" if number else "production"
    return {
        "group": f"{folder}/salt",
        "run": run,
        "n_frames": n_frames,
        "temperature_K": temperature_K,
    }


def point(temperature_K: float) -> dict[str, Any]:
    return {
        "temperature_K": temperature_K, "n_runs": 2, "length_ps": 20.0, "equilibration_ps": 0.1,
        "untrusted_fraction": 0.0, "framework_broken": 0.0, "mean_temperature_K": 601.0,
        "mean_pressure_GPa": 0.1, "D_m2_s": 3e-10, "D_err_m2_s": 4e-11, "regime": "diffusive",
    }  # fmt: skip


def run_with(
    *parts: Any, diffusion: dict[str, Any] | None = None, judged: Sequence[Any] = ()
) -> Any:
    analysis = {"group": "production/salt", "file": "msd.npz", "points": [], "damaged": []}
    results = {
        "structure": [{"name": "salt", "n_atoms": 8}],
        "production": list(parts),
        "convergence": list(judged),
        "diffusion": [] if diffusion is None else [{**analysis, **diffusion}],
    }
    return SimpleNamespace(
        config={"production": PRODUCTION}, results=results.get, arrays=lambda _: {}
    )


def test_finished_runs_wait_for_their_analysis() -> None:
    (row,) = production_rows(run_with(part(0, 101), part(1, 51)))

    assert (row.system, row.temperature_K, row.n_runs, row.n_atoms) == ("salt", 300.0, 2, 8)
    assert row.length_ps == pytest.approx(1.9)
    assert (row.diffusion, row.trouble) == ({}, "")


def test_runs_too_short_for_the_analysis_have_their_length_and_what_is_needed() -> None:
    diffusion = {"damaged": [f"production/salt at 300 K: {SHORT}"]}

    (row,) = production_rows(run_with(part(0, 19), diffusion=diffusion))

    assert row.length_ps == pytest.approx(0.26)
    assert row.trouble.startswith("not analysed: the longest run has 14 frames")
    assert row.trouble.endswith("(at least 0.38 ps after equilibration)")


def test_runs_that_left_no_frames_after_equilibration_are_said_so() -> None:
    (row,) = production_rows(run_with(part(0, 0), diffusion={}))

    assert row.length_ps == 0.0
    assert row.trouble.startswith("not analysed: no frames after equilibration")


def test_parts_of_a_continued_run_are_one_run() -> None:
    (row,) = production_rows(run_with(part(0, 51), part(0, 50, number=1)))

    assert row.n_runs == 1
    assert row.length_ps == pytest.approx(1.9)


def test_an_analysed_temperature_has_one_row_and_others_stay_beside_it() -> None:
    parts = (part(0, 19), part(1, 1001, temperature_K=600.0))
    run = run_with(*parts, diffusion={"points": [point(600.0)]})

    analysed, short = production_rows(run)

    assert (analysed.temperature_K, analysed.length_ps) == (600.0, 20.0)
    assert (analysed.diffusion["D_m2_s"], analysed.trouble) == (3e-10, "")
    assert (short.temperature_K, short.diffusion) == (300.0, {})


def judged(length_ps: float) -> dict[str, Any]:
    found = make_convergence(1e-10, 0.05, 600.0, length_ps=length_ps)
    return {
        "group": "production/salt",
        "temperature_K": 600.0,
        "convergence": json.loads(json.dumps(found.to_json())),
    }


def test_convergence_is_read_back_as_it_was_written_beside_the_other_numbers() -> None:
    found = make_convergence(1e-10, 0.2, 600.0)
    values = json.loads(json.dumps(found.to_json()))

    (row,) = production_rows(
        run_with(diffusion={"points": [{**point(600.0), "convergence": values}]})
    )

    assert found.verdict.wanted_range_ps is not None
    assert row.convergence == found
    assert "convergence" not in row.diffusion


def test_records_of_older_versions_and_runs_too_short_to_tell_have_no_convergence() -> None:
    points = [point(600.0), {**point(800.0), "convergence": None}]

    rows = production_rows(run_with(diffusion={"points": points}))

    assert [row.convergence for row in rows] == [None, None]


def test_of_runs_that_were_continued_the_last_judgement_is_shown() -> None:
    brief = make_convergence(1e-10, 0.2, 600.0).to_json()
    broken = {"group": "production/salt", "temperature_K": 600.0, "text": "framework broken"}
    run = run_with(
        diffusion={"points": [{**point(600.0), "convergence": brief}]},
        judged=[judged(1990.0), broken, judged(990.0)],
    )

    (row,) = production_rows(run)

    assert row.convergence is not None
    assert row.convergence.whole.length_ps == 1990.0


def test_a_run_without_production_has_no_row() -> None:
    assert production_rows(run_with()) == []
