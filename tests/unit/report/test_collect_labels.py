"""Labels of a run by source, frames that never got into the store included."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.config.schema import RegistrySection
from dasksse.label import label_costs
from dasksse.records import Frames, Labels
from dasksse.report.collect_labels import label_notes, label_rows
from dasksse.store.folders import RunFolder
from dasksse.store.labels import LabelBatch, append_labels, mark_rejected

if TYPE_CHECKING:
    from pathlib import Path

SCF = "ScfError: CP2K exited with 1 in /x\nnot self-consistent"
CAP = "force component of 61.0 eV/Å is above the cap of 50 eV/Å"


def labels(
    seed: int, *reasons: str, source: str = "CP2K 2023.1", seconds: float = 10.0
) -> Labels:
    n = len(reasons)
    rng = np.random.default_rng(seed)
    energies = np.where([not reason for reason in reasons], rng.normal(size=n), np.nan)
    return Labels(
        Frames(np.array([3, 17]), rng.normal(size=(n, 2, 3)), np.tile(np.eye(3), (n, 1, 1))),
        energies,
        np.zeros((n, 2, 3)),
        np.zeros((n, 3, 3)),
        source,
        "PBE",
        is_surrogate=False,
        reasons=reasons,
        seconds=seconds * np.arange(1.0, n + 1),
        memory_bytes=np.full(n, 1e9),
    )


def store(run_dir: Path, number: int, made: Labels) -> None:
    append_labels(run_dir, "salt", [LabelBatch(f"{number:016x}", made, 0, "start")])


def run_in(folder: Path, calculator: str = "toy", **record: Any) -> Any:
    about = {"source": "CP2K 2023.1", "functional": "PBE", "is_surrogate": False, **record}
    return SimpleNamespace(
        folder=RunFolder(folder),
        config={"label": {"calculator": {"kind": calculator}}},
        results=lambda kind: [about] if kind == "label" else [],
    )


def test_stored_and_quarantined_frames_are_counted_together(tmp_path: Path) -> None:
    store(tmp_path, 1, labels(1, "", "", CAP))
    folder = RunFolder(tmp_path)
    part = folder.part("label", "b" * 16)
    part.mkdir(parents=True)
    labels(2, SCF, SCF).save(part / "labels.npz")
    for key, kind, error in (("b", "label", SCF), ("c", "label", "lost"), ("d", "md", "x")):
        reason = {"kind": kind, "key": 16 * key, "amount": 4, "error": error}
        folder.quarantine(kind, 16 * key, reason)

    (row,) = label_rows(run_in(tmp_path))

    assert (row.n_good, row.n_refused, row.n_failed) == (2, 1, 6)
    assert row.why == {
        "calculator failed": 4,
        "SCF not converged": 2,
        "force above the cap": 1,
    }
    assert row.n_asked == 9


def test_times_are_those_of_all_labels_on_the_cores_they_had(tmp_path: Path) -> None:
    store(tmp_path, 1, labels(1, "", "", CAP))  # 10, 20 and 30 s
    known = label_costs(RegistrySection(kind="toy")).seconds_per_frame(2)

    (row,) = label_rows(run_in(tmp_path, cores=6))

    assert row.median_s == 20.0
    assert row.p95_s == pytest.approx(29.0)
    assert row.core_hours == pytest.approx(0.1)
    assert known is not None
    assert row.estimated_core_hours == pytest.approx(3 * known / 3600)
    assert row.memory_bytes == 1e9


def test_labels_of_different_sources_stand_apart(tmp_path: Path) -> None:
    store(tmp_path, 1, labels(1, "", source="VASP 6.4", seconds=np.nan))
    store(tmp_path, 2, labels(2, "", ""))

    imported, own = label_rows(run_in(tmp_path))

    assert (imported.source, imported.n_good, imported.median_s) == ("VASP 6.4", 1, None)
    assert (imported.core_hours, imported.estimated_core_hours) == (None, None)
    assert (own.source, own.n_good) == ("CP2K 2023.1", 2)


def test_what_a_filter_keeps_out_of_training_is_refused_by_its_rule(tmp_path: Path) -> None:
    made = labels(1, "", "", "")
    store(tmp_path, 1, made)
    (first, *_) = made.frames.content_keys()
    mark_rejected(tmp_path, "salt", {first: "min_distance_A: Li-Cl 0.4 Å"})

    (row,) = label_rows(run_in(tmp_path))

    assert (row.n_good, row.n_refused, row.n_failed) == (2, 1, 0)
    assert row.why == {"filter min_distance_A": 1}


def run_with_training_sets(*notes_by_generation: list[str]) -> Any:
    rows = [
        SimpleNamespace(generation=generation, result={"n_train": 9, "notes": notes})
        for generation, notes in enumerate(notes_by_generation)
    ]
    return SimpleNamespace(done=lambda kind: rows[::-1] if kind == "dataset" else [])


def test_notes_are_those_of_the_newest_training_set_each_on_one_line() -> None:
    listed = "mixed as they are:\n  3 frames of salt: CP2K\n  9 frames of salt: VASP"
    run = run_with_training_sets(["old"], ["framework did nothing for salt", listed])

    assert label_notes(run) == [
        "framework did nothing for salt",
        "mixed as they are: 3 frames of salt: CP2K; 9 frames of salt: VASP",
    ]


def test_a_run_without_a_training_set_or_of_an_older_version_has_no_notes() -> None:
    old = SimpleNamespace(generation=0, result={"n_train": 9})

    assert label_notes(run_with_training_sets()) == []
    assert label_notes(SimpleNamespace(done=lambda _: [old])) == []


def test_a_run_without_labels_has_no_row(tmp_path: Path) -> None:
    assert label_rows(run_in(tmp_path)) == []
