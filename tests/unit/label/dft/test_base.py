"""What all DFT engines do alike, shown with an engine that does what a script says."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.build import bulk

from dasksse.errors import LabelError, LabelLimitError, OutOfTimeError, ScfError
from dasksse.label.contract import Answer, Place
from dasksse.label.dft import base
from dasksse.label.dft.base import AS_ASKED, DftCalculator, Rung, out_of_time
from dasksse.label.dft.settings import DftSettings
from dasksse.label.single_point import label_frames
from dasksse.records import Frames, Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms

    from dasksse.label.dft.base import Job

    Step = Callable[["Call"], Answer]

CRYSTAL = bulk("LiCl", "rocksalt", a=5.3)


@dataclass
class Call:
    """What one calculation was given."""

    atoms: Atoms
    settings: DftSettings
    job: Job


@dataclass
class Script:
    """Steps of the scripted engine and what happened."""

    steps: list[Step]
    calls: list[Call] = field(default_factory=list)
    forgotten: int = 0


class ScriptedEngine(DftCalculator[DftSettings]):
    engine = "scripted"

    def __init__(self, script: Script, **settings: object) -> None:
        super().__init__(DftSettings(**settings))
        self.script = script

    def describe(self) -> str:
        return "scripted 1.0"

    def ladder(self) -> Sequence[Rung[DftSettings]]:
        longer = self.settings.model_copy(update={"max_scf_steps": 500})
        return [
            Rung(AS_ASKED, self.settings),
            Rung("longer", longer),
            Rung("longest", longer.model_copy(update={"max_scf_steps": 1000})),
        ]

    def compute(self, atoms: Atoms, settings: DftSettings, job: Job) -> Answer:
        call = Call(atoms, settings, job)
        self.script.calls.append(call)
        (job.folder / "engine.log").write_text("what the engine said")
        return self.script.steps[len(self.script.calls) - 1](call)

    def forget(self) -> None:
        self.script.forgotten += 1


def gives(call: Call) -> Answer:
    return Answer(-1.0, np.zeros((len(call.atoms), 3)), np.eye(3), scf_steps=9)


def does_not_converge(call: Call) -> Answer:
    raise ScfError("scripted", 1, str(call.job.folder), "residual 0.3")


def crashes(call: Call) -> Answer:
    raise LabelError("scripted", -11, str(call.job.folder), "segmentation fault")


@dataclass
class Clock:
    """Time that passes only in :meth:`without_success`."""

    now_s: float = 1000.0

    def without_success(self, call: Call) -> Answer:
        self.now_s += 40.0
        return does_not_converge(call)


def engine(*steps: Step, **settings: object) -> ScriptedEngine:
    return ScriptedEngine(Script(list(steps)), **settings)


def test_settings_as_asked_come_first_and_no_fallback_is_named(tmp_path: Path) -> None:
    calculator = engine(gives)

    answer = calculator.single_point(CRYSTAL, Place(tmp_path))

    (call,) = calculator.script.calls
    assert call.settings == calculator.settings
    assert call.job.folder == tmp_path / "as-asked"
    assert call.job.time_limit_s == math.inf
    assert (answer.energy, answer.scf_steps, answer.fallback) == (-1.0, 9, "")
    assert calculator.script.forgotten == 0


def test_the_ladder_is_climbed_until_self_consistency_and_its_rung_is_named(
    tmp_path: Path,
) -> None:
    calculator = engine(does_not_converge, does_not_converge, gives)

    answer = calculator.single_point(CRYSTAL, Place(tmp_path))

    calls = calculator.script.calls
    assert answer.fallback == "longest"
    assert [call.settings.max_scf_steps for call in calls] == [100, 500, 1000]
    assert [call.job.folder.name for call in calls] == ["as-asked", "longer", "longest"]
    assert calculator.script.forgotten == 2


def test_only_the_first_rung_may_start_from_the_last_wavefunction(tmp_path: Path) -> None:
    calculator = engine(does_not_converge, gives)

    calculator.single_point(CRYSTAL, Place(tmp_path))

    assert [call.job.reuse for call in calculator.script.calls] == [True, False]


def test_nothing_is_reused_where_labels_must_be_reproducible(tmp_path: Path) -> None:
    calculator = engine(does_not_converge, gives)

    calculator.single_point(CRYSTAL, Place(tmp_path, reproducible=True))

    assert [call.job.reuse for call in calculator.script.calls] == [False, False]


def test_the_error_names_all_that_was_tried_and_the_last_words(tmp_path: Path) -> None:
    calculator = engine(does_not_converge, does_not_converge, does_not_converge)

    with pytest.raises(ScfError, match=r"tried as-asked, longer, longest\nresidual") as info:
        calculator.single_point(CRYSTAL, Place(tmp_path))

    assert info.value.workdir == tmp_path


def test_without_fallbacks_one_attempt_is_made(tmp_path: Path) -> None:
    calculator = engine(does_not_converge, fallbacks=False)

    with pytest.raises(ScfError, match="tried as-asked\n"):
        calculator.single_point(CRYSTAL, Place(tmp_path))


def test_a_crash_ends_the_ladder(tmp_path: Path) -> None:
    calculator = engine(crashes, gives)

    with pytest.raises(LabelError, match="segmentation fault") as info:
        calculator.single_point(CRYSTAL, Place(tmp_path))

    assert not isinstance(info.value, ScfError)
    assert len(calculator.script.calls) == 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that each attempt moves on by 40 s."""
    clock = Clock()
    monkeypatch.setattr(base, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    return clock


def test_the_time_limit_counts_all_rungs_together(tmp_path: Path, clock: Clock) -> None:
    calculator = engine(clock.without_success, gives, time_limit_s=30.0)

    with pytest.raises(LabelLimitError, match=r"longer than 30 s, its time_limit_s; residual"):
        calculator.single_point(CRYSTAL, Place(tmp_path))

    assert [call.job.time_limit_s for call in calculator.script.calls] == [30.0]


def test_what_an_engine_says_when_it_is_ended_at_the_limit_hides_no_limit(
    tmp_path: Path, clock: Clock
) -> None:
    def is_ended(call: Call) -> Answer:
        clock.now_s += 40.0
        raise LabelError("scripted", -15, str(call.job.folder), "received signal 15")

    calculator = engine(is_ended, gives, time_limit_s=30.0)

    with pytest.raises(LabelLimitError, match="longer than 30 s, its time_limit_s"):
        calculator.single_point(CRYSTAL, Place(tmp_path))


def test_a_later_rung_has_the_time_that_is_left(tmp_path: Path, clock: Clock) -> None:
    calculator = engine(clock.without_success, gives, time_limit_s=60.0)

    calculator.single_point(CRYSTAL, Place(tmp_path))

    assert [call.job.time_limit_s for call in calculator.script.calls] == [60.0, 20.0]


def test_the_walltime_of_the_worker_limits_a_label_too(tmp_path: Path) -> None:
    calculator = engine(gives, time_limit_s=1e6)
    workplace = Workplace(stop_at=time.time() + 100.0)

    calculator.single_point(CRYSTAL, Place(tmp_path, workplace))

    assert 0.0 < calculator.script.calls[0].job.time_limit_s <= 100.0


@pytest.mark.parametrize(
    ("stop_in_s", "error"),
    [(-1.0, OutOfTimeError), (1000.0, LabelLimitError), (None, LabelLimitError)],
)
def test_a_label_ended_by_the_walltime_goes_on_elsewhere_and_a_slow_one_fails(
    tmp_path: Path, stop_in_s: float | None, error: type[Exception]
) -> None:
    calculator = engine(gives, time_limit_s=5.0)
    calculator.single_point(CRYSTAL, Place(tmp_path))
    (call,) = calculator.script.calls
    stop_at = None if stop_in_s is None else time.time() + stop_in_s
    job = type(call.job)(tmp_path, Workplace(stop_at=stop_at), 5.0, virial=True, reuse=False)

    assert type(out_of_time(job, "scripted")) is error


@pytest.mark.parametrize("wanted", [True, False])
def test_the_virial_is_asked_for_only_where_it_is_given(tmp_path: Path, wanted: bool) -> None:
    calculator, other = engine(gives), engine(gives)
    other.gives_virial = False

    calculator.single_point(CRYSTAL, Place(tmp_path), virial=wanted)
    other.single_point(CRYSTAL, Place(tmp_path), virial=wanted)

    assert calculator.script.calls[0].job.virial is wanted
    assert other.script.calls[0].job.virial is False


def test_the_engine_gets_a_copy_of_the_atoms(tmp_path: Path) -> None:
    def moves(call: Call) -> Answer:
        call.atoms.positions += 1.0
        return gives(call)

    atoms = CRYSTAL.copy()
    engine(moves).single_point(atoms, Place(tmp_path))

    np.testing.assert_array_equal(atoms.positions, CRYSTAL.positions)


def test_the_folder_is_kept_on_failure_and_goes_on_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    engine(gives).single_point(CRYSTAL, Place())
    after_success = list(tmp_path.iterdir())
    with pytest.raises(LabelError) as info:
        engine(crashes).single_point(CRYSTAL, Place())

    assert after_success == []
    assert (info.value.workdir / "engine.log").read_text() == "what the engine said"
    assert list(tmp_path.iterdir()) == [info.value.workdir.parent]


def test_a_frame_that_fails_leaves_the_others_their_labels(tmp_path: Path) -> None:
    calculator = engine(gives, crashes, gives)
    frames = Frames(
        CRYSTAL.numbers, np.stack([CRYSTAL.positions] * 3), np.stack([CRYSTAL.cell.array] * 3)
    )
    folders = iter([tmp_path / str(i) for i in range(3)])

    def place(_: int) -> Place:
        folder = next(folders)
        folder.mkdir()
        return Place(folder)

    labels = label_frames(frames, calculator, place=place)

    assert labels.energies == pytest.approx([-1.0, np.nan, -1.0], nan_ok=True)
    assert "segmentation fault" in labels.reasons[1]
    assert calculator.script.forgotten == 1
