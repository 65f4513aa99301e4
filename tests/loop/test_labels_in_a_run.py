"""Labels that fail in a run: what is tried again, given up, refused, kept, and told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import xarray
import yaml
from fake_runs import drive
from scripted_labels import N_FRAMES, calls_by_frame, label_all, scripted_run, until_labelled
from toy_runs import ToyRun

from dasksse.cli import main
from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import Start, make_runner
from dasksse.errors import FailureBudgetError, ScfError
from dasksse.label import CALCULATOR_KINDS, Answer, CalculatorKind
from dasksse.label.dft.base import DftCalculator, Job, Rung
from dasksse.label.dft.program import LOG, run_dft
from dasksse.label.dft.settings import DftSettings
from dasksse.loop.stages.frame_deaths import MOST_ALONE
from dasksse.report import collect_report
from dasksse.store.folders import RunFolder
from dasksse.store.journal import Journal
from dasksse.store.label_reader import read_stored_labels

if TYPE_CHECKING:
    from ase import Atoms

    from dasksse.report import RunReport

SUPPORT = Path(__file__).parents[1] / "support"
N_TIMES = 2


def reasons_in(run: ToyRun) -> list[str]:
    return [r["failure_class"] for r in RunFolder(run.run_dir).quarantined().values()]


def report_of(run: ToyRun) -> RunReport:
    journal = Journal(RunFolder(run.run_dir).journal)
    report = collect_report(RunFolder(run.run_dir), journal)
    journal.close()
    return report


def status_of(run: ToyRun, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["status", str(run.run_dir), "--json"]) == 0
    status: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status


def test_frames_that_fail_are_given_up_with_their_logs_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = scripted_run(tmp_path, {1: "scf", 3: "net", 5: "crash", 6: "force"})

    label_all(run)

    folder = RunFolder(run.run_dir)
    assert sorted(reasons_in(run)) == ["engine", "scf", "scf"]
    # what did not converge is not tried again; a crash is, as often as stop.retries says
    assert calls_by_frame(tmp_path) == [1, 1, 1, 1, 1, 2, 1, 1]
    logs = [folder.failed(key) / "frame-00000" / "engine.out" for key in folder.quarantined()]
    assert all("no convergence" in log.read_text() for log in logs)
    status = status_of(run, capsys)
    assert status["labels"]["done"] == 4
    assert status["not_labelled"] == {
        "SCF not converged": 1,
        "net force not zero": 1,
        "calculator failed": 1,
        "force above the cap": 1,
    }
    main(["status", str(run.run_dir)])
    shown = capsys.readouterr().out
    assert "without label: " in shown
    assert "SCF not converged (1)" in shown


def test_the_report_counts_labels_by_reason_and_says_what_they_took(tmp_path: Path) -> None:
    run = scripted_run(tmp_path, {1: "scf", 3: "net", 5: "crash", 6: "force"})
    label_all(run)

    (row,) = report_of(run).labels

    assert row.source.startswith("scripted_labels:ScriptedCalculator")
    assert row.functional == "PBE"
    assert (row.n_good, row.n_refused, row.n_failed) == (4, 2, 2)
    assert set(row.why.values()) == {1}
    assert row.median_s is not None
    assert row.p95_s is not None
    assert 0.0 < row.median_s <= row.p95_s
    assert row.core_hours is not None
    assert row.core_hours > 0.0
    assert row.estimated_core_hours is None  # nothing is known of a calculator of the user's


def test_the_store_has_the_time_of_every_label_and_why_one_was_refused(tmp_path: Path) -> None:
    run = scripted_run(tmp_path, {6: "force"})
    label_all(run)

    tree = xarray.open_datatree(run.run_dir / "data.zarr", engine="zarr", consolidated=False)
    data = tree["labels/salt"].to_dataset()

    reasons = np.array(data.reject_reason.attrs["table"])[data.reject_reason.values]
    (refused,) = np.flatnonzero(data.status.values)
    assert reasons[refused] == "force component of 80.0 eV/Å is above the cap of 50 eV/Å"
    assert np.isnan(data.energy.values[refused])
    assert (data.label_time.values > 0.0).all()
    assert np.isnan(data.label_memory.values).all()  # of the worker's own process none is told


def test_retry_brings_back_what_did_not_converge_and_repeats_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = scripted_run(tmp_path, {1: "scf", 4: "scf"})
    label_all(run)
    before = run.done("label")

    assert main(["retry", str(run.run_dir), "--failed", "label"]) == 0
    (tmp_path / "script.json").write_text("{}")
    label_all(run)

    assert "Released: 2" in capsys.readouterr().out
    assert calls_by_frame(tmp_path) == [1, 2, 1, 1, 2, 1, 1, 1]
    after = run.done("label")
    assert len(after) == N_FRAMES
    assert {unit: after[unit] for unit in before} == before
    assert status_of(run, capsys)["not_labelled"] == {}


def test_more_failures_than_the_budget_allows_stop_the_run_and_say_why(tmp_path: Path) -> None:
    run = scripted_run(tmp_path, dict.fromkeys(range(N_FRAMES), "scf"))

    with pytest.raises(FailureBudgetError, match=r"failure_budget.label = 0.5") as caught:
        label_all(run)

    assert "no convergence in 100 iterations" in str(caught.value)
    assert "dasksse retry" in str(caught.value)
    assert len(reasons_in(run)) == N_FRAMES // 2 + 1


def test_a_batch_goes_on_after_a_frame_that_fails_and_keeps_its_log(tmp_path: Path) -> None:
    run = scripted_run(tmp_path, {1: "scf", 6: "crash"}, label__batch_size=4)

    label_all(run)

    assert reasons_in(run) == []
    logs = run.run_dir.glob("work/label/*/frame-*/engine.out")
    assert sorted(log.parent.name for log in logs) == ["frame-00001", "frame-00002"]
    (row,) = report_of(run).labels
    assert row.why == {"SCF not converged": 1, "calculator failed": 1}
    assert row.n_good == 6


def test_a_frame_that_kills_the_driver_twice_is_labelled_at_last(tmp_path: Path) -> None:
    run = scripted_run(tmp_path, {2: f"kill {N_TIMES}"}, label__batch_size=4)
    code = (
        f"import sys; sys.path.insert(0, {str(SUPPORT)!r}); from pathlib import Path\n"
        "from scripted_labels import label_all; from toy_runs import ToyRun\n"
        f"label_all(ToyRun(Path({str(run.folder)!r}), Path({str(run.config)!r})))\n"
    )

    command = [sys.executable, "-c", code]
    codes = [subprocess.run(command, check=False).returncode for _ in range(3)]

    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert calls_by_frame(tmp_path) == [1, 1, 1 + N_TIMES, 1, 1, 1, 1, 1]
    assert [row.n_good for row in report_of(run).labels] == [N_FRAMES]


def test_a_frame_that_kills_workers_costs_no_other_label_and_is_given_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    run = scripted_run(tmp_path, {2: f"kill {N_TIMES}", 5: "kill 99"}, label__batch_size=4)
    section = RegistrySection(kind="local", settings={"workers": 1, "dashboard_port": 0})

    drive(
        run.run_dir,
        until_labelled,
        lambda: make_runner(section, Start(run.run_dir)),
        config=run.config,
    )

    assert calls_by_frame(tmp_path) == [1, 1, 1 + N_TIMES, 1, 1, MOST_ALONE, 1, 1]
    assert reasons_in(run) == []
    assert [row.n_good for row in report_of(run).labels] == [N_FRAMES - 1]
    assert status_of(run, capsys)["not_labelled"] == {"worker died": 1}


def test_labels_of_an_equal_run_are_taken_and_none_is_computed_again(tmp_path: Path) -> None:
    relax = {"max_steps": 3, "max_force_eV_A": 0.01, "cell": True}
    first = scripted_run(tmp_path, {}, label__batch_size=3, start__relax=relax)
    label_all(first)
    calls = (tmp_path / "calls.log").read_text()
    values = yaml.safe_load(first.config.read_text())
    values["start"]["label_stores"] = ["run/data.zarr"]
    again = ToyRun(tmp_path / "again", tmp_path / "again.yaml")
    again.config.write_text(yaml.safe_dump(values))

    screen = label_all(again)

    assert (tmp_path / "calls.log").read_text() == calls
    assert {unit.name for unit in again.done("label")} == {
        unit.name for unit in first.done("label")
    }
    (relaxed,) = again.done("relax")
    total = N_FRAMES + json.loads((relaxed / "result.json").read_text())["value"]["n"]
    assert f"{total} of {total} new labels existed already and were not computed" in screen
    one, two = (dict(read_stored_labels(run.run_dir)) for run in (first, again))
    np.testing.assert_array_equal(one["salt"].forces, two["salt"].forces)


def test_more_start_frames_than_an_earlier_run_had_are_all_that_is_computed(
    tmp_path: Path,
) -> None:
    first = scripted_run(tmp_path, {}, label__batch_size=4)
    label_all(first)
    values = yaml.safe_load(first.config.read_text())
    values["start"] |= {"label_stores": ["run/data.zarr"], "n_frames": N_FRAMES + 3}
    more = ToyRun(tmp_path / "more", tmp_path / "more.yaml")
    more.config.write_text(yaml.safe_dump(values))

    label_all(more)

    assert calls_by_frame(tmp_path) == [1] * (N_FRAMES + 3)


class SlowEngine(DftCalculator[DftSettings]):
    """Takes for ever as long as a file says so."""

    engine = "slow"
    folder: ClassVar[Path]

    def describe(self) -> str:
        return "slow 1.0"

    def compute(self, atoms: Atoms, settings: DftSettings, job: Job) -> Answer:
        with (self.folder / "slow.log").open("a") as log:
            log.write("called\n")
        if (self.folder / "is-slow").exists():
            run_dft(["sleep", "60"], job, name=self.engine)
        return Answer(-1.0, np.zeros((len(atoms), 3)), np.zeros((3, 3)))


def test_a_label_at_its_time_limit_is_given_up_at_once_and_can_be_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = CalculatorKind(DftSettings, SlowEngine, "for tests")
    monkeypatch.setitem(CALCULATOR_KINDS, "slow", kind)
    monkeypatch.setattr(SlowEngine, "folder", tmp_path, raising=False)
    label = {
        "calculator": {"kind": "slow", "settings": {"time_limit_s": 1.0}},
        "batch_size": 1,
    }
    changes = {"start__n_frames": 2, "stop__failure_budget": {"label": 1.0}, "stop__retries": 3}
    run = scripted_run(tmp_path, {}, label=label, **changes)
    (tmp_path / "is-slow").touch()

    label_all(run)

    assert (tmp_path / "slow.log").read_text() == 2 * "called\n"
    assert reasons_in(run) == ["limit", "limit"]
    errors = [str(r["error"]) for r in RunFolder(run.run_dir).quarantined().values()]
    assert all("longer than 1 s, its time_limit_s" in error for error in errors)
    assert status_of(run, capsys)["not_labelled"] == {"time limit": 2}

    (tmp_path / "is-slow").unlink()
    assert main(["retry", str(run.run_dir), "--failed", "label"]) == 0
    label_all(run)

    assert len(run.done("label")) == 2
    assert reasons_in(run) == []


class FlakyEngine(DftCalculator[DftSettings]):
    """Converges at once, but for frames 1 (when damped), 2 (never) and 3 (takes for ever)."""

    engine = "flaky"

    def describe(self) -> str:
        return "flaky 1.0"

    def ladder(self) -> list[Rung[DftSettings]]:
        damped = self.settings.model_copy(update={"smearing_eV": 0.1})
        return [*super().ladder(), Rung("damped", damped)]

    def compute(self, atoms: Atoms, settings: DftSettings, job: Job) -> Answer:
        (job.folder / "flaky.log").write_text(f"smearing {settings.smearing_eV:g} eV\n")
        frame = job.folder.parent.name
        if frame == "frame-00002" or (frame == "frame-00001" and not settings.smearing_eV):
            raise ScfError(self.engine, 1, str(job.folder), "no convergence in 100 steps")
        if frame == "frame-00003":
            run_dft(["sleep", "60"], job, name=self.engine)
        return Answer(-1.0, np.zeros((len(atoms), 3)), np.zeros((3, 3)), memory_bytes=3e9)


def test_a_dft_engine_climbs_its_ladder_and_is_ended_at_its_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = CalculatorKind(DftSettings, FlakyEngine, "for tests", lambda *_: 36.0)
    monkeypatch.setitem(CALCULATOR_KINDS, "flaky", kind)
    calculator = {"kind": "flaky", "settings": {"time_limit_s": 1.0}}
    label = {"calculator": calculator, "batch_size": N_FRAMES}
    run = scripted_run(tmp_path, {}, label=label)

    label_all(run)

    (unit,) = run.done("label")
    kept = sorted(str(path.relative_to(unit)) for path in unit.glob("frame-*/*/*"))
    assert kept == [
        "frame-00002/as-asked/flaky.log",
        "frame-00002/damped/flaky.log",
        "frame-00003/as-asked/flaky.log",
        f"frame-00003/as-asked/{LOG}",
    ]
    assert status_of(run, capsys)["not_labelled"] == {"SCF not converged": 1, "time limit": 1}
    (row,) = report_of(run).labels
    assert (row.source, row.n_good, row.n_failed) == ("flaky 1.0", 6, 2)
    assert row.memory_bytes == 3e9
    assert row.estimated_core_hours == pytest.approx(0.08)


@pytest.mark.lammps
@pytest.mark.deepmd
@pytest.mark.slow
def test_a_run_finishes_around_labels_that_fail_and_its_page_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    script = {1: "scf", 3: "force", 5: "crash", 12: "net"}
    run = scripted_run(tmp_path, script, start__n_frames=12)

    run.finish()

    page = (run.run_dir / "report" / "index.html").read_text(encoding="utf-8")
    summary = json.loads((run.run_dir / "report" / "summary.json").read_text(encoding="utf-8"))
    (row,) = summary["labels"]
    why = {
        "SCF not converged",
        "force above the cap",
        "calculator failed",
        "net force not zero",
    }
    assert why == row["why"].keys()
    assert all(kind in page for kind in why)
    units = [json.loads((unit / "result.json").read_text()) for unit in run.done("label")]
    assert row["n_good"] == sum(unit["value"]["n_good"] for unit in units)
    assert row["n_good"] >= summary["generations"][-1]["n_train"]
    assert "frames that were to be labelled are not learned from" in page
