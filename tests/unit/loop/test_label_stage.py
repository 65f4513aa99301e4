"""The label stage: attempts that are broken off, and what the next one keeps."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import CalculationFailed, FileIOCalculator
from ase.calculators.genericfileio import CalculatorTemplate, GenericFileIOCalculator

from dasksse import label as labelling
from dasksse.errors import LabelError, LabelLimitError, OutOfTimeError, ScfError
from dasksse.label import AseCalculator
from dasksse.loop.execute import classify_failure
from dasksse.loop.stages.frame_deaths import MOST_ALONE
from dasksse.loop.stages.labels import label
from dasksse.records import Frames, Labels, UnitContext, Workplace, work
from dasksse.store.folders import write_json

N_FRAMES = 4
PAYLOAD = {
    "calculator": {"kind": "emt", "settings": {}},
    "frames_file": "frames.npz",
    "indices": [0, 2, 3, 4],
    "virial": True,
    "max_force_eV_A": 50.0,
    "max_net_force_eV_A": 0.01,
    "known": [],
}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    atoms = bulk("Cu", cubic=True)
    rng = np.random.default_rng(1)
    positions = atoms.positions + rng.normal(scale=0.05, size=(5, 4, 3))
    frames = Frames(np.asarray(atoms.numbers), positions, np.repeat(atoms.cell[:][None], 5, 0))
    frames.save(tmp_path / "frames.npz")
    return tmp_path


def context(run_dir: Path, name: str, **changes: Any) -> UnitContext:
    workdir = run_dir / name
    workdir.mkdir(exist_ok=True)
    return UnitContext(run_dir, workdir, **({"progress": lambda *_: None} | changes))


class Counted:
    """Counts the frames that are labelled; stands before the real function."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.n = 0
        self.fails_at = fails_at
        self.real = labelling.label_frames

    def counting(self, method: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.n += 1
            return method(*arguments, **options)

        return counted

    def __call__(self, *arguments: Any, **options: Any) -> Labels:
        self.n += 1
        if self.n == self.fails_at:
            raise KeyboardInterrupt
        return self.real(*arguments, **options)


def test_a_batch_labelled_in_two_attempts_is_that_of_one(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = label(PAYLOAD, context(run_dir, "calm"))
    count = Counted(fails_at=3)
    monkeypatch.setattr(labelling, "label_frames", count)

    with pytest.raises(KeyboardInterrupt):
        label(PAYLOAD, context(run_dir, "broken"))
    record = label(PAYLOAD, context(run_dir, "broken"))

    assert count.n == N_FRAMES + 1
    apart = {"seconds_per_frame": 0.0, "labels_file": ""}
    assert record | apart == calm | apart
    left, right = (Labels.load(run_dir / name / "labels.npz") for name in ("calm", "broken"))
    np.testing.assert_array_equal(left.forces, right.forces)
    np.testing.assert_array_equal(left.virials, right.virials)
    np.testing.assert_array_equal(left.frames.positions, right.frames.positions)
    assert [path.name for path in (run_dir / "broken").iterdir()] == ["labels.npz"]


def test_a_worker_without_time_stops_between_frames(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Counted()
    monkeypatch.setattr(labelling, "label_frames", count)
    done: list[float] = []
    # A frame takes no time here; with two of them done, it is late.
    clock = SimpleNamespace(time=lambda: 1000.0 if len(done) < 2 else 2000.0)
    monkeypatch.setattr(work, "time", clock)

    def progress(n: float, note: str = "") -> None:
        done.append(n)

    short = context(run_dir, "short", progress=progress, workplace=Workplace(stop_at=1900.0))
    with pytest.raises(OutOfTimeError, match="0 s of walltime left"):
        label(PAYLOAD, short)
    label(PAYLOAD, context(run_dir, "short"))

    assert done == [1, 2]
    assert count.n == N_FRAMES


def test_a_frame_that_failed_is_tried_again_by_the_next_attempt(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Counted(fails_at=2)
    monkeypatch.setattr(labelling, "label_frames", count)
    strict = {**PAYLOAD, "max_force_eV_A": 1e-9}

    with pytest.raises(KeyboardInterrupt):
        label(strict, context(run_dir, "strict"))
    record = label(strict, context(run_dir, "strict"))

    assert count.n == N_FRAMES + 2
    assert record["n_good"] == 0
    assert len(record["reasons"]) == N_FRAMES


def test_frames_that_are_not_converged_are_no_crash(run_dir: Path) -> None:
    strict = {**PAYLOAD, "max_net_force_eV_A": 1e-20}

    with pytest.raises(ScfError, match="net force of"):
        label(strict, context(run_dir, "strict"))


def test_frames_that_died_with_their_workers_too_often_are_given_up_and_nothing_else(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Counted()
    monkeypatch.setattr(labelling, "label_frames", count)
    unit = context(run_dir, "unit")
    (unit.workdir / "deaths-00002.json").write_text(json.dumps({"alone": MOST_ALONE}))
    log = unit.workdir / "frame-00002" / "as-asked" / "output.log"
    log.parent.mkdir(parents=True)
    log.write_text("step 1\nallocating 2 TB\n")

    record = label(PAYLOAD, unit)

    assert (record["n_good"], count.n) == (N_FRAMES - 1, N_FRAMES - 1)
    (reason,) = record["reasons"]
    assert reason.startswith("its worker died 4 times while it was computed: out of memory, or")
    assert reason.endswith("The end of as-asked/output.log: step 1\nallocating 2 TB")
    assert log.exists()


def test_a_batch_that_only_kills_workers_is_given_up_and_can_be_released(
    run_dir: Path,
) -> None:
    unit = context(run_dir, "unit")
    one = {**PAYLOAD, "indices": [2]}
    (unit.workdir / "deaths-00000.json").write_text(json.dumps({"alone": MOST_ALONE}))

    with pytest.raises(LabelLimitError, match="its worker died 4 times") as caught:
        label(one, unit)

    assert classify_failure(caught.value) == "limit"
    assert label(one, unit)["n_good"] == 1  # `dasksse retry` gives the folder back as it is


def test_labels_that_exist_are_taken_and_only_the_others_computed(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = label({**PAYLOAD, "indices": [4, 2]}, context(run_dir, "before"))
    count = Counted()
    monkeypatch.setattr(
        AseCalculator, "single_point", count.counting(AseCalculator.single_point)
    )

    record = label({**PAYLOAD, "known": [before["labels_file"]]}, context(run_dir, "after"))

    assert count.n == N_FRAMES - 2
    assert (record["n_good"], record["n_known"]) == (N_FRAMES, 2)
    old, new = (Labels.load(run_dir / name / "labels.npz") for name in ("before", "after"))
    np.testing.assert_array_equal(old.forces, new.forces[[3, 1]])
    np.testing.assert_array_equal(old.virials, new.virials[[3, 1]])
    assert np.isnan(new.seconds).tolist() == [False, True, False, True]  # they took none here
    assert record["seconds_per_frame"] == np.nanmean(new.seconds)


def test_a_batch_of_labels_that_exist_has_a_record_that_can_be_written(run_dir: Path) -> None:
    before = label(PAYLOAD, context(run_dir, "before"))

    record = label({**PAYLOAD, "known": [before["labels_file"]]}, context(run_dir, "after"))

    assert record["n_known"] == N_FRAMES
    write_json(run_dir / "record.json", record)


def test_a_record_says_how_many_cores_a_label_had(run_dir: Path) -> None:
    ranks = Workplace(threads=4, prefix=("srun", "-n", "16"))

    alone = label(PAYLOAD, context(run_dir, "alone"))
    many = label(PAYLOAD, context(run_dir, "many", workplace=ranks))

    assert (alone["cores"], many["cores"]) == (1, 64)


class Writer(FileIOCalculator):
    """Writes its files as ASE's file-based codes do; fails where a file says so."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self) -> None:
        super().__init__(command="echo 1.5 > writer.out; test ! -e ../fail")

    def write_input(
        self, atoms: Any, properties: Any = None, system_changes: Any = None
    ) -> None:
        super().write_input(atoms, properties, system_changes)
        Path(self.directory, "writer.in").write_text("input")

    def read_results(self) -> None:
        energy = float(Path(self.directory, "writer.out").read_text())
        self.results = {"energy": energy, "forces": np.zeros((len(self.atoms), 3))}


class Templated(GenericFileIOCalculator):
    """The same for ASE's newer kind of file-based codes."""

    def __init__(self) -> None:
        super().__init__(template=Template(), profile=object(), directory=".")


class Template(CalculatorTemplate):
    def __init__(self) -> None:
        super().__init__("writer", ["energy", "forces"])

    def write_input(
        self, profile: Any, directory: Path, atoms: Any, parameters: Any, properties: Any
    ) -> None:
        (directory / "writer.in").write_text(f"{len(atoms)}")

    def execute(self, directory: Path, profile: Any) -> None:
        (directory / "writer.out").write_text("1.5")
        if (directory / "../fail").exists():
            raise CalculationFailed("exit code 1")

    def read_results(self, directory: Path) -> dict[str, Any]:
        n_atoms = int((directory / "writer.in").read_text())
        energy = float((directory / "writer.out").read_text())
        return {"energy": energy, "forces": np.zeros((n_atoms, 3))}

    def load_profile(self, cfg: Any, **options: Any) -> None:
        return None


@pytest.mark.parametrize("name", ["Writer", "Templated"])
def test_files_of_an_ase_code_lie_in_the_folder_of_their_frame(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    here = run_dir / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    payload = {**PAYLOAD, "calculator": {"kind": f"python:{__name__}.{name}", "settings": {}}}
    failing = context(run_dir, "failing")
    (failing.workdir / "fail").touch()

    record = label(payload, context(run_dir, "good"))
    with pytest.raises(LabelError):
        label(payload, failing)

    assert record["n_good"] == N_FRAMES
    assert [path.name for path in (run_dir / "good").iterdir()] == ["labels.npz"]
    logs = {path.parent.name for path in failing.workdir.glob("frame-*/writer.out")}
    assert logs == {f"frame-{number:05d}" for number in range(N_FRAMES)}
    assert list(here.iterdir()) == []
