"""Run a study: the loop's driver on another plan, in a folder of the study's own."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Protocol

from dasksse.errors import RunFolderError, StoreError
from dasksse.loop.driver import Driver
from dasksse.loop.label_files import with_kept_files
from dasksse.loop.prepare import keep_config, structure_digests
from dasksse.store.folders import RunFolder, driver_lock, read_json, write_json
from dasksse.store.journal import open_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dasksse.config.load import LoadedConfig
    from dasksse.config.schema import RunConfig
    from dasksse.loop.display import Display
    from dasksse.loop.walk import Plan, RunState
    from dasksse.records import Runner

MARK = "study.json"
"""Tells the folder of a study from that of a run."""


class Study(Protocol):
    """A question that some units of work answer."""

    name: str

    def plan(self, config: RunConfig, digests: Mapping[str, str], state: RunState) -> Plan:
        """Units that can start now, as a learning scheme gives them."""


def study_in(root: Path) -> str:
    """Name of the study that a folder belongs to; empty for a run, or for anything else."""
    mark = root / MARK
    return str(read_json(mark)["study"]) if mark.is_file() else ""


def open_study(root: Path, name: str) -> RunFolder:
    """Make the folder of a study, or take up one that was begun.

    The configuration may change between sessions: units are named by what they compute, so
    what still fits is used and the rest is computed.

    Parameters
    ----------
    root
        The folder.
    name
        Name of the study, such as ``converge``.

    Raises
    ------
    RunFolderError
        When the folder holds something else.
    """
    found = study_in(root)
    is_empty = not root.is_dir() or all(p.name.endswith(".tmp") for p in root.iterdir())
    if found != name and not is_empty:
        holds = f"the results of `dasksse {found}`" if found else "something else"
        msg = f"{root} holds {holds}; choose another folder with --dir"
        raise RunFolderError(msg)
    root.mkdir(parents=True, exist_ok=True)
    write_json(root / MARK, {"study": name})
    folder = RunFolder(root)
    folder.work.mkdir(exist_ok=True)
    folder.decisions.mkdir(exist_ok=True)
    return folder


def run_study(
    study: Study,
    loaded: LoadedConfig,
    folder: RunFolder,
    *,
    start_runner: Callable[[], Runner],
    display: Display,
) -> int:
    """Work until the study's plan is finished, from where the last session ended.

    Parameters
    ----------
    study
        Gives the plan.
    loaded
        The configuration; kept in the folder.
    folder
        Folder of the study.
    start_runner
        Starts the engine; called only when there is work.
    display
        Where the user watches.

    Returns
    -------
    int
        Units that were done in this session.

    Raises
    ------
    DasksseError
        What the driver raises, see :meth:`dasksse.loop.driver.Driver.run`.
    """
    with driver_lock(folder):
        keep_config(loaded, folder)
        journal, notes = open_journal(folder)
        journal.set_facts({"state": "running"})
        driver = Driver(
            with_kept_files(loaded.config, folder),
            structure_digests(loaded),
            folder=folder,
            journal=journal,
            start_runner=start_runner,
            display=display,
            scheme=study.plan,
        )
        for note in notes:
            display.warn(note)
        display.start()
        state = "interrupted"
        try:
            driver.run()
            state = "finished"
        except Exception as error:
            state = f"stopped: {error}"
            raise
        finally:
            display.stop()
            with contextlib.suppress(StoreError):  # a full disk is what ended it, then
                journal.set_facts({"state": state, "ended": time.time(), **driver.times()})
            journal.close()
    return driver.n_units
