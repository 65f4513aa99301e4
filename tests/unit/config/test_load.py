from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dasksse.config.load import (
    config_differences,
    is_free_to_change,
    load_config,
    resolved_yaml,
)
from dasksse.config.presets import list_presets, write_preset
from dasksse.config.schema import RunConfig
from dasksse.errors import ConfigError

TOY = Path(__file__).parents[3] / "configs" / "toy.yaml"


def write(folder: Path, old: str = "", new: str = "") -> Path:
    text = TOY.read_text()
    assert old in text
    path = folder / "config.yaml"
    path.write_text(text.replace(old, new, 1) if old else text)
    return path


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        ("  timestep_fs: 1.0", "  timestep_fs: 2000", "explore.timestep_fs", "found 2000"),
        ("  timestep_fs: 1.0", "  timestep_fs: 2000", "explore.timestep_fs", "at most 10"),
        ("rattle_A", "ratle_A", "start.ratle_A", "did you mean 'rattle_A'"),
        ("low_eV_A: 0.05", "low_eV_A: 9.0", "select.trust", "must be below high_eV_A"),
        ("[300, 600]", "[0, 600]", "explore.schedule.0.temperatures_K.0", "above 0"),
        ("systems: [salt]", "systems: [slat]", "explore.schedule.0.systems", "['salt']"),
        ("mobile_species: Li", "mobile_species: Xx", "mobile_species", "no chemical element"),
        ("mobile_species: Li", "mobile_species: Na", "mobile_species", "not in type_map"),
        ("ensemble: nvt", "ensemble: nvtt", "explore.schedule.0.ensemble", "'npt-iso'"),
        ("seed: 7", "seed: 7\nseed: 8", "seed", "stands twice"),
        ("name: toy", "nombre: toy", "name", "required"),
        ("length_ps: 0.4", "length_ps: 0.05", "production", "above equilibration_ps"),
        ("ensemble_size: 2", "ensemble_size: 1", "train.ensemble_size", "at least 2"),
    ],
)
def test_an_error_names_file_key_and_line_what_was_found_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, key: str, message: str
) -> None:
    path = write(tmp_path, old, new)

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    text = str(caught.value)
    assert f"{path}:{key}" in text
    assert message in text
    assert "(line " in text or "required" in message


def test_an_unknown_key_lists_the_keys_of_its_section(tmp_path: Path) -> None:
    path = write(tmp_path, "probe: {n_frames: 6}", "probe: {frames: 6}")

    with pytest.raises(ConfigError, match=r"allowed here: generation, n_frames"):
        load_config(path)


def test_one_wrong_entry_of_a_list_gives_one_message(tmp_path: Path) -> None:
    path = write(tmp_path, "ensemble: nvt", "ensemble: npt")

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [1", "not valid YAML"), ("- 1\n- 2\n", "a mapping of sections, found list")],
)
def test_a_file_that_is_no_config_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)

    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        load_config(tmp_path / "nowhere.yaml")


def test_the_resolved_configuration_gives_the_same_models_again() -> None:
    config = load_config(TOY).config

    again = RunConfig.model_validate(yaml.safe_load(resolved_yaml(config)))

    assert again == config


def test_differences_are_named_with_both_values_and_sorted_by_what_may_change() -> None:
    old = {"select": {"max_labels": 3}, "train": {"steps": 5}, "name": "a"}
    new = {"select": {"max_labels": 4}, "train": {"steps": 6}, "name": "a"}

    lines = config_differences(old, new)

    assert lines == [
        "select.max_labels: 3 in the run folder, 4 now",
        "train.steps: 5 in the run folder, 6 now",
    ]
    assert [is_free_to_change(line) for line in lines] == [True, False]


def with_precision(tmp_path: Path, value: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(TOY.read_text() + f"\nstore: {{precision_A: {value}}}\n")
    return path


@pytest.mark.parametrize(
    ("value", "step_A"), [("0.01", 0.01), ("0", 0.0), ("lossless", 0.0), ("1e-4", 1e-4)]
)
def test_the_precision_of_the_store_is_a_step_or_none(
    tmp_path: Path, value: str, step_A: float
) -> None:
    assert load_config(with_precision(tmp_path, value)).config.store.step_A == step_A


@pytest.mark.parametrize("value", ["0.5", "-1", "coarse"])
def test_a_precision_that_makes_no_sense_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.precision_A"):
        load_config(with_precision(tmp_path, value))


def test_a_run_begun_before_there_was_a_precision_may_go_on() -> None:
    now = load_config(TOY).config.model_dump(mode="json")
    before = {key: value for key, value in now.items() if key != "store"}

    lines = config_differences(before, now)

    assert len(lines) == 1
    assert is_free_to_change(lines[0])


def test_every_field_of_the_schema_says_what_it_means() -> None:
    schema = RunConfig.model_json_schema()
    sections = {**schema["$defs"], "RunConfig": schema}

    silent = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, field in section["properties"].items()
        if "description" not in field
    ]

    assert silent == []


def test_a_preset_is_written_with_its_structures_and_loads(tmp_path: Path) -> None:
    path = write_preset("toy", tmp_path / "new")

    loaded = load_config(path)

    assert (loaded.base_dir / loaded.config.systems[0].structure).is_file()
    with pytest.raises(ConfigError, match="exists already"):
        write_preset("toy", tmp_path / "new")


def test_an_unknown_preset_lists_the_presets() -> None:
    with pytest.raises(ConfigError, match="did you mean 'toy'"):
        write_preset("tyo", Path("unused"))
    assert all(list_presets().values())
