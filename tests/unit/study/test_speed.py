from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase.build import bulk
from pretender import toy
from scipy.stats import linregress
from study_player import MODELS, StudyPlayer

from dasksse.errors import AnalysisError, ExplorationError, OutOfTimeError
from dasksse.explore.lammps_client import LammpsFailure
from dasksse.records import Frames, UnitContext, Workplace
from dasksse.study import speed_timing
from dasksse.study.speed import Speed
from dasksse.study.speed_timing import WARM_UP_STEPS, hours_per_ns, laws, measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dasksse.explore.lammps_setup import EngineSetup
    from dasksse.records import Unit

SIZES = np.array([50, 200, 400, 900, 1600])


# --- laws ------------------------------------------------------------------------------------


def test_a_line_and_a_power_law_are_found_exactly() -> None:
    line = laws(SIZES.tolist(), (0.003 + 2e-5 * SIZES).tolist())
    power = laws(SIZES.tolist(), (1e-5 * SIZES**1.3).tolist())

    assert line is not None
    assert power is not None
    assert (line["a_s"], line["b_s_per_atom"]) == (pytest.approx(0.003), pytest.approx(2e-5))
    assert line["b_s_per_atom_err"] == pytest.approx(0.0, abs=1e-12)
    assert power["exponent"] == pytest.approx(1.3)


def test_the_error_of_the_exponent_is_that_of_linear_regression() -> None:
    times = 1e-5 * SIZES * np.array([1.1, 0.95, 1.0, 1.02, 0.97])
    expected = linregress(np.log(SIZES), np.log(times))

    found = laws(SIZES.tolist(), times.tolist())

    assert found is not None
    assert found["exponent"] == pytest.approx(expected.slope)
    assert found["exponent_err"] == pytest.approx(expected.stderr)


def test_errors_of_the_line_tell_how_far_it_scatters() -> None:
    rng = np.random.default_rng(4)
    truth = 0.003 + 2e-5 * SIZES
    fits = [
        laws(SIZES.tolist(), (truth * rng.normal(1.0, 0.03, len(SIZES))).tolist())
        for _ in range(2000)
    ]

    for key in ("a_s", "b_s_per_atom"):
        values = np.array([fit[key] for fit in fits if fit is not None])
        errors = np.array([fit[f"{key}_err"] for fit in fits if fit is not None])
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.1)


def test_two_sizes_have_a_law_without_error_and_one_has_none() -> None:
    two = laws([50, 100], [0.1, 0.2])

    assert two is not None
    assert (two["exponent"], two["exponent_err"]) == (pytest.approx(1.0), None)
    assert laws([50, 50], [0.1, 0.2]) is None


def test_the_published_time_is_a_step_of_29_ms() -> None:
    assert hours_per_ns(0.0288, 2.0) == pytest.approx(4.0)


# --- measurement with a made-up engine -------------------------------------------------------


class Clock:
    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


class MadeUpEngine:
    """Takes 1 ms for an atom and a model in the first repeat, half of it in the second."""

    calls: list[tuple[int, int]]

    def __init__(self, clock: Clock, *, fails: dict[int, Exception], halts_at: int) -> None:
        self.calls = []
        self._clock = clock
        self._fails = fails
        self._halts_at = halts_at

    @contextlib.contextmanager
    def client(self, setup: EngineSetup) -> Iterator[MadeUpEngine]:
        self._n_models = len(setup.models)
        yield self

    def run(self, *, state_in: Path | None, commands: list[str], steps: int, **_: Any) -> Any:
        if state_in is not None:
            with np.load(state_in) as state:
                self._n_atoms = len(state["state_types"])
            assert any(command.startswith("fix integrate") for command in commands)
            self._step, self._repeat = 0, 0
            if self._n_atoms in self._fails:
                raise self._fails[self._n_atoms]
        assert any(command.startswith("dump frames") for command in commands)
        self.calls.append((self._n_models, steps))
        self._step += steps
        speed = 0.5 if self._repeat == 2 else 1.0
        self._repeat += 1
        self._clock.now_s += steps * self._n_atoms * self._n_models * 1e-3 * speed
        return {"step": min(self._step, self._halts_at), "temp": 9e9, "vol": 1.0}

    def take_deviation_rows(self) -> str:
        return ""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(speed_timing, "time", clock)
    return clock


