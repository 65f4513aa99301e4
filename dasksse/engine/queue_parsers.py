"""What batch systems say of a user's jobs, read: pure functions from text to jobs.

A job that the user or an administrator holds is ``queued`` and says so; one that the batch
system itself has given up is ``ending``. A state that is not known here counts as ``queued``,
which makes nobody cancel anything.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["queued", "running", "ending"]


@dataclass(frozen=True)
class QueuedJob:
    """A job as its batch system lists it.

    Attributes
    ----------
    job_id
        Id as the submission gave it.
    name
        Name of the job.
    state
        ``queued``, ``running``, or ``ending``: it ends, has ended or will never run.
    reason
        Why it waits or ends, in the queue's own words; empty for a running job.
    """

    job_id: str
    name: str
    state: State
    reason: str = ""


def _states(*, running: str, ending: str) -> Mapping[str, State]:
    """State by its name in the batch system; what is not in it waits."""
    table: dict[str, State] = dict.fromkeys(running.split(), "running")
    return table | dict.fromkeys(ending.split(), "ending")


def _job(job_id: str, name: str, state: State, reason: str) -> QueuedJob:
    return QueuedJob(
        job_id, name, state, "" if state == "running" else " ".join(reason.split())
    )


# --- SLURM -----------------------------------------------------------------------------------

_SLURM = _states(
    running="RUNNING SUSPENDED STOPPED RESIZING SIGNALING",
    ending="COMPLETING COMPLETED CANCELLED FAILED TIMEOUT NODE_FAIL OUT_OF_MEMORY BOOT_FAIL "
    "DEADLINE PREEMPTED REVOKED SPECIAL_EXIT STAGE_OUT REQUEUE_HOLD",
)
_SLURM_HOPELESS = re.compile(
    r"launch[ _]failed[ _]requeued[ _]held|JobHoldMaxRequeue|BadConstraints|InvalidAccount"
    r"|InvalidQOS|DependencyNeverSatisfied"
)


def slurm_jobs(text: str) -> list[QueuedJob]:
    """Jobs from ``squeue --format=%i|%T|%r|%j``.

    Raises
    ------
    ValueError
        When a line has another form.
    """
    jobs = []
    for line in filter(None, text.splitlines()):
        job_id, word, reason, name = line.split("|", 3)
        state = _SLURM.get(word, "queued")
        if state == "queued" and _SLURM_HOPELESS.search(reason):
            state = "ending"
        if state == "ending" and reason in {"", "None"}:
            reason = word
        jobs.append(_job(job_id, name, state, "" if reason == "None" else reason))
    return jobs


# --- PBS and Torque --------------------------------------------------------------------------

_PBS = _states(running="R B S U", ending="E C F X")
_PBS_HOPELESS = re.compile(r"too many failed attempts", re.IGNORECASE)
_PBS_ID = re.compile(r"Job Id: *(\d+)")
_PBS_ATTRIBUTE = re.compile(r" +(\S+) = (.*)")


def _pbs_attributes(text: str) -> list[dict[str, str]]:
    jobs: list[dict[str, str]] = []
    last = ""
    for line in text.splitlines():
        if match := _PBS_ID.match(line):
            jobs.append({"id": match[1]})
        elif jobs and line.startswith("\t"):
            jobs[-1][last] = jobs[-1].get(last, "") + line[1:]
        elif jobs and (match := _PBS_ATTRIBUTE.match(line)):
            last = match[1]
            jobs[-1][last] = match[2]
    return jobs


def pbs_jobs(text: str, *, user: str) -> list[QueuedJob]:
    """Jobs of a user from ``qstat -f`` of PBS Pro, OpenPBS or Torque.

    Parameters
    ----------
    text
        The listing; long values go on in lines that begin with a tab.
    user
        Login name; others' jobs, which ``qstat -f`` lists too, are left out.

    Raises
    ------
    ValueError
        When there is text but no job in it.
    """
    listed = _pbs_attributes(text)
    if text.strip() and not listed:
        msg = "no line begins with 'Job Id:'"
        raise ValueError(msg)
    jobs = []
    for job in listed:
        if job.get("Job_Owner", "").partition("@")[0] != user:
            continue
        letter, reason = job.get("job_state", ""), job.get("comment", "")
        state = _PBS.get(letter, "queued")
        if letter == "H":
            state = "ending" if _PBS_HOPELESS.search(reason) else "queued"
            reason = reason or f"held (Hold_Types = {job.get('Hold_Types', '?')})"
        jobs.append(_job(job["id"], job.get("Job_Name", ""), state, reason))
    return jobs


# --- Grid Engine -----------------------------------------------------------------------------


def _sge_state(letters: str) -> State:
    """State of a combination such as ``qw``, ``hqw``, ``Eqw``, ``r``, ``t``, ``Rr``, ``dr``."""
    if set(letters) & set("Ed"):
        return "ending"
    return "queued" if set(letters) & set("qwh") else "running"


def sge_jobs(text: str) -> list[QueuedJob]:
    """Jobs from ``qstat -xml``.

    Raises
    ------
    ValueError
        When it is no XML.
    """
    jobs = []
    for entry in _parse_xml(text).iter("job_list"):
        job_id = entry.findtext("JB_job_number", "")
        letters = entry.findtext("state", "")
        reason = "" if letters in {"qw", "r"} else f"state {letters}"
        if "E" in letters:
            reason = f"{reason}: it could not be started, `qstat -j {job_id}` says why"
        name = entry.findtext("JB_name", "")
        jobs.append(_job(job_id, name, _sge_state(letters), reason))
    return jobs


def _parse_xml(text: str) -> ET.Element:
    try:
        # the queue's own command wrote it
        return ET.fromstring(text.strip())  # noqa: S314
    except ET.ParseError as error:
        msg = f"no XML: {error}"
        raise ValueError(msg) from error


# --- LSF -------------------------------------------------------------------------------------

_LSF = _states(running="RUN USUSP SSUSP UNKWN", ending="DONE EXIT ZOMBI")


def lsf_jobs(text: str) -> list[QueuedJob]:
    """Jobs from ``bjobs -noheader -o "jobid stat job_name pend_reason delimiter='|'"``.

    Raises
    ------
    ValueError
        When a line has another form.
    """
    jobs = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        job_id, word, name, reason = line.split("|", 3)
        reason = reason.strip().removesuffix(";").removeprefix("-")
        if word == "PSUSP":
            reason = reason or "suspended while pending (PSUSP)"
        jobs.append(_job(job_id, name, _LSF.get(word, "queued"), reason))
    return jobs


# --- HTCondor --------------------------------------------------------------------------------

CONDOR_ATTRIBUTES = (
    "ClusterId",
    "ProcId",
    "JobStatus",
    "JobBatchName",
    "HoldReason",
    "HoldReasonCode",
    "LastRejMatchReason",
)
_CONDOR: Mapping[int, State] = {
    1: "queued",
    2: "running",
    3: "ending",
    4: "ending",
    5: "ending",
    6: "ending",
    7: "running",
}
_CONDOR_HELD = 5
_CONDOR_HELD_BY_USER = 1


def htcondor_jobs(text: str) -> list[QueuedJob]:
    """Jobs from ``condor_q -json``, which prints nothing at all when there are none.

    Raises
    ------
    ValueError
        When it is no JSON.
    """
    jobs = []
    for entry in json.loads(text) if text.strip() else []:
        status = int(entry.get("JobStatus", 1))
        state = _CONDOR.get(status, "queued")
        reason = str(entry.get("LastRejMatchReason", "")) if state == "queued" else ""
        if status == _CONDOR_HELD:
            reason = str(entry.get("HoldReason", "held"))
            if entry.get("HoldReasonCode") == _CONDOR_HELD_BY_USER:
                state = "queued"
        job_id = f"{entry['ClusterId']}.{entry['ProcId']}"
        jobs.append(_job(job_id, str(entry.get("JobBatchName", "")), state, reason))
    return jobs


# --- OAR -------------------------------------------------------------------------------------

_OAR = _states(
    running="Running Resuming Suspended", ending="Finishing Terminated toError Error"
)
_OAR_CHATTER = re.compile(r"^R=\d|Karma|scheduling OK", re.IGNORECASE)
"""What the scheduler writes into ``message`` of every job that waits its turn."""


def oar_jobs(text: str) -> list[QueuedJob]:
    """Jobs from ``oarstat --json``: an object by job id, ``null`` when there are none.

    Raises
    ------
    ValueError
        When it is no JSON.
    """
    listed: Mapping[str, Mapping[str, Any]] = (json.loads(text) if text.strip() else {}) or {}
    jobs = []
    for job_id, entry in listed.items():
        word, message = str(entry.get("state", "")), str(entry.get("message") or "")
        reason = "" if _OAR_CHATTER.search(message) else message
        if word == "Hold":
            reason = reason or "on hold"
        jobs.append(
            _job(job_id, str(entry.get("name") or ""), _OAR.get(word, "queued"), reason)
        )
    return jobs


# --- Moab ------------------------------------------------------------------------------------

_MOAB = _states(
    running="Running Starting Suspended",
    ending="BatchHold Completed Removed Vacated Canceling Cancelled NotQueued Failed",
)


def moab_jobs(text: str) -> list[QueuedJob]:
    """Jobs from ``showq --xml``.

    Raises
    ------
    ValueError
        When it is no XML.
    """
    jobs = []
    for entry in _parse_xml(text).iterfind("queue/job"):
        word = entry.get("State", "")
        state = _MOAB.get(word, "queued")
        reason = entry.get("BlockReason", "" if word == "Idle" else word)
        jobs.append(_job(entry.get("JobID", ""), entry.get("JobName", ""), state, reason))
    return jobs
