from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
from lattice_walks import Walk, walk_run
from made_up_convergence import make_convergence
from pretender import toy
from study_player import StudyPlayer

from dasksse.errors import AnalysisError
from dasksse.records.work import UnitContext
from dasksse.store.layout import store_path
from dasksse.study.simulation_time import (
    SimulationTime,
    by_length,
    converged_after_ps,
    judge_lengths,
)

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.records import Unit

SECTION = {
    "temperatures_K": [600.0, 300.0],
    "length_ps": 0.4,
    "lengths_ps": [0.1, 0.2, 0.4, 5.0],
}


def found_at(unit: Unit) -> dict[str, Any]:
    """Converged at 600 K, and not at 300 K."""
    at_K = unit.payload["temperature_K"]
    error = 0.02 if at_K > 500.0 else 0.3
    found = make_convergence(1e-12 * at_K, error, at_K, length_ps=0.4)
    verdicts = judge_lengths(found, n_walkers=10)
    return {
        "temperature_K": at_K,
        "convergence": found.to_json(),
        "verdicts": verdicts,
        "converged_after_ps": converged_after_ps(verdicts),
        "notes": [],
    }


def study(answer: Any = found_at, **options: Any) -> StudyPlayer:
    config = toy(studies__simulation_time=SECTION)
    answers = {
        "study": answer,
        "production": lambda _: {"n_frames": 41, "end": "complete"},
    }
    return StudyPlayer([SimulationTime()], config, answers=answers, **options)


def verdict(length_ps: float, state: str, difference: float | None) -> dict[str, Any]:
    return {
        "length_ps": length_ps,
        "state": state,
        "difference": difference,
        "tolerance": 0.1,
    }


def context(root: Path) -> UnitContext:
    return UnitContext(root, root, lambda _done, _note="": None)


def payload(n_frames: int, **changes: Any) -> dict[str, Any]:
    return {
        "group": "production/salt",
        "units": ["key"],
        "n_valid": {"0": n_frames},
        "n_planned": n_frames,
        "temperature_K": 600.0,
        "mobile_species": "Li",
        "lengths_ps": [50.0, 300.0, 9000.0],
        "tolerance": 0.1,
        **changes,
    }


def test_a_length_counts_only_when_all_longer_ones_are_converged_too() -> None:
    verdicts = [
        verdict(100.0, "converged", 0.02),
        verdict(200.0, "too_short", 0.02),
        verdict(500.0, "converged", -0.05),
        verdict(1000.0, "converged", 0.0),
    ]

    assert converged_after_ps(verdicts) == 500.0
    assert converged_after_ps([*verdicts[:2], verdict(500.0, "converged", 0.2)]) is None
    assert converged_after_ps([*verdicts, verdict(2000.0, "not_diffusive", None)]) is None
    assert converged_after_ps([]) is None


def test_the_last_verdict_is_that_of_the_whole_and_the_first_shows_nothing() -> None:
    found = make_convergence(1e-10, 0.04, 600.0)

    verdicts = judge_lengths(found, n_walkers=160)

    assert verdicts[-1]["text"] == found.verdict.text
    assert verdicts[-1]["difference"] == 0.0
    assert verdicts[0]["state"] != "converged", "no shorter part shows that it stays"
    assert [one["length_ps"] for one in verdicts] == [w.length_ps for w in found.nested]


def test_a_worker_finds_D_by_length_of_a_long_walk(tmp_path: Path) -> None:
    run = walk_run(Walk(n_frames=6001, n_ions=16, rate_out=1.0))
    stores.write(store_path(tmp_path), run, piece=1000)

    record = by_length(payload(6001), context(tmp_path))

    lengths = [w["length_ps"] for w in record["convergence"]["nested"]]
    assert lengths[-1] == pytest.approx(600.0)
    assert {50.0, 300.0} <= {round(length, 6) for length in lengths}
    assert max(lengths) < 9000.0
    assert record["convergence"]["verdict"]["state"] == "converged"
    assert record["converged_after_ps"] in lengths
    assert len(record["verdicts"]) == len(lengths)
    json.dumps(record)


@pytest.mark.parametrize(
    ("n_frames", "what"), [(20, "windows need 50"), (0, "no run has frames")]
)
def test_a_worker_says_why_there_are_no_windows(
    tmp_path: Path, n_frames: int, what: str
) -> None:
    stores.write(store_path(tmp_path), walk_run(Walk(n_frames=20, n_ions=4)))

    record = by_length(payload(n_frames), context(tmp_path))

    assert record["convergence"] is None
    assert what in record["notes"][-1]


def test_one_run_and_one_reduction_for_each_temperature() -> None:
    player = study()

    player.conclude()

    payloads = [unit.payload for unit in player.asked("study")]
    assert [one["temperature_K"] for one in payloads] == [300.0, 600.0]
    assert [one["n_valid"] for one in payloads] == [{"1": 41}, {"0": 41}]
    assert all(one["lengths_ps"] == [0.1, 0.2, 0.4] for one in payloads)
    keys = [unit.key for unit in player.asked("production")]
    assert [one["units"] for one in payloads] == [[keys[1]], [keys[0]]]


def test_the_verdict_names_the_length_or_what_is_lacking_and_the_paper() -> None:
    outcome = study().conclude()

    assert outcome.verdict.level == "care"
    assert "600 K: converged within 10 % after 0." in outcome.verdict.text
    assert "300 K: not converged within 10 %" in outcome.verdict.text
    assert "the paper gives 1e-12 m²/s after 10 ns" in outcome.verdict.text
    cold, hot = outcome.tables[0].rows
    assert cold["converged within 10 % after"] == "not converged"
    assert cold["Huang et al. 2021"] == "10 ns, to 1e-12 m²/s"
    assert "±" in hot["0.4 ps, D [m²/s]"]
    assert outcome.tables[1].rows
    json.dumps(outcome.to_json())


def test_the_figure_has_a_panel_for_each_temperature() -> None:
    outcome = study().conclude()

    figure = SimulationTime().draw(json.loads(json.dumps(outcome.values)))

    assert [axes.get_title(loc="left") for axes in figure.axes] == ["300 K", "600 K"]


def test_a_reduction_that_failed_or_found_nothing_leaves_an_outcome() -> None:
    nothing = {
        "convergence": None,
        "verdicts": [],
        "converged_after_ps": None,
        "notes": ["no run has frames"],
    }
    outcome = study(
        lambda unit: {"temperature_K": unit.payload["temperature_K"], **nothing},
        is_failing=lambda unit: unit.kind == "study" and unit.payload["temperature_K"] == 300.0,
    ).conclude()

    assert outcome.verdict.level == "doubt"
    assert outcome.notes == ("300 K: engine died", "no run has frames")
    with pytest.raises(AnalysisError):
        SimulationTime().draw(outcome.values)


def test_without_resolved_D_nothing_is_converged() -> None:
    def subdiffusive(unit: Unit) -> dict[str, Any]:
        at_K = unit.payload["temperature_K"]
        found = make_convergence(1e-12, None, at_K, length_ps=0.4)
        verdicts = judge_lengths(found, n_walkers=10)
        return {
            "temperature_K": at_K,
            "convergence": found.to_json(),
            "verdicts": verdicts,
            "converged_after_ps": converged_after_ps(verdicts),
            "notes": [],
        }

    outcome = study(subdiffusive).conclude()

    assert outcome.verdict.level == "doubt"
    assert "subdiffusive within" in outcome.verdict.text
    assert np.all([row["0.4 ps, D [m²/s]"].startswith("<") for row in outcome.tables[0].rows])
