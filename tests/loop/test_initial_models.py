"""Runs that begin with models: taken as they are, and trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from toy_runs import ToyRun

pytestmark = [pytest.mark.lammps, pytest.mark.deepmd, pytest.mark.slow]

PRODUCTION = {
    "temperatures_K": [300],
    "length_ps": 0.2,
    "equilibration_ps": 0.05,
    "timestep_fs": 1.0,
    "frame_interval_steps": 5,
}


@pytest.fixture
def models(toy: Callable[..., ToyRun]) -> list[str]:
    """Ensemble of a run that only trains."""
    run = toy(explore={"schedule": []}, probe={"n_frames": 0}, production=None).finish()
    found = sorted((run.run_dir / "models" / "000").glob("*.pb"))
    assert len(found) == 2
    return [str(path) for path in found]


def test_production_runs_with_models_as_they_are_and_trains_nothing(
    toy: Callable[..., ToyRun], models: list[str]
) -> None:
    run = toy(
        start={"n_frames": 0},
        train__initial_models=models,
        train__steps=0,
        explore={"schedule": []},
        production=PRODUCTION,
    ).finish()

    assert not run.done("train")
    assert len(run.done("initial")) == 2
    production = run.tree()["/production/salt"]
    assert production["n_valid"].values.tolist() == [41]
    assert (run.run_dir / "report" / "index.html").is_file()
    assert "not trained" in run.log()


def test_training_goes_on_from_models(toy: Callable[..., ToyRun], models: list[str]) -> None:
    run = toy(
        train__initial_models=models,
        train__steps=1,
        train__learning_rate_warm=1e-12,
        train__learning_rate_stop=1e-13,
        explore={"schedule": []},
        probe={"n_frames": 0},
        production=None,
    ).finish()

    assert len(run.done("train")) == 2
    begun = Path(models[0]).parents[2]
    # a step of no length from the models leaves their error as it was; from nothing not
    assert training_error(run.run_dir) == pytest.approx(training_error(begun), rel=1e-3)


def test_models_for_other_elements_end_the_run_as_bad_input(
    toy: Callable[..., ToyRun], models: list[str]
) -> None:
    run = toy(
        type_map=["Cl", "Li"],
        start={"n_frames": 0},
        train__initial_models=models,
        train__steps=0,
        explore={"schedule": []},
        production=PRODUCTION,
    ).start()

    assert run.wait() == 2
    assert "knows Li, Cl, allowed: the type_map of the run, Cl, Li" in run.log()


def training_error(run_dir: Path) -> float:
    """Force error of the ensemble on its training labels [meV/Å]."""
    (result,) = run_dir.glob("work/evaluate/*/result.json")
    value = json.loads(result.read_text())["value"]
    return float(value["rmse"]["train"]["mean"]["force_rmse_meV_A"])
