"""Batch systems by kind: how jobs are submitted, listed and cancelled.

One command each; how a batch system differs from the others is a row of :data:`QUEUES`.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dasksse.config.messages import nearest
from dasksse.engine.queue_parsers import (
    CONDOR_ATTRIBUTES,
    QueuedJob,
    htcondor_jobs,
    lsf_jobs,
    moab_jobs,
    oar_jobs,
    pbs_jobs,
    sge_jobs,
    slurm_jobs,
)
from dasksse.errors import ClusterError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["QUEUES", "BatchQueue", "QueueError", "QueuedJob", "batch_queue"]

COMMAND_TIMEOUT_S = 60.0
SHOWN_WORDS = 8
SHOWN_LINES = 5


class QueueError(ClusterError):
    """A command of the batch system failed, refused or timed out; says what it said."""


@dataclass(frozen=True)
class Submission:
    """How a script is handed over: further words of the command, or its standard input."""

    words: tuple[str, ...] = ()
    stdin: str | None = None


def _as_argument(script: Path) -> Submission:
    return Submission((str(script),))


def _on_stdin(script: Path) -> Submission:
    """``bsub`` reads its directives only from a script on standard input."""
    return Submission(stdin=script.read_text())


def _oar_words(script: Path) -> Submission:
    """Directives as options: ``oarsub`` reads them only from a script that is executable."""
    lines = script.read_text().splitlines()
    directives = [line.removeprefix("#OAR ") for line in lines if line.startswith("#OAR ")]
    options = [word for line in directives for word in shlex.split(line)]
    return Submission((*options, f"bash {shlex.quote(str(script))}"))


@dataclass(frozen=True)
class BatchQueue:
    """One batch system.

    Attributes
    ----------
    kind
        Name in :data:`QUEUES`.
    submit_command, cancel_command, poll_command
        Words of the commands; ``{user}`` stands for the login name.
    parse
        Turns what the poll command prints into jobs.
    job_id
        Finds the id, in the group ``id``, in what the submit command prints.
    settled
        Matches each line by which the cancel command says that a job is gone or goes.
    id_suffix
        What the listing adds to the id.
    hand_over
        How the submit command gets the script.
    no_jobs
        Matches what the poll command says instead of an empty listing.
    no_answer
        Matches what it says when the server is down and its exit code does not.
    """

    kind: str
    submit_command: tuple[str, ...]
    cancel_command: tuple[str, ...]
    poll_command: tuple[str, ...]
    parse: Callable[[str], list[QueuedJob]]
    job_id: re.Pattern[str]
    settled: re.Pattern[str]
    id_suffix: str = ""
    hand_over: Callable[[Path], Submission] = _as_argument
    no_jobs: re.Pattern[str] | None = None
    no_answer: re.Pattern[str] | None = None

    def submit(self, script: Path) -> str:
        """Hand a job script to the queue.

        Returns
        -------
        str
            Job id.

        Raises
        ------
        QueueError
            When the queue refuses it, says nothing of a job, or does not answer.
        ClusterError
            When the command is not there.
        """
        submission = self.hand_over(script)
        words = [*self.submit_command, *submission.words]
        result = self._run(words, stdin=submission.stdin)
        # Grid Engine takes a job, warns, and exits with 1
        if match := self.job_id.search(f"{result.stdout}\n{result.stderr}"):
            return f"{match['id']}{self.id_suffix}"
        raise _failure(words, result)

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Cancel jobs by one command; one that is gone already is no error.

        Raises
        ------
        QueueError
            When jobs that may still be there could not be cancelled.
        ClusterError
            When the command is not there.
        """
        words = [*self.cancel_command, *job_ids]
        result = self._run(words)
        lines = f"{result.stdout}\n{result.stderr}".splitlines()
        said = [line for line in lines if line.strip()]
        if result.returncode and not (said and all(map(self.settled.search, said))):
            raise _failure(words, result)

    def poll(self) -> list[QueuedJob]:
        """All jobs of this user, by one command.

        Raises
        ------
        QueueError
            When the queue does not answer or its answer cannot be read.
        ClusterError
            When the command is not there.
        """
        words = [word.replace("{user}", getpass.getuser()) for word in self.poll_command]
        result = self._run(words)
        if self.no_jobs and self.no_jobs.search(f"{result.stdout}\n{result.stderr}"):
            return []
        if result.returncode or (self.no_answer and self.no_answer.search(result.stderr)):
            raise _failure(words, result)
        try:
            return self.parse(result.stdout)
        except (ValueError, KeyError) as error:
            msg = (
                f"{_short(words)}: its answer cannot be read ({error})\n{_tail(result.stdout)}"
            )
            raise QueueError(msg) from error

    def _run(
        self, words: list[str], *, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        # SQUEUE_STATES, SQUEUE_PARTITION and others would hide jobs
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SQUEUE_")}
        try:
            return subprocess.run(  # noqa: S603 - a list, never a shell string
                words,
                input=stdin or "",
                capture_output=True,
                text=True,
                errors="replace",
                timeout=COMMAND_TIMEOUT_S,
                check=False,
                env=environment,
            )
        except subprocess.TimeoutExpired as error:
            msg = f"{_short(words)}: no answer within {COMMAND_TIMEOUT_S:g} s"
            raise QueueError(msg) from error
        except OSError as error:
            msg = (
                f"{words[0]}: {error.strerror}; a cluster of kind {self.kind} needs the "
                f"commands of its batch system ({self.submit_command[0]}, "
                f"{self.cancel_command[0]}, {self.poll_command[0]}) on the PATH of the machine "
                "where dasksse runs: start it on a login node, or load their module first"
            )
            raise ClusterError(msg) from error


def _short(words: Sequence[str]) -> str:
    more = " ..." if len(words) > SHOWN_WORDS else ""
    return shlex.join(words[:SHOWN_WORDS]) + more


def _tail(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-SHOWN_LINES:])


