from __future__ import annotations

import pytest

from dasksse.engine.watching import dashboard_lines, looks_remote

URL = "http://127.0.0.1:8788/status"
SIGNS = ("SSH_CONNECTION", "SSH_TTY", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")


@pytest.fixture(autouse=True)
def _local_session(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SIGNS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "ada")


def test_a_local_user_gets_the_two_addresses() -> None:
    assert dashboard_lines(URL, "login1", is_remote=False) == [
        "dashboard http://127.0.0.1:8788/status",
        "science page http://127.0.0.1:8788/dasksse",
    ]


def test_a_remote_user_gets_the_tunnel_for_the_port_in_use() -> None:
    first, tunnel, page = dashboard_lines(URL, "login1.site.org", is_remote=True)

    assert first == "dashboard http://127.0.0.1:8788/status"
    assert tunnel == (
        "from your own machine: ssh -L 8788:127.0.0.1:8788 ada@login1.site.org"
        "  then open http://127.0.0.1:8788/status"
    )
    assert page == "science page http://127.0.0.1:8788/dasksse"


def test_a_plain_session_is_not_remote() -> None:
    assert not looks_remote()


@pytest.mark.parametrize("sign", SIGNS)
def test_ssh_and_batch_jobs_are_remote(monkeypatch: pytest.MonkeyPatch, sign: str) -> None:
    monkeypatch.setenv(sign, "something")

    assert looks_remote()
