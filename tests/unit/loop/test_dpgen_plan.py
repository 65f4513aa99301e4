"""The plan of the DP-GEN scheme, driven by made-up results: no engine, no disk."""

from __future__ import annotations

import pytest
from pretender import DIGESTS, Pretender, toy

from dasksse.config.schema import RunConfig


def test_a_run_trains_explores_selects_labels_and_ends_with_production() -> None:
    pretender = Pretender(toy(), accurate=[0.2, 0.5])

    plan = pretender.run()

    assert plan.is_finished
    assert len(pretender.kinds("train")) == 2 * 3
    assert len(pretender.kinds("md")) == 2 * 2
    assert len(pretender.kinds("select")) == 2
    assert len(pretender.kinds("evaluate")) == 4
    assert len(pretender.kinds("production")) == 2
    assert len(pretender.kinds("diffusion")) == 1
    assert {unit.kind for unit in pretender.done[-1:]} == {"diffusion"}


def test_the_order_in_which_units_finish_does_not_change_what_is_done() -> None:
    forward = Pretender(toy(), accurate=[0.2, 0.5])
    backward = Pretender(toy(), accurate=[0.2, 0.5])

    forward.run()
    backward.run(reverse=True)

    assert {u.key for u in forward.done} == {u.key for u in backward.done}


def test_a_finished_unit_is_never_asked_for_again() -> None:
    pretender = Pretender(toy(), accurate=[0.2, 0.5])

    pretender.run()

    keys = [unit.key for unit in pretender.done]
    assert len(keys) == len(set(keys))


def test_a_line_ends_when_enough_frames_are_accurate() -> None:
    config = toy(stop__accurate_share=0.9)
    pretender = Pretender(config, accurate=[0.95])

    pretender.run()

    assert {unit.generation for unit in pretender.kinds("md")} == {0}


def test_nothing_new_to_learn_means_no_new_training() -> None:
    pretender = Pretender(toy(), accurate=[1.0])

    pretender.run()

    assert {unit.generation for unit in pretender.kinds("train")} == {0}


def test_later_generations_start_from_the_models_of_the_last_one() -> None:
    pretender = Pretender(toy(), accurate=[0.2])

    pretender.run()

    trainings = pretender.kinds("train")
    first = {pretender.results[u.key]["checkpoint"] for u in trainings if u.generation == 0}
    assert {u.payload["init_from"] for u in trainings if u.generation == 0} == {None}
    assert {u.payload["init_from"] for u in trainings if u.generation == 1} == first
    assert {u.payload["steps"] for u in trainings if u.generation == 1} == {100}


def test_warm_start_can_be_switched_off() -> None:
    pretender = Pretender(toy(train__warm_start=False), accurate=[0.2])

    pretender.run()

    assert {u.payload["init_from"] for u in pretender.kinds("train")} == {None}
    assert {u.payload["steps"] for u in pretender.kinds("train")} == {300}


def test_members_differ_in_their_seeds() -> None:
    pretender = Pretender(toy(), accurate=[0.2])

    pretender.run()

    seeds = [unit.payload["seed"] for unit in pretender.kinds("train")]
    assert len(set(seeds)) == len(seeds)


def test_other_trust_levels_select_again_without_md() -> None:
    first = Pretender(toy(), accurate=[0.2])
    first.run()
    second = Pretender(toy(select__trust={"low_eV_A": 0.1, "high_eV_A": 4.0}), accurate=[0.2])
    second.results, second.decisions = first.results, first.decisions

    plan = second.plan()

    assert [unit.kind for unit in plan.ready] == ["select"]
    assert plan.ready[0].payload["levels"] == [0.1, 4.0]


def test_frames_selected_again_by_other_levels_are_not_labelled_again() -> None:
    first = Pretender(toy(label__batch_size=1), accurate=[0.2])
    first.run()
    levels = {"low_eV_A": 0.1, "high_eV_A": 4.0}
    second = Pretender(toy(label__batch_size=1, select__trust=levels), accurate=[0.2])
    second.results, second.decisions = dict(first.results), dict(first.decisions)

    second.run()

    assert {unit.kind for unit in second.done} == {"select", "diffusion"}


