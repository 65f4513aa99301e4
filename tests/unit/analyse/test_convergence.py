"""D against length, on ions that hop with a known rate."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dasksse.analyse.convergence import brief_convergence, convergence_in_time
from dasksse.analyse.transport import choose_frames, diffuse
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

HOP_A, INTERVAL_PS = 2.0, 0.1


def hopping(
    n_frames: int, *, hops_per_ps: float, seed: int, n_ions: int = 12, n_equilibration: int = 0
) -> MemoryTrajectory:
    """Ions that hop along an axis, and a framework that rattles."""
    rng = np.random.default_rng(seed)
    shape = (n_frames, n_ions, 3)
    hops = rng.choice([-HOP_A, HOP_A], shape)
    hops *= rng.random(shape) < hops_per_ps * INTERVAL_PS / 3.0
    ions = np.cumsum(hops, axis=0) + rng.normal(0.0, 0.1, shape)
    still = rng.normal(0.0, 0.1, (n_frames, 6, 3))
    return MemoryTrajectory(
        np.repeat([3, 16], [n_ions, 6]),
        np.concatenate([ions, still], axis=1),
        12.0 * np.eye(3),
        INTERVAL_PS,
        600.0,
        n_equilibration,
        name=f"run {seed}",
    )


def true_D_m2_s(hops_per_ps: float) -> float:
    return hops_per_ps * HOP_A**2 / 6.0 * 1e-8


def test_windows_grow_to_the_whole_and_lie_side_by_side() -> None:
    runs = [hopping(1201, hops_per_ps=0.3, seed=seed, n_equilibration=200) for seed in range(2)]

    found = convergence_in_time(runs, "Li", lengths_ps=[20.0, 500.0])

    assert [round(w.length_ps, 6) for w in found.nested] == [6.2, 12.5, 20, 25, 50, 100]
    counts = {round(one.length_ps, 6): len(one.windows) for one in found.window_sets}
    assert counts == {6.2: 32, 12.5: 16, 20.0: 10, 25.0: 8, 50.0: 4, 100.0: 2}
    assert [w.start_ps for w in found.window_sets[2].windows[:3]] == [0.0, 20.0, 40.0]
    assert {w.start_ps for w in found.nested} == {0.0}
    for run in found.runs:
        assert (run.equilibration_ps, run.present_ps) == (20.0, 120.0)


def test_plenty_of_hops_are_converged_at_the_right_D() -> None:
    runs = [hopping(1601, hops_per_ps=0.6, seed=seed, n_ions=24) for seed in range(2)]

    found = convergence_in_time(runs, "Li", equilibration_ps=0.0)

    assert found.verdict.is_converged
    assert found.whole.D_m2_s == pytest.approx(true_D_m2_s(0.6), rel=0.2)
    assert [run.wanted_ps for run in found.runs] == [run.present_ps for run in found.runs]


def test_runs_of_the_length_that_is_asked_for_have_about_the_error_that_is_asked_for() -> None:
    runs = [hopping(601, hops_per_ps=0.25, seed=4, n_ions=8)]
    found = convergence_in_time(runs, "Li", equilibration_ps=0.0)
    assert found.verdict.state == "too_short"

    n_frames = round(found.runs[0].wanted_ps / INTERVAL_PS)
    longer = [hopping(n_frames, hops_per_ps=0.25, seed=5, n_ions=8)]
    again = convergence_in_time(longer, "Li", equilibration_ps=0.0)

    assert again.verdict.relative_error == pytest.approx(0.1, rel=0.6)
    assert again.verdict.relative_error < (found.verdict.relative_error or 0.0)


def test_ions_that_hardly_hop_get_a_bound_and_a_least_length() -> None:
    found = convergence_in_time(
        [hopping(601, hops_per_ps=0.0005, seed=1)], "Li", equilibration_ps=0.0
    )

    assert found.verdict.state == "not_diffusive"
    assert found.whole.D_m2_s is None
    assert found.whole.upper_bound_m2_s is not None
    assert found.verdict.wanted_ps >= 120.0


def test_a_tighter_tolerance_asks_for_longer_runs() -> None:
    runs = [hopping(801, hops_per_ps=0.6, seed=2)]

    loose, tight = (
        convergence_in_time(runs, "Li", tolerance=tolerance, equilibration_ps=0.0).verdict
        for tolerance in (0.5, 0.02)
    )

    assert loose.is_converged
    assert not tight.is_converged
    assert tight.wanted_ps > loose.length_ps


def test_a_run_that_ended_early_is_left_out_and_named() -> None:
    runs = [hopping(601, hops_per_ps=0.3, seed=0), hopping(101, hops_per_ps=0.3, seed=1)]

    found = convergence_in_time(runs, "Li", equilibration_ps=0.0)

    assert [run.name for run in found.runs] == ["run 0"]
    assert any("run 1: left out" in note for note in found.notes)


def test_progress_counts_all_windows() -> None:
    seen: list[tuple[int, int]] = []

    convergence_in_time(
        [hopping(401, hops_per_ps=0.3, seed=0)],
        "Li",
        equilibration_ps=0.0,
        on_window=lambda done, total: seen.append((done, total)),
    )

    assert seen == [(n + 1, len(seen)) for n in range(len(seen))]


def test_the_result_is_plain_json() -> None:
    found = convergence_in_time(
        [hopping(401, hops_per_ps=0.3, seed=0)], "Li", equilibration_ps=0.0
    )

    values = json.loads(json.dumps(found.to_json(), allow_nan=False))

    assert values["verdict"]["state"] == found.verdict.state
    assert len(values["nested"]) == len(found.nested)
    assert values["runs"][0]["name"] == "run 0"


def test_runs_too_short_for_any_window_are_refused() -> None:
    with pytest.raises(
        AnalysisError, match="has 40 frames after equilibration, windows need 50"
    ):
        convergence_in_time([hopping(40, hops_per_ps=0.3, seed=0)], "Li", equilibration_ps=0.0)


def test_a_tolerance_of_nothing_is_refused() -> None:
    with pytest.raises(AnalysisError, match="tolerance is 0, must be above 0"):
        convergence_in_time([hopping(400, hops_per_ps=0.3, seed=0)], "Li", tolerance=0.0)


def test_in_brief_a_quarter_and_a_half_say_the_same_of_known_diffusion() -> None:
    runs = [hopping(1601, hops_per_ps=0.6, seed=seed, n_ions=24) for seed in range(2)]
    usage = choose_frames(runs, "Li", equilibration_ps=0.0)

    brief = brief_convergence(usage, diffuse(usage, "Li", charge=1.0), tolerance=0.2)
    full = convergence_in_time(runs, "Li", equilibration_ps=0.0, tolerance=0.2)

    assert brief.nested == full.nested[-3:]
    assert [len(one.windows) for one in brief.window_sets] == [8]
    assert brief.window_sets[0] in full.window_sets
    assert brief.verdict.state == full.verdict.state == "converged"
    assert brief.runs == full.runs


def test_in_brief_the_first_quarter_of_a_single_run_is_seen_once() -> None:
    run = hopping(801, hops_per_ps=0.6, seed=1)
    usage = choose_frames([run], "Li", equilibration_ps=0.0)

    brief = brief_convergence(usage, diffuse(usage, "Li"))

    assert brief.nested[0] is brief.window_sets[0].windows[0]
    assert brief.nested == convergence_in_time([run], "Li", equilibration_ps=0.0).nested[-3:]


def test_in_brief_runs_of_few_frames_are_refused() -> None:
    usage = choose_frames([hopping(40, hops_per_ps=0.6, seed=1)], "Li", equilibration_ps=0.0)

    with pytest.raises(AnalysisError, match="windows need 50"):
        brief_convergence(usage, diffuse(usage, "Li"))
