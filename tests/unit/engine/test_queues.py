"""Batch systems end to end, with stand-ins for their commands on the PATH.

What the stand-ins say was taken from SLURM 22.05.8 and Grid Engine 8.1.9, and for the others
from the sources named in tests/golden/queues/README.md and the batch systems' manuals.
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dasksse.engine import queues
from dasksse.engine.queues import QUEUES, QueueError, batch_queue
from dasksse.errors import ClusterError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

LISTINGS = Path(__file__).parents[2] / "golden" / "queues"
SCRIPT = "#!/usr/bin/env bash\n#OAR -n my-job\n#OAR -l /nodes=1/core=2,walltime=1:00:00\necho\n"


@dataclass(frozen=True)
class Said:
    """What a command prints, and its exit code."""

    out: str = ""
    err: str = ""
    code: int = 0


@dataclass(frozen=True)
class System:
    """What a batch system says: jobs taken and refused, jobs gone, server down."""

    taken: Said
    job_id: str
    refused: Said
    some_gone: Said
    not_cancelled: Said
    listing: str
    no_jobs: Said
    down: Said


SYSTEMS = {
    "slurm": System(
        taken=Said("Submitted batch job 4001\n", "sbatch: info: 2 tips of the day\n"),
        job_id="4001",
        refused=Said(err="sbatch: error: invalid partition specified: nosuch\n", code=1),
        some_gone=Said(
            err="scancel: error: Kill job error on job id 99: Invalid job id specified\n",
            code=1,
        ),
        not_cancelled=Said(
            err="scancel: error: Kill job error on job id 99: Unable to contact slurm "
            "controller (connect failure)\n",
            code=8,
        ),
        listing="slurm.txt",
        no_jobs=Said(),
        down=Said(
            err="slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n",
            code=1,
        ),
    ),
    "pbs": System(
        taken=Said("4001.pbs01.cluster\n"),
        job_id="4001",
        refused=Said(err="qsub: Unknown queue\n", code=170),
        some_gone=Said(
            err="qdel: Unknown Job Id 99.pbs01\nqdel: Job has finished 12.pbs01\n"
            "qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE 7.t\n",
            code=153,
        ),
        not_cancelled=Said(err="qdel: Unauthorized Request 99.pbs01\n", code=159),
        listing="pbs.txt",
        no_jobs=Said(),
        down=Said(
            err="Connection refused\nqstat: cannot connect to server pbs01 (errno=15010)\n",
            code=255,
        ),
    ),
    "sge": System(
        taken=Said(
            err="Unable to run job: warning: user7's job is not allowed to run in any queue\n"
            'Your job 4001 ("dasksse-12ab34cd-cpu-1") has been submitted\nExiting.\n',
            code=1,
        ),
        job_id="4001",
        refused=Said(
            err='Unable to run job: Job was rejected because job requests unknown queue "a1".\n'
            "Exiting.\n",
            code=1,
        ),
        some_gone=Said(
            'root has deleted job 2\ndenied: job "99" does not exist\n'
            "root has registered the job 8 for deletion\njob 9 is already in deletion\n",
            code=1,
        ),
        not_cancelled=Said(
            err="error: commlib error: got select error (Connection refused)\n"
            'unable to send message to qmaster using port 6444 on host "vm"\n',
            code=1,
        ),
        listing="sge.xml",
        no_jobs=Said("<job_info>\n<queue_info/>\n<job_info/>\n</job_info>\n"),
        down=Said(
            err="error: commlib error: got select error (Connection refused)\n"
            'error: unable to send message to qmaster using port 6444 on host "vm"\n',
            code=1,
        ),
    ),
    "lsf": System(
        taken=Said("Job <4001> is submitted to queue <normal>.\n"),
        job_id="4001",
        refused=Said(err="nosuch: No such queue. Job not submitted.\n", code=255),
        some_gone=Said(
            "Job <1> is being terminated\n",
            "Job <99>: No matching job found\nJob <12>: Job has already finished\n",
            code=255,
        ),
        not_cancelled=Said(err="Job <99>: User permission denied\n", code=255),
        listing="lsf.txt",
        no_jobs=Said(err="No unfinished job found\n", code=255),
        down=Said(err="Failed in an LSF library call: LIM is down; try later\n", code=255),
    ),
    "htcondor": System(
        taken=Said("Submitting job(s).\n1 job(s) submitted to cluster 4001.\n"),
        job_id="4001.0",
        refused=Said(err="ERROR: Can't find address of local schedd\n", code=1),
        some_gone=Said(
            "Job 1.0 marked for removal\n", "Job 99.0 not found\nCouldn't find/remove all\n", 1
        ),
        not_cancelled=Said(err="Permission denied to remove job 99.0\n", code=1),
        listing="htcondor.json",
        no_jobs=Said(),
        down=Said(err="\n-- Failed to fetch ads from: <10.0.0.1:9618> : submit.cluster\n"),
    ),
    "oar": System(
        taken=Said("[ADMISSION RULE] Modify resource description\nOAR_JOB_ID=4001\n"),
        job_id="4001",
        refused=Said(err="There are not enough resources for your request\n", code=5),
        some_gone=Said(
            "Deleting the job = 1 ...REGISTERED.\nDeleting the job = 12 ...ERROR.\n"
            "The job(s) [ 1 ] will be deleted in a near future.\n",
            "Cannot frag 12 ; This job was already killed.\n",
            6,
        ),
        not_cancelled=Said(err="DB connection error, exiting.\n", code=1),
        listing="oar.json",
        no_jobs=Said("null\n"),
        down=Said(err="DB connection error, exiting.\n", code=255),
    ),
    "moab": System(
        taken=Said("\nMoab.4001\n"),
        job_id="Moab.4001",
        refused=Said(err="ERROR:    cannot submit job - invalid class specified\n", code=1),
        some_gone=Said(
            "\njob 'Moab.1' cancelled\n", "ERROR:  invalid job specified (Moab.99)\n", 1
        ),
        not_cancelled=Said(err="ERROR:  client timed out after 30 seconds\n", code=1),
        listing="moab.xml",
        no_jobs=Said('<Data><Object>queue</Object><queue count="0" option="active"/></Data>\n'),
        down=Said(err="ERROR:  client timed out after 30 seconds (mg1:42559)\n", code=1),
    ),
}


class Commands:
    """Stand-ins for programs, alone on the PATH; they note what they were given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def say(self, name: str, said: Said, *, then: str = "") -> None:
        (self._folder / f"{name}.out").write_text(said.out)
        (self._folder / f"{name}.err").write_text(said.err)
        here = self._folder / name
        here.write_text(
            f"""#!/bin/bash
printf '%s\\n' "$@" > '{here}.words'
/bin/cat > '{here}.stdin'
printf '%s\\n' "${{SQUEUE_STATES-unset}}" > '{here}.states'
{then}
/bin/cat '{here}.out'
/bin/cat '{here}.err' >&2
exit {said.code}
"""
        )
        here.chmod(0o755)

    def words(self, name: str) -> list[str]:
        return (self._folder / f"{name}.words").read_text().splitlines()

    def read(self, name: str) -> str:
        return (self._folder / name).read_text()


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Commands(folder)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "dasksse-12ab34cd-cpu-1.sh"
    path.write_text(SCRIPT)
    return path


