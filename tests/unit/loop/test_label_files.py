"""Files of the calculator of labels: kept with the run, by content."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import yaml
from toy_runs import TOY

from dasksse.cli.validate import load_checked
from dasksse.config.load import load_config
from dasksse.errors import ConfigError, RunFolderError
from dasksse.label import calculator_files
from dasksse.loop.label_files import FOLDER, with_kept_files
from dasksse.loop.prepare import keep_config, open_run_folder
from dasksse.loop.units import label_sources
from dasksse.records import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.config.load import LoadedConfig
    from dasksse.store.folders import RunFolder

MODELS = ("b.pb", "a.pb")


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedConfig:
    values = yaml.safe_load(TOY.read_text())
    values["label"] = {"calculator": {"kind": "deepmd", "settings": {"models": list(MODELS)}}}
    shutil.copytree(TOY.parent / "structures", tmp_path / "structures")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    for name in MODELS:
        (tmp_path / name).write_text(f"weights of {name}")
    return load_config(tmp_path / "config.yaml")


def opened(loaded: LoadedConfig) -> RunFolder:
    folder, _ = open_run_folder(loaded, loaded.base_dir / "run")
    return folder


def key_of_a_label(loaded: LoadedConfig, folder: RunFolder) -> str:
    (source,) = label_sources(
        with_kept_files(loaded.config, folder),
        drawn={"file": "frames.npz", "frame_keys": ["f"]},
        indices=[0],
        system="salt",
        role="start",
        generation=-1,
        known={},
    )
    return source.unit.key


def test_copies_take_the_place_of_the_files_in_their_order(loaded: LoadedConfig) -> None:
    folder = opened(loaded)

    names = calculator_files(with_kept_files(loaded.config, folder).label.calculator)

    texts = [(folder.root / name).read_text() for name in names]
    assert texts == ["weights of b.pb", "weights of a.pb"]
    assert all(name.startswith(f"{FOLDER}/") for name in names)


def test_a_run_goes_on_where_its_folder_was_moved_to(loaded: LoadedConfig) -> None:
    folder = opened(loaded)
    before = key_of_a_label(loaded, folder)

    folder.root.rename(loaded.base_dir / "moved")
    moved, changes = open_run_folder(loaded, loaded.base_dir / "moved")

    assert changes == []
    assert key_of_a_label(loaded, moved) == before


def test_a_run_refuses_another_content_of_a_file(loaded: LoadedConfig) -> None:
    opened(loaded)
    (loaded.base_dir / "a.pb").write_text("other weights")

    with pytest.raises(RunFolderError, match=r"settings: a\.pb has another content"):
        opened(loaded)


def test_a_study_takes_the_new_content_and_labels_anew(loaded: LoadedConfig) -> None:
    folder = opened(loaded)
    before = key_of_a_label(loaded, folder)
    (loaded.base_dir / "a.pb").write_text("other weights")

    keep_config(loaded, folder)

    assert key_of_a_label(loaded, folder) != before
    kept = sorted((folder.root / FOLDER).iterdir())
    assert [file_digest(path) for path in kept] == [
        file_digest(loaded.base_dir / name) for name in MODELS
    ]


def test_a_missing_file_is_named_with_key_and_line(loaded: LoadedConfig) -> None:
    (loaded.base_dir / "a.pb").unlink()

    with pytest.raises(ConfigError, match=r"label.calculator.settings \(line \d+\): .*'a.pb'"):
        load_checked(loaded.path)


def test_a_calculator_without_files_leaves_the_configuration_alone() -> None:
    loaded = load_config(TOY)

    assert with_kept_files(loaded.config, None) is loaded.config  # type: ignore[arg-type]
