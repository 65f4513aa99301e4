"""The drill on a real SLURM: jobs cancelled, drivers and nodes killed, nothing done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from drill_screen import PrintingScreen

from dasksse.drill import Drill, DrillSettings

if TYPE_CHECKING:
    from pathlib import Path

    from slurm import Slurm

pytestmark = [pytest.mark.lammps, pytest.mark.deepmd, pytest.mark.slow]

KINDS = ("job", "driver", "node", "scheduler")
CLUSTER = """
kind: slurm
settings:
  host: 127.0.0.1
  dashboard_port: 0
  poll: 1
  idle: 3600
  pools:
    cpu: {queue: cpu, memory: 2 GB, tags: [LABEL, REDUCE, TRAIN]}
    gpu: {queue: gpu, memory: 2 GB, gpus: 1, tags: [MD, REDUCE]}
"""


def test_a_run_in_two_partitions_survives_each_kind_of_death(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in slurm.env.items():
        monkeypatch.setenv(name, value)
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text(CLUSTER)
    settings = DrillSettings(
        tmp_path / "drill",
        kills=len(KINDS),
        seed=2,
        engine="slurm",
        cluster=cluster,
        generations=1,
        kinds=KINDS,
    )

    outcome = Drill(settings, PrintingScreen()).run()

    values = outcome.to_json()
    assert values["wrong"] == []
    assert values["kills_by_kind"] == dict.fromkeys(KINDS, 1)
    assert values["units_repeated"] == 0
    assert values["md_steps_lost_max"] <= values["segment_steps"]
    assert values["equal_to_calm"] is True
    slurm.wait_idle()
