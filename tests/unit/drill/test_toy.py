"""The drill's own configuration is valid, comparable, and forgives crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dasksse.cli.validate import count_atoms, load_checked
from dasksse.drill.toy import SEGMENT_STEPS, write_toy
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_toy_run_is_valid_and_in_comparison_mode(tmp_path: Path) -> None:
    loaded, engine = load_checked(write_toy(tmp_path, generations=2, hung_after_s=12.5))

    config = loaded.config
    assert count_atoms(loaded) == {"salt": 8}
    assert config.reproducible
    assert config.explore.segment_steps == SEGMENT_STEPS
    assert config.production is not None
    assert config.production.segment_steps == SEGMENT_STEPS
    assert config.explore.schedule[0].max_generations == 2
    assert config.stop.hung_after_s == 12.5
    assert config.stop.retries >= 50
    assert config.label.calculator.kind == "toy"
    assert (engine.kind, engine.settings["workers"]) == ("local", 2)


def test_a_folder_with_a_configuration_is_refused(tmp_path: Path) -> None:
    write_toy(tmp_path, generations=1, hung_after_s=10.0)

    with pytest.raises(ConfigError, match="exists already"):
        write_toy(tmp_path, generations=1, hung_after_s=10.0)
