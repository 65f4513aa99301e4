"""Production that is continued, through driver and store, with a toy engine: ions that hop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from fake_runs import TOY, InProcess, drive

from dasksse import explore
from dasksse.explore.md_spec import MdResult
from dasksse.explore.segments import MdFrames, SegmentEnd, read_state, write_segment
from dasksse.loop.schemes.learning import Ensemble, Learning
from dasksse.loop.schemes.production import produce
from dasksse.loop.walk import Plan, RunState, Walk, make_unit
from dasksse.records import Frames
from dasksse.store.folders import RunFolder
from dasksse.store.stored_trajectory import open_trajectories
from dasksse.store.verification import DAMAGED, verify_store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dasksse.config.schema import RunConfig

COLD_K, HOT_K = 300.0, 600.0
HOPS_PER_FRAME = {COLD_K: 0.002, HOT_K: 0.1}
"""Probability of an ion to hop: few hops give a D with a large error."""
HOP_A = 2.5
N_MOBILE, N_STILL = 40, 8
NUMBERS = [3] * N_MOBILE + [17] * N_STILL
LENGTH_PS, MAX_LENGTH_PS = 4.0, 16.0
LAST_STEP = 4000


class Killed(BaseException):
    """The process dies: nothing below the test handles it."""


class HoppingEngine:
    """Stands in for :func:`dasksse.explore.run_md`: ions hop from where the last part ended.

    Attributes
    ----------
    calls
        Temperature and first step of every run that was begun.
    dies_after
        First step of the run behind whose MD the process dies, once.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[float, int]] = []
        self.dies_after: int | None = None

    def run_md(
        self,
        spec: explore.MdSpec,
        start: Frames,
        *,
        workdir: Path,
        end_state: Path | None = None,
        **_: Any,
    ) -> MdResult:
        first, x = 0, start.positions[0]
        if end_state is not None:
            state = read_state(end_state)
            first, x = int(state["state_step"]), state["state_x"]
        self.calls.append((spec.temperature_K, first))
        n_frames = spec.n_frames(first, first + spec.n_steps)
        rng = np.random.default_rng([spec.seed, first])
        hops = np.zeros((n_frames, len(NUMBERS), 3))
        hops[:, :N_MOBILE] = rng.choice([-HOP_A, HOP_A], (n_frames, N_MOBILE, 3))
        hops[:, :N_MOBILE] *= (
            rng.random((n_frames, N_MOBILE, 3)) < HOPS_PER_FRAME[spec.temperature_K] / 3.0
        )
        hops[0] *= first > 0
        positions = x + np.cumsum(hops, axis=0)
        steps = np.arange(first if first == 0 else first + 10, first + spec.n_steps + 1, 10.0)
        column = np.zeros(n_frames)
        frames = MdFrames(
            steps,
            positions + rng.normal(0.0, 0.05, positions.shape),
            np.repeat(start.cells, n_frames, axis=0),
            column + spec.temperature_K,
            column,
            column,
            np.full((n_frames, len(NUMBERS)), 0.01),
        )
        state = {"state_x": positions[-1], "state_step": np.array(first + spec.n_steps)}
        end = SegmentEnd(first + spec.n_steps, n_frames, "complete")
        write_segment(workdir / "segment-00000.npz", end, frames, state)
        if self.dies_after == first:
            self.dies_after = None
            raise Killed
        return MdResult(n_frames, n_frames, "complete", "", first + spec.n_steps, 0)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> HoppingEngine:
    engine = HoppingEngine()
    monkeypatch.setattr(explore, "run_md", engine.run_md)
    return engine


def production_alone(config: RunConfig, _: Mapping[str, str], state: RunState) -> Plan:
    """The end of a learning run: models and structure are there."""
    dataset = make_unit("dataset", "REDUCE", "none:none", {})
    ensemble = Ensemble(({"model": "m0.pb"}, {"model": "m1.pb"}), dataset, (8, 8))
    learning = Learning({"salt": {"file": "../system.npz", "numbers": NUMBERS}})
    learning.ensemble, learning.levels = ensemble, (0.05, 5.0)
    walk = Walk(state)
    produce(walk, config, learning, 0)
    walk.plan.is_finished = not walk.plan.ready and not walk.plan.blocked
    return walk.plan


def work(folder: Path, **extend: Any) -> str:
    """Work until production is finished, or the process dies; what was on the screen."""
    values = yaml.safe_load(TOY.read_text())
    values["systems"][0]["structure"] = str(TOY.parent / values["systems"][0]["structure"])
    values["production"] |= {
        "length_ps": LENGTH_PS,
        "equilibration_ps": 0.1,
        "extend": {"max_length_ps": MAX_LENGTH_PS, **extend},
    }
    config, run_dir = folder / "config.yaml", folder / "run"
    config.write_text(yaml.safe_dump(values))
    rng = np.random.default_rng(0)
    start = Frames(
        np.array(NUMBERS), rng.uniform(0.0, 12.0, (1, len(NUMBERS), 3)), 12.0 * np.eye(3)[None]
    )
    start.save(folder / "system.npz")
    runner = lambda: InProcess(run_dir)  # noqa: E731
    return drive(run_dir, production_alone, runner, config=config).screen.getvalue()


