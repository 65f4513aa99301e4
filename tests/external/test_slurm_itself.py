from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slurm import Slurm as RunningSlurm


@pytest.fixture
def queue(slurm: RunningSlurm) -> Iterator[RunningSlurm]:
    """The session's SLURM, left without jobs."""
    yield slurm
    slurm.scancel_all()


def submit(slurm: RunningSlurm, folder: Path, command: str, *options: str) -> int:
    words = ("--parsable", f"--output={folder}/out", *options, "--wrap", command)
    answer = slurm.run("sbatch", *words)
    assert answer.returncode == 0, answer.stderr
    return int(answer.stdout)


def read_if_there(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


@pytest.mark.parametrize(("partition", "options"), [("cpu", ()), ("gpu", ("--gres=gpu:1",))])
def test_each_partition_runs_a_job(
    queue: RunningSlurm, tmp_path: Path, partition: str, options: tuple[str, ...]
) -> None:
    job = submit(
        queue, tmp_path, "echo $SLURM_JOB_PARTITION", f"--partition={partition}", *options
    )

    queue.wait_for(job, "COMPLETED")

    assert (tmp_path / "out").read_text() == f"{partition}\n"


def test_a_second_job_waits_for_the_only_gpu(queue: RunningSlurm, tmp_path: Path) -> None:
    options = ("--partition=gpu", "--gres=gpu:1", "--job-name=wants-gpu")
    first = submit(queue, tmp_path, "sleep 600", *options)
    queue.wait_for(first, "RUNNING")

    second = submit(queue, tmp_path, "sleep 600", *options)

    states = {job.id: (job.name, job.partition, job.state) for job in queue.squeue()}
    assert states[second] == ("wants-gpu", "gpu", "PENDING")


def test_scancel_ends_a_job_and_its_processes(queue: RunningSlurm, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    job = submit(queue, tmp_path, f"echo $$ > {pid_file}; sleep 600")
    queue.wait_for(job, "RUNNING")
    queue.wait_until("the job has a process", lambda: bool(read_if_there(pid_file)), 60)
    pid = int(pid_file.read_text())
    assert psutil.pid_exists(pid)

    queue.run("scancel", str(job))
    queue.wait_idle()

    assert queue.state(job) == "CANCELLED"
    assert not psutil.pid_exists(pid)


@pytest.mark.slow
def test_the_walltime_ends_a_job(queue: RunningSlurm, tmp_path: Path) -> None:
    job = submit(queue, tmp_path, "sleep 600", "--time=1")

    state = queue.wait_for(job, "TIMEOUT", patience_s=240)

    assert state == "TIMEOUT"
    assert "DUE TO TIME LIMIT" in (tmp_path / "out").read_text()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--time=10-00:00:00", "time limit is invalid"),
        ("--partition=nowhere", "invalid partition"),
        ("--cpus-per-task=1000", "More processors requested than permitted"),
    ],
)
def test_a_refused_job_is_an_error_with_the_reason(
    queue: RunningSlurm, option: str, message: str
) -> None:
    answer = queue.run("sbatch", option, "--wrap", "true")

    assert answer.returncode != 0
    assert message in answer.stderr
    assert queue.squeue() == []


def test_two_can_run_side_by_side(queue: RunningSlurm, tmp_path: Path) -> None:
    mine = submit(queue, tmp_path, "sleep 600")
    with type(queue)(tmp_path / "other", max_time_min=5) as other:
        other.wait_for(submit(other, tmp_path, "sleep 600"), "RUNNING")

        refused = other.run("sbatch", "--time=10", "--wrap", "true")

    assert refused.returncode != 0
    assert queue.state(mine) == "RUNNING"


def test_a_start_that_fails_shows_the_logs_and_leaves_nothing(
    queue: RunningSlurm, tmp_path: Path
) -> None:
    broken = type(queue)(tmp_path / "broken", kill_wait_s=-1)

    with pytest.raises(
        AssertionError, match=r"slurmctld.* ended(.|\n)*== slurmctld\n.*KillWait"
    ):
        broken.__enter__()

    assert broken._strays() == []
