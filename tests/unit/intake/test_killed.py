"""An import that is killed leaves the store as it was, and the same command begins anew."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from walks import make_walk, write_dump

from dasksse.cli import main
from dasksse.store import layout
from dasksse.store.stored_trajectory import open_trajectories
from dasksse.store.verification import OK, verify_store

if TYPE_CHECKING:
    from pathlib import Path

IMPORT = """
import sys
from pathlib import Path

from dasksse.intake import Hints, import_trajectories, parse_species_map, text
from dasksse.store import layout

text.BLOCK_BYTES, layout.SHARD_BYTES, layout.SMALL_SHARD_BYTES = 9000, 4096, 4096

def wait(reader, paths):
    if reader.n_frames > 30:
        print("in the middle", flush=True)
        sys.stdin.read()

import_trajectories(
    [Path(sys.argv[1])], Path(sys.argv[2]), on_progress=wait,
    hints=Hints(dt_fs=50.0, species=parse_species_map("Li,S")),
)
"""


def killed_in_the_middle(dump: Path, store: Path) -> None:
    command = [sys.executable, "-c", IMPORT, str(dump), str(store)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "in the middle\n"
        child.kill()
    assert child.returncode == -signal.SIGKILL
    part = store.with_name(f"{store.name}.part")
    assert list(part.rglob("positions/c/**/0")), "nothing was written yet"


def run_import(dump: Path, store: Path) -> int:
    words = [dump, "--store", store, "--dt-fs", 50, "--species-map", "Li,S"]
    return main(["import", *map(str, words)])


@pytest.mark.parametrize("n_before", [0, 1])
def test_a_killed_import_is_begun_anew_by_the_same_command(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    n_before: int,
) -> None:
    monkeypatch.setattr(layout, "SHARD_BYTES", 4096)  # a new run has the shards of the first
    store = tmp_path / "s.zarr"
    first, second = (make_walk(seed=seed) for seed in (0, 1))
    if n_before:
        assert run_import(write_dump(tmp_path / "1.dump", first, first.wrapped), store) == 0
    dump = write_dump(tmp_path / "2.dump", second, second.wrapped)

    killed_in_the_middle(dump, store)

    assert store.exists() == bool(n_before)
    if n_before:
        assert [finding.state for finding in verify_store(store)] == [OK]
        assert len(open_trajectories(store)[0].runs) == 1
    capsys.readouterr()
    assert run_import(dump, store) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "an import into this store was interrupted; this one began anew" in told
    assert [finding.state for finding in verify_store(store)] == [OK] * (1 + n_before)
    moves = np.diff(open_trajectories(store)[0].runs[-1].positions(), axis=0)
    assert moves == pytest.approx(np.diff(second.unwrapped, axis=0), abs=2e-3)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("s.zarr.")]

    assert run_import(dump, store) == 0
    assert "in the store already, nothing done" in capsys.readouterr().out