def lengths_ps(run_dir: Path) -> dict[float, float]:
    (group,) = open_trajectories(run_dir)
    return {
        float(run.temperature_K): (run.n_frames - 1) * run.frame_interval_ps
        for run in group.runs
        if run.temperature_K is not None
    }


def judged(run_dir: Path) -> list[tuple[float, bool]]:
    """Temperature and verdict of every judgement, by temperature and length."""
    folder = RunFolder(run_dir)
    values = [
        folder.unit_result(kind, key)["value"]
        for kind, key in folder.done_units()
        if kind == "convergence"
    ]
    values.sort(key=lambda v: (v["temperature_K"], v["convergence"]["verdict"]["length_ps"]))
    return [(v["temperature_K"], v["is_converged"]) for v in values]


def test_the_temperature_that_is_not_converged_is_continued_and_the_other_is_not(
    tmp_path: Path, engine: HoppingEngine
) -> None:
    screen = work(tmp_path, rounds=1)

    found = lengths_ps(tmp_path / "run")
    assert found[HOT_K] == pytest.approx(LENGTH_PS)
    assert found[COLD_K] > LENGTH_PS
    assert judged(tmp_path / "run")[0] == (COLD_K, False)
    assert judged(tmp_path / "run")[-1] == (HOT_K, True)
    assert [call for call in engine.calls if call[0] == HOT_K] == [(HOT_K, 0)]
    assert f"salt at 300 K: {'not'}" in " ".join(screen.split())
    assert "continued to" in screen


def test_frames_of_a_continued_run_follow_one_another(
    tmp_path: Path, engine: HoppingEngine
) -> None:
    work(tmp_path, rounds=1)

    (group,) = open_trajectories(tmp_path / "run")
    (cold,) = (run for run in group.runs if run.temperature_K == COLD_K)
    steps = np.diff(cold.positions()[:, :N_MOBILE], axis=0)
    assert np.abs(steps).max() < HOP_A + 0.5  # a wrong start would jump by many hops
    deviation = cold.scalars("deviation_max")
    assert deviation is not None
    assert len(deviation) == cold.n_frames
    assert {f.state for f in verify_store(tmp_path / "run")}.isdisjoint({DAMAGED})


def test_a_kill_in_between_repeats_nothing_and_ends_the_same(
    tmp_path: Path, engine: HoppingEngine
) -> None:
    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    work(tmp_path / "calm", rounds=1)
    calm, engine.calls = engine.calls, []
    engine.dies_after = LAST_STEP  # in the first continuation

    with pytest.raises(Killed):
        work(tmp_path / "killed", rounds=1)
    before = dict.fromkeys(engine.calls)
    work(tmp_path / "killed", rounds=1)

    again = engine.calls[len(before) :]
    assert [call for call in again if call in before] == [(COLD_K, LAST_STEP)]  # the killed one
    assert dict.fromkeys(engine.calls).keys() == dict.fromkeys(calm).keys()
    ((one,), (other,)) = (open_trajectories(tmp_path / n / "run") for n in ("calm", "killed"))
    for left, right in zip(one.runs, other.runs, strict=True):
        np.testing.assert_array_equal(left.positions(), right.positions())


def test_the_same_command_on_a_finished_run_does_nothing(
    tmp_path: Path, engine: HoppingEngine
) -> None:
    work(tmp_path, rounds=1)
    engine.calls = []

    work(tmp_path, rounds=1)

    assert engine.calls == []


def test_a_larger_limit_goes_on_where_the_smaller_one_ended(
    tmp_path: Path, engine: HoppingEngine
) -> None:
    work(tmp_path, rounds=3, max_length_ps=2 * LENGTH_PS)
    assert lengths_ps(tmp_path / "run")[COLD_K] == pytest.approx(2 * LENGTH_PS)
    engine.calls = []

    work(tmp_path, rounds=3, max_length_ps=3 * LENGTH_PS)

    assert engine.calls == [(COLD_K, 2 * LAST_STEP)]
    assert lengths_ps(tmp_path / "run")[COLD_K] == pytest.approx(3 * LENGTH_PS)


def test_the_end_of_every_complete_run_is_kept_and_no_other_array(
    tmp_path: Path, engine: HoppingEngine
) -> None:
    work(tmp_path, rounds=1)

    folders = list((tmp_path / "run/work/production").iterdir())
    arrays = {path.name for folder in folders for path in folder.glob("*.npz")}
    assert arrays == {"end_state.npz"}
