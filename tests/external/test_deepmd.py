"""Real trainings at toy size with DeePMD-kit and its TensorFlow backend."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from dasksse.config.schema import TrainSection
from dasksse.errors import ConfigError, OutOfTimeError, ProgramMissingError, TrainingError
from dasksse.records import Frames, Labels, Workplace
from dasksse.train.dataset import suggest_sel, write_deepmd_data
from dasksse.train.deepmd_input import training_input
from dasksse.train.deepmd_parse import read_learning_curve
from dasksse.train.deepmd_run import TrainedModel, train_member
from dasksse.train.evaluate import Prediction, evaluate_models, evaluate_report
from dasksse.train.frozen import compress_model
from dasksse.train.neighbours import nearest_distance_A
from dasksse.units import virial_from_stress

pytestmark = [
    pytest.mark.deepmd,
    pytest.mark.skipif(
        importlib.util.find_spec("deepmd") is None
        or importlib.util.find_spec("tensorflow") is None,
        reason="needs DeePMD-kit with TensorFlow: pip install 'deepmd-kit[cpu,lmp]==3.2.0'",
    ),
]

TYPE_MAP = ["Li", "S"]
RCUT_A = 4.0
STEPS = 200
SECTION = TrainSection(
    descriptor={
        "type": "se_e2_a",
        "rcut": RCUT_A,
        "rcut_smth": 1.0,
        "neuron": [3, 6],
        "axis_neuron": 2,
        "type_one_side": True,
    },
    fitting_net={"neuron": [6, 6]},
    checkpoint_every_steps=50,
    learning_rate=1e-2,
    learning_rate_warm=1e-3,
    learning_rate_stop=1e-4,
)


def _toy_labels(n_frames: int, *, seed: int, virial: bool = True) -> Labels:
    """Eight atoms of a rattled, strained simple cubic Lennard-Jones crystal."""
    rng = np.random.default_rng(seed)
    symbols = ["Li", "S"] * 4
    grid = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * 2.6
    atoms = Atoms(symbols, grid, cell=5.2 * np.eye(3), pbc=True)
    parts: dict[str, list[Any]] = {"x": [], "h": [], "e": [], "f": [], "v": []}
    for _ in range(n_frames):
        image = atoms.copy()
        strain = rng.uniform(-0.02, 0.02, (3, 3))
        image.set_cell(atoms.cell @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        image.positions += rng.normal(scale=0.08, size=(8, 3))
        image.calc = LennardJones(sigma=2.3, epsilon=0.2, rc=4.0, smooth=True)
        parts["x"].append(image.positions)
        parts["h"].append(image.cell.array)
        parts["e"].append(image.get_potential_energy())
        parts["f"].append(image.get_forces())
        parts["v"].append(virial_from_stress(image.get_stress(), image.get_volume()))
    x, h, e, f, v = (np.array(values) for values in parts.values())
    frames = Frames(atoms.numbers.astype(np.int64), x, h)
    return Labels(frames, e, f, v if virial else v * np.nan, "lj", "none", is_surrogate=True)


@pytest.fixture(scope="module")
def data() -> list[tuple[str, Labels]]:
    """Frames with and frames without virial."""
    return [
        ("with", _toy_labels(12, seed=1)),
        ("without", _toy_labels(8, seed=2, virial=False)),
    ]


def _deepmd_input(
    data: list[tuple[str, Labels]], folder: Path, **changes: Any
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "type_map": TYPE_MAP,
        "systems": write_deepmd_data(data, type_map=TYPE_MAP, folder=folder),
        "validation": [],
        "sel": suggest_sel(data, type_map=TYPE_MAP, rcut_A=RCUT_A),
        "steps": STEPS,
        "seed": 11,
        "warm": False,
        "has_virial": True,
    }
    return training_input(changes.pop("section", SECTION), **(facts | changes))


def _train(
    deepmd_input: dict[str, Any],
    workdir: Path,
    *,
    init_from: Path | None = None,
    nearest_A: float | None = None,
    workplace: Workplace | None = None,
) -> TrainedModel:
    return train_member(
        deepmd_input,
        workdir=workdir,
        backend="tensorflow",
        init_from=init_from,
        compress=False,
        nearest_A=nearest_A,
        workplace=workplace or Workplace(),
    )


@pytest.fixture(scope="module")
def deepmd_input(
    data: list[tuple[str, Labels]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    return _deepmd_input(data, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(
    deepmd_input: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> TrainedModel:
    return _train(deepmd_input, tmp_path_factory.mktemp("trained"))


def _predict(models: list[TrainedModel], labels: Labels, workdir: Path) -> Prediction:
    [prediction] = evaluate_models(
        [model.model_file for model in models],
        [("toy", labels)],
        type_map=TYPE_MAP,
        workdir=workdir,
        workplace=Workplace(),
    )
    return prediction


def test_a_training_with_and_without_virials_lowers_the_error(trained: TrainedModel) -> None:
    curve = read_learning_curve(trained.learning_curve)

    assert curve.steps[[0, -1]].tolist() == [0, STEPS]
    assert curve.training["rmse"][-3:].mean() < 0.5 * curve.training["rmse"][:3].mean()
    missing = np.isnan(curve.training["rmse_v"])
    assert missing.any()  # rows whose batch came from the frames without virial
    assert not missing.all()
    assert np.isfinite(curve.training["rmse_f"]).all()


def test_predicted_forces_and_virials_are_derivatives_of_the_predicted_energy(
    trained: TrainedModel, tmp_path: Path
) -> None:
    frames = _toy_labels(1, seed=5).frames
    step = 1e-4
    strain = step * np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    positions = np.repeat(frames.positions, 5, axis=0)
    cells = np.repeat(frames.cells, 5, axis=0)
    positions[1, 3, 1] += step
    positions[2, 3, 1] -= step
    for index, sign in ((3, 1.0), (4, -1.0)):
        deformation = np.eye(3) + sign * strain
        positions[index] = positions[index] @ deformation
        cells[index] = cells[index] @ deformation
    moved = Frames(frames.numbers, positions, cells)
    empty = np.zeros(5)
    labels = Labels(
        moved, empty, positions * 0.0, cells * 0.0, "none", "none", is_surrogate=True
    )

    prediction = _predict([trained], labels, tmp_path)

    energy, force = prediction.energies[0], prediction.forces[0, 0, 3, 1]
    assert force == pytest.approx(-(energy[1] - energy[2]) / (2 * step), rel=1e-4)
    work = -(energy[3] - energy[4]) / 2
    assert np.sum(prediction.virials[0, 0] * strain) == pytest.approx(work, rel=1e-4)


def test_predictions_are_those_of_deepmds_own_evaluation(
    trained: TrainedModel, data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    from deepmd.infer import DeepPot

    labels = data[0][1]
    energy, force, virial = DeepPot(str(trained.model_file)).eval(
        labels.frames.positions, labels.frames.cells, [0, 1] * 4
    )

    prediction = _predict([trained, trained], labels, tmp_path)

    for model in (0, 1):
        np.testing.assert_allclose(prediction.energies[model], energy[:, 0], rtol=1e-10)
        np.testing.assert_allclose(prediction.forces[model], force, atol=1e-10)
        np.testing.assert_allclose(
            prediction.virials[model], virial.reshape(-1, 3, 3), atol=1e-10
        )


def test_the_report_has_the_keys_of_the_command(
    trained: TrainedModel, data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    report = evaluate_report(
        [trained.model_file], data, type_map=TYPE_MAP, workdir=tmp_path, workplace=Workplace()
    )

    assert json.loads(json.dumps(report)) == report
    assert (report["n_frames"], report["n_atoms"]) == (20, 160)
    assert report["models"][0]["path"] == str(trained.model_file)
    spread = 1000.0 * np.concatenate([part.forces.ravel() for _, part in data]).std()
    assert 0.0 < report["mean"]["force_rmse_meV_A"] < spread
    assert report["mean"]["virial_rmse_meV_atom"] is not None


def test_a_warm_start_begins_where_the_last_training_ended(
    trained: TrainedModel, data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    warm = _deepmd_input(data, tmp_path / "data", steps=10, warm=True)

    model = _train(warm, tmp_path / "warm", init_from=trained.checkpoint)

    first = read_learning_curve(model.learning_curve)
    cold = read_learning_curve(trained.learning_curve)
    assert first.steps[0] == 0
    assert first.training["rmse"][0] < 0.8 * cold.training["rmse"][0]
    assert first.learning_rate[0] == SECTION.learning_rate_warm


def test_a_warm_start_with_another_sel_is_refused(
    trained: TrainedModel, data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    other = _deepmd_input(data, tmp_path / "data", sel=[40, 40], warm=True)

    with pytest.raises(ConfigError, match=r"model\.descriptor\.sel is \[40, 40\] here"):
        _train(other, tmp_path / "warm", init_from=trained.checkpoint)


def test_a_damaged_checkpoint_starts_over_and_gives_the_very_same_model(
    trained: TrainedModel,
    deepmd_input: dict[str, Any],
    data: list[tuple[str, Labels]],
    tmp_path: Path,
) -> None:
    workdir = tmp_path / "again"
    shutil.copytree(trained.model_file.parent, workdir, symlinks=True)
    for path in workdir.glob("model.ckpt-*.data*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    again = _train(deepmd_input, workdir)

    assert f"checkpoint of step {STEPS} is damaged" in (workdir / "train.log").read_text()
    prediction = _predict([trained, again], data[0][1], tmp_path / "evaluation")
    np.testing.assert_array_equal(prediction.forces[0], prediction.forces[1])
    np.testing.assert_array_equal(prediction.energies[0], prediction.energies[1])


def test_a_compressed_model_predicts_what_the_plain_one_does(
    trained: TrainedModel,
    deepmd_input: dict[str, Any],
    data: list[tuple[str, Labels]],
    tmp_path: Path,
) -> None:
    with_tables = train_member(
        deepmd_input,
        workdir=tmp_path / "work",
        backend="tensorflow",
        init_from=None,
        compress=True,
        workplace=Workplace(),
    )

    prediction = _predict([trained, with_tables], data[0][1], tmp_path / "evaluation")

    assert with_tables.model_file.name == "compressed_model.pb"
    np.testing.assert_allclose(prediction.forces[1], prediction.forces[0], atol=1e-4)


def test_a_model_with_its_nearest_distance_can_be_compressed_later(
    trained: TrainedModel,
    deepmd_input: dict[str, Any],
    data: list[tuple[str, Labels]],
    tmp_path: Path,
) -> None:
    plain = _train(deepmd_input, tmp_path / "work", nearest_A=nearest_distance_A(data))
    assert "neighbor statistics" not in (tmp_path / "work" / "train.log").read_text()

    with_tables = compress_model(plain.model_file, workdir=tmp_path / "tables")

    models = [plain.model_file, with_tables]
    (found,) = evaluate_models(
        models,
        [("with", data[0][1])],
        type_map=TYPE_MAP,
        workdir=tmp_path / "evaluation",
        workplace=Workplace(),
    )
    np.testing.assert_allclose(found.forces[1], found.forces[0], atol=1e-4)
    with pytest.raises(TrainingError, match="without the distance of the nearest"):
        compress_model(trained.model_file, workdir=tmp_path / "other")


def test_frames_without_virial_train_as_if_the_loss_had_none(tmp_path: Path) -> None:
    data = [("without", _toy_labels(6, seed=3, virial=False))]
    models = [
        _train(
            _deepmd_input(data, tmp_path / "data", steps=15, has_virial=has_virial),
            tmp_path / str(has_virial),
        )
        for has_virial in (True, False)
    ]

    prediction = _predict(models, data[0][1], tmp_path / "evaluation")

    np.testing.assert_allclose(prediction.forces[0], prediction.forces[1], rtol=1e-9)


WORKER = """
import json, sys
from pathlib import Path
from dasksse.records import Workplace
from dasksse.train.deepmd_run import train_member

