from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.cli.main import main
from dasksse.store.allocation import TrajectoryGroup, allocate
from dasksse.store.layout import scalar_names
from dasksse.store.trajectories import commit_runs, write_run
from dasksse.store.verification import (
    DAMAGED,
    INCOMPLETE,
    NO_CHECKSUM,
    OK,
    frames_to_check,
    verify_store,
)
from tests.support.stores import random_run, write, write_version_1

if TYPE_CHECKING:
    from pathlib import Path

GROUP = TrajectoryGroup(
    path="production/salt",
    numbers=(3, 3, 17, 17),
    type_map=("Li", "Cl"),
    temperatures_K=(300.0, 600.0, 900.0),
    pressures_GPa=(0.0,) * 3,
    replicas=(0,) * 3,
    seeds=(1, 2, 3),
    n_frames=40,
    frame_interval_ps=0.02,
    equilibration_ps=0.1,
)
KEYS = ["00000000000000a0", "00000000000000a1", "00000000000000a2"]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run folder with two runs of 40 and 25 frames, and one that is not there yet."""
    allocate(tmp_path, GROUP)
    rng = np.random.default_rng(0)
    for run, count in ((0, 40), (1, 25)):
        arrays = {
            "positions": rng.normal(size=(count, 4, 3)),
            "cell": np.tile(5.0 * np.eye(3), (count, 1, 1)),
            "scalars": rng.normal(size=(count, len(scalar_names(GROUP.type_map)))),
        }
        arrays["scalars"][:, :3] = np.nan
        write_run(tmp_path, GROUP.path, run, key=KEYS[run], arrays=arrays)
    commit_runs(tmp_path, GROUP.path, {0: (KEYS[0], 40), 1: (KEYS[1], 25)})
    return tmp_path


def found(where: Path) -> dict[tuple[str, int | None], str]:
    return {(f.group, f.run): f.state for f in verify_store(where)}


def test_runs_are_ok_or_not_there_yet(run_dir: Path) -> None:
    seen: list[int] = []

    findings = list(verify_store(run_dir, on_frames=seen.append))

    assert [finding.state for finding in findings] == [OK, OK, INCOMPLETE]
    assert sum(seen) == frames_to_check(run_dir) == 65


def test_a_checksum_outlives_the_growth_of_its_group(run_dir: Path) -> None:
    more = {
        name: (*getattr(GROUP, name), value)
        for name, value in {
            "temperatures_K": 1200.0,
            "pressures_GPa": 0.0,
            "replicas": 0,
            "seeds": 4,
        }.items()
    }

    allocate(run_dir, replace(GROUP, **more))

    assert list(found(run_dir).values()) == [OK, OK, INCOMPLETE, INCOMPLETE]


@pytest.mark.parametrize("name", ["positions", "cell", "centres", "scalars"])
def test_bytes_that_changed_are_damage(run_dir: Path, name: str) -> None:
    folder = run_dir / "data.zarr/production/salt" / name / "c"
    (shard,) = (path for path in (folder / "1").rglob("*") if path.is_file())
    content = bytearray(shard.read_bytes())
    content[len(content) // 4] ^= 1
    shard.write_bytes(content)

    states = found(run_dir)

    assert states["production/salt", 1] == DAMAGED
    assert states["production/salt", 0] == OK


@pytest.mark.parametrize("name", ["positions", "cell", "centres"])
def test_a_shard_that_is_gone_is_damage(run_dir: Path, name: str) -> None:
    shutil.rmtree(run_dir / "data.zarr/production/salt" / name / "c/0")

    assert found(run_dir)["production/salt", 0] == DAMAGED


def test_whole_but_other_values_are_damage(run_dir: Path) -> None:
    """What no checksum of chunks can see: shards of another run."""
    place = run_dir / "data.zarr/production/salt/cell/c"
    shutil.rmtree(place / "1")
    shutil.copytree(place / "0", place / "1")
    content = run_dir / "data.zarr/production/salt/positions/c"
    shutil.rmtree(content / "1")
    shutil.copytree(content / "0", content / "1")

    findings = [f for f in verify_store(run_dir) if f.state == DAMAGED]

    assert [(f.run, f.reason) for f in findings] == [(1, "other values than were written")]


def test_a_damaged_coordinate_is_named_with_its_group(run_dir: Path) -> None:
    shard = run_dir / "data.zarr/production/salt/n_valid/c/0"
    shard.write_bytes(b"\0" * len(shard.read_bytes()))
    write(run_dir / "data.zarr", random_run(5), group="other")

    states = found(run_dir)

    assert states["production/salt", None] == DAMAGED
    assert states["other", 0] == OK


def test_runs_of_the_first_version_have_no_checksum_but_missing_shards_are_seen(
    tmp_path: Path,
) -> None:
    write_version_1(tmp_path, random_run(9), group="production/old")
    write_version_1(tmp_path, random_run(9), group="production/gone")
    shutil.rmtree(tmp_path / "data.zarr/production/gone/positions/c")

    states = found(tmp_path)

    assert states["production/old", 0] == NO_CHECKSUM
    assert states["production/gone", 0] == DAMAGED


def test_the_command_says_what_is_damaged_and_ends_with_1(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = run_dir / "verify.json"
    assert main(["verify", str(run_dir), "--json", str(output)]) == 0
    assert json.loads(output.read_text())["n_damaged"] == 0

    shutil.rmtree(run_dir / "data.zarr/production/salt/positions/c/0")
    code = main(["verify", str(run_dir), "--json", str(output)])

    assert code == 1
    values = json.loads(output.read_text())
    assert values["n_damaged"] == 1
    assert values["findings"][0]["state"] == DAMAGED
    assert "damaged: production/salt run 0" in capsys.readouterr().out


def test_the_command_without_a_store_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path / "nothing.zarr")]) == 2
    assert "no store is there" in capsys.readouterr().err
