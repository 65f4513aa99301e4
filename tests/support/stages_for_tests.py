"""Stages that tests send to workers; which get the test's module path."""

from __future__ import annotations

import os
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


def steps_with_a_clock(payload: Any, context: UnitContext) -> dict[str, Any]:
    """Do small steps, each kept on disk, and stop where the worker's time ends."""
    log = context.workdir / "steps.log"
    done = len(log.read_text().splitlines()) if log.exists() else 0
    while done < payload["steps"]:
        context.workplace.check_time(1.0)
        time.sleep(0.1)
        done += 1
        with log.open("a") as stream:
            stream.write(f"{done}\n")
    steps = log.read_text().splitlines()
    return {"done": done, "repeated": len(steps) - len(set(steps))}


def where_am_i(payload: Any, context: UnitContext) -> dict[str, Any]:
    time.sleep(0.2)
    return {"partition": os.environ.get("SLURM_JOB_PARTITION", "")}
