from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from made_up_run import held, make_run_folder, select_record, start_units

from dasksse.report.status_data import read_status, running_units
from dasksse.store.journal_reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from dasksse.store.folders import RunFolder


def status_of(folder: RunFolder) -> dict[str, Any]:
    journal = JournalReader(folder.journal)
    status = read_status(folder, journal)
    journal.close()
    return status


def test_units_that_run_are_those_whose_lock_a_worker_holds(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "run")
    locks = start_units(folder)

    with held(locks):
        running = running_units(folder)
    after = running_units(folder)

    assert sorted((unit["kind"], unit["key"], unit["done"]) for unit in running) == [
        ("label", "c" * 16, 3),
        ("md", "a" * 16, 2500),
        ("md", "b" * 16, 1200),
    ]
    assert after == []


def test_a_unit_that_has_said_nothing_yet_runs_all_the_same(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "run")
    locks = start_units(folder)
    (folder.part("md", "a" * 16) / "progress.json").write_text('{"done"')

    with held(locks):
        running = {unit["key"]: unit for unit in running_units(folder)}

    assert running["a" * 16]["done"] is None
    assert running["b" * 16]["done"] == 1200


def test_units_and_labels_are_counted_by_how_far_they_are(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "run", generations=5, per_kind=12)

    with held(start_units(folder)):
        status = status_of(folder)

    assert status["state"] == "running"
    assert status["units"]["md"] == {"done": 48, "running": 2, "open": 12, "quarantined": 0}
    assert status["units"]["label"] == {"done": 60, "running": 1, "open": 3, "quarantined": 1}
    # four batches of eight are ready, one of them runs
    assert status["labels"] == {"done": 470, "running": 8, "queued": 24, "quarantined": 8}
    assert status["iteration"] == 4


def test_frames_without_label_are_counted_by_kind_of_reason(tmp_path: Path) -> None:
    status = status_of(make_run_folder(tmp_path / "run", generations=5, per_kind=12))

    # two batches of each generation lack a frame; one batch of eight is quarantined
    assert status["not_labelled"] == {"SCF not converged": 10, "calculator failed": 8}


def test_shares_errors_and_d_are_those_of_the_records(tmp_path: Path) -> None:
    status = status_of(make_run_folder(tmp_path / "run", generations=3))

    assert [row["generation"] for row in status["generations"]] == [0, 1]
    assert status["generations"][1]["accurate"] == pytest.approx(select_record(1)["accurate"])
    assert status["generations"][1]["trust_levels_eV_A"] == [0.12, 0.25]
    assert status["probe"][0]["force_rmse_meV_A"] == 190.0
    assert status["probe"][0]["deviation_eV_A"] == pytest.approx(0.322)
    assert [point["temperature_K"] for point in status["D"]] == [500, 600, 700, 800, 1000]
    assert status["D"][0]["D_m2_s"] is None
    assert status["D"][1]["system"] == "lgps"


def test_a_run_whose_driver_died_is_interrupted(tmp_path: Path) -> None:
    status = status_of(make_run_folder(tmp_path / "run"))

    assert status["state"] == "interrupted"
    assert status["running"] == []


def test_a_finished_run_has_nothing_open_and_no_time_to_go(tmp_path: Path) -> None:
    status = status_of(make_run_folder(tmp_path / "run", state="finished"))

    assert status["state"] == "finished"
    assert status["eta_s"] is None
    assert status["labels"]["queued"] == 0
    assert all(counts["open"] == 0 for counts in status["units"].values())


def test_what_waited_in_an_older_run_folder_is_left_out(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "run", ready=[["md", "a" * 16, 5000.0]])

    status = status_of(folder)

    assert status["units"]["md"]["open"] == 0


def test_the_status_is_strict_json(tmp_path: Path) -> None:
    status = status_of(make_run_folder(tmp_path / "run"))

    json.dumps(status, allow_nan=False)
