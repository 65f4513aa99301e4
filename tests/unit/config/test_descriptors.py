"""Descriptors for many elements: the places of their neighbours, and whether they compress."""

from __future__ import annotations

from typing import Any

import pytest
from pretender import toy
from pydantic import ValidationError

from dasksse.config.schema import RunConfig, TrainSection

SHAPE = {"rcut": 4.0, "neuron": [4, 8]}


def run_with(**train: Any) -> RunConfig:
    return toy(**{f"train__{key}": value for key, value in train.items()})


@pytest.mark.parametrize("sel", [60, [40, 20, 8]])
def test_a_sel_that_does_not_fit_the_type_map_is_refused(sel: int | list[int]) -> None:
    with pytest.raises(ValidationError, match=r"train\.descriptor\.sel.*each of Li, Cl"):
        run_with(descriptor={"type": "se_e2_a", "sel": sel})


@pytest.mark.parametrize("embedding", [None, {"neuron": [4]}])
def test_a_sel_of_one_number_for_each_element_is_taken(embedding: object) -> None:
    config = run_with(descriptor={"type": "se_e2_a", "sel": [40, 20]}, type_embedding=embedding)

    assert config.train.descriptor["sel"] == [40, 20]


@pytest.mark.parametrize("sel", [60, [60], "auto"])
def test_places_shared_by_all_elements_may_be_given(sel: object) -> None:
    config = run_with(descriptor={"type": "se_atten", "attn_layer": 0, "sel": sel})

    assert config.train.descriptor["sel"] == sel


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"descriptor": {"type": "se_atten", "attn_layer": 0}}, "tebd_input_mode: strip"),
        ({"descriptor": {"type": "se_atten_v2"}}, "attn_layer: 0` alone, found 2"),
        (
            {"descriptor": {"type": "se_e2_a"}, "type_embedding": {"neuron": [8]}},
            "se_e2_a with a type embedding cannot be compressed; se_a_ebd_v2 can",
        ),
    ],
)
def test_compression_that_deepmd_kit_would_refuse_is_refused_at_once(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainSection(compress=True, **changes)

    assert not TrainSection(compress=False, **changes).compress


@pytest.mark.parametrize(
    "descriptor",
    [
        {"type": "se_e2_a"},
        {"type": "se_atten_v2", "attn_layer": 0},
        {"type": "se_atten", "attn_layer": 0, "tebd_input_mode": "strip"},
        {"type": "se_a_ebd_v2"},
    ],
)
def test_networks_that_can_be_compressed_may_be(descriptor: dict[str, Any]) -> None:
    assert TrainSection(compress=True, descriptor=SHAPE | descriptor).compress


def test_a_type_embedding_is_for_tensorflow() -> None:
    with pytest.raises(ValidationError, match="the tensorflow backend alone takes it"):
        TrainSection(backend="pytorch", type_embedding={"neuron": [8]})
