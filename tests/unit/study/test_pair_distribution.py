from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pretender import toy
from study_player import ELEMENTS, LGPS, StudyPlayer, runs_of

from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory, UnitContext
from dasksse.study import pair_reduction
from dasksse.study.disorder import Disorder
from dasksse.study.pair_average import MEAN_OF_ABSOLUTE, average, difference
from dasksse.study.pair_distribution import PairDistributions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dasksse.records import Unit
    from dasksse.study.outcome import StudyKind

R = np.arange(0.025, 8.0, 0.05)
PAIRS = ("Li-Li", "Li-Ge", "Li-P", "Li-S")
SETTINGS: dict[str, Any] = {"n_orderings": 6, "species": ["Ge", "P"], "site": "M1"}


def shells(peak_A: float, *, noise: float = 0.01, seed: int = 0) -> dict[str, Any]:
    """One pair with a peak and a plateau."""
    g = 3.0 * np.exp(-0.5 * ((R - peak_A) / 0.2) ** 2) + 1.0 / (1.0 + np.exp(8.0 * (4.4 - R)))
    g += noise * np.random.default_rng(seed).normal(size=len(R)) * (g > 0.05)
    return {
        "g": g.tolist(),
        "g_err": [noise] * len(R),
        "first_peak_A": peak_A,
        "first_peak_err_A": 0.01,
        "first_peak_g": 3.0,
        "first_peak_err_g": 0.05,
        "first_minimum_A": peak_A + 0.8,
        "first_minimum_err_A": 0.02,
        "coordination": 4.0,
        "coordination_err": 0.03,
    }


def germanium_moves(unit: Unit) -> dict[str, Any]:
    """Li-Ge is 0.15 Å longer in disorder, all else is as in order."""
    group = unit.payload["group"]
    number = 99 if group.endswith("ordered") else int(group[-2:])
    shift = 0.0 if number == 99 else 0.15 + 0.01 * number
    peaks = {"Li-Li": 3.2, "Li-Ge": 3.5 + shift, "Li-P": 3.4, "Li-S": 2.5}
    pairs = {
        pair: shells(peak, seed=10 * number + place)
        for place, (pair, peak) in enumerate(peaks.items())
    }
    return {"r_A": R.tolist(), "pairs": pairs, "n_runs": 1, "n_frames": 100, "damaged": []}


def bench(
    answer: Callable[[Unit], dict[str, Any]] = germanium_moves,
    *,
    kinds: Sequence[StudyKind] = (PairDistributions(),),
    numbers: list[int] = LGPS,
    **rdf: Any,
) -> StudyPlayer:
    config = toy(type_map=ELEMENTS, studies={"disorder": SETTINGS, "rdf": rdf})
    answers = {"pair_reduction:distributions": answer}
    return StudyPlayer(kinds, config, answers=answers, numbers=numbers)


def test_runs_are_those_of_the_study_disorder() -> None:
    made = bench(kinds=[Disorder(), PairDistributions()])
    assert set(made.run()) == {"disorder", "rdf"}
    assert len(made.asked("production")) == 7 * 4
    alone = bench()
    alone.conclude()
    assert len(alone.asked("production")) == 6 * 4


def test_only_runs_at_the_temperature_are_read() -> None:
    made = bench(temperature_K=400.0, n_orderings=2)
    made.conclude()
    units = made.asked("study")
    assert [unit.payload["group"][-7:] for unit in units] == ["ordered", "salt-00", "salt-01"]
    assert {tuple(unit.payload["n_valid"]) for unit in units} == {("1",)}
    hottest = bench(n_orderings=2)
    hottest.conclude()
    assert {tuple(unit.payload["n_valid"]) for unit in hottest.asked("study")} == {("3",)}


def test_the_pair_that_changes_is_found_and_the_others_are_as_in_order() -> None:
    outcome = bench().conclude()
    pairs = outcome.values["pairs"]
    assert [pair for pair, entry in pairs.items() if entry["is_changed"]] == ["Li-Ge"]
    assert outcome.verdict.text.startswith("Disorder changes Li-Ge (")
    assert "As in order: Li-Li, Li-P, Li-S." in outcome.verdict.text
    assert outcome.verdict.level == "trust"
    moved = pairs["Li-Ge"]["disordered"]
    assert moved["first_peak_A"] == pytest.approx(3.67)
    assert moved["first_peak_err_A"] == pytest.approx(
        np.std([0.0, 0.01, 0.02, 0.03, 0.04], ddof=1) / np.sqrt(5)
    )
    assert pairs["Li-Ge"]["ordered"]["coordination_err"] == 0.03
    panels = PairDistributions().draw(outcome.values).axes
    assert [axes.get_title(loc="left") for axes in panels] == list(PAIRS)
    styles = [line.get_linestyle() for line in panels[0].lines[1:]]
    assert styles == ["-", "--"]  # disordered, ordered: as in the paper


