"""Which production runs are continued, and how far: driven by made-up results."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from pretender import Pretender, toy

from dasksse.errors import ConfigError
from dasksse.loop.estimate import estimate_run

if TYPE_CHECKING:
    from dasksse.config.schema import RunConfig
    from dasksse.records import Unit

LENGTH_PS = 0.4


def config(*, extend: dict[str, Any] | None = None, **changes: Any) -> RunConfig:
    values = {"max_length_ps": 2.0} if extend is None else extend
    return toy(production__extend=values, **changes)


class Verdicts(Pretender):
    """The length that the runs of a temperature turn out to need, whatever they have."""

    def __init__(self, config: RunConfig, needs_ps: dict[float, float]) -> None:
        super().__init__(config, accurate=[1.0])
        self.needs_ps = needs_ps
        self.blow_up_in = ""

    def _production(self, unit: Unit) -> dict[str, Any]:
        if self.blow_up_in and unit.payload["group"].startswith(self.blow_up_in):
            return {"n_frames": 7, "end": "blow-up", "end_state": ""}
        end_state = f"work/production/{unit.key}/end_state.npz"
        return {"n_frames": 41, "end": "complete", "end_state": end_state}

    def _convergence(self, unit: Unit) -> dict[str, Any]:
        temperature_K = unit.payload["temperature_K"]
        present = LENGTH_PS * max(len(run) for run in unit.payload["runs"])
        wanted = self.needs_ps[temperature_K]
        return {
            "temperature_K": temperature_K,
            "is_converged": wanted <= present + 1e-9,
            "wanted_ps": wanted,
            "text": "verdict",
        }


def parts(pretender: Pretender) -> dict[tuple[float, int], int]:
    """Production units by temperature and replica."""
    seeds = Counter(
        (unit.payload["spec"]["temperature_K"], unit.payload["run"])
        for unit in pretender.kinds("production")
    )
    return dict(seeds)


def test_only_the_runs_of_temperatures_that_are_not_converged_are_continued() -> None:
    pretender = Verdicts(config(), {300.0: 1.0, 600.0: 0.4})

    plan = pretender.run()

    assert plan.is_finished
    assert parts(pretender) == {(300.0, 0): 3, (600.0, 1): 1}
    continued = [u for u in pretender.kinds("production") if "continues" in u.payload]
    assert [u.payload["group"] for u in continued] == [
        "continued/001/salt",
        "continued/002/salt",
    ]
    assert {u.payload["run"] for u in continued} == {0}
    assert len(pretender.kinds("convergence")) == 2 + 1


def test_each_part_goes_on_from_the_end_of_the_one_before() -> None:
    pretender = Verdicts(config(), {300.0: 1.2, 600.0: 0.4})

    pretender.run()

    chain = [u for u in pretender.kinds("production") if u.payload["run"] == 0]
    for before, after in itertools.pairwise(chain):
        end_state = pretender.results[before.key]["end_state"]
        assert after.payload["continues"] == {"key": before.key, "end_state": end_state}
        assert after.payload["spec"] == before.payload["spec"]


def test_groups_of_parts_have_room_for_their_frames_and_times_that_go_on() -> None:
    pretender = Verdicts(config(production__length_ps=0.405), {300.0: 1.2, 600.0: 0.4})

    plan = pretender.run()

    groups = {g.path: g for g in plan.groups if not g.path.startswith("explore")}
    assert list(groups) == ["production/salt", "continued/001/salt", "continued/002/salt"]
    # frames every 10 of 405 steps: 0 to 400, 410 to 810, 820 to 1210
    shapes = [(g.first_frame, g.n_frames, g.continues) for g in groups.values()]
    assert shapes == [(0, 41, ""), (41, 41, "production/salt"), (82, 40, "continued/001/salt")]


def test_the_analysis_gets_all_parts_of_the_continued_runs() -> None:
    pretender = Verdicts(config(), {300.0: 0.8, 600.0: 0.4})

    plan = pretender.run()

    (unit,) = pretender.kinds("diffusion")
    (chain,) = unit.payload["continued"]
    assert [part["group"] for part in chain] == ["production/salt", "continued/001/salt"]
    assert plan.commits["continued/001/salt"] == {0: (chain[1]["unit"], 41)}


def test_replicas_are_continued_together() -> None:
    pretender = Verdicts(config(production__replicas=2), {300.0: 0.8, 600.0: 0.4})

    pretender.run()

    assert parts(pretender) == {(300.0, 0): 2, (300.0, 1): 2, (600.0, 2): 1, (600.0, 3): 1}


def test_runs_end_at_the_largest_length_and_after_so_many_rounds() -> None:
    far = Verdicts(config(), {300.0: 99.0, 600.0: 0.4})
    often = Verdicts(
        config(extend={"max_length_ps": 20.0, "rounds": 2}), {300.0: 0.0, 600.0: 0.4}
    )
    often._convergence = lambda unit: {  # type: ignore[method-assign]
        "temperature_K": unit.payload["temperature_K"],
        "is_converged": False,
        "wanted_ps": LENGTH_PS * (len(unit.payload["runs"][0]) + 1),
        "text": "a bit more",
    }

    plans = [far.run(), often.run()]

    assert parts(far)[300.0, 0] == 5
    assert parts(often) == {(300.0, 0): 3, (600.0, 1): 3}
    texts = [m.text for m in plans[0].milestones]
    assert "salt at 300 K: verdict; continued to 2 ps" in texts
    assert texts.count("salt at 300 K: verdict") == 1


def test_another_tolerance_or_limit_does_no_part_again() -> None:
    first = Verdicts(config(), {300.0: 1.2, 600.0: 0.4})
    first.run()
    second = Verdicts(
        config(extend={"max_length_ps": 4.0, "tolerance": 0.05}), {300.0: 1.6, 600.0: 0.8}
    )
    second.results, second.decisions = dict(first.results), dict(first.decisions)

    second.run()

    assert parts(second) == {(300.0, 0): 1, (600.0, 1): 1}


def test_a_run_that_blew_up_is_not_continued_but_judged_once_more() -> None:
    pretender = Verdicts(config(), {300.0: 1.6, 600.0: 0.4})
    pretender.blow_up_in = "continued/001"

    plan = pretender.run()

    assert plan.is_finished
    assert parts(pretender)[300.0, 0] == 2
    assert len(pretender.kinds("convergence")) == 3


def test_a_part_that_failed_for_good_leaves_its_run_as_it_is() -> None:
    pretender = Verdicts(config(), {300.0: 1.6, 600.0: 0.4})
    plan = pretender.plan()
    while not any("continues" in unit.payload for unit in plan.ready):
        pretender.finish(plan.ready[0])
        plan = pretender.plan()
    (part,) = [unit for unit in plan.ready if "continues" in unit.payload]
    pretender.fail(part)

    plan = pretender.run()

    assert plan.is_finished
    assert parts(pretender) == {(300.0, 0): 1, (600.0, 1): 1}


def test_one_temperature_is_continued_while_another_still_runs() -> None:
    pretender = Verdicts(config(), {300.0: 0.8, 600.0: 0.4})
    pretender.until("production")
    cold = next(u for u in pretender.plan().ready if u.payload["spec"]["temperature_K"] == 300)
    pretender.finish(cold)
    (judge,) = [unit for unit in pretender.plan().ready if unit.kind == "convergence"]
    pretender.finish(judge)

    ready = pretender.plan().ready

    kinds = [(unit.kind, "continues" in unit.payload) for unit in ready]
    assert ("production", True) in kinds
    assert ("production", False) in kinds


def test_without_extension_nothing_is_judged_and_units_are_the_same() -> None:
    off, on = Pretender(toy(), accurate=[1.0]), Verdicts(config(), {300.0: 0.4, 600.0: 0.4})

    off.run()
    on.run()

    assert off.kinds("convergence") == []
    assert {u.key for u in off.done} == {u.key for u in on.done if u.kind != "convergence"}


def test_the_estimate_is_that_of_all_runs_at_their_largest_length() -> None:
    plain = estimate_run(toy(), {"salt": 8})

    extended = estimate_run(config(), {"salt": 8})

    assert extended.tasks["production"] == 5 * plain.tasks["production"]
    assert extended.amounts["production"] == 5 * plain.amounts["production"]
    assert extended.disk_bytes > plain.disk_bytes


def test_a_largest_length_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(
        (ConfigError, ValueError), match=r"max_length_ps \(0.7\) must be at least"
    ):
        config(extend={"max_length_ps": 0.7})