EACH = pytest.mark.parametrize("kind", sorted(SYSTEMS))


def test_there_is_a_stand_in_for_each_batch_system() -> None:
    assert set(SYSTEMS) == set(QUEUES)


@pytest.mark.parametrize("kind", sorted(QUEUES))
def test_commands_are_those_of_dask_jobqueue(kind: str) -> None:
    import dask_jobqueue.htcondor
    import dask_jobqueue.lsf
    import dask_jobqueue.moab
    import dask_jobqueue.oar
    import dask_jobqueue.pbs
    import dask_jobqueue.sge
    import dask_jobqueue.slurm

    module = getattr(dask_jobqueue, kind)
    job = next(v for k, v in vars(module).items() if k.lower() == f"{kind}job")

    queue = batch_queue(kind)

    assert queue.submit_command == (job.submit_command,)
    assert queue.cancel_command == (job.cancel_command,)


@EACH
def test_a_submitted_job_gives_its_id(kind: str, commands: Commands, script: Path) -> None:
    queue = batch_queue(kind)
    commands.say(queue.submit_command[0], SYSTEMS[kind].taken)

    assert queue.submit(script) == SYSTEMS[kind].job_id


@pytest.mark.parametrize("kind", sorted(set(SYSTEMS) - {"lsf", "oar"}))
def test_the_script_is_the_only_argument(kind: str, commands: Commands, script: Path) -> None:
    queue = batch_queue(kind)
    commands.say(queue.submit_command[0], SYSTEMS[kind].taken)

    queue.submit(script)

    assert commands.words(queue.submit_command[0]) == [str(script)]


