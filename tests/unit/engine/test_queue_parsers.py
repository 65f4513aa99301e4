"""Listings of batch systems are read; sources are named in tests/golden/queues/README.md."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dasksse.engine.queue_parsers import (
    QueuedJob,
    htcondor_jobs,
    lsf_jobs,
    moab_jobs,
    oar_jobs,
    pbs_jobs,
    sge_jobs,
    slurm_jobs,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LISTINGS = Path(__file__).parents[2] / "golden" / "queues"
LONG_NAME = "dasksse-12ab34cd-a_long_pool_name-123"
own_pbs_jobs = partial(pbs_jobs, user="curie")

PARSERS: dict[str, Callable[[str], list[QueuedJob]]] = {
    "slurm.txt": slurm_jobs,
    "pbs.txt": own_pbs_jobs,
    "torque.txt": own_pbs_jobs,
    "sge.xml": sge_jobs,
    "lsf.txt": lsf_jobs,
    "htcondor.json": htcondor_jobs,
    "oar.json": oar_jobs,
    "moab.xml": moab_jobs,
}


def read(name: str) -> dict[str, QueuedJob]:
    jobs = PARSERS[name]((LISTINGS / name).read_text())
    return {job.job_id: job for job in jobs}


def states(name: str) -> dict[str, str]:
    return {job_id: job.state for job_id, job in read(name).items()}


def test_slurm_states_and_reasons() -> None:
    jobs = read("slurm.txt")

    assert states("slurm.txt") == {
        "2": "queued",
        "3": "queued",
        "5": "queued",
        "6": "queued",
        "7": "ending",
        "8": "queued",
        "1": "running",
        "9": "ending",
        "10": "ending",
        "11_4": "running",
    }
    assert jobs["2"].reason == "PartitionConfig"
    assert jobs["6"].reason == "ReqNodeNotAvail, UnavailableNodes:node[01-04]"
    assert jobs["7"].reason == "launch failed requeued held"
    assert jobs["1"].reason == jobs["8"].reason == ""
    assert jobs["9"].reason == "COMPLETING"
    assert jobs["11_4"].name == "another job | with a bar"


def test_pbs_states_and_reasons() -> None:
    jobs = read("pbs.txt")

    assert states("pbs.txt") == {
        "4001": "queued",
        "4002": "running",
        "4003": "queued",
        "4004": "ending",
        "4005": "ending",
    }
    assert jobs["4001"].reason == (
        "Not Running: Insufficient amount of resource: ncpus (R: 16 A: 4 T: 512)"
    )
    assert jobs["4002"].reason == ""
    assert jobs["4003"].reason == "held (Hold_Types = u)"
    assert "too many failed attempts" in jobs["4004"].reason


def test_pbs_jobs_of_others_are_left_out() -> None:
    text = (LISTINGS / "pbs.txt").read_text()

    assert [job.job_id for job in pbs_jobs(text, user="bohr")] == ["4006"]


def test_torque_values_that_break_lines_do_no_harm() -> None:
    jobs = read("torque.txt")

    assert states("torque.txt") == {"549159": "queued", "549160": "ending"}
    assert jobs["549159"].name == "dasksse-12ab34cd-cpu-1"


def test_sge_states_and_reasons() -> None:
    jobs = read("sge.xml")

    assert states("sge.xml") == {
        "8": "running",
        "7": "ending",
        "10": "queued",
        "9": "ending",
        "11": "queued",
    }
    assert jobs["9"].reason == ("state Eqw: it could not be started, `qstat -j 9` says why")
    assert (jobs["8"].reason, jobs["10"].reason, jobs["11"].reason) == ("", "", "state hqw")


@pytest.mark.parametrize(
    ("letters", "state"),
    [
        ("qw", "queued"),
        ("hqw", "queued"),
        ("hRwq", "queued"),
        ("Rq", "queued"),
        ("r", "running"),
        ("t", "running"),
        ("Rr", "running"),
        ("S", "running"),
        ("tT", "running"),
        ("Eqw", "ending"),
        ("EhRqw", "ending"),
        ("dr", "ending"),
        ("dRt", "ending"),
    ],
)
def test_sge_letters(letters: str, state: str) -> None:
    text = (LISTINGS / "sge.xml").read_text().replace("<state>r<", f"<state>{letters}<")

    assert sge_jobs(text)[0].state == state


def test_lsf_states_and_reasons() -> None:
    jobs = read("lsf.txt")

    assert states("lsf.txt") == {
        "4001": "queued",
        "4002": "queued",
        "4003": "running",
        "4004": "queued",
        "4005": "running",
        "4006": "running",
        "4007": "ending",
        "4008": "ending",
    }
    assert jobs["4001"].reason == "New job is waiting for scheduling"
    assert "reserving resource (mem) not satisfied" in jobs["4002"].reason
    assert jobs["4003"].reason == ""
    assert "suspended by the user" in jobs["4004"].reason


def test_htcondor_states_and_reasons() -> None:
    jobs = read("htcondor.json")

    assert states("htcondor.json") == {
        "4001.0": "queued",
        "4002.0": "running",
        "4003.0": "ending",
        "4004.0": "queued",
        "4005.0": "ending",
        "4006.3": "running",
    }
    assert jobs["4001.0"].reason == "no match found"
    assert jobs["4002.0"].reason == ""
    assert "memory usage exceeded" in jobs["4003.0"].reason
    assert jobs["4004.0"].reason == "via condor_hold (by user curie)"
    assert jobs["4006.3"].name == ""


def test_oar_states_and_reasons() -> None:
    jobs = read("oar.json")

    assert states("oar.json") == {
        "4001": "queued",
        "4002": "running",
        "4003": "queued",
        "4004": "queued",
        "4005": "ending",
        "4006": "queued",
    }
    assert (jobs["4001"].reason, jobs["4002"].reason) == ("", "")
    assert jobs["4003"].reason == "Cannot find enough resources which fit for the job"
    assert jobs["4004"].reason == "on hold"
    assert jobs["4005"].reason == "Cannot launch the job on the node"


def test_moab_states_and_reasons() -> None:
    jobs = read("moab.xml")

    assert states("moab.xml") == {
        "4002": "running",
        "Moab.4001": "queued",
        "4003": "queued",
        "4004": "queued",
        "4005": "ending",
    }
    assert (jobs["Moab.4001"].reason, jobs["4002"].reason) == ("", "")
    assert jobs["4003"].reason.startswith("IdlePolicy:job 4003 violates")
    assert (jobs["4004"].reason, jobs["4005"].reason) == ("UserHold", "BatchHold")


@pytest.mark.parametrize("name", sorted(set(PARSERS) - {"torque.txt"}))
def test_a_long_name_is_whole(name: str) -> None:
    assert LONG_NAME in {job.name for job in read(name).values()}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("slurm.txt", ""),
        ("pbs.txt", ""),
        ("sge.xml", "<job_info><queue_info></queue_info><job_info></job_info></job_info>"),
        ("lsf.txt", ""),
        ("htcondor.json", ""),
        ("htcondor.json", "[]"),
        ("oar.json", "null\n"),
        ("oar.json", "{}"),
        ("oar.json", ""),
        ("moab.xml", '<Data><queue count="0" option="active"/></Data>'),
    ],
)
def test_no_jobs_is_an_empty_list(name: str, text: str) -> None:
    assert PARSERS[name](text) == []


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_words_of_a_login_node_are_no_listing(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the reader of this form says
        PARSERS[name]("Welcome to the cluster!\nMaintenance on Monday.\n")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("slurm.txt", "1|RUNNING", "1|MEDITATING"),
        ("pbs.txt", "job_state = R", "job_state = Y"),
        ("lsf.txt", "4003|RUN", "4003|SOON"),
        ("htcondor.json", '"JobStatus": 2', '"JobStatus": 12'),
        ("oar.json", "Running", "Dreaming"),
        ("moab.xml", "Running", "Dreaming"),
    ],
)
def test_a_state_that_is_not_known_counts_as_queued(name: str, old: str, new: str) -> None:
    text = (LISTINGS / name).read_text()
    assert old in text

    jobs = PARSERS[name](text.replace(old, new))

    assert "running" in set(states(name).values())
    assert [job.state for job in jobs].count("queued") == 1 + list(states(name).values()).count(
        "queued"
    )
