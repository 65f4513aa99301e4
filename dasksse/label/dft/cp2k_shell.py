"""The resident cp2k_shell: one a process, told new positions and cells, one frame at a time."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from ase.units import Bohr

from dasksse.errors import LabelError, ProgramMissingError
from dasksse.label.dft.base import out_of_time
from dasksse.label.dft.cp2k_output import ABORT, NAME, AtomicUnits, explain
from dasksse.label.dft.program import LOG, environment_of, memory_in
from dasksse.process import NOT_FOUND, POLL_S, end_process, launch, read_log_tail
from dasksse.scratch import ScratchFolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.label.dft.base import Job

_READY = "* READY"
_ERROR = "* ERROR"
_END = "* END"
_INPUT, _OUTPUT, _CHATTER = "label.inp", "label.out", "child.log"


@dataclass(frozen=True)
class _Start:
    """How the program is started; another way needs another process."""

    command: tuple[str, ...]
    threads: int


class _Watch:
    """Looks after the program while it works on one frame."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._job = job
        self._folder = folder
        self._end = time.monotonic() + job.time_limit_s
        self._size = -1
        self._silent_s = 0.0
        self.memory_bytes = 0.0

    def look(self) -> str:
        """Look once; what is wrong with it, nothing when all is well.

        Raises
        ------
        LabelError, OutOfTimeError
            At the time limit.
        """
        self.memory_bytes = max(self.memory_bytes, memory_in(self._folder))
        if time.monotonic() > self._end:
            raise out_of_time(self._job, NAME)
        output = self._folder / _OUTPUT
        size, before = (output.stat().st_size if output.exists() else 0), self._size
        self._size = size
        self._silent_s = self._silent_s + POLL_S if size == before else 0.0
        patience_s = self._job.workplace.hung_after_s
        return f"silent for {patience_s:g} s" if self._silent_s >= patience_s else ""


