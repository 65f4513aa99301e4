"""A whole run with labels of the real CP2K, whose driver is killed among them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from ase.build import bulk
from toy_runs import ToyRun, make_run

from dasksse.records import Labels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.cp2k, pytest.mark.deepmd, pytest.mark.lammps, pytest.mark.slow]

N_START, BATCH = 6, 3
CP2K = {"basis": "SZV", "cutoff_Ry": 100.0, "rel_cutoff_Ry": 30.0, "kspacing_per_A": None}
"""A second a label and forces that are those of its energy; no physics."""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ToyRun]:
    """Two generations on eight atoms of AlP, which soft pseudopotentials are enough for."""
    crystal = tmp_path / "AlP.cif"
    bulk("AlP", "zincblende", a=5.47, cubic=True).write(crystal)
    changes: dict[str, Any] = {
        "name": "cp2k-loop",
        "type_map": ["Al", "P"],
        "mobile_species": "Al",
        "systems": [{"name": "AlP", "structure": str(crystal)}],
        "start__n_frames": N_START,
        "start__rattle_A": [0.05, 0.1],
        "label": {"calculator": {"kind": "cp2k", "settings": CP2K}, "batch_size": BATCH},
        "train__steps": 100,
        "train__steps_warm": 50,
        "explore__schedule__0__systems": ["AlP"],
        "explore__schedule__0__temperatures_K": [300],
        "explore__schedule__0__lengths_ps": [0.1],
        "select__max_labels": 2,
        "select__accurate_checks": 1,
        "probe__n_frames": 0,
        "production": None,
    }
    made = make_run(tmp_path / "run", **changes)
    yield made
    made.stop()


def test_a_driver_killed_among_labels_of_cp2k_repeats_none_and_the_run_ends_with_a_report(
    run: ToyRun,
) -> None:
    run.start()
    [saved] = run.until(lambda: list(run.run_dir.glob("work/label/*.part/label-00000.npz")))
    before = Labels.load(saved)
    [shell] = run.children("cp2k.psmp -s")
    run.kill()
    _, left = psutil.wait_procs([shell], timeout=20)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in left)

    run.finish()

    unit = saved.parent.with_suffix("")
    after = Labels.load(unit / "labels.npz")
    assert after.seconds[0] == before.seconds[0]  # no second measurement is the same
    attempts = run.attempts()
    assert attempts.pop(f"label/{unit.name}") == 2
    assert set(attempts.values()) == {1}
    labels = run.tree()["/labels/AlP"]
    roles = np.array(labels["role"].attrs["table"])[labels["role"].values]
    assert (roles == "start").sum() == N_START
    assert (roles == "candidate").sum() >= 2
    assert not labels["is_surrogate"].values.any()
    assert labels["functional"].attrs["table"] == ["PBE"]
    assert "CP2K" in labels["source"].attrs["table"][0]
    assert len(labels["source"].attrs["table"]) == 1
    assert len(list(run.run_dir.glob("models/*/model_*.pb"))) == 3 * 2
    summary = json.loads((run.run_dir / "report" / "summary.json").read_text())
    assert summary["is_surrogate"] is False
    assert "CP2K" in (run.run_dir / "report" / "index.html").read_text()
