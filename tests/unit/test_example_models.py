"""The example that runs production with models that are trained already."""

from __future__ import annotations

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


def test_the_example_is_ready_to_run() -> None:
    loaded = load_config(EXAMPLE)
    missing = [
        name
        for name in loaded.config.train.initial_models
        if not (loaded.base_dir / name).is_file()
    ]
    if missing:
        pytest.skip(f"the models are not in the repository yet: {', '.join(missing)}")

    checked, engine = load_checked(EXAMPLE)

    assert checked.config == loaded.config
    assert engine.kind == "local"


def test_the_trainings_are_of_one_network_and_explore_nothing() -> None:
    first, last = (
        load_config(EXAMPLE.with_name(name)).config
        for name in ("train-50.yaml", "train-all.yaml")
    )

    assert first.train.descriptor == last.train.descriptor
    assert first.train.fitting_net == last.train.fitting_net
    assert first.type_map == last.type_map == load_config(EXAMPLE).config.type_map
    assert first.explore.schedule == last.explore.schedule == ()
    folder = f"runs/{first.name}/models"
    assert all(folder in name for name in last.train.initial_models)
    assert len(last.train.initial_models) == last.train.ensemble_size == 4
