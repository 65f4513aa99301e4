"""The toy run of the drill: the preset ``toy`` with more and shorter MD segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from dasksse.config.presets import write_preset

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT_STEPS = 500
"""Steps of an MD segment, half a second of work: the most that a kill may cost a run."""

GENERATIONS = 2

_CHANGES: dict[str, Any] = {
    "name": "drill",
    "reproducible": True,
    "train": {"steps": 600, "steps_warm": 200},
    "explore": {"frame_interval_steps": 20, "segment_steps": SEGMENT_STEPS},
    "probe": {"n_frames": 0},
    # every kill that an engine dies of counts as a crash of its unit
    "stop": {"retries": 50, "accurate_share": 1.0},
    "production": {
        "temperatures_K": [50, 150],
        "length_ps": 6.0,
        "equilibration_ps": 0.5,
        "frame_interval_steps": 20,
        "segment_steps": SEGMENT_STEPS,
    },
    "engine": {"kind": "local", "settings": {"workers": 2, "dashboard_port": 0}},
}
"""Over the preset, section by section; two workers, so that one can go on when one dies."""


def write_toy(folder: Path, *, generations: int, hung_after_s: float) -> Path:
    """Write the configuration and its structure; give the path of the configuration.

    Parameters
    ----------
    folder
        Folder for both; made if it is not there.
    generations
        Learning generations of the run.
    hung_after_s
        Silence after which an engine is taken for hung [s].

    Raises
    ------
    ConfigError
        When the folder holds a configuration already.
    """
    path = write_preset("toy", folder)
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key, change in _CHANGES.items():
        values[key] = {**values[key], **change} if key in values and _is_map(change) else change
    values["explore"]["schedule"] = [
        {
            "systems": ["salt"],
            "ensemble": "nvt",
            "temperatures_K": [50, 150],
            "lengths_ps": [6.0],
            "max_generations": generations,
        }
    ]
    values["stop"]["hung_after_s"] = hung_after_s
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def _is_map(value: object) -> bool:
    return isinstance(value, dict)
