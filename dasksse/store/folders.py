"""The run folder: where things lie, atomic writes, and the locks that keep writers apart.

A unit of work is done when its folder exists under its final name ``work/<kind>/<key>``; the
rename from ``<key>.part`` is the commit. Until then the ``.part`` folder keeps checkpoints and
finished segments for the next attempt.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import socket
import struct
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from dasksse.errors import ExternalProgramError, RunFolderError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PART = ".part"
RESULT = "result.json"
ATTEMPTS = "attempts.jsonl"
PROGRESS = "progress.json"
CRASHES = "crashes.log"
REASON = "reason.json"
_LOCK = ".lock"
_FLOCK = "@hhqqi4x"
"""Linux's ``struct flock``: type, whence, start, length, process id."""
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""System errors that mean no more can be written: disk, quota or file size limit."""

_NO_SPACE = re.compile(
    "no space left on device|disk quota exceeded|file too large", re.IGNORECASE
)
"""What programs of others say when the disk is full."""


def is_disk_full(error: BaseException) -> bool:
    """True when an error, or what caused it, says that no more can be written."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, OSError) and cause.errno in DISK_FULL:
            return True
        seen.add(id(cause))
        cause = cause.__cause__
    return isinstance(error, ExternalProgramError) and bool(_NO_SPACE.search(str(error)))


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that it is whole or absent, whatever dies when.

    Raises
    ------
    StoreError
        When the disk is full; nothing of the old file is lost.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if error.errno in DISK_FULL:
            msg = (
                f"disk full while writing {path}: free space, then give the same command again"
            )
            raise StoreError(msg) from error
        raise


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write a JSON file atomically; NaN is refused."""
    write_atomically(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON file; a damaged one is named."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path} is damaged: {error}"
        raise StoreError(msg) from error


def _names(folder: Path) -> list[str]:
    """Sorted names in a folder; much faster than paths where there are thousands."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


@dataclass(frozen=True)
class RunFolder:
    """Paths inside a run folder."""

    root: Path

    @property
    def config(self) -> Path:
        """The user's configuration, as given."""
        return self.root / "config.yaml"

    @property
    def resolved_config(self) -> Path:
        """The configuration with every default written out."""
        return self.root / "config.resolved.yaml"

    @property
    def journal(self) -> Path:
        """The driver's index."""
        return self.root / "journal.sqlite"

    @property
    def log(self) -> Path:
        """One line for every event."""
        return self.root / "run.log"

    @property
    def decisions(self) -> Path:
        """Folder of the decisions that depended on when results came in."""
        return self.root / "decisions"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.root / "report"

    @property
    def work(self) -> Path:
        """Folder of the units of work."""
        return self.root / "work"

    def unit(self, kind: str, key: str) -> Path:
        """Final folder of a unit; it exists when the unit is done."""
        return self.work / kind / key

    def part(self, kind: str, key: str) -> Path:
        """Staging folder of a unit."""
        return self.work / kind / f"{key}{PART}"

    def failed(self, key: str) -> Path:
        """Folder of a quarantined unit."""
        return self.root / "failed" / key

    def decision(self, name: str) -> Path:
        """File of one decision."""
        return self.decisions / f"{name}.json"

    def done_units(self) -> Iterator[tuple[str, str]]:
        """Kind and key of every finished unit on disk."""
        if not self.work.is_dir():
            return
        for kind in _names(self.work):
            for name in _names(self.work / kind):
                if not name.endswith(PART) and not name.startswith("."):
                    yield kind, name

    def unit_result(self, kind: str, key: str) -> dict[str, Any]:
        """Record of a finished unit."""
        result: dict[str, Any] = read_json(self.unit(kind, key) / RESULT)
        return result

    def quarantine(self, kind: str, key: str, reason: dict[str, Any]) -> Path:
        """Move a unit that failed for good to ``failed/`` with its reason; give the folder."""
        target = self.failed(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        part = self.part(kind, key)
        part.mkdir(parents=True, exist_ok=True)
        write_json(part / REASON, reason)
        part.rename(target)
        return target

    def release(self, kind: str, key: str) -> Path:
        """Move a quarantined unit back to where it is worked on; give the folder.

        Its checkpoints stay. The reason is kept as ``released-<n>.json``, and the count of its
        crashes starts anew. The rename is the last step: until then the unit is quarantined.
        """
        source, part = self.failed(key), self.part(kind, key)
        number = 1 + len(list(source.glob("released-*.json")))
        write_json(source / f"released-{number}.json", read_json(source / REASON))
        (source / CRASHES).unlink(missing_ok=True)
        if part.exists():  # a second copy of the unit began to work there
            shutil.rmtree(part)
        part.parent.mkdir(parents=True, exist_ok=True)
        source.rename(part)
        (part / REASON).unlink()
        return part

    def quarantined(self) -> dict[str, dict[str, Any]]:
        """Reason of every quarantined unit, by key."""
        folder = self.root / "failed"
        if not folder.is_dir():
            return {}
        return {
            path.name: read_json(path / REASON)
            for path in sorted(folder.iterdir())
            if (path / REASON).is_file()
        }


class FileLock:
    """An exclusive lock that the operating system drops when its holder dies.

    POSIX record locks work on the network file systems that clusters use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: IO[str] | None = None

    def acquire(self) -> bool:
        """Take the lock; False when another process holds it."""
        stream = self.path.open("a+", encoding="utf-8")
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            stream.close()
            if error.errno in {errno.EACCES, errno.EAGAIN}:
                return False
            raise
        stream.seek(0)
        stream.truncate()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        stream.write(f"process {os.getpid()} on {socket.gethostname()} since {stamp}\n")
        stream.flush()
        self._stream = stream
        return True

    def is_held(self) -> bool:
        """Whether another process holds it; asks the system and takes nothing."""
        try:
            with self.path.open("rb") as stream:
                asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                answer = fcntl.fcntl(stream, fcntl.F_GETLK, asked)
        except FileNotFoundError:
            return False
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)

    def holder(self) -> str:
        """What the holder wrote about itself."""
        with contextlib.suppress(OSError):
            return self.path.read_text(encoding="utf-8").strip()
        return ""

    def release(self) -> None:
        """Drop the lock; the file stays."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def unit_lock(part: Path) -> FileLock:
    """Lock of one unit's staging folder: a second copy of the unit cannot write there."""
    return FileLock(part / _LOCK)


@contextlib.contextmanager
def driver_lock(folder: RunFolder) -> Iterator[None]:
    """Hold the run folder for one driver.

    Raises
    ------
    RunFolderError
        When another driver holds it.
    """
    lock = FileLock(folder.root / "driver.lock")
    if not lock.acquire():
        msg = (
            f"another driver works in {folder.root} ({lock.holder()}); "
            "watch it with `dasksse status`, or end it first"
        )
        raise RunFolderError(msg)
    try:
        yield
    finally:
        lock.release()