def test_arrangements_without_runs_are_left_out_and_said() -> None:
    def answer(unit: Unit) -> dict[str, Any]:
        record = germanium_moves(unit)
        if unit.payload["group"].endswith("01"):
            record |= {"pairs": {}, "r_A": [], "damaged": ["no run to take distances from"]}
        return record

    outcome = bench(answer).conclude()
    assert outcome.values["n_orderings"] == 4
    assert outcome.verdict.level == "care"
    assert "no run to take distances from" in outcome.notes


def test_failed_run_is_said() -> None:
    made = bench()
    made.is_failing = lambda unit: (
        runs_of("disorder-salt-00")(unit) and unit.payload["run"] == 3
    )
    outcome = made.conclude()
    assert len(made.failed) == 1
    assert "disorder-salt-00, 666 K: run 3 was lost" in outcome.notes


def test_nothing_to_read_is_a_doubt_without_figure() -> None:
    empty = {"r_A": [], "pairs": {}, "n_runs": 0, "n_frames": 0, "damaged": []}
    outcome = bench(lambda _: empty).conclude()
    assert outcome.verdict.level == "doubt"
    with pytest.raises(AnalysisError, match="no pair"):
        PairDistributions().draw(outcome.values)


def test_crystal_without_the_cations_runs_nothing() -> None:
    made = bench(numbers=[3, 3, 16])
    assert made.conclude().verdict.level == "doubt"
    assert not made.asked("production")
    assert PairDistributions().lacks(toy(type_map=ELEMENTS)) != ""


def test_share_of_pairs_elsewhere_is_the_one_that_was_moved() -> None:
    before, after = np.zeros(len(R)), np.zeros(len(R))
    before[60], after[60], after[100] = 1.0, 0.9, 0.1 * (R[60] / R[100]) ** 2
    still = {"g": before.tolist(), "g_err": [0.0] * len(R)}
    moved = {"g": after.tolist(), "g_err": [0.0] * len(R)}
    assert difference(still, moved, R.tolist()) == {"share": pytest.approx(0.1), "noise": 0.0}


def test_noise_is_what_equal_distributions_differ_by() -> None:
    sides = [
        average([{"pairs": {"Li-S": shells(2.5, noise=0.05, seed=s)}}], "Li-S") for s in (1, 2)
    ]
    for side in sides:
        side["g_err"] = [0.05 if value > 0.1 else 0.0 for value in shells(2.5, noise=0.0)["g"]]
    found = difference(*sides, R.tolist())
    assert found["share"] == pytest.approx(found["noise"], rel=0.25)
    assert (
        pytest.approx(np.mean(np.abs(np.random.default_rng(0).normal(size=200_000))), abs=0.01)
        == MEAN_OF_ABSOLUTE
    )


def test_reduction_counts_neighbours_of_a_crystal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    numbers = np.where(grid.sum(axis=1) % 2, 3, 16)  # rock salt, Li-S 2.6 Å
    positions = 2.6 * grid + rng.normal(0.0, 0.08, (60, 64, 3))
    run = MemoryTrajectory(numbers, positions, 10.4 * np.eye(3), 0.1, 600.0)
    monkeypatch.setattr("dasksse.loop.stages.diffusion.read_runs", lambda *_: ([run], []))
    payload = {"group": "production/x", "mobile_species": "Li", "r_max_A": 8.0}
    context = UnitContext(tmp_path, tmp_path, lambda *_: None)
    record = pair_reduction.distributions(payload, context)
    assert list(record["pairs"]) == ["Li-Li", "Li-S"]
    assert record["r_A"][-1] == pytest.approx(5.175)
    assert record["pairs"]["Li-S"]["first_peak_A"] == pytest.approx(2.6, abs=0.02)
    assert record["pairs"]["Li-S"]["coordination"] == pytest.approx(6.0, abs=0.01)
    assert record["pairs"]["Li-Li"]["first_peak_A"] == pytest.approx(2.6 * 2**0.5, abs=0.02)
    assert record["pairs"]["Li-S"]["first_peak_err_g"] > 0.0
    monkeypatch.setattr("dasksse.loop.stages.diffusion.read_runs", lambda *_: ([], ["lost"]))
    nothing = pair_reduction.distributions(payload, context)
    assert nothing["pairs"] == {}
    assert nothing["damaged"][0] == "lost"
