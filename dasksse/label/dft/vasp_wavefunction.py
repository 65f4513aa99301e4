"""VASP's wavefunction of the last frame, to start the next one from."""

from __future__ import annotations

import contextlib
import shutil
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dasksse.scratch import ScratchFolder

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

WAVECAR = "WAVECAR"


@dataclass
class Wavefunction:
    """The wavefunction of the last frame, kept because the folders of frames are removed.

    Files are moved, not copied: on one file system that costs nothing.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _scratch: ScratchFolder | None = None
    _kept: tuple[Hashable, Path] | None = None

    def take(self, likeness: Hashable, folder: Path) -> bool:
        """Move it into a folder if it is of such a cell; True when it is there."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is None:
            return False
        if kept[0] == likeness:
            with contextlib.suppress(OSError):
                shutil.move(kept[1], folder / WAVECAR)
                return True
        kept[1].unlink(missing_ok=True)
        return False

    def keep(self, likeness: Hashable, folder: Path) -> None:
        """Take it out of a folder; a full temporary folder only means that nothing is kept."""
        with self._lock:
            if self._scratch is None:
                self._scratch = ScratchFolder("wavefunction")
            place = self._scratch.path / uuid.uuid4().hex
        try:
            shutil.move(folder / WAVECAR, place)
        except OSError:
            place.unlink(missing_ok=True)
            return
        with self._lock:
            former, self._kept = self._kept, (likeness, place)
        if former is not None:
            former[1].unlink(missing_ok=True)

    def drop(self) -> None:
        """Remove it."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is not None:
            kept[1].unlink(missing_ok=True)
