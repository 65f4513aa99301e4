from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dasksse.config.schema import TrainSection
from dasksse.errors import ConfigError
from dasksse.train.deepmd_input import display_interval, merged, training_input


def _input(section: TrainSection | None = None, **changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "type_map": ["Li", "S"],
        "systems": [Path("data/000")],
        "validation": [],
        "sel": [8, 12],
        "steps": 2000,
        "seed": 5,
        "warm": False,
        "has_virial": True,
    }
    return training_input(section or TrainSection(), **(facts | changes))


@pytest.mark.parametrize("steps", [40, 400, 1200, 2000, 400_000])
def test_the_learning_rate_falls_in_small_drops_to_its_end_value(steps: int) -> None:
    rate = _input(steps=steps)["learning_rate"]

    assert rate["type"] == "exp"
    assert rate["start_lr"] == TrainSection().learning_rate
    assert rate["stop_lr"] == TrainSection().learning_rate_stop
    assert 1 <= rate["decay_steps"] <= max(1, steps // 100)


@pytest.mark.parametrize(("steps", "decay_steps"), [(400_000, 2_000), (4_000_000, 20_000)])
def test_the_decay_is_the_published_one_for_the_published_lengths(
    steps: int, decay_steps: int
) -> None:
    assert _input(steps=steps)["learning_rate"]["decay_steps"] == decay_steps


def test_a_warm_start_begins_at_its_own_learning_rate() -> None:
    section = TrainSection(learning_rate_warm=3e-4)

    assert _input(section, warm=True)["learning_rate"]["start_lr"] == 3e-4


def test_the_learning_rate_never_rises() -> None:
    section = TrainSection(learning_rate_warm=1e-5, learning_rate_stop=1e-4)

    rate = _input(section, warm=True)["learning_rate"]

    assert rate["stop_lr"] == rate["start_lr"] == 1e-5


def test_the_virial_is_in_the_loss_only_when_there_is_one() -> None:
    with_virial, without = _input()["loss"], _input(has_virial=False)["loss"]

    assert (with_virial["start_pref_v"], with_virial["limit_pref_v"]) == (0.01, 1.0)
    assert not {"start_pref_v", "limit_pref_v"} & set(without)


def test_loss_keys_are_merged_over_the_defaults() -> None:
    loss = _input(TrainSection(loss={"limit_pref_f": 10.0}))["loss"]

    assert loss["limit_pref_f"] == 10.0
    assert loss["start_pref_f"] == 1000.0


def test_deepmd_keys_are_merged_deeply_over_everything() -> None:
    section = TrainSection(deepmd={"training": {"numb_steps": 7}, "model": {"extra": [1]}})

    whole = _input(section)

    assert whole["training"]["numb_steps"] == 7
    assert whole["training"]["seed"] == _input()["training"]["seed"]
    assert whole["model"]["extra"] == [1]
    assert whole["model"]["type_map"] == ["Li", "S"]


def test_members_differ_in_every_seed_and_in_nothing_else() -> None:
    a, b = _input(seed=5), _input(seed=6)

    for part in ("descriptor", "fitting_net"):
        assert a["model"][part].pop("seed") != b["model"][part].pop("seed")
    assert a["training"].pop("seed") != b["training"].pop("seed")
    assert a == b


def test_a_given_sel_and_precision_win_over_the_found_ones() -> None:
    section = TrainSection(
        descriptor={"type": "se_e2_a", "sel": [40, 40], "precision": "float64"},
        precision="float32",
    )

    model = _input(section)["model"]

    assert model["descriptor"]["sel"] == [40, 40]
    assert model["descriptor"]["precision"] == "float64"
    assert model["fitting_net"]["precision"] == "float32"


def test_validation_data_are_named_only_when_there_are_any() -> None:
    training = _input(validation=[Path("held_out/000")])["training"]

    assert training["validation_data"]["systems"] == ["held_out/000"]
    assert "validation_data" not in _input()["training"]


@pytest.mark.parametrize("every", [1, 7, 250, 1000, 999_983])
@pytest.mark.parametrize("steps", [1, 30, 1200, 400_000])
def test_every_checkpoint_falls_on_a_row_of_the_curve(steps: int, every: int) -> None:
    interval = display_interval(steps, every)

    assert every % interval == 0
    assert 1 <= interval <= max(1, steps // 50)


def test_merging_leaves_its_inputs_alone() -> None:
    base, changes = {"a": {"b": [1], "c": 2}}, {"a": {"b": [3]}, "d": {"e": 4}}

    result = merged(base, changes)
    result["d"]["e"] = result["a"]["b"] = None

    assert base == {"a": {"b": [1], "c": 2}}
    assert changes == {"a": {"b": [3]}, "d": {"e": 4}}


def test_training_on_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no labelled frame to train on"):
        _input(systems=[])


@pytest.mark.parametrize("kind", ["se_atten", "dpa1", "se_atten_v2"])
def test_places_shared_by_all_elements_are_one_number(kind: str) -> None:
    section = TrainSection(descriptor={"type": kind, "attn_layer": 0})

    model = _input(section, sel=[60])["model"]

    assert model["descriptor"]["sel"] == 60
    assert isinstance(model["type_embedding"]["seed"], int)


def test_a_type_embedding_is_passed_through_with_a_seed_of_its_own() -> None:
    section = TrainSection(type_embedding={"neuron": [2, 4]}, precision="float32")

    model = _input(section)["model"]

    assert model["descriptor"]["sel"] == [8, 12]
    assert model["type_embedding"]["neuron"] == [2, 4]
    assert model["type_embedding"]["precision"] == "float32"
    seeds = {model[part]["seed"] for part in ("descriptor", "fitting_net", "type_embedding")}
    assert len(seeds) == 3


def test_other_backends_have_no_type_embedding_of_their_own() -> None:
    section = TrainSection(backend="pytorch", descriptor={"type": "se_atten"})

    assert "type_embedding" not in _input(section, sel=[60])["model"]
    assert "type_embedding" not in _input()["model"]
