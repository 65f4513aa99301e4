"""Run one unit in its staging folder; the rename to its final name is the commit."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
import time
import traceback
from typing import TYPE_CHECKING, Any

import psutil

from dasksse.errors import (
    ConfigError,
    ExternalProgramError,
    LabelLimitError,
    OutOfTimeError,
    ProgramMissingError,
    ScfError,
    StructureError,
)
from dasksse.records import (
    Done,
    Failed,
    FailureClass,
    Outcome,
    Unit,
    UnitContext,
    Workplace,
)
from dasksse.store.folders import (
    ATTEMPTS,
    PROGRESS,
    RESULT,
    RunFolder,
    is_disk_full,
    unit_lock,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRESS_INTERVAL_S = 1.0
HELD = "another attempt holds it"
"""Begins the error of a unit that another process works on."""

_CLASSES: tuple[tuple[type[BaseException], FailureClass], ...] = (
    (ProgramMissingError, "input"),
    (ConfigError, "input"),
    (StructureError, "input"),
    (OutOfTimeError, "walltime"),
    (ScfError, "scf"),
    (LabelLimitError, "limit"),
    (ExternalProgramError, "engine"),
    (KeyboardInterrupt, "interrupted"),
)


def classify_failure(error: BaseException) -> FailureClass:
    """Why a stage raised: decides whether the unit is tried again."""
    if is_disk_full(error):
        return "disk"
    for kind, name in _CLASSES:
        if isinstance(error, kind):
            return name
    return "engine"


class _ProgressFile:
    """Writes how far a unit is into its folder, at most once a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = 0.0

    def __call__(self, done: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self._last < PROGRESS_INTERVAL_S:
            return
        self._last = now
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps({"done": done, "note": note}))
            temporary.replace(self._path)
        except OSError:  # progress is a courtesy: a full disk shows where it matters
            return


def _cpu_seconds() -> float:
    """CPU time of this process and of all its children, living and ended [s]."""
    total = 0.0
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _stage(name: str) -> Callable[[Any, UnitContext], dict[str, Any]]:
    module, _, function = name.partition(":")
    stage: Callable[[Any, UnitContext], dict[str, Any]] = getattr(
        importlib.import_module(module), function
    )
    return stage


def _note_attempt(part: Path) -> int:
    path = part / ATTEMPTS
    with path.open("a") as stream:
        line = {"at": time.time(), "host": socket.gethostname(), "pid": os.getpid()}
        stream.write(json.dumps(line) + "\n")
    return len(path.read_text().splitlines())


def _commit(part: Path, final: Path, done: Done, attempts: int) -> Done:
    """Write the record and give the folder its final name: from here on the unit is done."""
    record = {
        "value": done.value,
        "generation": done.unit.generation,
        "amount": done.unit.amount,
        "attempts": attempts,
        "wall_s": done.wall_s,
        "cpu_s": done.cpu_s,
    }
    (part / PROGRESS).unlink(missing_ok=True)
    write_json(part / RESULT, record)
    part.rename(final)
    return done


def execute_unit(
    unit: Unit,
    run_dir: Path,
    *,
    workplace: Workplace | None = None,
    reproducible: bool = False,
) -> Outcome:
    """Do one unit and commit it; never raises for what the stage does.

    A unit whose final folder exists is done: its record is read back and nothing runs. A second
    copy of a unit (a lost worker that lives on) finds the lock held and gives up.

    Parameters
    ----------
    unit
        What to do.
    run_dir
        Run folder.
    workplace
        What the worker offers; one thread and unlimited time when None.
    reproducible
        True in comparison mode.
    """
    folder = RunFolder(run_dir)
    final = folder.unit(unit.kind, unit.key)
    if final.is_dir():
        record = folder.unit_result(unit.kind, unit.key)
        return Done(unit, record["value"], 0.0, 0.0)
    part = folder.part(unit.kind, unit.key)
    started, cpu_started = time.monotonic(), _cpu_seconds()
    try:
        part.mkdir(parents=True, exist_ok=True)
        lock = unit_lock(part)
        if not lock.acquire():
            return Failed(unit, "lost", f"{HELD}: {lock.holder()}", str(part))
    except OSError as error:
        return Failed(unit, classify_failure(error), f"{part}: {error}", str(part))
    try:
        attempts = _note_attempt(part)
        context = UnitContext(
            run_dir,
            part,
            _ProgressFile(part / PROGRESS),
            workplace or Workplace(),
            reproducible,
            unit.key,
        )
        value = _stage(unit.function)(unit.payload, context)
        wall_s, cpu_s = time.monotonic() - started, _cpu_seconds() - cpu_started
        return _commit(part, final, Done(unit, value, wall_s, cpu_s), attempts)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - failure is data
        with contextlib.suppress(OSError), (part / "traceback.log").open("a") as stream:
            stream.write(traceback.format_exc())
        wall_s = time.monotonic() - started
        text = str(error) or type(error).__name__
        return Failed(unit, classify_failure(error), text, str(part), wall_s)
    finally:
        lock.release()
