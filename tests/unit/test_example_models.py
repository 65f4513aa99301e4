"""The example that runs production with models that are trained already."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from dasksse.cli.validate import load_checked
from dasksse.config.load import load_config
from dasksse.structures.build import build_system

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "02-lgps-diffusion" / "config.yaml"


def test_the_example_only_runs_production() -> None:
    config = load_config(EXAMPLE).config

    assert config.train.takes_models_as_they_are
    assert config.start.n_frames == 0
    assert config.explore.schedule == ()
    assert config.production is not None
    assert len(config.train.initial_models) == config.train.ensemble_size == 4


def test_the_example_runs_in_the_measured_cell() -> None:
    loaded = load_config(EXAMPLE)
    section = loaded.config.systems[0]

    built = build_system(
        section,
        type_map=loaded.config.type_map,
        base_dir=loaded.base_dir,
        mobile_species=loaded.config.mobile_species,
    )

    assert built.atoms.cell.lengths() == pytest.approx([2 * 8.69407, 2 * 8.69407, 2 * 12.5994])
    assert str(built.atoms.symbols.formula.reduce()[0]) == "Li10GeP2S12"


@pytest.mark.parametrize("name", ["config.yaml", "protocol.yaml"])
def test_the_example_is_ready_to_run(name: str) -> None:
    loaded = load_config(EXAMPLE.with_name(name))

    checked, engine = load_checked(EXAMPLE.with_name(name))

    assert checked.config == loaded.config
    assert engine.kind == "local"


def test_the_trainings_are_of_one_network_and_each_begins_with_the_one_before() -> None:
    trainings = [
        load_config(EXAMPLE.with_name(name)).config
        for name in ("train-50.yaml", "train-all.yaml", "train-last.yaml")
    ]

    for config in trainings:
        assert config.train.descriptor == trainings[0].train.descriptor
        assert config.train.fitting_net == trainings[0].train.fitting_net
        assert config.type_map == load_config(EXAMPLE).config.type_map
        assert config.explore.schedule == ()
    for earlier, later in pairwise(trainings):
        folder = f"runs/{earlier.name}/models"
        assert all(folder in name for name in later.train.initial_models)
        assert len(later.train.initial_models) == later.train.ensemble_size == 4
