"""Runs of a store that an analysis takes together: one system at one temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.errors import ConfigError
from dasksse.store.layout import store_path
from dasksse.store.stored_trajectory import open_trajectories

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.records import Trajectory


@dataclass(frozen=True)
class RunSet:
    """Runs of one system at one temperature.

    Attributes
    ----------
    group, system
        Group in the store, and the system it holds.
    temperature_K
        Target temperature [K]; None where it is not known.
    runs
        The runs.
    """

    group: str
    system: str
    temperature_K: float | None
    runs: tuple[Trajectory, ...]

    @property
    def title(self) -> str:
        """Group and temperature."""
        at = "" if self.temperature_K is None else f" at {self.temperature_K:g} K"
        return f"{self.group}{at}"


def read_run_sets(
    where: Path, *, system: str | None = None, temperature_K: float | None = None
) -> list[RunSet]:
    """Finished runs of a store by system and temperature, the coldest first.

    Parameters
    ----------
    where
        Run folder, or a store (``*.zarr``).
    system
        Keep this system only: its name or its group.
    temperature_K
        Keep this temperature only [K].

    Raises
    ------
    ConfigError
        When there is no store, or nothing in it fits.
    StoreError
        When the store cannot be read or holds no finished run.
    """
    path = store_path(where)
    if not (path / "zarr.json").is_file():
        msg = f"{path}: no store is there; give a store (*.zarr) or a run folder"
        raise ConfigError(msg)
    found = []
    for group in open_trajectories(where):
        temperatures = {run.temperature_K for run in group.runs}
        for value in sorted(temperatures, key=lambda t: -1.0 if t is None else t):
            runs = tuple(run for run in group.runs if run.temperature_K == value)
            found.append(RunSet(group.path, group.system, value, runs))
    chosen = [
        one
        for one in found
        if system in {None, one.system, one.group}
        and temperature_K in {None, one.temperature_K}
    ]
    if not chosen:
        asked = [] if system is None else [f"system {system!r}"]
        asked += [] if temperature_K is None else [f"{temperature_K:g} K"]
        there = "; ".join(one.title for one in found)
        msg = f"{path}: no runs of {' at '.join(asked)}; allowed: {there}"
        raise ConfigError(msg)
    return chosen


def check_folder(path: Path, option: str) -> None:
    """Refuse a file in a folder that is not there, before any work is done.

    Raises
    ------
    ConfigError
        When there is no such folder.
    """
    if not path.parent.is_dir():
        msg = f"{option} {path}: there is no folder {path.parent}; make it first"
        raise ConfigError(msg)