class _Shell:
    """CP2K's process with its folder, and the input it has loaded."""

    def __init__(self, start: _Start, job: Job) -> None:
        self.start = start
        self._scratch = ScratchFolder("cp2k")
        self._folder = self._scratch.path
        self._loaded: tuple[str, tuple[str, ...]] | None = None
        self._read_until = 0
        self._buffer = b""
        self._job = job
        self._watch = _Watch(job, self._folder)
        with (self._folder / _CHATTER).open("ab") as log:
            # The parent-death signal follows the thread that starts the child, and worker
            # threads come and go: one thread lives as long as the process.
            self._process = _LAUNCHER.submit(
                launch,
                start.command,
                workdir=self._folder,
                env=environment_of(job),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            ).result()
        self._is_greeted = False

    @property
    def is_alive(self) -> bool:
        """True while the program can take commands."""
        return self._process.poll() is None

    def evaluate(
        self, frame_free: str, whole: str, atoms: Atoms, job: Job
    ) -> tuple[float | None, AtomicUnits]:
        """Memory and results of one frame; see the function of this name."""
        self._job, self._watch = job, _Watch(job, self._folder)
        if not self._is_greeted:
            self._answer()
            self._tell("HARSH")  # an error ends the program: nothing half done goes on
            self._tell("UNITS_AU")
            self._is_greeted = True
        topology = (frame_free, tuple(atoms.symbols))
        if job.reuse and topology == self._loaded:
            self._tell("SET_CELL", *_rows([atoms.cell.array.ravel() / Bohr]))
            self._tell("SET_POS", str(3 * len(atoms)), *_rows(atoms.positions / Bohr), "*END")
        else:
            self._load(whole)
            self._loaded = topology
        self._tell("EVAL_EF")
        (energy,) = self._ask("GET_E", 1)
        _, *forces = self._ask("GET_F", 1 + 3 * len(atoms))  # their number before them
        stress = self._ask("GET_STRESS", 9).reshape(3, 3) if job.virial else None
        self.keep_log(job.folder)
        results = AtomicUnits(float(energy), np.reshape(forces, (-1, 3)), stress)
        return self._watch.memory_bytes or None, results

    def _ask(self, command: str, count: int) -> NDArray[np.float64]:
        """Numbers that a command is answered with."""
        lines = [line for line in self._tell(command) if line != _END]
        try:
            numbers = np.array(" ".join(lines).split(), dtype=float)
        except ValueError:
            self._fail(f"said {lines!r} to {command}")
        if len(numbers) != count:
            self._fail(f"said {lines!r} to {command}: {count} numbers expected")
        return numbers

    def _load(self, whole: str) -> None:
        if self._loaded is not None:
            self._tell("DESTROY")
        (self._folder / _OUTPUT).unlink(missing_ok=True)
        self._read_until = 0
        (self._folder / _INPUT).write_text(whole)
        self._tell(f"LOAD {_INPUT} {_OUTPUT}")

    def _new_output(self) -> str:
        """What the output has gained since the last call."""
        path = self._folder / _OUTPUT
        if not path.exists():
            return ""
        with path.open("rb") as stream:
            stream.seek(self._read_until)
            text = stream.read()
            self._read_until = stream.tell()
        return text.decode(errors="replace")

    def _tell(self, *lines: str) -> list[str]:
        """Send a command; what is answered to it."""
        stdin = self._process.stdin
        if stdin is None:
            self._fail("no standard input")
        try:
            stdin.write("".join(f"{line}\n" for line in lines).encode())
            stdin.flush()
        except OSError:
            self._fail("died")
        return self._answer()

    def _answer(self) -> list[str]:
        """Lines until the program is ready for the next command."""
        lines: list[str] = []
        for line in self._lines():
            if line == _READY:
                return lines
            if line.startswith(_ERROR):
                self._fail(f"said {line!r}")
            lines.append(line)
        return self._fail("died")

    def _lines(self) -> Iterator[str]:
        """What it says line by line, to its end."""
        stdout = self._process.stdout
        if stdout is None:
            self._fail("no standard output")
        while True:
            while b"\n" not in self._buffer:
                readable, _, _ = select.select([stdout], [], [], POLL_S)
                wrong = "" if readable else self._watch.look()
                if wrong:
                    self._fail(wrong)
                block = os.read(stdout.fileno(), 1 << 16) if readable else None
                if block == b"":
                    return
                self._buffer += block or b""
            line, self._buffer = self._buffer.split(b"\n", 1)
            yield line.decode(errors="replace").strip()

    def _fail(self, what: str) -> NoReturn:
        """Raise the error of a program that can no more be used; its output goes to the job."""
        end_process(self._process, grace_s=0.0 if what.startswith("silent") else 2.0)
        code, folder = self._process.returncode, self._job.folder
        output = self.keep_log(folder)
        if code == NOT_FOUND:
            missing = f"command not found: {self.start.command[0]}"
            raise ProgramMissingError(NAME, NOT_FOUND, str(folder), missing)
        chatter = "" if ABORT in output else read_log_tail(self._folder / _CHATTER)
        tail = "\n".join(filter(None, (explain(output), chatter, f"(resident child: {what})")))
        raise LabelError(NAME, code, str(folder), tail)

    def keep_log(self, folder: Path) -> str:
        """Put what the output has gained into a folder, for the user; the same text."""
        text = self._new_output()
        with (folder / LOG).open("a") as stream:
            stream.write(text)
        return text

    def close(self) -> None:
        """End the program and remove its folder."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        end_process(self._process, grace_s=0.0)
        self._scratch.close()


def _rows(values: Iterable[Sequence[float]]) -> list[str]:
    return [" ".join(f"{x:.17e}" for x in row) for row in values]


_LAUNCHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cp2k-launcher")
_shells: list[_Shell] = []
"""The one shell of this process, when there is one."""
_lock = threading.RLock()
"""Held while it works: it serves one thread at a time."""


def close_shell() -> None:
    """End the shell of this process, if there is one."""
    with _lock:
        while _shells:
            _shells.pop().close()


atexit.register(close_shell)


def evaluate(
    command: Sequence[str], frame_free: str, whole: str, atoms: Atoms, job: Job
) -> tuple[float | None, AtomicUnits]:
    """Compute one frame in the shell of this process, which is started first if need be.

    Parameters
    ----------
    command
        Program and its arguments.
    frame_free
        Input without cell and positions. When the last frame had the same and the same atoms,
        and the job allows it, cell and positions alone are changed and its wavefunction is the
        first guess; else everything is set up anew.
    whole
        Whole input.
    atoms
        The frame.
    job
        Where and how; what CP2K writes about the frame is added to its log.

    Returns
    -------
    tuple[float | None, AtomicUnits]
        Largest resident memory [bytes], sampled twice a second, None where it was over before
        the first look; and the results.

    Raises
    ------
    ProgramMissingError
        The program is not there.
    LabelError
        It died, was silent for too long, or took too long.
    OutOfTimeError
        The worker's walltime ended.
    """
    start = _Start((*job.workplace.prefix, *command), job.workplace.threads)
    with _lock:
        if not _shells or not _shells[0].is_alive or _shells[0].start != start:
            close_shell()
            _shells.append(_Shell(start, job))
        try:
            return _shells[0].evaluate(frame_free, whole, atoms, job)
        except BaseException:
            _shells[0].keep_log(job.folder)
            close_shell()  # an interrupted command leaves its answer in the pipe
            raise
