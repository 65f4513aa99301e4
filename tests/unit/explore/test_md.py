"""The logic of a run, with an engine that moves all atoms along x by 0.01 Å a step."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.errors import ExplorationError, OutOfTimeError, StoreError
from dasksse.explore import md
from dasksse.explore.lammps_client import LammpsFailure
from dasksse.explore.md_run import keep_end_state
from dasksse.records import Frames, Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dasksse.explore.lammps_setup import EngineSetup
    from dasksse.explore.md_spec import MdSpec

pytestmark = pytest.mark.usefixtures("engine")

CELL_A = 5.0
SPEED_A = 0.01


class StraightLineEngine:
    """Stands in for the client: prints what LAMMPS would print."""

    pid = 1

    def __init__(self) -> None:
        self.started_from = []
        self.rows = ""
        self.temperature_K = 400.0
        self.dies_at = None
        self.fails_at = None
        self.halts_at = None
        self.message = "Lost atoms: original 2 current 1"
        self.loses_frame = None
        self.touch_at = None
        self.hung_after_s: list[float] = []
        self.during_step: Callable[[], None] = lambda: None

    def run(
        self,
        *,
        state_in: Path | None,
        commands: list[str],
        steps: int,
        state_out: Path,
        hung_after_s: float,
        on_step: Callable[[int], None] | None = None,
    ) -> dict[str, Any]:
        self.started_from.append(None if state_in is None else state_in.name)
        if state_in is not None:
            with np.load(state_in) as state:
                self.step = int(state["state_step"])
                self.fractions = state["state_x"] / CELL_A + state["state_image"]
        files = re.findall(r'^(?:log|dump .*) "(.*)"', "\n".join(commands), re.MULTILINE)
        with contextlib.suppress(StopIteration):
            self._print(files[0], *re.findall(r'"(.*)"', commands[-2]), steps)
        if self.dies_at is not None and self.step == self.dies_at:
            self.dies_at = None
            raise ExplorationError("LAMMPS", -9, ".", "killed")
        if self.step == self.fails_at:
            raise LammpsFailure(self.message)
        self.hung_after_s.append(hung_after_s)
        self.during_step()
        if on_step is not None:
            on_step(self.step - 1)
        images = np.floor(self.fractions)
        wrapped = (self.fractions - images) * CELL_A
        np.savez(state_out, state_step=self.step, state_x=wrapped, state_image=images)
        return {"ok": True, "step": self.step, "temp": 9999.0, "vol": CELL_A**3}

    def _print(self, log_name: str, dump_name: str, steps: int) -> None:
        stops = (self.dies_at, self.fails_at, self.halts_at)
        box = f"0 {CELL_A} 0 {CELL_A} 0 {CELL_A} 0 0 0"
        with Path(log_name).open("a") as log, Path(dump_name).open("a") as dump:
            for count in range(steps + 1):
                if count:
                    self.step += 1
                    self.fractions = self.fractions + np.array([SPEED_A / CELL_A, 0.0, 0.0])
                if self.step % 5 == 0 and self.step != self.loses_frame:
                    log.write(f"{self.step} {self.temperature_K} 10000 -1.5 {box}\n")
                    self._dump(dump)
                    self.rows += f"{self.step} 0 0 0 0 0 0 0.1 0.2\n"
                if self.step in stops:
                    raise StopIteration

    def _dump(self, dump: IO[str]) -> None:
        fractions = self.fractions.copy()
        if self.step == self.touch_at:
            fractions[1] = fractions[0] + 0.1
        dump.write(f"ITEM: TIMESTEP\n{self.step}\nITEM: ATOMS id xs ys zs ix iy iz\n")
        for i, (x, y, z) in enumerate(fractions, start=1):
            dump.write(f"{i} {x - np.floor(x):.17g} {y:.17g} {z:.17g} {np.floor(x):.0f} 0 0\n")

    def take_deviation_rows(self) -> str:
        rows, self.rows = self.rows, ""
        return rows


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StraightLineEngine:
    engine = StraightLineEngine()

    @contextlib.contextmanager
    def client(setup: EngineSetup) -> Iterator[StraightLineEngine]:
        engine.setup = setup
        yield engine

    monkeypatch.setattr(md, "lammps_client", client)
    return engine


@pytest.fixture
def spec(toy: dict[str, Any], tmp_path: Path) -> MdSpec:
    models = (tmp_path / "m0.pb", tmp_path / "m1.pb")
    for model in models:
        model.write_text(model.name)
    return toy["toy_spec"](map(str, models), n_steps=52)


@pytest.fixture
def start() -> Frames:
    positions = np.array([[[0.1, 0.2, 0.3], [2.6, 2.7, -2.2]]])
    return Frames(np.array([29, 79]), positions, CELL_A * np.eye(3)[None])


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return tmp_path / "run"


def expected_positions(start: Frames, steps: Any) -> NDArray[np.float64]:
    moved = np.zeros((len(steps), 2, 3))
    moved[:, :, 0] = SPEED_A * np.asarray(steps)[:, None]
    return start.positions[0] + moved


def test_a_calm_run_writes_every_planned_frame_once(
    spec: MdSpec, start: Frames, workdir: Path
) -> None:
    result = md.run_md(spec, start, workdir=workdir)

    frames = md.read_md(workdir)
    assert result == md.MdResult(11, 11, "complete", "", 52, 0)
    np.testing.assert_array_equal(frames.steps, np.arange(0, 55, 5))
    np.testing.assert_allclose(frames.positions, expected_positions(start, frames.steps))
    np.testing.assert_allclose(frames.atom_deviation, [[0.1, 0.2]] * 11)
    np.testing.assert_allclose(frames.pressure_GPa, 1.0)
    assert sorted(path.name for path in workdir.iterdir()) == [
        "segment-00000.npz",
        "segment-00001.npz",
        "segment-00002.npz",
        "spec.json",
        "start.npz",
    ]


def test_a_living_child_runs_on_in_normal_mode_alone(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    md.run_md(spec, start, workdir=workdir / "normal")
    normal, engine.started_from = engine.started_from, []
    md.run_md(spec, start, workdir=workdir / "same", reproducible=True)

    assert normal == ["start.npz", None, None]
    assert engine.started_from == ["start.npz", "segment-00000.npz", "segment-00001.npz"]


def test_a_finished_run_needs_no_engine(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    first = md.run_md(spec, start, workdir=workdir)
    engine.started_from = []

    again = md.run_md(spec, start, workdir=workdir)

    assert again == first
    assert engine.started_from == []


def test_after_a_crash_the_run_goes_on_behind_the_last_segment(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    engine.dies_at = 33
    with pytest.raises(ExplorationError, match="killed"):
        md.run_md(spec, start, workdir=workdir)
    engine.started_from = []

    result = md.run_md(spec, start, workdir=workdir)

    assert result == md.MdResult(11, 11, "complete", "", 52, 10)
    assert engine.started_from == ["segment-00000.npz", None]
    frames = md.read_md(workdir)
    np.testing.assert_allclose(frames.positions, expected_positions(start, frames.steps))


def test_a_damaged_segment_is_named_and_redone_with_all_behind_it(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    md.run_md(spec, start, workdir=workdir)
    before = md.read_md(workdir)
    (workdir / "segment-00001.npz").write_bytes(b"PK broken")
    engine.started_from = []

    with pytest.warns(
        RuntimeWarning, match=r"segment-00001\.npz is damaged.*redone from there"
    ):
        result = md.run_md(spec, start, workdir=workdir)

    assert result == md.MdResult(11, 11, "complete", "", 52, 32)
    assert engine.started_from == ["segment-00000.npz", None]
    np.testing.assert_allclose(md.read_md(workdir).positions, before.positions)


def test_atoms_too_close_end_the_run_before_that_frame(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    engine.touch_at = 30

    result = md.run_md(spec, start, workdir=workdir)

    assert result.end == "blow-up"
    assert result.reason == "atoms 0.87 A apart at 0.06 ps (frame 6)"
    assert (result.n_frames, result.steps_done) == (6, 30)
    assert md.read_md(workdir).steps[-1] == 25
    assert md.run_md(spec, start, workdir=workdir) == result


def test_a_halt_of_the_engine_is_a_blow_up(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    engine.halts_at = 28

    result = md.run_md(spec, start, workdir=workdir)

    assert result == md.MdResult(11, 6, "blow-up", "9999 K (limit 3000 K) at 0.056 ps", 28, 0)


def test_lost_atoms_are_a_blow_up_with_the_frames_before(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    engine.fails_at = 33

    result = md.run_md(spec, start, workdir=workdir)

    assert (result.end, result.n_frames, result.steps_done) == ("blow-up", 7, 30)
    assert result.reason == "Lost atoms: original 2 current 1, last frame at 0.06 ps"


def test_a_message_that_is_no_physics_is_an_error(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    engine.fails_at = 10
    engine.message = "Unknown command: fixx"

    with pytest.raises(ExplorationError, match="Unknown command: fixx"):
        md.run_md(spec, start, workdir=workdir)


def test_a_missing_frame_in_a_calm_run_is_an_error(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    engine.loses_frame = 15

    with pytest.raises(ExplorationError, match="steps 0 to 20 gave 4 frames instead of 5"):
        md.run_md(spec, start, workdir=workdir)


def test_one_model_has_no_deviation(spec: MdSpec, start: Frames, workdir: Path) -> None:
    md.run_md(replace(spec, models=spec.models[:1]), start, workdir=workdir)

    assert np.isnan(md.read_md(workdir).atom_deviation).all()


def test_progress_is_reported_in_steps_during_and_after_each_segment(
    spec: MdSpec, start: Frames, workdir: Path
) -> None:
    seen = []

    md.run_md(spec, start, workdir=workdir, on_progress=seen.append)

    assert seen == [19, 20, 39, 40, 51, 52]


def in_s(seconds: float) -> Workplace:
    """A workplace that wants to be free after so long."""
    return Workplace(stop_at=time.time() + seconds)


def test_the_engine_gets_what_the_workplace_offers(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    workplace = Workplace(threads=3, prefix=("mpirun", "-n", "2"), hung_after_s=77.0)

    md.run_md(spec, start, workdir=workdir, workplace=workplace)

    assert (engine.setup.threads, engine.setup.prefix) == (3, ("mpirun", "-n", "2"))
    assert engine.hung_after_s == [77.0] * 3


def test_without_time_for_a_first_segment_nothing_is_begun(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path
) -> None:
    with pytest.raises(OutOfTimeError, match=r"[34] s of walltime left, .* needs 6 s"):
        md.run_md(spec, start, workdir=workdir, workplace=in_s(4.0))

    assert engine.started_from == []


def test_the_run_stops_between_segments_when_the_next_one_would_not_end_in_time(
    engine: StraightLineEngine,
    spec: MdSpec,
    start: Frames,
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(md, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    engine.during_step = lambda: clock.__setitem__(0, clock[0] + 40.0)  # 40 s a segment

    with pytest.raises(OutOfTimeError, match="the next step needs 52 s"):
        md.run_md(spec, start, workdir=workdir, workplace=in_s(50.0))
    result = md.run_md(spec, start, workdir=workdir)

    assert engine.started_from == ["start.npz", "segment-00000.npz", None]
    assert result == md.MdResult(11, 11, "complete", "", 52, 0)


def test_a_segment_is_cut_when_the_time_is_over(
    engine: StraightLineEngine,
    spec: MdSpec,
    start: Frames,
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(md, "FIRST_SEGMENT_S", 0.0)
    seen = []
    workplace = in_s(0.3)
    engine.during_step = lambda: time.sleep(0.31)

    with pytest.raises(
        OutOfTimeError, match=r"over at MD step 19: the run goes on from step 0"
    ):
        md.run_md(spec, start, workdir=workdir, workplace=workplace, on_progress=seen.append)
    result = md.run_md(spec, start, workdir=workdir)

    assert seen == []
    assert result == md.MdResult(11, 11, "complete", "", 52, 20)


def test_a_finished_run_needs_no_time(spec: MdSpec, start: Frames, workdir: Path) -> None:
    first = md.run_md(spec, start, workdir=workdir)

    assert md.run_md(spec, start, workdir=workdir, workplace=in_s(-1.0)) == first


def test_a_folder_of_another_run_is_refused(spec: MdSpec, start: Frames, workdir: Path) -> None:
    md.run_md(spec, start, workdir=workdir)

    with pytest.raises(StoreError, match="holds another run"):
        md.run_md(replace(spec, seed=4), start, workdir=workdir)


def test_a_run_is_known_again_after_its_models_moved(
    spec: MdSpec, start: Frames, workdir: Path, tmp_path: Path
) -> None:
    first = md.run_md(spec, start, workdir=workdir)
    moved = [
        str((tmp_path / model).rename(tmp_path / f"moved-{model}"))
        for model in ("m0.pb", "m1.pb")
    ]

    assert md.run_md(replace(spec, models=tuple(moved)), start, workdir=workdir) == first


def test_a_missing_model_is_named(spec: MdSpec, start: Frames, workdir: Path) -> None:
    with pytest.raises(ExplorationError, match=r"no model file .*absent\.pb"):
        md.run_md(replace(spec, models=("absent.pb",)), start, workdir=workdir)


def test_a_relative_folder_works_though_the_child_runs_elsewhere(
    spec: MdSpec, start: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[Path] = []
    run = StraightLineEngine.run

    def watched(self: StraightLineEngine, **request: Any) -> dict[str, Any]:
        seen.extend([request["state_out"], *filter(None, [request["state_in"]])])
        return run(self, **request)

    monkeypatch.setattr(StraightLineEngine, "run", watched)
    md.run_md(spec, start, workdir=Path("run"))

    assert seen
    assert all(path.is_absolute() for path in seen)


def test_a_crash_right_after_a_segment_was_written_repeats_no_steps(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path, tmp_path: Path
) -> None:
    md.run_md(spec, start, workdir=tmp_path / "calm")
    engine.dies_at = 20
    with pytest.raises(ExplorationError):
        md.run_md(spec, start, workdir=workdir)
    shutil.copy(tmp_path / "calm/segment-00000.npz", workdir)

    result = md.run_md(spec, start, workdir=workdir)

    assert result == md.MdResult(11, 11, "complete", "", 52, 0)


def test_segments_can_be_read_one_by_one(spec: MdSpec, start: Frames, workdir: Path) -> None:
    md.run_md(spec, start, workdir=workdir)

    steps = [part.steps.tolist() for part in md.read_md_segments(workdir)]

    assert steps == [[0, 5, 10, 15, 20], [25, 30, 35, 40], [45, 50]]


def test_reading_a_folder_without_segments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no finished MD segment"):
        md.read_md(tmp_path)


def test_the_folder_tells_what_was_run(spec: MdSpec, start: Frames, workdir: Path) -> None:
    md.run_md(spec, start, workdir=workdir)

    written = json.loads((workdir / "spec.json").read_text())["spec"]
    assert md.MdSpec.from_json(written) == spec


def test_a_complete_run_is_continued_from_the_state_at_its_end(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path, tmp_path: Path
) -> None:
    end_state, seen = tmp_path / "end.npz", []
    md.run_md(spec, start, workdir=workdir)
    assert keep_end_state(workdir, end_state)
    engine.started_from = []

    more = tmp_path / "more"
    result = md.run_md(spec, start, workdir=more, end_state=end_state, on_progress=seen.append)

    assert result == md.MdResult(10, 10, "complete", "", 104, 0)
    frames = md.read_md(more)
    np.testing.assert_array_equal(frames.steps, np.arange(55, 105, 5))
    np.testing.assert_allclose(frames.positions, expected_positions(start, frames.steps))
    assert engine.started_from == ["start.npz", None, None]
    assert seen == [19, 20, 39, 40, 51, 52]  # steps of its own
    assert md.run_md(spec, start, workdir=more, end_state=end_state) == result


def test_a_continuation_that_crashed_goes_on_behind_its_last_segment(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path, tmp_path: Path
) -> None:
    end_state, more = tmp_path / "end.npz", tmp_path / "more"
    md.run_md(spec, start, workdir=workdir)
    keep_end_state(workdir, end_state)
    engine.dies_at = 85
    with pytest.raises(ExplorationError, match="killed"):
        md.run_md(spec, start, workdir=more, end_state=end_state)

    result = md.run_md(spec, start, workdir=more, end_state=end_state)

    assert result == md.MdResult(10, 10, "complete", "", 104, 13)
    frames = md.read_md(more)
    np.testing.assert_array_equal(frames.steps, np.arange(55, 105, 5))
    np.testing.assert_allclose(frames.positions, expected_positions(start, frames.steps))


def test_a_run_that_blew_up_leaves_no_state_to_continue_from(
    engine: StraightLineEngine, spec: MdSpec, start: Frames, workdir: Path, tmp_path: Path
) -> None:
    engine.halts_at = 28
    md.run_md(spec, start, workdir=workdir)

    assert not keep_end_state(workdir, tmp_path / "end.npz")
    assert not (tmp_path / "end.npz").exists()


def test_a_folder_of_another_continuation_is_refused(
    spec: MdSpec, start: Frames, workdir: Path, tmp_path: Path
) -> None:
    end_state = tmp_path / "end.npz"
    md.run_md(spec, start, workdir=workdir)
    keep_end_state(workdir, end_state)

    with pytest.raises(StoreError, match="holds another run"):
        md.run_md(spec, start, workdir=workdir, end_state=end_state)


def test_an_end_that_cannot_be_read_is_named(
    spec: MdSpec, start: Frames, workdir: Path, tmp_path: Path
) -> None:
    (tmp_path / "end.npz").write_bytes(b"PK broken")

    with pytest.raises(StoreError, match=r"end\.npz: the end of the run to be continued"):
        md.run_md(spec, start, workdir=workdir, end_state=tmp_path / "end.npz")
