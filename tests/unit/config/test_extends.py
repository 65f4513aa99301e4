"""A configuration may take over the keys of another file beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from dasksse.config.load import combine, load_config, read_files, resolved_yaml
from dasksse.config.presets import presets_dir
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The toy preset as ``base.yaml``."""
    text = (presets_dir() / "toy.yaml").read_text(encoding="utf-8")
    (tmp_path / "base.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def config(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_keys_that_are_not_given_are_those_of_the_other_file(folder: Path) -> None:
    path = config(folder, "extends: base.yaml\nseed: 8\nexplore: {timestep_fs: 0.5}\n")

    loaded = load_config(path)

    base = load_config(folder / "base.yaml").config
    explore = base.explore.model_copy(update={"timestep_fs": 0.5})
    assert loaded.config == base.model_copy(update={"seed": 8, "explore": explore})
    assert loaded.path == path


def test_a_list_is_replaced_as_a_whole(folder: Path) -> None:
    path = config(folder, "extends: base.yaml\nproduction: {temperatures_K: [500]}\n")

    production = load_config(path).config.production

    assert production is not None
    assert production.temperatures_K == (500.0,)
    assert production.length_ps == 0.4


def test_another_kind_brings_its_own_settings(folder: Path) -> None:
    other = config(folder, "extends: base.yaml\nlabel: {calculator: {kind: lj}}\n")
    assert load_config(other).config.label.calculator.settings == {}

    same = config(
        folder, "extends: base.yaml\nlabel: {calculator: {kind: toy, settings: {rc_A: 5}}}\n"
    )
    settings = load_config(same).config.label.calculator.settings
    assert settings == {"charges": {"Li": 1.0, "Cl": -1.0}, "rc_A": 5}


def test_null_takes_the_default_of_a_section_that_may_be_absent(folder: Path) -> None:
    path = config(folder, "extends: base.yaml\nproduction: null\n")

    assert load_config(path).config.production is None


def test_null_takes_an_inherited_key_of_an_open_mapping_away(folder: Path) -> None:
    (folder / "middle.yaml").write_text(
        "extends: base.yaml\n"
        "train:\n"
        "  loss: {limit_pref_v: 1.0, limit_pref_e: 2.0}\n"
        "  deepmd: {training: {numb_test: 1, disp_freq: 5}}\n"
        "label: {filters: {min_distance_A: {Li-Li: 1.0, Li-Cl: 1.5}}}\n"
    )
    path = config(
        folder,
        "extends: middle.yaml\n"
        "train:\n"
        "  loss: {limit_pref_v: null}\n"
        "  deepmd: {training: {numb_test: null}}\n"
        "label: {filters: {min_distance_A: {Li-Cl: null}}}\n",
    )

    loaded = load_config(path).config

    assert loaded.train.loss == {"limit_pref_e": 2.0}
    assert loaded.train.deepmd == {"training": {"disp_freq": 5}}
    assert loaded.label.filters.min_distance_A == {"Li-Li": 1.0}


def test_null_of_a_calculators_setting_is_its_value(folder: Path) -> None:
    (folder / "middle.yaml").write_text(
        "extends: base.yaml\n"
        "label: {calculator: {kind: cp2k, settings: {kspacing_per_A: 0.2}}}\n"
    )
    path = config(
        folder,
        "extends: middle.yaml\nlabel: {calculator: {settings: {kspacing_per_A: null}}}\n",
    )

    assert load_config(path).config.label.calculator.settings == {"kspacing_per_A": None}


def test_the_nearest_of_three_files_wins(folder: Path) -> None:
    (folder / "middle.yaml").write_text("extends: base.yaml\nseed: 8\nname: middle\n")
    path = config(folder, "extends: middle.yaml\nname: top\n")

    values = combine(read_files(path))

    assert (values["name"], values["seed"], values["mobile_species"]) == ("top", 8, "Li")
    assert "extends" not in values


def test_an_error_names_the_file_that_holds_the_key(folder: Path) -> None:
    base = folder / "base.yaml"
    base.write_text(base.read_text().replace("timestep_fs: 1.0", "timestep_fs: 2000", 1))
    path = config(folder, "extends: base.yaml\nseed: -1\n")

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    lines = sorted(str(caught.value).splitlines())
    assert lines[0].startswith(f"{base}:explore.timestep_fs (line ")
    assert lines[1].startswith(f"{path}:seed (line 2)")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.yaml", "there is no"),
        ("../base.yaml", "name of a file in the same folder"),
        ("[base.yaml]", "name of a file in the same folder"),
        ("config.yaml", "extends this file in turn"),
    ],
)
def test_what_cannot_be_extended_is_refused_with_its_line(
    folder: Path, name: str, message: str
) -> None:
    path = config(folder, f"seed: 8\nextends: {name}\n")

    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)

    assert f"{path}:extends (line 2)" in str(caught.value)


def test_the_resolved_configuration_stands_alone(folder: Path) -> None:
    loaded = load_config(config(folder, "extends: base.yaml\nseed: 8\n"))

    again = config(folder, resolved_yaml(loaded.config))

    assert "extends" not in yaml.safe_load(again.read_text())
    assert load_config(again).config == loaded.config
