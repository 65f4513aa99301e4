from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from dasksse.engine.folder import (
    ClusterFolder,
    PoolFacts,
    SchedulerFacts,
    own_module_folders,
)
from dasksse.engine.settings import PoolSettings, margin_s
from dasksse.engine.worker_setup import pack, unpack
from dasksse.records import Done, Failed, Unit

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_keeps_its_id(tmp_path: Path) -> None:
    first = ClusterFolder(tmp_path / "cluster").prepare()

    assert ClusterFolder(tmp_path / "cluster").prepare() == first
    assert ClusterFolder(tmp_path / "other").prepare() != first
    assert len(first) == 8


def test_a_pool_s_facts_come_back_as_they_were(tmp_path: Path) -> None:
    folder = ClusterFolder(tmp_path)
    pool = PoolSettings(cores=8, units=2, gpus=2, walltime="2 h", prefix=("mpirun", "-n", "4"))  # type: ignore[arg-type]
    facts = PoolFacts.of(pool, hung_after_s=60.0, grace_s=5.0, interface="ib0")

    folder.write_pool("gpu", facts)

    assert folder.read_pool("gpu") == facts
    assert (facts.threads, facts.walltime_s, facts.prefix) == (1, 7200, ("mpirun", "-n", "4"))


@pytest.mark.parametrize("text", [None, "", "{", '{"session": 1}', '{"unknown": 2}'])
def test_a_missing_or_damaged_scheduler_file_means_not_known_yet(
    tmp_path: Path, text: str | None
) -> None:
    folder = ClusterFolder(tmp_path)
    if text is not None:
        folder.scheduler_file.write_text(text)

    assert folder.read_scheduler() is None


def test_the_scheduler_is_found_by_who_reads_the_file(tmp_path: Path) -> None:
    facts = SchedulerFacts(3, "tls://127.0.0.1:4711", 12, "node", 8787, tls=True)
    ClusterFolder(tmp_path).write_scheduler(facts)

    assert ClusterFolder(tmp_path).read_scheduler() == facts


def test_the_user_s_own_modules_travel_and_installed_ones_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])

    folders = own_module_folders()

    assert str(tmp_path) in folders
    assert not any("site-packages" in folder for folder in folders)


@pytest.mark.parametrize(
    ("walltime_s", "margin"), [(60.0, 10.0), (600.0, 60.0), (86400.0, 180.0)]
)
def test_the_margin_is_a_tenth_within_limits(walltime_s: float, margin: float) -> None:
    assert margin_s(walltime_s) == margin
    assert PoolSettings(walltime=int(walltime_s)).life_s == walltime_s - margin


def test_outcomes_travel_without_their_unit() -> None:
    unit = Unit("md", "k", "MD", "m:f", {})
    done = Done(unit, {"n": 1, "x": [0.5, None]}, 2.0, 1.5)
    failed = Failed(unit, "engine", "died\nhere", "/run/work", 3.0)

    assert unpack(unit, pack(done)) == done
    assert unpack(unit, pack(failed)) == failed
