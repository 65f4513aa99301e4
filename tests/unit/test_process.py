from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from dasksse.errors import (
    ExternalProgramError,
    OutOfTimeError,
    ProgramMissingError,
    TrainingError,
)
from dasksse.process import (
    ResidentChild,
    end_process,
    launch,
    read_log_tail,
    run_program,
    search_path,
)

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
            log=tmp_path / "log",
            error=TrainingError,
        )

    text = str(caught.value)
    assert text == f"dp exited with 3 in {tmp_path}\none\ntwo"


def test_a_missing_program_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissingError, match="no-such-program"):
        run_program(["no-such-program"], name="engine", log=tmp_path / "log")


def test_a_silent_program_is_ended_with_all_it_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True)\n"
        "print('started', other.pid, flush=True); time.sleep(60)"
    )

    with pytest.raises(TrainingError, match=r"started (.|\n)*\(stopped: silent for 1 s\)"):
        run_program(
            [PYTHON, "-c", code],
            name="dp",
            log=tmp_path / "log",
            silence_s=1.0,
            error=TrainingError,
        )

    assert gone(int((tmp_path / "log").read_text().split()[1]))


def test_a_stopped_program_is_found_out(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "print(os.getpid(), flush=True)\n"
        "while True: print('at work', flush=True); time.sleep(0.1)"
    )
    log = tmp_path / "log"

    def stop() -> None:
        if log.read_text():
            os.kill(int(log.read_text().split()[0]), signal.SIGSTOP)

    with pytest.raises(ExternalProgramError, match="silent for 1 s"):
        run_program([PYTHON, "-c", code], name="dp", log=log, silence_s=1.0, on_poll=stop)

    assert gone(int(log.read_text().split()[0]))


def test_a_watched_file_that_grows_is_a_sign_of_life(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "for i in range(25):\n"
        "    open('curve', 'a').write('row\\n'); time.sleep(0.1)\n"
    )
    curve = tmp_path / "curve"

    run_program(
        [PYTHON, "-c", code], name="dp", log=tmp_path / "log", silence_s=1.0, watch=[curve]
    )

    assert curve.read_text().count("row") == 25


def test_what_the_poll_raises_ends_the_program(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def poll() -> None:
        if log.read_text():
            raise OutOfTimeError("walltime is over")

    with pytest.raises(OutOfTimeError, match="walltime is over"):
        run_program(
            [PYTHON, "-c", "import os,time; print(os.getpid(), flush=True); time.sleep(60)"],
            name="dp",
            log=log,
            on_poll=poll,
        )

    assert gone(int(log.read_text()))


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


RANK = """
import time
from dasksse.process import die_with_parent
die_with_parent()
print("ready", flush=True)
time.sleep(60)
"""
LAUNCHER = """
import subprocess, sys, time
rank = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1]], start_new_session=True, stdout=subprocess.PIPE
)
rank.stdout.readline()
print(rank.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("way", ["launcher killed", "ended"])
def test_a_rank_in_a_session_of_its_own_dies_with_its_launcher(
    tmp_path: Path, way: str
) -> None:
    launcher = launch([PYTHON, "-c", LAUNCHER, RANK], workdir=tmp_path, stdout=subprocess.PIPE)
    assert launcher.stdout is not None
    rank = int(launcher.stdout.readline())

    if way == "ended":
        end_process(launcher)
    else:
        launcher.kill()
        launcher.wait()

    launcher.stdout.close()
    assert gone(rank)


def test_programs_of_this_python_come_first() -> None:
    path = search_path({"PATH": "/site/bin"}).split(os.pathsep)

    assert path == [str(Path(sys.prefix) / "bin"), "/site/bin"]


ECHO = """
import json, sys, time
for line in sys.stdin:
    message = json.loads(line)
    if message.get("die"):
        print("I die", file=sys.stderr, flush=True); sys.exit(7)
    if message.get("babble"):
        print("Segmentation fault", flush=True)
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

    answers = [list(resident.request({"value": value}, silence_s=60.0)) for value in (1, "two")]
    resident.close()

    assert answers == [[{"event": "half"}, {"echo": 1}], [{"event": "half"}, {"echo": "two"}]]
    assert not resident.is_alive


def test_a_resident_child_that_dies_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    resident = child(tmp_path)

    with pytest.raises(ExternalProgramError, match="I die") as caught:
        list(resident.request({"die": True}, silence_s=60.0))

    assert caught.value.returncode == 7
    resident.close()


def test_a_resident_child_that_hangs_is_ended(tmp_path: Path) -> None:
    resident = child(tmp_path)

    with pytest.raises(ExternalProgramError, match=r"silent for 0\.3 s"):
        list(resident.request({"sleep": True}, silence_s=0.3))

    assert not resident.is_alive


def test_a_resident_child_that_is_stopped_is_found_out_and_ended(tmp_path: Path) -> None:
    resident = child(tmp_path)
    list(resident.request({"value": 1}, silence_s=60.0))
    os.kill(resident.pid, signal.SIGSTOP)

    with pytest.raises(ExternalProgramError, match=r"silent for 0\.3 s"):
        list(resident.request({"value": 2}, silence_s=0.3))

    assert gone(resident.pid)


def test_a_resident_child_that_says_something_else_is_ended(tmp_path: Path) -> None:
    resident = child(tmp_path)

    with pytest.raises(ExternalProgramError, match="said 'Segmentation fault'"):
        list(resident.request({"babble": True, "value": 1}, silence_s=60.0))

    assert not resident.is_alive


def test_the_log_tail_leaves_out_what_every_cpu_machine_prints(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("WARNING:tensorflow:x\nuseful\n\ncuInit failed\n")

    assert read_log_tail(log) == "useful"
    assert read_log_tail(tmp_path / "absent") == ""
