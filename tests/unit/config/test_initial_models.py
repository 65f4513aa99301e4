"""Which configurations may begin with models, and which may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from toy_runs import TOY

from dasksse.config.load import load_config
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.config.schema import RunConfig

TWO = ["model_0.pb", "model_1.pb"]


def load(folder: Path, **changes: Any) -> RunConfig:
    values = yaml.safe_load(TOY.read_text())
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = values
        for parent in parents:
            section = section[parent]
        section[last] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return load_config(folder / "config.yaml").config


def test_models_need_neither_labels_nor_schedule(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        train__initial_models=TWO,
        train__steps=0,
        start={"n_frames": 0},
        explore__schedule=[],
    )

    assert config.train.takes_models_as_they_are


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train__steps": 0}, "give 2 or more initial_models"),
        ({"train__steps": 0, "train__initial_models": TWO[:1]}, "give 2 or more"),
        (
            {
                "train__steps": 0,
                "train__initial_models": TWO,
                "select__trust": {"mode": "auto"},
            },
            "`auto` needs the error of a training",
        ),
        (
            {
                "train__steps": 0,
                "train__initial_models": TWO,
                "start": {"n_frames": 0},
                "explore__schedule": [],
                "production__train_steps": 10,
            },
            "there are no labels to train on",
        ),
        (
            {"train__steps": 0, "train__initial_models": TWO, "train__warm_start": False},
            "set warm_start to true",
        ),
        (
            {"start": {"n_frames": 0}, "train__initial_models": TWO},
            "leaves nothing to learn from",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, **changes)
