"""``dasksse doctor --cluster`` on a real SLURM, as a user calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dasksse.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from slurm import Slurm

CLUSTER = """
kind: slurm
settings:
  host: 127.0.0.1
  dashboard_port: 0
  poll: 1
  job_attempts: 1
  pools:
    cpu: {{queue: cpu, memory: 600 MB, tags: [LABEL, REDUCE]}}
    gpu: {{queue: {gpu}, memory: 600 MB, gpus: 1, tags: [TRAIN, MD]}}
"""


@pytest.mark.lammps
@pytest.mark.deepmd
@pytest.mark.sevennet
def test_the_doctor_proves_one_job_of_each_pool_and_names_the_one_that_fails(
    slurm: Slurm,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in slurm.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "cluster.yaml"
    file.write_text(CLUSTER.format(gpu="wrong"))

    code = main(["doctor", "--cluster", str(file)])

    printed = capsys.readouterr().out
    assert code == 1
    assert "works  engine (slurm, pool cpu): one unit of work" in printed
    assert "fails  engine (slurm, pool gpu)" in printed
    assert "invalid partition" in printed.lower()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.yaml"]
    slurm.wait_idle()
