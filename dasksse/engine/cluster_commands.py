"""Commands that a config and a cluster file can run: what a user reads before trusting them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from dasksse.engine.settings import LocalSettings, QueueSettings
from dasksse.label import calculator_commands

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dasksse.config.schema import RunConfig, Section

COMMAND_KEYS = ("command", "factory")
"""Keys of calculator settings that name a program, or Python code to import."""


def list_commands(
    config: RunConfig, engine: Section, *, where: str = "settings"
) -> list[tuple[str, str]]:
    """Every command that the two can run, besides dasksse's own engines.

    Parameters
    ----------
    config
        The run.
    engine
        Settings of its engine.
    where
        Key under which those stand: ``settings`` in a cluster file.

    Returns
    -------
    list[tuple[str, str]]
        Dotted key and command.
    """
    found = list(_named(config.label.model_dump(), "label"))
    known = {words for _, words in found}
    programs = [shlex.join(words) for words in calculator_commands(config.label.calculator)]
    found += [("label.calculator", words) for words in programs if words not in known]
    if config.on_end:
        found.append(("on_end", shlex.join(config.on_end)))
    if isinstance(engine, LocalSettings | QueueSettings):
        for name, pool in engine.pools.items():
            key = f"{where}.pools.{name}"
            if isinstance(engine, QueueSettings):
                found += [(f"{key}.setup", line) for line in pool.setup]
                found += [(f"{key}.python", pool.python)] if pool.python else []
            found += [(f"{key}.prefix", shlex.join(pool.prefix))] if pool.prefix else []
    return found


def _named(section: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    """Values of command keys at any depth."""
    for key, value in section.items():
        if key in COMMAND_KEYS:
            is_list = isinstance(value, list | tuple)
            yield f"{where}.{key}", shlex.join(map(str, value)) if is_list else str(value)
        elif isinstance(value, dict):
            yield from _named(value, f"{where}.{key}")
