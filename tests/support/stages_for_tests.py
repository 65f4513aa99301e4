"""Stages that tests send to workers; which get the test's module path."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dasksse.errors import ConfigError, ExternalProgramError

if TYPE_CHECKING:
    from dasksse.records import UnitContext


def double(payload: Any, context: UnitContext) -> dict[str, Any]:
    (context.workdir / "file.txt").write_text("made by the stage")
    return {"twice": 2 * payload["value"]}


def crash(payload: Any, context: UnitContext) -> dict[str, Any]:
    raise ExternalProgramError("engine", 139, str(context.workdir), "last words")


def crash_once(payload: Any, context: UnitContext) -> dict[str, Any]:
    marker = context.workdir / "was_here"
    if not marker.exists():
        marker.touch()
        raise ExternalProgramError("engine", 139, str(context.workdir), "last words")
    return {"ok": True}


def bad_input(payload: Any, context: UnitContext) -> dict[str, Any]:
    raise ConfigError("settings.x: found 1, allowed: 2")


def fill_disk(payload: Any, context: UnitContext) -> dict[str, Any]:
    (context.workdir / "big.bin").write_bytes(bytes(payload["bytes"]))
    return {}


def slow(payload: Any, context: UnitContext) -> dict[str, Any]:
    for step in range(payload["steps"]):
        context.progress(step, "slow")
        time.sleep(0.1)
    return {"steps": payload["steps"]}
