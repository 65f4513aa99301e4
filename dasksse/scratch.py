"""Temporary folders that go with their process, and after its death with the next one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
import weakref
from pathlib import Path
from typing import IO

SCRATCH_VARIABLE = "DASKSSE_SCRATCH"
"""Names the folder for temporary files; the system's own without it."""

_PREFIX = "dasksse-"
_LOCK = ".lock"


class ScratchFolder:
    """A temporary folder of this process, removed when closed or no longer referred to.

    A lock beside it tells that its owner lives. Folders that killed processes of this user and
    this machine left in the same place are removed first.

    Parameters
    ----------
    name
        What it is for.
    place
        Folder it is made in; that of :data:`SCRATCH_VARIABLE` when None.
    """

    def __init__(self, name: str, place: Path | None = None) -> None:
        if place is None:
            place = Path(os.environ.get(SCRATCH_VARIABLE, tempfile.gettempdir()))
        place.mkdir(parents=True, exist_ok=True)
        here = f"@{socket.gethostname()}"
        for lock in place.glob(f"{_PREFIX}*{here}{_LOCK}"):
            if _is_abandoned(lock):
                _remove(lock.with_suffix(""))
        made = tempfile.mkdtemp(prefix=f"{_PREFIX}{name}-", suffix=here, dir=place)
        self.path = Path(made).resolve()
        self.close = weakref.finalize(self, _end, self.path, _hold(self.path))


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)


def _hold(folder: Path) -> IO[str]:
    """Lock a folder as long as this process lives; the stream that holds the lock.

    The file has its name only once it is locked: nobody ever finds it open while its owner
    lives. Where the file system has no locks it never has it, and the folder is left alone.
    """
    new = folder / "lock"
    stream = new.open("w")
    with contextlib.suppress(OSError):
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(_lock_of(folder))
    return stream


def _is_abandoned(lock: Path) -> bool:
    """Whether this user's process held the lock and is dead."""
    try:
        opened = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(opened).st_uid == os.getuid()
    except OSError:
        return False
    finally:
        os.close(opened)


def _remove(folder: Path) -> None:
    """Remove a folder, then its lock; what resists waits with it for the next start."""
    shutil.rmtree(folder, ignore_errors=True)  # follows no links
    if not os.path.lexists(folder):
        _lock_of(folder).unlink(missing_ok=True)


def _end(folder: Path, lock: IO[str]) -> None:
    lock.close()
    _remove(folder)
