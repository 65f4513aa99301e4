"""GPAW in a process of its own: one JSON object a line in and out, one calculator kept.

:mod:`dasksse.label.dft.gpaw` runs this file with ``python -P``, because GPAW's package has the
same name as the module beside this file. It imports nothing of dasksse.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil
from ase import Atoms

LOG = "gpaw.log"
"""What GPAW prints about a configuration, in the folder of its job."""


class Log:
    """GPAW's log: one object for the life of its calculator, one file for each job."""

    def __init__(self) -> None:
        self._file: IO[str] | None = None

    def open(self, folder: str) -> None:
        """Write to a folder from here on."""
        self.close()
        self._file = (Path(folder) / LOG).open("a", encoding="utf-8")

    def close(self) -> None:
        """Write nowhere."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, text: str) -> None:
        """Write some text."""
        if self._file is not None:
            self._file.write(text)

    def flush(self) -> None:
        """Let others see what was written."""
        if self._file is not None:
            self._file.flush()

    @property
    def closed(self) -> bool:
        """True while there is no file."""
        return self._file is None

    def isatty(self) -> bool:
        """No terminal, no colours."""
        return False


class Resident:
    """Answers requests, and keeps the last calculator with its density and wavefunctions."""

    def __init__(self, replies: IO[str]) -> None:
        self._replies = replies
        self._log = Log()
        self._calculator: Any = None
        self._likeness: tuple[Any, ...] = ()

    def say(self, reply: dict[str, Any]) -> None:
        """Send one object."""
        self._replies.write(json.dumps(reply) + "\n")
        self._replies.flush()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Compute one configuration; a failure is an answer too, and nothing of it is kept."""
        try:
            from gpaw import KohnShamConvergenceError
        except ImportError as error:
            return {"ok": False, "failure": "missing", "text": str(error)}
        self._log.open(request["folder"])
        try:
            return self._compute(request)
        except KohnShamConvergenceError as error:
            self._calculator = None
            return {"ok": False, "failure": "scf", "text": type(error).__name__}
        except Exception as error:  # noqa: BLE001 - the parent decides what it means
            self._calculator = None
            traceback.print_exc()
            text = f"{type(error).__name__}: {error}"
            return {"ok": False, "failure": "error", "text": text}
        finally:
            self._log.close()

    def _compute(self, request: dict[str, Any]) -> dict[str, Any]:
        atoms = Atoms(request["numbers"], request["positions"], cell=request["cell"], pbc=True)
        calculator = self._calculator_for(request)
        memory = [_memory_bytes()]
        steps = 0
        for steps, _ in enumerate(calculator.icalculate(atoms), start=1):
            memory.append(_memory_bytes())
            self.say({"event": "scf", "step": steps})
        energy = calculator.get_potential_energy(atoms, force_consistent=True)
        forces = calculator.get_forces(atoms)
        stress = calculator.get_stress(atoms) if request["virial"] else None
        memory.append(_memory_bytes())
        return {
            "ok": True,
            "energy": float(energy),
            "forces": np.asarray(forces).tolist(),
            "stress": None if stress is None else np.asarray(stress).tolist(),
            "steps": steps,
            "memory_bytes": max(memory),
        }

    def _calculator_for(self, request: dict[str, Any]) -> Any:  # noqa: ANN401
        """The kept calculator where it may be reused and fits, else a fresh one."""
        likeness = (request["numbers"], request["parameters"])
        if self._calculator is None or not request["reuse"] or likeness != self._likeness:
            from gpaw import GPAW

            self._calculator = None  # frees its memory before the next one takes some
            self._calculator = GPAW(**request["parameters"], txt=self._log)
            self._likeness = likeness
        return self._calculator


def _memory_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def main() -> None:
    """Answer requests until standard input ends."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)  # whatever else is printed must not get between the replies
        resident = Resident(replies)
        for line in sys.stdin:
            resident.say(resident.answer(json.loads(line)))


if __name__ == "__main__":
    main()
