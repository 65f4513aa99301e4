from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from dasksse.errors import ExternalProgramError, ProgramMissingError, TrainingError
from dasksse.process import ResidentChild, launch, read_log_tail, run_program

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = sys.executable


def gone(pid: int) -> bool:
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie":
            return True
        time.sleep(0.05)
    return False


def test_a_failing_program_tells_code_directory_and_last_lines(tmp_path: Path) -> None:
    code = (
        "import sys; print('one'); print('libcudart.so.12 not found'); print('two'); "
        "sys.exit(3)"
    )

    with pytest.raises(TrainingError) as caught:
        run_program(
            [PYTHON, "-c", code],
            name="dp",
            workdir=tmp_path,
            log_name="log",
            error=TrainingError,
        )

    text = str(caught.value)
    assert text == f"dp exited with 3 in {tmp_path}\none\ntwo"


def test_a_missing_program_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissingError, match="no-such-program"):
        run_program(["no-such-program"], name="engine", workdir=tmp_path, log_name="log")


def test_a_program_over_its_time_limit_is_ended(tmp_path: Path) -> None:
    code = "import os,time; print(os.getpid(), flush=True); time.sleep(60)"

    with pytest.raises(ExternalProgramError, match=r"over the limit of 0\.2 s"):
        run_program(
            [PYTHON, "-c", code], name="slow", workdir=tmp_path, log_name="log", timeout_s=0.2
        )

    words = (tmp_path / "log").read_text().split()
    assert not words or gone(int(words[0]))


def test_a_child_dies_with_its_parent_even_by_sigkill(tmp_path: Path) -> None:
    code = (
        "import sys,time; from pathlib import Path; from dasksse.process import launch\n"
        f"child = launch([sys.executable, '-c', 'import time; time.sleep(60)'], "
        f"workdir=Path({str(tmp_path)!r}))\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([PYTHON, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.3)

    parent.kill()
    parent.communicate()

    assert gone(child)


def test_a_program_runs_in_its_own_process_group(tmp_path: Path) -> None:
    process = launch([PYTHON, "-c", "import time; time.sleep(60)"], workdir=tmp_path)

    group = os.getpgid(process.pid)
    os.killpg(group, signal.SIGKILL)
    process.wait()

    assert group == process.pid != os.getpgid(0)


ECHO = """
import json, sys, time
for line in sys.stdin:
    message = json.loads(line)
    if message.get("die"):
        print("I die", file=sys.stderr, flush=True); sys.exit(7)
    if message.get("sleep"):
        time.sleep(60)
    print(json.dumps({"event": "half"}), flush=True)
    print(json.dumps({"echo": message["value"]}), flush=True)
"""


def child(folder: Path) -> ResidentChild:
    return ResidentChild(
        [PYTHON, "-c", ECHO], name="echo", workdir=folder, env=dict(os.environ)
    )


def test_a_resident_child_answers_many_requests(tmp_path: Path) -> None:
    resident = child(tmp_path)

    answers = [list(resident.request({"value": value})) for value in (1, "two")]
    resident.close()

    assert answers == [[{"event": "half"}, {"echo": 1}], [{"event": "half"}, {"echo": "two"}]]
    assert not resident.is_alive


def test_a_resident_child_that_dies_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    resident = child(tmp_path)

    with pytest.raises(ExternalProgramError, match="I die") as caught:
        list(resident.request({"die": True}))

    assert caught.value.returncode == 7
    resident.close()


def test_a_resident_child_that_hangs_is_ended(tmp_path: Path) -> None:
    resident = child(tmp_path)

    with pytest.raises(ExternalProgramError, match=r"silent for 0\.3 s"):
        list(resident.request({"sleep": True}, silence_s=0.3))

    assert not resident.is_alive


def test_the_log_tail_leaves_out_what_every_cpu_machine_prints(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("WARNING:tensorflow:x\nuseful\n\ncuInit failed\n")

    assert read_log_tail(log) == "useful"
    assert read_log_tail(tmp_path / "absent") == ""
