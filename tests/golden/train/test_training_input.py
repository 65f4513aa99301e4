"""The whole training input, as it was agreed; a change shows as a difference of JSON files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dasksse.config.schema import TrainSection
from dasksse.train.deepmd_input import training_input

HERE = Path(__file__).parent
SECTIONS = {
    "input_cold.json": (TrainSection(), 400_000, False),
    "input_warm.json": (
        TrainSection(
            descriptor={
                "type": "se_e2_a",
                "rcut": 6.0,
                "rcut_smth": 2.0,
                "neuron": [8, 16, 32],
                "axis_neuron": 4,
            },
            fitting_net={"neuron": [48, 48, 48]},
            precision="float32",
            learning_rate_warm=2e-3,
            learning_rate_stop=1e-5,
            checkpoint_every_steps=250,
            loss={"limit_pref_f": 10.0},
            deepmd={"training": {"tensorboard": False}},
        ),
        1200,
        True,
    ),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_the_training_input_is_the_agreed_one(name: str) -> None:
    section, steps, warm = SECTIONS[name]

    written = training_input(
        section,
        type_map=["Li", "Ge", "P", "S"],
        systems=[Path("data/train/000-Li20Ge2P4S24")],
        validation=[Path("data/held_out/000-Li20Ge2P4S24")],
        sel=[32, 8, 8, 40],
        steps=steps,
        seed=2021,
        warm=warm,
        has_virial=not warm,
    )

    assert written == json.loads((HERE / name).read_text())