def _failure(words: Sequence[str], result: subprocess.CompletedProcess[str]) -> QueueError:
    said = _tail(f"{result.stdout}\n{result.stderr}") or "it said nothing"
    return QueueError(f"{_short(words)} (exit code {result.returncode}): {said}")


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.MULTILINE | re.IGNORECASE)


def _own_pbs_jobs(text: str) -> list[QueuedJob]:
    return pbs_jobs(text, user=getpass.getuser())


_qdel = partial(BatchQueue, submit_command=("qsub",), cancel_command=("qdel",))

QUEUES: Mapping[str, BatchQueue] = {
    queue.kind: queue
    for queue in (
        BatchQueue(
            kind="slurm",
            submit_command=("sbatch",),
            cancel_command=("scancel",),
            # the name comes last: it alone may hold a bar
            poll_command=("squeue", "--noheader", "--me", "--format=%i|%T|%r|%j"),
            parse=slurm_jobs,
            job_id=_pattern(r"^Submitted batch job (?P<id>\d+)"),
            settled=_pattern(r"invalid job id|already complet|no active jobs match"),
        ),
        _qdel(
            kind="pbs",
            # no other form gives whole names and reasons; it lists others' jobs too
            poll_command=("qstat", "-f"),
            parse=_own_pbs_jobs,
            job_id=_pattern(r"^(?P<id>\d+)(\.[\w.-]+)?\s*$"),
            settled=_pattern(
                r"unknown job ?id|nonexistent job id|job has finished"
                r"|state (of|for) job.*(complete|exit)"
            ),
        ),
        _qdel(
            kind="sge",
            poll_command=("qstat", "-s", "prs", "-u", "{user}", "-xml"),
            parse=sge_jobs,
            job_id=_pattern(r"^Your job (?P<id>\d+) "),
            settled=_pattern(
                r"does not exist|has deleted job|has registered the job|already in deletion"
            ),
        ),
        BatchQueue(
            kind="lsf",
            submit_command=("bsub",),
            cancel_command=("bkill",),
            poll_command=(
                "bjobs",
                "-noheader",
                "-o",
                "jobid stat job_name pend_reason delimiter='|'",
            ),
            parse=lsf_jobs,
            job_id=_pattern(r"^Job <(?P<id>\d+)> is submitted"),
            settled=_pattern(
                r"no matching job found|already finished|being terminated|is not found"
            ),
            hand_over=_on_stdin,
            no_jobs=_pattern(r"^no (unfinished )?job found"),
        ),
        BatchQueue(
            kind="htcondor",
            submit_command=("condor_submit",),
            cancel_command=("condor_rm",),
            poll_command=(
                "condor_q",
                "{user}",
                "-json",
                "-attributes",
                ",".join(CONDOR_ATTRIBUTES),
            ),
            parse=htcondor_jobs,
            job_id=_pattern(r"submitted to cluster (?P<id>\d+)"),
            settled=_pattern(r"not found|couldn't find/remove|marked for removal"),
            id_suffix=".0",
            no_answer=_pattern(r"failed to fetch ads|can't find address|failed to connect"),
        ),
        BatchQueue(
            kind="oar",
            submit_command=("oarsub",),
            cancel_command=("oardel",),
            poll_command=("oarstat", "-u", "--json"),
            parse=oar_jobs,
            job_id=_pattern(r"^OAR_JOB_ID=(?P<id>\d+)"),
            settled=_pattern(
                r"already killed|not the right user|deleting the job|registered"
                r"|will be deleted"
            ),
            hand_over=_oar_words,
            # older Perl modules refuse to print an empty listing
            no_jobs=_pattern(r"hash- or arrayref expected"),
        ),
        BatchQueue(
            kind="moab",
            submit_command=("msub",),
            cancel_command=("canceljob",),
            poll_command=("showq", "--xml", "-w", "user={user}"),
            parse=moab_jobs,
            job_id=_pattern(r"^(?P<id>[\w-]+\.\d+|\d+)(\.[\w.-]+)?\s*$"),
            settled=_pattern(r"invalid job specified|cancelled|cannot locate job"),
        ),
    )
}
"""Batch systems by kind."""


def batch_queue(kind: str) -> BatchQueue:
    """Batch system by its name.

    Raises
    ------
    ConfigError
        When there is none of this name; says which there are.
    """
    if kind not in QUEUES:
        allowed = ", ".join(sorted(QUEUES))
        msg = f"kind: found {kind!r}, allowed: {allowed}{nearest(kind, QUEUES)}"
        raise ConfigError(msg)
    return QUEUES[kind]
