"""``dasksse init``: a commented configuration from a preset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.config.presets import list_presets, write_preset
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    import argparse


def command(arguments: argparse.Namespace) -> int:
    """Write a preset into a folder, or list what there is."""
    if arguments.list:
        for name, summary in list_presets().items():
            print(f"{name}  {summary}")  # noqa: T201 - the command's output
        return 0
    if arguments.preset is None or arguments.folder is None:
        msg = "dasksse init PRESET DIR; presets: " + ", ".join(list_presets())
        raise ConfigError(msg)
    path = write_preset(arguments.preset, arguments.folder)
    print(f"wrote {path}; start with: python -m dasksse.run {path}")  # noqa: T201
    return 0