def engine(
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    *,
    fails: dict[int, Exception] | None = None,
    halts_at: int = 10**9,
) -> MadeUpEngine:
    made_up = MadeUpEngine(clock, fails=fails or {}, halts_at=halts_at)
    monkeypatch.setattr("dasksse.explore.lammps_client.lammps_client", made_up.client)
    return made_up


def asked_by_the_study() -> StudyPlayer:
    study = made_up(times=lambda n_atoms, n_models: [1e-4 * n_atoms * n_models])
    study.conclude()
    return study


def payload_of(folder: Path) -> dict[str, Any]:
    """The payload of the study, with crystals that are there."""
    (unit,) = asked_by_the_study().asked("speed_timing:measure")
    cells = []
    for repeats in (1, 2):
        atoms = bulk("LiCl", "rocksalt", a=5.3, cubic=True) * repeats
        frames = Frames(atoms.numbers, atoms.positions[None], atoms.cell.array[None])
        frames.save(folder / f"{repeats}.npz")
        cells.append({"name": f"{repeats}x", "structure_file": f"{repeats}.npz"})
    return {**unit.payload, "cells": cells, "n_steps": 40, "repeats": 2}


def context(folder: Path, **changes: Any) -> UnitContext:
    (folder / "work").mkdir(exist_ok=True)
    return UnitContext(folder, folder / "work", lambda *_: None, Workplace(**changes))


