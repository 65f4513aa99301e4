"""A real SLURM for tests: one node, partitions ``cpu`` and ``gpu``, ended with the tests.

Nothing is written outside the folder it is given and one short temporary folder for the socket
of munge (the path of a Unix socket holds 108 characters). Several can run side by side: each
has its own ports, and its own range of job ids, because SLURM names control groups by job id.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import psutil
import pytest

from dasksse.process import end_process, launch, read_log_tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])
PARTITIONS = ("cpu", "gpu")
CPUS = 8
"""CPUs that SLURM hands out, whatever the machine has."""
JOB_IDS_PER_PORT = 1000
"""The largest port times this is below the largest job id of SLURM, 67 043 328."""

START_PATIENCE_S = 60.0
_CGROUP = Path("/sys/fs/cgroup")

_CONFIG = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
AuthType=auth/munge
AuthInfo=socket={munge}/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/{track}
TaskPlugin=task/{task}
MailProg=/bin/true
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=5,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
DefMemPerCPU=256
KillWait={kill_wait_s}
MinJobAge=3600
JobRequeue=0
FirstJobId={first_job_id}
EnforcePartLimits=ALL
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} Sockets=1 CoresPerSocket={cpus} \
ThreadsPerCore=1 RealMemory={memory_MiB} Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime={max_time_min} State=UP
PartitionName=gpu Nodes={host} Default=NO MaxTime={max_time_min} State=UP
"""

_CGROUP_CONFIG = """\
CgroupPlugin=cgroup/v1
ConstrainRAMSpace=yes
ConstrainCores=no
ConstrainDevices=no
"""


class Job(NamedTuple):
    """A line of squeue."""

    id: int
    name: str
    partition: str
    state: str


