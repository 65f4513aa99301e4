"""The driver of a run, started from outside as a user would, and again after it has died."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dasksse.drill.strays import RUN_VARIABLE
from dasksse.process import end_process, launch, read_log_tail

if TYPE_CHECKING:
    import subprocess

STOP_GRACE_S = 30.0
"""A driver that is asked to end may need so long to end its jobs [s]."""


class Session:
    """One run: the command that starts and continues it.

    The driver dies with this process, however that ends.

    Parameters
    ----------
    config
        Configuration file.
    run_dir
        Run folder.
    cluster
        Cluster file, or None.
    """

    def __init__(self, config: Path, run_dir: Path, cluster: Path | None) -> None:
        self.run_dir = run_dir
        self._log = run_dir.with_name(f"{run_dir.name}.log")
        self._words = [sys.executable, "-m", "dasksse.run", str(config), "--dir", str(run_dir)]
        if cluster is not None:
            self._words += ["--cluster", str(cluster)]
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins = 0

    def start(self) -> None:
        """Give the command."""
        environment = {**os.environ, RUN_VARIABLE: str(self.run_dir)}
        with self._log.open("ab") as log:
            self._log_begins = log.tell()
            self._process = launch(self._words, workdir=Path.cwd(), env=environment, stdout=log)

    @property
    def pid(self) -> int:
        """Process id of the driver; 0 before the start."""
        return 0 if self._process is None else self._process.pid

    def code(self) -> int | None:
        """Exit code of the driver; None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait(self) -> int:
        """Wait for the driver's end; its exit code, 0 before the start."""
        return 0 if self._process is None else self._process.wait()

    def said(self) -> str:
        """What the driver has printed since its last start."""
        with self._log.open("rb") as log:
            log.seek(self._log_begins)
            return log.read().decode(errors="replace")

    def last_words(self) -> str:
        """End of what all drivers of this run have printed."""
        return read_log_tail(self._log)

    def stop(self) -> None:
        """End the driver if it runs; it ends its jobs."""
        if self._process is not None:
            end_process(self._process, grace_s=STOP_GRACE_S)
