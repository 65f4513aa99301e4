"""The child's order of work, with a stand-in for DeePMD-kit."""

from __future__ import annotations

import json
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dasksse.label.deepmd import child_environment
from dasksse.train import deepmd_child
from dasksse.train.backends import BACKENDS, UNAVAILABLE_EXIT

STEPS = 100


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Commands given to DeePMD-kit; the working folder is empty and of this test alone."""
    made: list[list[str]] = []
    module = types.ModuleType("deepmd.main")
    module.main = made.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "deepmd", types.ModuleType("deepmd"))
    monkeypatch.setitem(sys.modules, "deepmd.main", module)
    monkeypatch.chdir(tmp_path)
    return made


def _job(**changes: Any) -> dict[str, Any]:
    job = {
        "backend": "pytorch",
        "input": "input.json",
        "steps": STEPS,
        "checkpoint_name": "model.ckpt",
        "curve_name": "lcurve.out",
        "restart": True,
        "init_from": None,
        "skip_neighbor_stat": True,
        "nearest_A": None,
        "frozen": "frozen_model.pth",
        "compressed": None,
    }
    return job | changes


def _checkpoint(step: int, *, whole: bool = True) -> None:
    path = Path(f"model.ckpt-{step}.pt")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights", "x" * 1000)
    if not whole:
        path.write_bytes(path.read_bytes()[:500])


TRAIN = ["--pt", "train", "input.json", "--output", "input_used.json", "--skip-neighbor-stat"]
FREEZE = ["--pt", "freeze", "-c", "model.ckpt-100.pt", "-o", "frozen_model.pth"]


def test_a_first_training_is_trained_and_frozen(calls: list[list[str]]) -> None:
    deepmd_child.train(_job())

    assert calls == [TRAIN, FREEZE]


def test_a_warm_start_names_its_checkpoint(calls: list[list[str]]) -> None:
    deepmd_child.train(_job(init_from="/earlier/model.ckpt-40.pt"))

    assert calls == [[*TRAIN, "--init-model", "/earlier/model.ckpt-40.pt"], FREEZE]


def test_a_broken_off_training_goes_on_from_its_last_checkpoint(
    calls: list[list[str]],
) -> None:
    _checkpoint(20)
    _checkpoint(60)

    deepmd_child.train(_job(init_from="/earlier/model.ckpt-40.pt"))

    assert calls == [[*TRAIN, "--restart", "model.ckpt-60.pt"], FREEZE]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    calls: list[list[str]],
) -> None:
    _checkpoint(20)
    _checkpoint(60, whole=False)

    deepmd_child.train(_job())

    assert calls == [[*TRAIN, "--restart", "model.ckpt-20.pt"], FREEZE]


def test_with_only_damaged_checkpoints_everything_starts_over(calls: list[list[str]]) -> None:
    _checkpoint(60, whole=False)
    Path("model.ckpt.pt").symlink_to("model.ckpt-60.pt")
    Path("lcurve.out").write_text("old")

    deepmd_child.train(_job())

    assert calls == [TRAIN, FREEZE]
    assert list(Path().iterdir()) == []


def test_in_comparison_mode_checkpoints_are_not_used(calls: list[list[str]]) -> None:
    _checkpoint(60)

    deepmd_child.train(_job(restart=False))

    assert calls == [TRAIN, FREEZE]
    assert not Path("model.ckpt-60.pt").exists()


def test_a_finished_training_is_only_frozen(calls: list[list[str]]) -> None:
    _checkpoint(STEPS)

    deepmd_child.train(_job())

    assert calls == [FREEZE]


def test_compression_follows_freezing(calls: list[list[str]]) -> None:
    deepmd_child.train(_job(compressed="compressed_model.pth", skip_neighbor_stat=False))

    compress = ["--pt", "compress", "-i", "frozen_model.pth", "-o", "compressed_model.pth"]
    assert calls == [TRAIN[:-1], FREEZE, compress]


def test_tensorflow_checkpoints_are_named_by_their_prefix(tmp_path: Path) -> None:
    for name in ("model.ckpt-9.index", "model.ckpt-10.index", "model.ckpt-10.meta", "odd"):
        (tmp_path / name).touch()
    backend = BACKENDS["tensorflow"]

    assert backend.checkpoint_steps(tmp_path, name="model.ckpt") == [10, 9]
    assert backend.checkpoint(tmp_path, 10, name="model.ckpt") == tmp_path / "model.ckpt-10"


def test_the_environment_limits_threads_and_keeps_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")

    environment = child_environment(2)

    assert environment["CUDA_VISIBLE_DEVICES"] == "3"
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["DP_INTRA_OP_PARALLELISM_THREADS"] == "2"
    assert environment["DP_INTER_OP_PARALLELISM_THREADS"] == "2"


def test_a_backend_that_cannot_be_loaded_ends_the_child_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, BACKENDS["paddle"].entry_point, None)
    job = tmp_path / "train.json"
    job.write_text(json.dumps({"task": "train", "backends": ["paddle"]}))

    with pytest.raises(SystemExit) as stopped:
        deepmd_child.main(job)

    assert stopped.value.code == UNAVAILABLE_EXIT
    assert "the paddle backend cannot be loaded" in capsys.readouterr().err


def test_of_several_copies_that_a_launcher_starts_one_does_the_job(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = []
    monkeypatch.setitem(deepmd_child.TASKS, "train", done.append)
    job = tmp_path / "train.json"
    job.write_text(json.dumps({"task": "train", "backends": []}))

    for _ in range(3):
        deepmd_child.main(job)

    assert len(done) == 1
