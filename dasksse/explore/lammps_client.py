"""The parent's side of the resident LAMMPS child: one child a process, reused between runs."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasksse.errors import ExplorationError, ExternalProgramError, ProgramMissingError
from dasksse.explore.lammps_input import load_commands
from dasksse.explore.lammps_server import FAILURE
from dasksse.explore.lammps_setup import NAME, EngineSetup, engine_environment
from dasksse.process import INSTALL_ENGINES, NOT_FOUND, ResidentChild, read_log_tail
from dasksse.scratch import ScratchFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SERVER = Path(__file__).with_name("lammps_server.py")
_NOT_INSTALLED = re.compile(r"Unrecognized pair style|ImportError|ModuleNotFoundError|OSError")
"""What the child says when the LAMMPS library or the DeePMD plugin cannot be loaded."""


class LammpsFailure(Exception):  # noqa: N818 - LAMMPS failed; whether that is an error, the run says
    """LAMMPS refused or broke off a run with a message; the child is gone."""


class LammpsClient:
    """One resident child with its ensemble loaded.

    The child has its own folder for temporary files and dies with this process.
    """

    def __init__(self, setup: EngineSetup) -> None:
        self.setup = setup
        self.loads = 0
        """How often models were loaded, once unless a child died."""
        self._child: ResidentChild | None = None
        self._scratch = ScratchFolder("lammps")
        self._deviation_offset = 0

    @property
    def _folder(self) -> Path:
        return self._scratch.path

    @property
    def _deviation_file(self) -> Path:
        return self._folder / "deviation.out"

    @property
    def pid(self) -> int | None:
        """Process id of the living child, None when there is none."""
        return self._child.pid if self._child is not None and self._child.is_alive else None

    def run(
        self,
        *,
        state_in: Path | None,
        commands: list[str],
        steps: int,
        state_out: Path,
        hung_after_s: float,
        on_step: Callable[[int], None] | None = None,
    ) -> dict[str, Any]:
        """Run some steps; start the child and load the models first if need be.

        Parameters
        ----------
        state_in
            State to start from; None to go on where the last call ended.
        commands
            LAMMPS commands before the steps.
        steps
            Number of steps.
        state_out
            Where the child writes its state at the end (``.npz``).
        hung_after_s
            A child that makes no step and loads no model for so long [s] is taken for hung and
            ended.
        on_step
            Called with the LAMMPS step about once a second; what it raises ends the child.

        Returns
        -------
        dict[str, Any]
            ``step`` reached, ``temp`` [K] and ``vol`` [Å³] there.

        Raises
        ------
        LammpsFailure
            When LAMMPS stopped with a message of its own.
        ExplorationError
            When the child died, hung or could not load the models.
        ProgramMissingError
            When LAMMPS, the DeePMD plugin or the program of the prefix cannot be started.
        """
        if self.pid is None:
            if state_in is None:
                msg = "the child is gone and with it the run to go on with"
                raise ExplorationError(NAME, -1, str(state_out.parent), msg)
            self._start(hung_after_s)
        message = {
            "op": "run",
            "state_in": None if state_in is None else str(state_in),
            "commands": commands,
            "steps": steps,
            "state_out": str(state_out),
        }
        reply = self._ask(message, on_step, state_out.parent, hung_after_s)
        if not reply["ok"]:
            # After a run-time error LAMMPS' own state is not to be trusted.
            self._stop()
            raise LammpsFailure(str(reply["error"]))
        return reply

    def take_deviation_rows(self) -> str:
        """Rows the plugin wrote since the last call, then freed on disk."""
        if not self._deviation_file.exists():
            return ""
        with self._deviation_file.open("rb") as stream:
            stream.seek(self._deviation_offset)
            rows = stream.read()
            self._deviation_offset = stream.tell()
        if self.pid is not None:
            # The plugin keeps its offset, so what is cut off becomes a hole that costs nothing.
            os.truncate(self._deviation_file, 0)
        return rows.decode(errors="replace")

    def close(self) -> None:
        """End the child and remove its folder."""
        self._stop()
        self._scratch.close()

    def _stop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _start(self, hung_after_s: float) -> None:
        self._stop()
        if self.loads:
            self._scratch.close()
            self._scratch = ScratchFolder("lammps")
            self._deviation_offset = 0
        for model in self.setup.models:
            if not Path(model).is_file():
                msg = f"no model file {model}"
                raise ExplorationError(NAME, -1, str(self._folder), msg)
        # -P: the script's folder must not shadow modules of the same names.
        command = [*self.setup.prefix, sys.executable, "-P", str(_SERVER)]
        environment = engine_environment(self.setup)
        # The parent-death signal follows the thread that starts the child, and worker threads
        # come and go: one thread lives as long as the process.
        self._child = _LAUNCHER.submit(
            ResidentChild, command, name=NAME, workdir=self._folder, env=environment
        ).result()
        self.loads += 1
        commands = load_commands(
            [str(Path(model).resolve()) for model in self.setup.models],
            self.setup.type_map,
            deviation_file=str(self._deviation_file),
            deviation_interval_steps=self.setup.deviation_interval_steps,
            zbl=self.setup.zbl,
        )
        message = {"op": "load", "commands": commands}
        try:
            reply = self._ask(message, None, self._folder, hung_after_s)
        except ExplorationError as error:
            raise self._load_error(error.returncode, error.log_tail) from error
        if not reply["ok"]:
            self._stop()
            raise self._load_error(-1, reply["error"])

    def _load_error(self, returncode: int, said: str) -> ExternalProgramError:
        """Error of a child that could not be started or could not load its models."""
        tail = read_log_tail(self._folder / "child.log")
        text = said if tail in said else f"{said}\n{tail}"
        if _NOT_INSTALLED.search(said):
            text += f"\n{INSTALL_ENGINES}"
        elif returncode != NOT_FOUND and "command prefix" not in said:
            return ExplorationError(NAME, returncode, str(self._folder), text)
        return ProgramMissingError(NAME, NOT_FOUND, str(self._folder), text)

    def _ask(
        self,
        message: dict[str, Any],
        on_step: Callable[[int], None] | None,
        workdir: Path,
        hung_after_s: float,
    ) -> dict[str, Any]:
        child = self._child
        if child is None:
            raise ExplorationError(NAME, -1, str(workdir), "no child")
        reply: dict[str, Any] = {}
        try:
            for reply in child.request(message, silence_s=hung_after_s):
                if "event" in reply and on_step is not None:
                    on_step(reply["step"])
        except ExternalProgramError as error:
            self._stop()
            failure = self._folder / FAILURE
            if failure.exists():  # a rank failed and took the others with it
                return {"ok": False, "error": failure.read_text(encoding="utf-8")}
            raise ExplorationError(
                NAME, error.returncode, str(workdir), error.log_tail
            ) from error
        except BaseException:
            # An interrupted request leaves an answer in the pipe: that child is of no more use.
            self._stop()
            raise
        return reply


_LAUNCHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lammps-launcher")
_children: dict[tuple[Any, ...], LammpsClient] = {}
"""The one client of this process by what it was loaded with."""
_children_lock = threading.RLock()


def _model_stamps(setup: EngineSetup) -> tuple[tuple[int, int], ...]:
    """Time and size of the model files: a file written anew must be loaded anew."""
    stats = [Path(model).stat() for model in setup.models if Path(model).is_file()]
    return tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)


@contextlib.contextmanager
def lammps_client(setup: EngineSetup) -> Iterator[LammpsClient]:
    """Give this process's client with the setup loaded, for one run.

    A process keeps one child, which serves one run at a time: other threads wait, and another
    setup ends the child before.

    Parameters
    ----------
    setup
        What the child is to be loaded with.
    """
    key = (setup, _model_stamps(setup))
    with _children_lock:
        if key not in _children:
            close_clients()
            _children[key] = LammpsClient(setup)
        yield _children[key]


def close_clients() -> None:
    """End the child of this process, if there is one."""
    with _children_lock:
        while _children:
            _children.popitem()[1].close()


atexit.register(close_clients)