def test_labels_of_another_selection_are_trained_on() -> None:
    first = Pretender(toy(), accurate=[0.2])
    first.run()
    second = Pretender(toy(select__max_labels=3), accurate=[0.2])
    second.results, second.decisions = dict(first.results), dict(first.decisions)
    second._select = lambda unit: {**first._select(unit), "frame_keys": list("uvwxyz!")}  # type: ignore[method-assign]

    second.run()

    labelled = {u.key for u in second.kinds("label")}
    trained = {key for u in second.kinds("dataset") for _, key, _ in u.payload["sources"]}
    assert labelled & trained


def test_a_number_of_labels_for_each_system_gives_the_same_units_as_one_for_all() -> None:
    one = Pretender(toy(select__max_labels=3), accurate=[0.2])
    each = Pretender(toy(select__max_labels={"salt": 3}), accurate=[0.2])

    one.run()
    each.run()

    assert {u.key for u in one.done} == {u.key for u in each.done}
    assert {u.payload["section"]["max_labels"] for u in each.kinds("select")} == {3}


def test_automatic_trust_levels_follow_the_training_error() -> None:
    config = toy(select__trust={"mode": "auto", "auto_factor": 1.5, "auto_width_eV_A": 0.2})
    pretender = Pretender(config, accurate=[0.2])

    pretender.run()

    levels = [unit.payload["levels"] for unit in pretender.kinds("select")]
    assert levels == [pytest.approx([0.15, 0.35])] * 2


def test_the_probe_is_drawn_once_and_kept_out_of_training() -> None:
    pretender = Pretender(toy(), accurate=[0.2])

    pretender.run()

    assert len(pretender.kinds("probe")) == 1
    assert [u.payload["excluded"] for u in pretender.kinds("select")] == [[], [3, 7]]
    probe_file = pretender.results[pretender.kinds("probe")[0].key]["file"]
    probe_units = {
        u.key for u in pretender.kinds("label") if u.payload["frames_file"] == probe_file
    }
    trained = {key for u in pretender.kinds("dataset") for _, key, _ in u.payload["sources"]}
    assert probe_units
    assert not probe_units & trained


def test_ensembles_from_before_the_probe_are_judged_on_it_too() -> None:
    pretender = Pretender(toy(), accurate=[0.2])

    pretender.run()

    judged = [
        unit.generation
        for unit in pretender.kinds("evaluate")
        if unit.payload["sources"].get("probe")
    ]
    assert sorted(judged) == [0, 1, 2]


def test_accurate_frames_labelled_as_a_check_are_not_trained_on() -> None:
    pretender = Pretender(toy(), accurate=[0.2])

    pretender.run()

    checks = {
        tuple(source)
        for u in pretender.kinds("evaluate")
        for source in u.payload["sources"].get("check", [])
    }
    trained = {tuple(s) for u in pretender.kinds("dataset") for s in u.payload["sources"]}
    assert checks
    assert not checks & trained


def test_the_next_training_need_not_wait_for_the_last_labels() -> None:
    pretender = Pretender(toy(label__wait_share=0.5, label__batch_size=6), accurate=[0.2])
    plan = pretender.plan()
    while [u.kind for u in plan.ready] != ["label"] * 4:
        pretender.finish(plan.ready[0])
        plan = pretender.plan()

    pretender.finish(plan.ready[0])
    pretender.finish(plan.ready[1])
    plan = pretender.plan()

    kinds = [unit.kind for unit in plan.ready]
    assert kinds.count("label") == 2
    assert kinds.count("dataset") == 1
    late = {unit.key for unit in plan.ready if unit.kind == "label"}
    pretender.run()
    members = [
        {key for _, key, _ in unit.payload["sources"]} for unit in pretender.kinds("dataset")
    ]
    assert not late & members[0]
    assert late <= members[1]


def test_a_quarantined_label_does_not_hold_up_the_run() -> None:
    pretender = Pretender(toy(), accurate=[0.2])
    plan = pretender.plan()
    while plan.ready[0].kind != "label":
        pretender.finish(plan.ready[0])
        plan = pretender.plan()
    lost = plan.ready[0]
    pretender.failed[lost.key] = {"kind": "label", "error": "SCF not converged"}

    plan = pretender.run()

    assert plan.is_finished
    trained = {key for u in pretender.kinds("dataset") for _, key, _ in u.payload["sources"]}
    assert lost.key not in trained


