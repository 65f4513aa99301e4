"""Several studies as one plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from made_up_bench import MadeUpBench, lgps_config, point, record_of

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
    made = MadeUpBench(
        lgps_config(),
        {"measure": timed, "diffusion": lambda _: record_of([point(500.0)])},
    )

    outcomes = made.conclude_all([Speed(), CellSize()])

    assert outcomes.keys() == {"speed", "cell-size"}
    batches = [[unit.kind for unit in batch] for batch in made.batches]
    assert batches[-1] == ["study"]
    assert "production" in {kind for batch in batches[:-1] for kind in batch}
    assert not any("study" in batch for batch in batches[:-1])