def test_bsub_gets_the_script_on_standard_input(commands: Commands, script: Path) -> None:
    commands.say("bsub", SYSTEMS["lsf"].taken)

    batch_queue("lsf").submit(script)

    assert commands.read("bsub.stdin") == SCRIPT
    assert commands.words("bsub") == [""]


def test_oarsub_gets_the_directives_as_options(commands: Commands, tmp_path: Path) -> None:
    script = tmp_path / "a job.sh"
    script.write_text("#!/usr/bin/env bash\n#OAR -n my-job\n#OAR -p 'mem > 64'\necho\n")
    commands.say("oarsub", SYSTEMS["oar"].taken)

    batch_queue("oar").submit(script)

    assert commands.words("oarsub") == ["-n", "my-job", "-p", "mem > 64", f"bash '{script}'"]


@EACH
def test_a_refused_job_says_what_the_queue_says(
    kind: str, commands: Commands, script: Path
) -> None:
    queue = batch_queue(kind)
    said = SYSTEMS[kind].refused
    commands.say(queue.submit_command[0], said)

    with pytest.raises(QueueError) as caught:
        queue.submit(script)

    assert said.err.splitlines()[0].strip() in str(caught.value)
    assert queue.submit_command[0] in str(caught.value)
    assert f"exit code {said.code}" in str(caught.value)


@EACH
def test_success_without_an_id_is_an_error(kind: str, commands: Commands, script: Path) -> None:
    queue = batch_queue(kind)
    commands.say(queue.submit_command[0], Said("Thank you, 7 jobs are before yours.\n"))

    with pytest.raises(QueueError, match="7 jobs are before yours"):
        queue.submit(script)


@EACH
def test_poll_reads_the_listing(
    kind: str, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "curie")
    queue = batch_queue(kind)
    commands.say(queue.poll_command[0], Said((LISTINGS / SYSTEMS[kind].listing).read_text()))

    states = {job.state for job in queue.poll()}

    assert states == {"queued", "running", "ending"}


@pytest.mark.parametrize("kind", ["sge", "htcondor", "moab"])
def test_poll_asks_for_the_jobs_of_this_user(kind: str, commands: Commands) -> None:
    queue = batch_queue(kind)
    commands.say(queue.poll_command[0], SYSTEMS[kind].no_jobs)

    queue.poll()

    assert getpass.getuser() in " ".join(commands.words(queue.poll_command[0]))


