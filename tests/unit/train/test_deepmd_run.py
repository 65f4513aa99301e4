from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from dasksse.errors import ConfigError, OutOfTimeError, ProgramMissingError, TrainingError
from dasksse.records import Workplace
from dasksse.train import deepmd_run
from dasksse.train.backends import UNAVAILABLE_EXIT
from dasksse.train.deepmd_run import train_member

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "# step rmse_trn rmse_e_trn rmse_f_trn lr\n"


def _input(*, sel: int = 8, neuron: int = 4, seed: int = 1) -> dict[str, Any]:
    return {
        "model": {
            "descriptor": {"sel": [sel], "neuron": [neuron], "seed": seed},
            "fitting_net": {"seed": seed},
        },
        "training": {"numb_steps": 50},
    }


class FakeProgram:
    """Takes the place of run_program: notes what it was asked and writes a learning curve."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.job: dict[str, Any] = {}
        self.error: TrainingError | None = None

    def __call__(self, command: list[str], **asked: Any) -> None:
        self.asked = asked | {"command": command}
        workdir: Path = asked["log"].parent
        self.job = json.loads((workdir / command[-1]).read_text())
        poll = asked["on_poll"]
        curve = workdir / "lcurve.out"
        poll()
        for text in (HEADER, "0 9.0 1.0 0.5 1e-3\n", "", "10 8.0 1.0 0.25 9e-4\n"):
            with curve.open("a") as stream:
                stream.write(text)
            poll()
        with curve.open("a") as stream:  # written between the last poll and the end
            stream.write("50 7.0 1.0 0.125 1e-5\n")
        if self.error is not None:
            raise self.error


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> FakeProgram:
    fake = FakeProgram()
    monkeypatch.setattr(deepmd_run, "run_program", fake)
    return fake


def _train(workdir: Path, **changes: Any) -> deepmd_run.TrainedModel:
    facts: dict[str, Any] = {
        "backend": "tensorflow",
        "init_from": None,
        "compress": False,
        "workplace": Workplace(),
    }
    deepmd_input = changes.pop("deepmd_input", _input())
    return train_member(deepmd_input, workdir=workdir, **(facts | changes))


def test_the_child_gets_the_input_and_the_job(program: FakeProgram, tmp_path: Path) -> None:
    workplace = Workplace(threads=3, prefix=("srun", "-n", "1"), hung_after_s=77.0)
    model = _train(tmp_path / "new", workplace=workplace)

    assert json.loads((tmp_path / "new/input.json").read_text()) == _input()
    assert program.job["steps"] == 50
    assert program.job["restart"] is True
    assert program.job["skip_neighbor_stat"] is True
    assert program.asked["env"]["OMP_NUM_THREADS"] == "3"
    assert program.asked["command"][:4] == ["srun", "-n", "1", sys.executable]
    assert program.asked["silence_s"] == 77.0
    assert [path.name for path in program.asked["watch"]] == ["lcurve.out", "checkpoint"]
    assert model.model_file == tmp_path / "new/frozen_model.pb"
    assert model.checkpoint == tmp_path / "new/model.ckpt-50"
    assert model.learning_curve == tmp_path / "new/lcurve.out"
    assert model.steps == 50


def test_the_model_is_the_compressed_one_when_asked_for(
    program: FakeProgram, tmp_path: Path
) -> None:
    model = _train(tmp_path, compress=True)

    assert model.model_file.name == program.job["compressed"] == "compressed_model.pb"
    assert program.job["skip_neighbor_stat"] is False


def test_an_automatic_sel_is_left_to_deepmd(program: FakeProgram, tmp_path: Path) -> None:
    deepmd_input = _input()
    deepmd_input["model"]["descriptor"]["sel"] = "auto:1.2"

    _train(tmp_path, deepmd_input=deepmd_input)

    assert program.job["skip_neighbor_stat"] is False


def test_pytorch_models_have_their_own_names(program: FakeProgram, tmp_path: Path) -> None:
    model = _train(tmp_path, backend="pytorch")

    assert program.job["backends"] == ["pytorch"]
    assert model.model_file.name == "frozen_model.pth"
    assert model.checkpoint.name == "model.ckpt-50.pt"


@pytest.mark.usefixtures("program")
def test_progress_is_told_once_for_each_growth_of_the_curve(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []

    _train(tmp_path, on_progress=lambda step, note: told.append((step, note)))

    assert told == [
        (0.0, "force RMSE 500 meV/Å"),
        (10.0, "force RMSE 250 meV/Å"),
        (50.0, "force RMSE 125 meV/Å"),
    ]


def test_a_warm_start_from_another_network_is_refused(
    program: FakeProgram, tmp_path: Path
) -> None:
    first = _train(tmp_path / "first", deepmd_input=_input(sel=8))

    with pytest.raises(ConfigError, match=r"model\.descriptor\.sel is \[12\] here and \[8\]"):
        _train(tmp_path / "b", deepmd_input=_input(sel=12), init_from=first.checkpoint)

    _train(tmp_path / "c", deepmd_input=_input(seed=2), init_from=first.checkpoint)
    assert program.job["init_from"] == str(first.checkpoint)


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize(("restart", "step"), [(True, 40), (False, 0)])
def test_a_training_stops_when_the_walltime_is_over(
    tmp_path: Path, restart: bool, step: int
) -> None:
    (tmp_path / "model.ckpt-40.index").touch()

    with pytest.raises(OutOfTimeError, match=f"newest checkpoint is that of step {step}$"):
        _train(tmp_path, workplace=Workplace(stop_at=time.time() - 9.0), restart=restart)


def test_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"'torch' is not known; allowed: tensorflow, pytorch"
    ):
        _train(tmp_path, backend="torch")


def test_missing_deepmd_is_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(deepmd_run, "find_spec", lambda _: None)

    with pytest.raises(
        ProgramMissingError, match=r"pip install 'deepmd-kit\[cpu,lmp\]==3\.2\.0'"
    ):
        _train(tmp_path)


def test_a_backend_that_cannot_be_loaded_is_told_with_what_installs_it(
    program: FakeProgram, tmp_path: Path
) -> None:
    program.error = TrainingError("x", UNAVAILABLE_EXIT, str(tmp_path), "noise\nno module jax")

    with pytest.raises(
        ProgramMissingError, match=r"no module jax\ninstall: .*deepmd-kit\[jax\]"
    ):
        _train(tmp_path, backend="jax")


def test_a_failed_training_says_so(program: FakeProgram, tmp_path: Path) -> None:
    program.error = TrainingError("DeePMD-kit (train)", 1, str(tmp_path), "ValueError: no data")

    with pytest.raises(TrainingError, match=r"exited with 1(.|\n)*ValueError: no data"):
        _train(tmp_path)
