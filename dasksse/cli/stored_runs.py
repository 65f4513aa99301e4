"""Runs of a store that an analysis takes together: one system, temperature and pressure."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dasksse.errors import ConfigError
from dasksse.store.layout import store_path
from dasksse.store.stored_trajectory import open_trajectories

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from dasksse.records import Trajectory
    from dasksse.store.stored_trajectory import StoredGroup


@dataclass(frozen=True)
class RunSet:
    """Runs of one system at one temperature and pressure.

    Attributes
    ----------
    group, system
        Group in the store, and the system it holds.
    temperature_K
        Target temperature [K]; None where it is not known.
    pressure_GPa
        Target pressure [GPa]; None where it is not known.
    runs
        The runs.
    is_one_pressure
        Whether the group has no runs at other pressures.
    """

    group: str
    system: str
    temperature_K: float | None
    pressure_GPa: float | None
    runs: tuple[Trajectory, ...]
    is_one_pressure: bool

    @property
    def title(self) -> str:
        """Group and temperature, and pressure where there are several."""
        at = "" if self.temperature_K is None else f" at {self.temperature_K:g} K"
        return f"{self.group}{at}{self.at_pressure}"

    @property
    def at_pressure(self) -> str:
        """Pressure in words; empty where the group has only one."""
        if self.is_one_pressure:
            return ""
        known = self.pressure_GPa is not None
        return f", {self.pressure_GPa:g} GPa" if known else ", unknown pressure"


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare the store, and which of its runs to take."""
    add = parser.add_argument
    add("store", type=Path, help="store (*.zarr) or run folder")
    add("--system", metavar="NAME", help="only this system or group")
    add("--temperature-K", type=float, metavar="T", help="only this temperature")
    add("--pressure-GPa", type=float, metavar="P", help="only this pressure")


def chosen_sets(arguments: argparse.Namespace) -> list[RunSet]:
    """Sets of runs that the options of :func:`add_choice` name.

    Raises
    ------
    ConfigError, StoreError
        See :func:`read_run_sets`.
    """
    return read_run_sets(
        arguments.store,
        system=arguments.system,
        temperature_K=arguments.temperature_K,
        pressure_GPa=arguments.pressure_GPa,
    )


def read_run_sets(
    where: Path,
    *,
    system: str | None = None,
    temperature_K: float | None = None,
    pressure_GPa: float | None = None,
) -> list[RunSet]:
    """Finished runs of a store by system, temperature and pressure, the coldest first.

    Parameters
    ----------
    where
        Run folder, or a store (``*.zarr``).
    system
        Keep this system only: its name or its group.
    temperature_K
        Keep this temperature only [K].
    pressure_GPa
        Keep this target pressure only [GPa].

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
    found = [one for group in open_trajectories(where) for one in _sets_of(group)]
    chosen = [
        one
        for one in found
        if system in {None, one.system, one.group}
        and temperature_K in {None, one.temperature_K}
        and pressure_GPa in {None, one.pressure_GPa}
    ]
    if not chosen:
        asked = [] if system is None else [f"system {system!r}"]
        asked += [] if temperature_K is None else [f"{temperature_K:g} K"]
        asked += [] if pressure_GPa is None else [f"{pressure_GPa:g} GPa"]
        there = "; ".join(_with_pressure(one, pressure_GPa) for one in found)
        msg = f"{path}: no runs of {' at '.join(asked)}; allowed: {there}"
        raise ConfigError(msg)
    return chosen


def _sets_of(group: StoredGroup) -> Iterator[RunSet]:
    """Runs of a group that belong together; what is not known comes first."""
    together: dict[tuple[float | None, float | None], list[Trajectory]] = defaultdict(list)
    for run in group.runs:
        together[run.temperature_K, run.pressure_GPa].append(run)
    is_one_pressure = len({pressure for _, pressure in together}) == 1

    def rank(key: tuple[float | None, float | None]) -> list[float]:
        return [-math.inf if value is None else value for value in key]

    for key in sorted(together, key=rank):
        yield RunSet(group.path, group.system, *key, tuple(together[key]), is_one_pressure)


def _with_pressure(one: RunSet, asked_GPa: float | None) -> str:
    """Title that names the pressure even where it is the only one, if it was asked for."""
    return one.title if asked_GPa is None else replace(one, is_one_pressure=False).title


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