def test_what_a_user_has_set_for_squeue_hides_no_jobs(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    commands.say("squeue", Said())

    batch_queue("slurm").poll()

    assert commands.read("squeue.states") == "unset\n"


@EACH
def test_no_jobs_is_an_empty_list(kind: str, commands: Commands) -> None:
    queue = batch_queue(kind)
    commands.say(queue.poll_command[0], SYSTEMS[kind].no_jobs)

    assert queue.poll() == []


def test_an_old_oarstat_that_cannot_print_nothing_has_no_jobs(commands: Commands) -> None:
    said = "hash- or arrayref expected (not a simple scalar, use allow_nonref to allow this)"
    commands.say("oarstat", Said(err=said, code=255))

    assert batch_queue("oar").poll() == []


@EACH
def test_a_server_that_is_down_is_an_error_not_an_empty_list(
    kind: str, commands: Commands
) -> None:
    queue = batch_queue(kind)
    commands.say(queue.poll_command[0], SYSTEMS[kind].down)

    with pytest.raises(QueueError) as caught:
        queue.poll()

    assert SYSTEMS[kind].down.err.splitlines()[-1] in str(caught.value)


@EACH
def test_a_listing_that_cannot_be_read_is_an_error(kind: str, commands: Commands) -> None:
    queue = batch_queue(kind)
    commands.say(queue.poll_command[0], Said("Maintenance on Monday.\n"))

    with pytest.raises(QueueError, match=r"cannot be read[\s\S]*Maintenance on Monday"):
        queue.poll()


@EACH
def test_jobs_are_cancelled_by_one_command(kind: str, commands: Commands) -> None:
    queue = batch_queue(kind)
    commands.say(queue.cancel_command[0], Said())

    queue.cancel(["11", "12", "13"])

    assert commands.words(queue.cancel_command[0]) == ["11", "12", "13"]


@EACH
def test_cancelling_jobs_that_are_gone_is_no_error(kind: str, commands: Commands) -> None:
    queue = batch_queue(kind)
    commands.say(queue.cancel_command[0], SYSTEMS[kind].some_gone)

    queue.cancel(["1", "12", "99"])

    assert commands.words(queue.cancel_command[0]) == ["1", "12", "99"]


@EACH
def test_jobs_that_could_not_be_cancelled_are_an_error(kind: str, commands: Commands) -> None:
    queue = batch_queue(kind)
    said = SYSTEMS[kind].not_cancelled
    commands.say(queue.cancel_command[0], said)

    with pytest.raises(QueueError) as caught:
        queue.cancel(["99"])

    assert said.err.splitlines()[0] in str(caught.value)


@EACH
def test_a_failure_without_a_word_is_an_error(kind: str, commands: Commands) -> None:
    queue = batch_queue(kind)
    commands.say(queue.cancel_command[0], Said(code=1))

    with pytest.raises(QueueError, match=r"exit code 1.*it said nothing"):
        queue.cancel(["99"])


def actions(kind: str, script: Path) -> dict[str, Callable[[], object]]:
    queue = batch_queue(kind)
    return {
        queue.submit_command[0]: lambda: queue.submit(script),
        queue.cancel_command[0]: lambda: queue.cancel(["1"]),
        queue.poll_command[0]: queue.poll,
    }


@EACH
def test_a_command_that_hangs_is_ended_and_named(
    kind: str, commands: Commands, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "COMMAND_TIMEOUT_S", 0.2)

    for name, act in actions(kind, script).items():
        commands.say(name, Said(), then="exec /bin/sleep 600")
        with pytest.raises(QueueError, match=rf"{name}.*no answer within 0.2 s"):
            act()


@EACH
def test_a_command_that_is_not_installed_is_named_with_what_to_do(
    kind: str, commands: Commands, script: Path
) -> None:
    for name, act in actions(kind, script).items():
        with pytest.raises(ClusterError) as caught:
            act()

        text = str(caught.value)
        assert text.startswith(f"{name}: ")
        assert all(word in text for word in (kind, "PATH", "login node"))
        assert not isinstance(caught.value, QueueError)


def test_a_command_that_may_not_be_run_is_named(commands: Commands) -> None:
    commands.say("squeue", Said())
    Path(os.environ["PATH"], "squeue").chmod(0o644)

    with pytest.raises(ClusterError, match="squeue: Permission denied"):
        batch_queue("slurm").poll()


def test_long_commands_and_answers_are_shown_in_part(commands: Commands) -> None:
    lines = "\n".join(f"line {number}" for number in range(30))
    commands.say("scancel", Said(err=lines, code=1))

    with pytest.raises(QueueError) as caught:
        batch_queue("slurm").cancel([str(number) for number in range(100, 200)])

    text = str(caught.value)
    assert text.startswith("scancel 100 101")
    assert " ... (exit code 1)" in text
    assert "line 29" in text
    assert "line 20" not in text
    assert "150" not in text


def test_an_unknown_batch_system_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'slrum', allowed: .*oar.*did you mean 'slurm'"):
        batch_queue("slrum")
