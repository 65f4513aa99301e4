"""A disk that fills up in the middle of a run: named, nothing lost, the run continues."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from toy_runs import ToyRun

pytestmark = [pytest.mark.lammps, pytest.mark.deepmd, pytest.mark.slow]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "toy-0" / "run"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("needs root to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_space(
    small_disk: Path, toy: Callable[..., ToyRun]
) -> None:
    run = toy(
        engine={"kind": "serial"}, stop__max_generations=1, probe__n_frames=0, production=None
    ).start()

    code = run.wait()
    done_before = run.done()
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    said = run.log()
    run.finish()

    assert code == 1
    assert "disk full" in said.lower()
    assert "Traceback" not in said
    assert done_before
    assert all(run.done()[unit] == time for unit, time in done_before.items())