def test_each_cell_is_timed_with_one_model_and_with_all_after_a_warm_up(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up_engine = engine(monkeypatch, clock)

    rows = measure(payload_of(tmp_path), context(tmp_path, threads=3))["rows"]

    found = {(row["n_atoms"], row["n_models"]): row["seconds_per_step"] for row in rows}
    assert found == {
        (n_atoms, n_models): pytest.approx(
            [1e-3 * n_atoms * n_models, 5e-4 * n_atoms * n_models]
        )
        for n_atoms in (8, 64)
        for n_models in (1, 4)
    }
    assert made_up_engine.calls[:3] == [(1, WARM_UP_STEPS), (1, 40), (1, 40)]
    # the models of an ensemble are loaded once
    assert [row["n_models"] for row in rows] == [1, 1, 4, 4]
    assert rows[0]["machine"]["threads"] == 3
    json.dumps(rows)


@pytest.mark.parametrize(
    "error", [LammpsFailure("lost atoms"), ExplorationError("LAMMPS", -9, "", "out of memory")]
)
def test_a_cell_that_fails_does_not_stop_the_others(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    engine(monkeypatch, clock, fails={64: error})

    rows = measure(payload_of(tmp_path), context(tmp_path))["rows"]

    assert [bool(row["seconds_per_step"]) for row in rows] == [True, False, True, False]
    assert str(error) in rows[1]["reason"]


def test_a_run_that_blows_up_has_no_time(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, clock, halts_at=30)

    rows = measure(payload_of(tmp_path), context(tmp_path))["rows"]

    assert [row["seconds_per_step"] for row in rows] == [[]] * 4
    assert rows[0]["reason"].startswith("blew up at step 30")


def test_what_is_measured_is_not_measured_again_after_the_walltime(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up_engine = engine(monkeypatch, clock)
    payload = payload_of(tmp_path)
    is_over = iter([False, False, True])
    with monkeypatch.context() as patch:

        def check_time(self: Workplace, need_s: float = 0.0) -> None:
            if next(is_over):
                raise OutOfTimeError("over")

        patch.setattr(Workplace, "check_time", check_time)
        with pytest.raises(OutOfTimeError):
            measure(payload, context(tmp_path))

    rows = measure(payload, context(tmp_path))["rows"]

    assert len(rows) == 4
    assert len(made_up_engine.calls) == 4 * 3


def test_processor_and_threads_are_told() -> None:
    about = speed_timing.machine(
        UnitContext(Path(), Path(), lambda *_: None, Workplace(2, ("mpirun", "-n", "4")))
    )

    assert about["cpu"]
    assert (about["threads"], about["ranks"]) == (2, 4)


# --- the study -------------------------------------------------------------------------------

MACHINE = {
    "cpu": "Some CPU",
    "cpu_cores": 2,
    "threads": 1,
    "ranks": 1,
    "gpus": [],
    "load_1_min": 2.5,
}


def made_up(times: Any, **changes: Any) -> StudyPlayer:
    """The study on LGPS with made-up times of a step [s]."""

    def structure(unit: Unit) -> dict[str, Any]:
        n_atoms = int(50 * np.prod(unit.payload["section"]["supercell"]))
        return {
            "file": f"{n_atoms}.npz",
            "n_atoms": n_atoms,
            "formula": "Ge2Li20P4S24",
            "numbers": [3] * 10 + [32] + [15] * 2 + [16] * 12,
        }

    def timed(unit: Unit) -> dict[str, Any]:
        rows = []
        for cell in unit.payload["cells"]:
            n_atoms = int(cell["structure_file"].removesuffix(".npz"))
            for n_models in (1, len(unit.payload["spec"]["models"])):
                seconds = times(n_atoms, n_models)
                rows.append(
                    {
                        "cell": cell["name"],
                        "n_atoms": n_atoms,
                        "n_models": n_models,
                        "machine": MACHINE,
                        "seconds_per_step": seconds,
                        "reason": "" if seconds else "out of memory\nlog",
                    }
                )
        return {"rows": rows}

    return StudyPlayer(
        [Speed()],
        toy(production__timestep_fs=2.0, **changes),
        answers={"structure": structure, "speed_timing:measure": timed},
    )


def test_one_unit_times_all_cells_with_the_settings_of_production() -> None:
    study = asked_by_the_study()

    (unit,) = study.asked("speed_timing:measure")
    assert unit.tag == "MD"
    assert [cell["name"] for cell in unit.payload["cells"]] == [
        "1x1x1",
        "2x2x1",
        "2x2x2",
        "3x3x2",
        "4x4x2",
    ]
    spec = unit.payload["spec"]
    assert (spec["timestep_fs"], spec["temperature_K"], spec["ensemble"]) == (2.0, 600.0, "nvt")
    assert spec["models"] == list(MODELS)


def test_steps_fill_whole_frame_intervals() -> None:
    study = made_up(
        lambda *_: [0.1],
        production__frame_interval_steps=70,
        studies={"speed": {"n_steps": 200}},
    )
    study.conclude()

    assert study.asked("speed_timing:measure")[0].payload["n_steps"] == 210


def test_the_fastest_repeat_counts_and_the_paper_stands_beside_it() -> None:
    outcome = made_up(
        lambda n_atoms, n_models: [
            factor * (2e-4 + 1e-4 * n_atoms) * (1.0 if n_models == 1 else 1.5)
            for factor in (1.5, 1.0, 1.1)
        ]
    ).conclude()

    assert outcome.verdict.level == "trust"
    assert (
        "One model: 12.5 h/ns for 900 atoms, exponent 0.9893 ± 0.0028" in outcome.verdict.text
    )
    assert "ensemble of 4: 18.8 h/ns" in outcome.verdict.text
    assert "around 4 h/ns for 900 atoms at 2 fs on one NVIDIA V100" in outcome.verdict.text
    line = outcome.tables[0].rows[6]
    assert (line["Atoms"], line["Models"]) == ("900", "1")
    assert (line["Step [ms]"], line["ns/day"]) == ("90.2", "1.92")
    assert line["paper, h/ns"] == "around 4"
    assert any(
        "differ by up to 50 %" in note and "2.5 on 2 cores" in note for note in outcome.notes
    )
    assert outcome.values["machines"] == ["Some CPU (2 cores), 1 thread(s)"]
    json.dumps(outcome.to_json())
    assert len(Speed().draw(outcome.values).axes) == 1


def test_growth_beyond_linear_is_care() -> None:
    outcome = made_up(lambda n_atoms, _: [1e-6 * n_atoms**1.5]).conclude()

    assert outcome.verdict.level == "care"
    assert "more than linear" in outcome.verdict.text


def test_cells_without_time_are_named_and_none_at_all_is_doubt() -> None:
    some = made_up(lambda n_atoms, _: [1e-4 * n_atoms] if n_atoms < 900 else []).conclude()
    none = made_up(lambda *_: []).conclude()

    assert "4x4x2, 4 model(s): no time, out of memory" in some.notes
    assert "for 400 atoms" in some.verdict.text
    assert none.verdict.level == "doubt"
    with pytest.raises(AnalysisError, match="timed"):
        Speed().draw(none.values)


def test_a_failed_unit_has_an_outcome() -> None:
    study = made_up(lambda *_: [0.1])
    study.answers["speed_timing:measure"] = lambda _: "no LAMMPS"

    assert study.conclude().verdict.text == "No times: no LAMMPS"
