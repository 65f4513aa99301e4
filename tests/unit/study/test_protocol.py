"""Several studies as one plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pretender import toy
from study_player import ELEMENTS, StudyPlayer, lgps

from dasksse.study.cell_size import CellSize
from dasksse.study.lattice_scaling import LatticeScaling
from dasksse.study.members import Members
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


def test_studies_of_earlier_commands_are_told_again_without_work() -> None:
    before = StudyPlayer([CellSize()], lgps())
    before.run()
    after = StudyPlayer([LatticeScaling()], lgps(), earlier=[CellSize(), Members()])
    after.take_up(before)

    outcomes = after.run()

    assert outcomes.keys() == {"lattice-scaling"}
    assert after.protocol.earlier_outcomes.keys() == {"cell-size"}, (
        "the members lack their runs"
    )
    assert after.protocol.earlier_outcomes["cell-size"] == before.protocol.outcomes["cell-size"]
    assert not any(case.startswith(("size", "members")) for case in after.cases())


def test_an_earlier_study_that_another_configuration_asks_more_of_is_not_told() -> None:
    before = StudyPlayer([CellSize()], lgps(studies__cell_size__temperatures_K=[600.0]))
    before.run()
    after = StudyPlayer(
        [LatticeScaling()],
        lgps(studies__cell_size__temperatures_K=[600.0, 800.0]),
        earlier=[CellSize()],
    )
    after.take_up(before)

    after.run()

    assert not after.protocol.earlier_outcomes