train_member(
    json.loads(Path(sys.argv[1]).read_text()), workdir=Path(sys.argv[2]), backend="tensorflow",
    init_from=None, compress=False, workplace=Workplace(),
    on_progress=lambda step, note: print(int(step), flush=True),
)
"""


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks up processes in /proc")
def test_a_training_killed_in_the_middle_goes_on_from_its_checkpoint(
    data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    section = SECTION.model_copy(update={"checkpoint_every_steps": 100})
    deepmd_input = _deepmd_input(data, tmp_path / "data", steps=3000, section=section)
    (tmp_path / "given.json").write_text(json.dumps(deepmd_input))
    workdir = tmp_path / "work"

    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path / "given.json"), str(workdir)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert worker.stdout is not None
    killed_at = next(step for step in map(int, worker.stdout) if step >= 200)
    child = _child_of(worker.pid)
    os.killpg(child, signal.SIGKILL)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()
    model = _train(deepmd_input, workdir)

    assert not _is_running(child)
    log = (workdir / "train.log").read_text()
    restarts = [line for line in log.splitlines() if "restart from model" in line]
    assert len(restarts) == 1
    restarted_at = int(restarts[0].rsplit("-", 1)[1])
    assert killed_at - 100 <= restarted_at < 3000
    curve = read_learning_curve(model.learning_curve)
    assert curve.steps.tolist() == list(range(0, 3001, int(curve.steps[1])))
    assert model.model_file.is_file()


class LateAfterCheckpoints(Workplace):
    """A workplace whose time is over once its training has written its third checkpoint."""

    def time_left_s(self) -> float:
        names = [path.stem for path in Path(self.pool).glob("model.ckpt-*.index")]
        steps = [int(name.rpartition("-")[2]) for name in names]  # old ones are removed
        return -10.0 if max(steps, default=0) >= 300 else float("inf")


def test_a_training_out_of_time_goes_on_from_its_checkpoint(
    data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    section = SECTION.model_copy(update={"checkpoint_every_steps": 100})
    deepmd_input = _deepmd_input(data, tmp_path / "data", steps=1500, section=section)
    workdir = tmp_path / "work"

    with pytest.raises(OutOfTimeError, match="newest checkpoint is that of step") as stopped:
        _train(deepmd_input, workdir, workplace=LateAfterCheckpoints(pool=str(workdir)))
    _train(deepmd_input, workdir)

    newest = int(str(stopped.value).rsplit(" ", 1)[1])
    log = (workdir / "train.log").read_text()
    [restart] = [line for line in log.splitlines() if "restart from model" in line]
    # it may have been cut off in writing the newest one, or have written one more
    assert abs(int(restart.rsplit("-", 1)[1]) - newest) <= 100
    assert newest >= 300


def test_a_prefix_that_starts_several_copies_has_the_work_done_once(
    trained: TrainedModel, data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    twice = Workplace(prefix=("sh", "-c", '"$@" & "$@"; wait', "sh"))

    [prediction] = evaluate_models(
        [trained.model_file], data[:1], type_map=TYPE_MAP, workdir=tmp_path, workplace=twice
    )

    assert np.isfinite(prediction.forces).all()
    assert (tmp_path / "evaluate.log").read_text().count("data set 0, frame 0") == 1


def test_a_wrong_key_ends_in_an_error_that_names_it(
    data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    section = SECTION.model_copy(update={"deepmd": {"training": {"colour": "blue"}}})
    wrong = _deepmd_input(data, tmp_path / "data", section=section)

    with pytest.raises(TrainingError, match="colour"):
        _train(wrong, tmp_path / "work")


def test_an_element_the_model_does_not_know_is_named(
    trained: TrainedModel, tmp_path: Path
) -> None:
    labels = _toy_labels(1, seed=6)
    labels.frames.numbers[0] = 15

    with pytest.raises(TrainingError, match=r"knows Li, S, not P"):
        evaluate_models(
            [trained.model_file],
            [("toy", labels)],
            type_map=["Li", "P", "S"],
            workdir=tmp_path,
            workplace=Workplace(),
        )


@pytest.mark.skipif(importlib.util.find_spec("jax") is not None, reason="jax is installed")
def test_a_backend_that_is_not_there_is_told_with_what_installs_it(
    deepmd_input: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(
        ProgramMissingError, match=r"the jax backend cannot be loaded(.|\n)*pip"
    ):
        train_member(
            deepmd_input,
            workdir=tmp_path,
            backend="jax",
            init_from=None,
            compress=False,
            workplace=Workplace(),
        )