def missing_programs() -> list[str]:
    """Programs of SLURM and munge that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


def _can_use_cgroups() -> bool:
    """Whether control groups of version 1 are ours: only then nothing escapes ``scancel``."""
    folders = [_CGROUP / name for name in ("freezer", "memory")]
    return os.geteuid() == 0 and all(os.access(folder, os.W_OK) for folder in folders)


class Slurm:
    """A SLURM of its own, for ``with``.

    Parameters
    ----------
    folder
        Where configuration, state and logs go.
    kill_wait_s
        Time between SIGTERM and SIGKILL at the end of a job [s].
    max_time_min
        Longest time limit that the partitions take [min].
    """

    def __init__(self, folder: Path, *, kill_wait_s: int = 5, max_time_min: int = 120) -> None:
        self.folder = folder
        self.env: Mapping[str, str] = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": SEARCH,
        }
        self._settings = {"kill_wait_s": kill_wait_s, "max_time_min": max_time_min}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Start it and wait until its node takes jobs."""
        self._munge = Path(tempfile.mkdtemp(prefix="munge-", dir="/tmp"))
        try:
            self._write_files()
            self._start_daemons()
            self.wait_until("the node takes jobs", self._is_ready, START_PATIENCE_S)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel what still runs and end all daemons."""
        try:
            self.scancel_all()
        finally:
            self._stop()

    def _write_files(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        self._munge.chmod(0o755)  # munged insists on it
        key = self._munge / "key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        ctld_port, slurmd_port = _free_ports(2)
        track = "cgroup" if _can_use_cgroups() else "linuxproc"
        host = socket.gethostname().partition(".")[0]
        text = _CONFIG.format(
            host=host,
            user=psutil.Process().username(),
            folder=self.folder,
            munge=self._munge,
            ctld_port=ctld_port,
            slurmd_port=slurmd_port,
            first_job_id=ctld_port * JOB_IDS_PER_PORT,
            track=track,
            task="cgroup" if track == "cgroup" else "none",
            cpus=CPUS,
            memory_MiB=int(0.9 * psutil.virtual_memory().total / 2**20),
            **self._settings,
        )
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
        if track == "cgroup":
            (self.folder / "cgroup.conf").write_text(_CGROUP_CONFIG)

    def _start_daemons(self) -> None:
        munge = [
            f"--{name}-file={self._munge / name}" for name in ("key", "pid", "log", "seed")
        ]
        self._launch("munged", "--foreground", f"--socket={self._munge / 'socket'}", *munge)
        self.wait_until("munge listens", (self._munge / "socket").exists, START_PATIENCE_S)
        self._launch("slurmctld", "-D", "-c")
        self._launch("slurmd", "-D")

    def _launch(self, name: str, *options: str) -> None:
        program = shutil.which(name, path=SEARCH)
        assert program is not None, f"{name} is not installed"
        with self._log(name).open("wb") as log:
            self._daemons[name] = launch(
                [program, *options],
                workdir=self.folder,
                env={**os.environ, **self.env},
                stdout=log,
            )

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _is_ready(self) -> bool:
        states = self.run("sinfo", "--noheader", "--format=%P %T").stdout
        return states.count(" idle") == len(PARTITIONS)

    def _stop(self) -> None:
        for name in reversed(list(self._daemons)):
            end_process(self._daemons.pop(name), grace_s=5.0)
        for process in self._strays():
            process.kill()
        shutil.rmtree(self._munge)

    def _strays(self) -> list[psutil.Process]:
        """Processes of jobs that outlived their job, known by their configuration file."""
        spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
        return [
            process
            for process in psutil.process_iter(["environ"])
            if process.pid not in spared
            and (process.info["environ"] or {}).get("SLURM_CONF") == self.env["SLURM_CONF"]
        ]

    def wait_until(self, what: str, condition: Callable[[], bool], patience_s: float) -> None:
        """Wait for something; the logs are shown when it does not happen."""
        end = time.monotonic() + patience_s
        while not condition():
            dead = [name for name, daemon in self._daemons.items() if daemon.poll() is not None]
            if dead or time.monotonic() > end:
                reason = f"{', '.join(dead)} ended" if dead else f"{patience_s:.0f} s are over"
                raise AssertionError(f"waited until {what}, but {reason}\n{self.logs()}")
            time.sleep(0.1)

    def logs(self) -> str:
        """Ends of the daemons' logs."""
        names = ("munged", "slurmctld", "slurmd")
        return "\n".join(f"== {name}\n{read_log_tail(self._log(name))}" for name in names)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of SLURM; a refusal is the caller's to look at."""
        env = {**os.environ, **self.env}
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False)

    def squeue(self, *options: str) -> list[Job]:
        """Jobs that wait or run; with ``--states=all`` also those that have ended."""
        answer = self.run("squeue", "--noheader", "--format=%i|%P|%T|%j", *options)
        assert answer.returncode == 0, f"{answer.stderr}\n{self.logs()}"
        jobs = []
        for line in answer.stdout.splitlines():
            number, partition, state, name = line.strip().split("|", 3)
            jobs.append(Job(int(number), name, partition, state))
        return jobs

    def state(self, job_id: int) -> str:
        """State of a job, such as RUNNING or TIMEOUT, also after its end."""
        (job,) = self.squeue("--states=all", f"--jobs={job_id}")
        return job.state

    def wait_for(self, job_id: int, *states: str, patience_s: float = 60.0) -> str:
        """Wait until a job has one of these states; give it."""
        self.wait_until(
            f"job {job_id} is {' or '.join(states)}",
            lambda: self.state(job_id) in states,
            patience_s,
        )
        return self.state(job_id)

    def wait_idle(self, patience_s: float = 60.0) -> None:
        """Wait until no job waits or runs."""
        self.wait_until("no job is left", lambda: not self.squeue(), patience_s)

    def scancel_all(self) -> None:
        """Cancel all jobs and wait until they are gone."""
        ids = [str(job.id) for job in self.squeue()]
        if ids:
            self.run("scancel", *ids)
        self.wait_idle()


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A SLURM for the whole session; tests that use it leave no job behind."""
    missing = missing_programs()
    if missing:
        reason = f"not installed: {', '.join(missing)}; see the packages in .ci/run"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with Slurm(tmp_path_factory.mktemp("slurm")) as running:
        yield running
