"""Several studies as one plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pretender import toy
from study_player import ELEMENTS, StudyPlayer

from dasksse.study.cell_size import CellSize
from dasksse.study.speed import Speed

if TYPE_CHECKING:
    from dasksse.records import Unit

MACHINE = {
    "cpu": "a CPU",
    "cpu_cores": 4,
    "threads": 1,
    "ranks": 1,
    "gpus": [],
    "load_1_min": 0,
}


def timed(unit: Unit) -> dict[str, Any]:
    rows = [
        {
            "cell": cell["name"],
            "n_atoms": 50 * (place + 1),
            "n_models": 1,
            "machine": MACHINE,
            "seconds_per_step": [0.01 * (place + 1)],
            "reason": "",
        }
        for place, cell in enumerate(unit.payload["cells"])
    ]
    return {"rows": rows}


def test_times_are_taken_when_no_other_unit_runs() -> None:
    player = StudyPlayer(
        [Speed(), CellSize()],
        toy(type_map=ELEMENTS),
        answers={"speed_timing:measure": timed},
    )

    outcomes = player.run()

    assert outcomes.keys() == {"speed", "cell-size"}
    batches = [[unit.kind for unit in batch] for batch in player.batches]
    assert batches[-1] == ["study"]
    assert "production" in {kind for batch in batches[:-1] for kind in batch}
    assert not any("study" in batch for batch in batches[:-1])
