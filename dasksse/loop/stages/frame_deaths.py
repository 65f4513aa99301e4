"""Frames that take their worker with them: counted, so that one does not stop its batch.

A worker that is killed says nothing; what it had begun is still in the unit's folder. The next
attempt at the frame looks for the program that kept that worker, its parent process: if it
lives, the worker died alone; if it does not, the job or its machine ended.
"""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

import psutil

from dasksse.store.folders import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_ALONE = 4
"""Workers that died alone with a frame, before the frame is given up."""

MOST_UNEXPLAINED = 8
"""The same with those of other machines, which the next attempt cannot look at: that many
because a cancelled job and a frame that needs too much memory look alike from there."""

CLOCK_S = 5.0
"""Starts of a process that differ by less are the same: they move with the clock [s]."""


class FrameDeaths:
    """Workers that died while they computed a frame.

    Parameters
    ----------
    file
        Where this is kept from attempt to attempt.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        record: dict[str, Any] = read_json(file) if file.is_file() else {}
        self._alone: int = record.get("alone", 0)
        self._unexplained: int = record.get("unexplained", 0)
        begun = record.get("begun")
        if begun is not None and begun["host"] != socket.gethostname():
            self._unexplained += 1
        elif begun is not None and _lives(begun):
            self._alone += 1

    @property
    def count(self) -> int:
        """Workers that died, those left aside whose job ended with them."""
        return self._alone + self._unexplained

    @property
    def is_too_many(self) -> bool:
        """True when the frame should be given up."""
        return self._alone >= MOST_ALONE or self.count >= MOST_UNEXPLAINED

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Note that the frame is begun; the note stays if the worker dies meanwhile."""
        self._write({"host": socket.gethostname(), **_parent()})
        try:
            yield
        finally:
            self._write(None)

    def _write(self, begun: dict[str, Any] | None) -> None:
        record = {"alone": self._alone, "unexplained": self._unexplained, "begun": begun}
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(self._file)


def _parent() -> dict[str, float]:
    parent = psutil.Process().parent()
    if parent is None:  # it is outside this container: no other attempt would find it
        return {"pid": 0, "since": 0.0}
    return {"pid": parent.pid, "since": parent.create_time()}


def _lives(begun: dict[str, Any]) -> bool:
    """True while the process lives; another one that got its number started later."""
    try:
        since: float = psutil.Process(begun["pid"]).create_time()
    except psutil.Error:
        return False
    return abs(since - begun["since"]) < CLOCK_S
