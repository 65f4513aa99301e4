"""A resident program behind ``srun`` hears only on rank 0, however much it is told."""

from __future__ import annotations

import select
import subprocess
import sys
from typing import TYPE_CHECKING

from dasksse.process import end_process, launch

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from slurm import Slurm

RANK = """
import os, sys, time
if os.environ["SLURM_PROCID"] != "0":
    time.sleep(300)
for line in sys.stdin:
    print("ok", flush=True)
"""
PATIENCE_S = 30.0
MORE_THAN_PIPES_HOLD_BYTES = 3_000_000
"""Given to all ranks, 1 MB was the most that went through."""


def test_a_rank_that_does_not_read_stops_no_other(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in slurm.env.items():
        monkeypatch.setenv(name, value)
    command = ["srun", "-n", "2", sys.executable, "-c", RANK]
    request = b"x" * 4000 + b"\n"
    child = launch(command, workdir=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        for number in range(MORE_THAN_PIPES_HOLD_BYTES // len(request)):
            child.stdin.write(request)
            child.stdin.flush()
            assert select.select([child.stdout], [], [], PATIENCE_S)[0], f"request {number}"
            assert child.stdout.readline() == b"ok\n"
    finally:
        end_process(child)
    slurm.scancel_all()
