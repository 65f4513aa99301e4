"""A whole run, calm, disturbed and continued: nothing finished is lost or done again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
import xarray
from toy_runs import ToyRun, assert_equal_content, make_run

from dasksse.train import read_learning_curve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.lammps, pytest.mark.deepmd, pytest.mark.slow]

COMPARABLE = {
    "reproducible": True,
    "stop__max_generations": 1,
    "probe__generation": 0,
}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyRun]:
    """A run in comparison mode that nothing disturbed, on the serial engine."""
    run = make_run(
        tmp_path_factory.mktemp("calm") / "toy", engine={"kind": "serial"}, **COMPARABLE
    )
    yield run.finish()
    run.stop()


def is_gone(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(timeout=20)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_a_run_leaves_store_models_labels_report_and_summary(calm: ToyRun) -> None:
    tree = calm.tree()

    assert {
        "/explore/000/salt",
        "/production/salt",
        "/labels/salt",
    } <= set(tree)
    labels = tree["/labels/salt"]
    roles = np.array(labels["role"].attrs["table"])[labels["role"].values]
    assert list(np.unique(roles)) == ["candidate", "check", "probe", "start"]
    assert (roles == "start").sum() == 24
    assert (roles == "probe").sum() == 6
    explored = tree["/explore/000/salt"]
    assert (explored["n_valid"].values == 21).all()
    assert np.isfinite(explored["scalars"].values).any(axis=-1).all()
    assert len(list(calm.run_dir.glob("models/*/model_*.pb"))) == 2 * 2
    assert (calm.run_dir / "report" / "index.html").stat().st_size > 10_000
    summary = json.loads((calm.run_dir / "report" / "summary.json").read_text())
    assert summary["is_surrogate"] is True


def test_the_finished_store_opens_with_plain_xarray_without_a_warning(calm: ToyRun) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        tree = xarray.open_datatree(calm.run_dir / "data.zarr", engine="zarr")

    assert "/production/salt" in tree.groups


def test_every_verdict_follows_from_its_deviation(calm: ToyRun) -> None:
    data = calm.tree()["/explore/000/salt"]

    deviation = data["scalars"].values[
        ..., data["scalars"].attrs["table"].index("deviation_max")
    ]
    low, high = data["verdict"].attrs["levels_eV_A"]
    expected = np.where(deviation < low, 0, np.where(deviation < high, 1, 2))
    np.testing.assert_array_equal(data["verdict"].values, expected)
    picked = data["reason"].attrs["table"].index("candidate picked for labelling")
    assert 0 < (data["reason"].values == picked).sum() <= 6


def test_serial_and_dask_give_equal_runs(calm: ToyRun, toy: Callable[..., ToyRun]) -> None:
    engine = {"kind": "local", "settings": {"workers": 2, "dashboard_port": 0}}
    parallel = toy(engine=engine, **COMPARABLE).finish()

    assert_equal_content(calm.content(), parallel.content())


def test_a_driver_killed_again_and_again_repeats_nothing_and_ends_the_same(
    calm: ToyRun, toy: Callable[..., ToyRun]
) -> None:
    run = toy(**COMPARABLE)
    done_before: dict[Path, float] = {}
    for kind in ("train", "md", "select"):
        run.start()
        run.until(lambda kind=kind: len(run.done(kind)) > 0)
        children = run.kill()
        done_before |= run.done()
        assert all(is_gone(pid) for pid in children)

    run.finish()

    after = run.done()
    assert all(after[unit] == time for unit, time in done_before.items())
    assert_equal_content(calm.content(), run.content())


def test_killed_workers_and_engine_children_cost_one_attempt_each(
    calm: ToyRun, toy: Callable[..., ToyRun]
) -> None:
    run = toy(**COMPARABLE).start()
    logs = run.until(lambda: list(run.run_dir.glob("work/train/*.part/attempts.jsonl")))
    run.until(lambda: run.children("dasksse.train.deepmd_child"))
    os.kill(json.loads(logs[0].read_text().splitlines()[-1])["pid"], signal.SIGKILL)
    run.until(lambda: len(logs[0].read_text().splitlines()) == 2)
    (training, *_) = run.until(lambda: run.children("dasksse.train.deepmd_child"))
    training.send_signal(signal.SIGKILL)
    (server, *_) = run.until(lambda: run.children("lammps_server"))
    server.send_signal(signal.SIGKILL)

    assert run.wait() == 0, run.log()[-3000:]

    attempts = run.attempts()
    assert max(attempts.values()) <= 4
    assert sum(n - 1 for n in attempts.values()) == 3
    assert not (run.run_dir / "failed").exists()
    assert_equal_content(calm.content(), run.content())


def test_a_run_in_normal_mode_goes_on_from_the_last_segment_and_checkpoint(
    toy: Callable[..., ToyRun],
) -> None:
    run = toy(
        train__steps=1500,
        explore__segment_steps=20,
        explore__frame_interval_steps=5,
        explore__schedule__0__lengths_ps=[0.4],
        stop__max_generations=1,
        probe__generation=0,
        production=None,
    ).start()
    # the second checkpoint has begun, so the first one is whole
    run.until(lambda: list(run.run_dir.glob("work/train/*.part/model.ckpt-200.*")))
    run.kill()
    run.start()
    run.until(lambda: list(run.run_dir.glob("work/md/*.part/segment-00002.npz")))
    run.kill()

    run.finish()

    first = [
        unit
        for unit in run.done("train")
        if json.loads((unit / "result.json").read_text())["generation"] == 0
    ]
    gone_on = 0
    for unit in first:
        assert np.ptp(np.diff(read_learning_curve(unit / "lcurve.out").steps)) == 0
        rows = [
            int(line.split()[0])
            for line in (unit / "lcurve.out").read_text().splitlines()
            if not line.startswith("#")
        ]
        assert (rows[0], rows[-1]) == (0, 1500)
        gone_on += len(rows) > len(set(rows))  # the checkpoint's row stands before and after
    assert gone_on == 1
    lost = [
        json.loads((unit / "result.json").read_text())["value"]["steps_repeated"]
        for unit in run.done("md")
    ]
    assert max(lost) <= 20


def test_a_finished_run_is_not_touched_by_the_same_command(calm: ToyRun) -> None:
    before = calm.done()

    calm.finish()

    assert calm.done() == before


def test_another_configuration_in_the_same_folder_is_refused_with_the_difference(
    calm: ToyRun, tmp_path: Path
) -> None:
    other = make_run(
        tmp_path / "other", engine={"kind": "serial"}, train__steps=301, **COMPARABLE
    )

    result = command("run", str(other.config), "--dir", str(calm.run_dir))

    assert result.returncode == 2
    assert "train.steps: 300 in the run folder, 301 now" in result.stderr


def test_a_second_driver_on_the_folder_is_refused(toy: Callable[..., ToyRun]) -> None:
    run = toy().start()
    run.until(lambda: run.done("structure"))

    second = command("run", str(run.config), "--dir", str(run.run_dir))

    assert second.returncode == 2
    assert f"process {run.pid}" in second.stderr
    run.kill()


def test_an_interrupted_run_exits_with_130_and_can_go_on(toy: Callable[..., ToyRun]) -> None:
    run = toy().start()
    run.until(lambda: run.children("dasksse.train.deepmd_child"))
    children = [child.pid for child in psutil.Process(run.pid).children(recursive=True)]

    os.kill(run.pid, signal.SIGINT)
    code = run.wait()

    assert code == 130
    assert all(is_gone(pid) for pid in children)
    assert run.facts()["state"] == "interrupted"


def test_other_trust_levels_use_the_md_that_is_there(calm: ToyRun, tmp_path: Path) -> None:
    levels = {"low_eV_A": 4.0, "high_eV_A": 5.0}
    copy = make_run(
        tmp_path / "copy", engine={"kind": "serial"}, select__trust=levels, **COMPARABLE
    )
    shutil.copytree(calm.run_dir, copy.run_dir)
    before = set(copy.done("md"))

    copy.finish()

    first = [u for u in copy.done("md") if u in before]
    generation_0 = [
        u
        for u in copy.done("md")
        if json.loads((u / "result.json").read_text())["generation"] == 0
    ]
    assert set(first) >= set(generation_0)
    assert copy.tree()["/explore/000/salt"]["verdict"].attrs["levels_eV_A"] == [4.0, 5.0]
    assert "changed since the run began: select.trust.low_eV_A" in copy.log()


def test_status_and_report_read_a_finished_run(calm: ToyRun) -> None:
    status = command("status", str(calm.run_dir), "--json")
    shown = command("status", str(calm.run_dir))
    report = command("report", str(calm.run_dir))

    values = json.loads(status.stdout)
    assert values["state"] == "finished"
    assert values["iteration"] == 1
    assert values["labels"]["queued"] == 0
    assert len(values["generations"]) == 1
    assert "accurate" in shown.stdout
    assert "index.html" in report.stdout


def test_a_damaged_journal_of_a_finished_run_is_named_and_rebuilt(
    calm: ToyRun, tmp_path: Path
) -> None:
    copy = make_run(tmp_path / "copy", engine={"kind": "serial"}, **COMPARABLE)
    shutil.copytree(calm.run_dir, copy.run_dir)
    journal = copy.run_dir / "journal.sqlite"
    journal.write_bytes(b"\0" * 4096 + journal.read_bytes()[4096:])
    before = copy.done()

    copy.finish()

    assert copy.done() == before
    assert "journal.sqlite" in copy.log()
    assert "rebuilt from the folders" in copy.log()


def test_models_of_a_run_can_be_evaluated_on_their_own(calm: ToyRun, tmp_path: Path) -> None:
    models = sorted(str(path) for path in calm.run_dir.glob("models/001/*.pb"))
    data = min(calm.done("dataset"), key=lambda unit: calm.done("dataset")[unit])

    result = command(
        "evaluate", *models, "--data", str(data), "--json", str(tmp_path / "e.json")
    )

    assert result.returncode == 0, result.stderr
    values = json.loads((tmp_path / "e.json").read_text())
    assert len(values["models"]) == 2
    assert values["mean"]["force_rmse_meV_A"] > 0
    record = json.loads((data / "result.json").read_text())["value"]
    assert values["n_frames"] == record["n_train"] + record["n_held_out"] == 24


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dasksse.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_the_store_says_where_its_numbers_come_from(calm: ToyRun) -> None:
    tree = xarray.open_datatree(calm.run_dir / "data.zarr", engine="zarr")

    assert tree.attrs["run"] == "toy"
    assert {"dasksse", "deepmd-kit", "lammps"} <= set(tree.attrs["versions"])
    assert len(tree.attrs["config_hash"]) == 16
    models = tree["/production/salt"].attrs["models"]
    assert [(calm.run_dir / model).is_file() for model in models] == [True, True]


def test_a_damaged_shard_is_named_and_the_other_runs_are_used(
    calm: ToyRun, tmp_path: Path
) -> None:
    copy = make_run(
        tmp_path / "copy",
        engine={"kind": "serial"},
        **{**COMPARABLE, "production__temperatures_K": [300, 600, 450]},
    )
    shutil.copytree(calm.run_dir, copy.run_dir)
    shard = copy.run_dir / "data.zarr/production/salt/positions/c/0/0/0/0"
    content = bytearray(shard.read_bytes())
    content[60:90] = bytes(30)
    shard.write_bytes(content)

    copy.finish()

    assert "production/salt run 0: shard cannot be read" in copy.log()
    summary = json.loads((copy.run_dir / "report" / "summary.json").read_text())
    rows = {row["temperature_K"]: row for row in summary["production"]}
    assert [T for T in sorted(rows) if rows[T]["diffusion"]] == [450, 600]
