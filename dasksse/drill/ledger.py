"""What was finished, as the disk showed it, and what of it was done again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dasksse.errors import StoreError
from dasksse.store.folders import PART, RESULT, RunFolder, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MD_KINDS = ("md", "production")

Stamp = tuple[int, int]
"""Inode and time of the last change [ns]: a file written anew has another one."""


class Ledger:
    """Finished units and MD segments that were ever seen in a run folder.

    It rests on the folders alone, not on what the driver says. Look often: what appears and is
    replaced between two looks is not noticed.

    Parameters
    ----------
    folder
        Run folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._units: dict[tuple[str, str], Stamp] = {}
        self._segments: dict[Path, Stamp] = {}
        self._lost_steps: dict[str, int] = {}
        self.units_repeated: list[str] = []
        """Finished units that vanished or were written again."""
        self.segments_repeated: list[str] = []
        """Finished segments of unfinished MD runs that vanished or were written again."""
        self.most_steps_lost = 0
        """Most MD steps that one run lost at once."""

    @property
    def n_units(self) -> int:
        """Finished units."""
        return len(self._units)

    @property
    def n_segments(self) -> int:
        """Finished segments of unfinished MD runs."""
        return len(self._segments)

    def look(self) -> None:
        """Compare the folders with what was seen before."""
        new = self._look_at_units()
        self._look_at_segments()
        for path in self._folder.work.glob(f"*/*{PART}/repeated_steps.json"):
            key = path.parent.name.removesuffix(PART)
            self._note_lost_steps(key, int(_read(path, 0)))
        for kind, key in new:
            if kind in MD_KINDS:
                result = _read(self._folder.unit(kind, key) / RESULT, {"value": {}})
                self._note_lost_steps(key, int(result["value"].get("steps_repeated", 0)))

    def _look_at_units(self) -> list[tuple[str, str]]:
        """Note what is finished; units that were not there before."""
        present = {}
        for kind, key in self._folder.done_units():
            stamp = _stamp(self._folder.unit(kind, key) / RESULT)
            if stamp is not None:
                present[kind, key] = stamp
        repeated = _changed(self._units, present)
        new = [unit for unit in present if unit not in self._units]
        self.units_repeated += [f"{kind}/{key}" for kind, key in repeated]
        self._units = present
        return new

    def _look_at_segments(self) -> None:
        present = {}
        for kind in MD_KINDS:
            for path in self._folder.work.glob(f"{kind}/*{PART}/segment-*.npz"):
                stamp = _stamp(path)
                if stamp is not None:
                    present[path] = stamp
        for path in _changed(self._segments, present):
            # a run that is complete drops its segments once it is published
            is_over = not path.parent.is_dir() or (path.parent / "published.json").exists()
            if not is_over:
                self.segments_repeated.append(str(path.relative_to(self._folder.work)))
        self._segments = present

    def _note_lost_steps(self, key: str, steps: int) -> None:
        before = self._lost_steps.get(key, 0)
        self.most_steps_lost = max(self.most_steps_lost, steps - before)
        self._lost_steps[key] = max(steps, before)


def _changed(before: Mapping[Any, Stamp], now: Mapping[Any, Stamp]) -> list[Any]:
    """What was there and is another one now, or gone."""
    return [name for name, stamp in before.items() if now.get(name) != stamp]


def _stamp(path: Path) -> Stamp | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _read(path: Path, default: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Content of a JSON file that may be gone in this moment."""
    try:
        return read_json(path)
    except (OSError, StoreError):
        return default
