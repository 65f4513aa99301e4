"""Processes that a run has left behind."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

RUN_VARIABLE = "DASKSSE_DRILL"
"""Environment variable that the processes of a disturbed run inherit: their run folder."""

END_S = 15.0
"""Processes of a run on this machine must be gone so long after its driver [s]."""

LOOK_S = 0.2
_OUR_MODULES = (
    "dasksse.run",
    "dasksse.engine.",
    "dasksse.train.",
    "lammps_server",
    "multiprocessing",
)


def processes_of(run_dir: Path) -> list[psutil.Process]:
    """Processes of this host that belong to a run, by command line, environment or folder.

    This process and those it descends from are left out.
    """
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in spared and _belongs(process, str(run_dir))
    ]


def _belongs(process: psutil.Process, run_dir: str) -> bool:
    def is_inside(path: str) -> bool:
        return path == run_dir or path.startswith(f"{run_dir}/")

    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        words = process.cmdline()
        environment = process.environ()
        folder = process.cwd()
    except (psutil.Error, OSError):  # it has just ended, or is another user's
        return False
    if any(is_inside(v) for name, v in environment.items() if name.startswith("DASKSSE_")):
        return True
    is_python = "python" in "".join(words[:1])
    names_it = any(is_inside(word) for word in words) or is_inside(folder)
    is_ours = any(module in " ".join(words) for module in _OUR_MODULES)
    return is_python and names_it and is_ours


def end_strays(run_dir: Path, *, patience_s: float) -> list[str]:
    """Wait until no process of a run is left; end those that stay, and describe them.

    Parameters
    ----------
    run_dir
        Run folder.
    patience_s
        How long processes may take to end by themselves [s].
    """
    end = time.monotonic() + patience_s
    while (left := processes_of(run_dir)) and time.monotonic() < end:
        time.sleep(LOOK_S)
    texts = []
    for process in left:
        try:
            texts.append(f"{process.pid}: {' '.join(process.cmdline())}")
            process.kill()
        except psutil.NoSuchProcess:  # it has ended at last
            continue
    return texts
