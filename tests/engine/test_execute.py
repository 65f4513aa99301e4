from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from dasksse.loop.execute import execute_unit
from dasksse.loop.walk import make_unit
from dasksse.records import Done, Failed, Unit
from dasksse.store.folders import RunFolder, unit_lock

SUPPORT = Path(__file__).parents[1] / "support"


def unit(stage: str, **payload: object) -> Unit:
    made = make_unit("label", "LABEL", "x", payload, amount=3, generation=1)
    return Unit(made.kind, made.key, made.tag, f"stages_for_tests:{stage}", payload, 1, 3.0)


def test_a_finished_unit_lies_under_its_final_name_with_its_record(tmp_path: Path) -> None:
    asked = unit("double", value=21)

    outcome = execute_unit(asked, tmp_path)

    assert isinstance(outcome, Done)
    assert outcome.value == {"twice": 42}
    final = RunFolder(tmp_path).unit("label", asked.key)
    assert (final / "file.txt").read_text() == "made by the stage"
    record = RunFolder(tmp_path).unit_result("label", asked.key)
    assert record["value"] == {"twice": 42}
    assert record["attempts"] == 1
    assert not RunFolder(tmp_path).part("label", asked.key).exists()


def test_a_finished_unit_is_not_run_again(tmp_path: Path) -> None:
    asked = unit("double", value=21)
    execute_unit(asked, tmp_path)
    crashing = Unit(asked.kind, asked.key, asked.tag, "stages_for_tests:crash", {})

    outcome = execute_unit(crashing, tmp_path)

    assert isinstance(outcome, Done)
    assert outcome.value == {"twice": 42}


def test_a_crash_is_data_and_leaves_the_folder_for_the_next_attempt(tmp_path: Path) -> None:
    asked = unit("crash_once")

    first = execute_unit(asked, tmp_path)
    second = execute_unit(asked, tmp_path)

    assert isinstance(first, Failed)
    assert first.failure_class == "engine"
    assert "last words" in first.error
    assert isinstance(second, Done)
    final = RunFolder(tmp_path).unit("label", asked.key)
    assert "ExternalProgramError" in (final / "traceback.log").read_text()
    assert RunFolder(tmp_path).unit_result("label", asked.key)["attempts"] == 2


def test_bad_input_is_told_apart_from_a_crash(tmp_path: Path) -> None:
    outcome = execute_unit(unit("bad_input"), tmp_path)

    assert isinstance(outcome, Failed)
    assert outcome.failure_class == "input"


def test_a_second_copy_of_a_unit_cannot_write(tmp_path: Path) -> None:
    asked = unit("double", value=1)
    part = RunFolder(tmp_path).part("label", asked.key)
    part.mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from dasksse.store.folders import unit_lock\n"
        f"lock = unit_lock(Path({str(part)!r})); assert lock.acquire()\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()

        outcome = execute_unit(asked, tmp_path)
    finally:
        holder.kill()
        holder.communicate()

    assert isinstance(outcome, Failed)
    assert outcome.failure_class == "lost"
    assert f"process {holder.pid}" in outcome.error
    assert isinstance(execute_unit(asked, tmp_path), Done)


def test_a_full_disk_is_recognised(tmp_path: Path) -> None:
    code = (
        "import json, resource, signal, sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(SUPPORT)!r})\n"
        "from dasksse.loop.execute import execute_unit; from dasksse.records import Unit\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, 10**5))\n"
        "unit = Unit('md', 'k' * 16, 'MD', 'stages_for_tests:fill_disk', {'bytes': 10**6})\n"
        f"outcome = execute_unit(unit, Path({str(tmp_path)!r}))\n"
        "print(json.dumps([type(outcome).__name__, outcome.failure_class]))"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert json.loads(result.stdout) == ["Failed", "disk"]


def test_the_lock_of_a_unit_is_free_after_it_failed(tmp_path: Path) -> None:
    asked = unit("crash")
    execute_unit(asked, tmp_path)

    lock = unit_lock(RunFolder(tmp_path).part("label", asked.key))

    assert lock.acquire()
    lock.release()