def test_one_system_is_labelled_while_another_still_runs_md() -> None:
    values = toy().model_dump(mode="json")
    values["systems"].append({**values["systems"][0], "name": "other"})
    values["explore"]["schedule"][0]["systems"] = ["salt", "other"]
    config = RunConfig.model_validate(values)
    pretender = Pretender(config, accurate=[0.2])
    DIGESTS["other"] = "1" * 16
    plan = pretender.plan()
    while not any(unit.kind == "md" for unit in plan.ready):
        pretender.finish(plan.ready[0])
        plan = pretender.plan()

    for _ in range(20):
        mine = [
            u
            for u in plan.ready
            if u.kind in {"md", "probe", "select"} and "/salt" in str(u.payload["group"])
        ]
        if not mine:
            break
        pretender.finish(mine[0])
        plan = pretender.plan()

    kinds = {unit.kind for unit in plan.ready}
    assert kinds == {"md", "label"}


def test_a_crystal_is_relaxed_first_when_asked_and_its_steps_are_learned_from() -> None:
    config = toy(start__relax={"max_steps": 5})
    pretender = Pretender(config, accurate=[0.2])
    pretender._relax = lambda unit: {"file": f"work/relax/{unit.key}/system.npz"}  # type: ignore[attr-defined]

    pretender.run()

    (relaxed,) = pretender.kinds("relax")
    sources = pretender.kinds("dataset")[0].payload["sources"]
    assert sources.count(["relax", relaxed.key, "salt"]) == 1
    assert pretender.kinds("start")[0].payload["structure_file"].startswith("work/relax/")


# --- learning that ends when D is stable ------------------------------------------------------

STABLE = {"temperatures_K": [600.0, 800.0], "length_ps": 1.0, "generations": 1}


def test_learning_ends_when_d_is_stable() -> None:
    config = toy(stop__stable_diffusion=STABLE)
    pretender = Pretender(config, accurate=[0.2], D_m2_s=[1e-10, 1.05e-10])

    plan = pretender.run()

    assert plan.is_finished
    # two generations are compared, then a last training; each of two models drives its own runs
    assert len(pretender.kinds("select")) == 2
    assert len(pretender.kinds("stability")) == 2 * 2
    texts = [m.text for m in plan.milestones if m.name.startswith("stability")]
    assert "there is no generation before" in texts[0]
    assert "stable within 20 %" in texts[1]


def test_learning_goes_on_while_d_changes() -> None:
    schedule = [
        {
            "systems": ["salt"],
            "temperatures_K": [300.0],
            "lengths_ps": [0.2],
            "max_generations": 4,
            "ensemble": "nvt",
        }
    ]
    config = toy(stop__stable_diffusion=STABLE, explore__schedule=schedule)
    pretender = Pretender(config, accurate=[0.2], D_m2_s=[1e-10, 2e-10, 4e-10, 4.1e-10])

    plan = pretender.run()

    assert len(pretender.kinds("select")) == 4
    texts = [m.text for m in plan.milestones if m.name.startswith("stability")]
    assert "it changed by +100" in texts[1]
    assert "stable within" in texts[3]


def test_exploration_does_not_wait_for_d() -> None:
    pretender = Pretender(toy(stop__stable_diffusion=STABLE), accurate=[0.2])

    plan = pretender.until("md")

    groups = {unit.payload["group"].partition("/")[0] for unit in plan.ready}
    assert groups == {"stability", "explore"}


def test_the_choice_among_candidates_has_the_payload_it_always_had() -> None:
    payloads = {}
    for among in ("candidates", "all"):
        pretender = Pretender(toy(select__among=among), accurate=[0.2])
        pretender.run()
        payloads[among] = pretender.kinds("select")[0].payload["section"]

    assert "among" not in payloads["candidates"]
    assert payloads["all"] == {**payloads["candidates"], "among": "all"}
