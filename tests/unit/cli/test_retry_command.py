from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pretender import Pretender

from dasksse.cli import main
from dasksse.config.load import load_config
from dasksse.loop.prepare import structure_digests
from dasksse.store.journal import open_journal

if TYPE_CHECKING:
    import pytest

    from dasksse.records import Unit
    from dasksse.store.folders import RunFolder

TOY = Path(__file__).parents[3] / "configs" / "toy.yaml"


def run_with_failures(run_dir: Path, *kinds: str) -> tuple[RunFolder, dict[str, Unit]]:
    """A finished toy run on disk in which the first unit of each kind failed for good."""
    loaded = load_config(TOY)
    pretender = Pretender(loaded.config, accurate=[0.2], digests=structure_digests(loaded))
    lost = {}
    for kind in kinds:
        lost[kind] = pretender.until(kind).ready[0]
        pretender.fail(lost[kind], f"{kind} died [/at/night]\nof a cold")
    pretender.run()
    folder = pretender.write(run_dir, TOY)
    open_journal(folder)[0].close()
    return folder, lost


def retry(
    capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    assert main(["retry", *arguments]) == code
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return printed.out, printed.err


def test_what_is_of_use_is_released_and_told_with_the_command_that_continues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lost = run_with_failures(tmp_path, "label", "production")
    journal, _ = open_journal(folder)
    journal.set_facts({"command": "python -m dasksse.run my.yaml --dir here"})
    journal.close()

    out, _ = retry(capsys, str(tmp_path))

    for kind, unit in lost.items():
        assert unit.key in out
        assert f"engine: {kind} died [/at/night]" in out
        assert folder.part(kind, unit.key).is_dir()
        assert f"{kind} {unit.key} was released" in folder.log.read_text()
    assert "of a cold" not in out
    assert "to continue: python -m dasksse.run my.yaml --dir here" in out
    assert folder.quarantined() == {}
    journal, _ = open_journal(folder)
    assert {row.status for row in journal.units()} == {"done"}
    assert len(journal.events()) == 2


def test_only_the_kind_that_was_asked_for_is_released(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lost = run_with_failures(tmp_path, "label", "production")

    retry(capsys, str(tmp_path), "--failed", "production")

    assert list(folder.quarantined()) == [lost["label"].key]


def test_a_kind_that_is_not_in_quarantine_is_refused_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with_failures(tmp_path, "label", "production")

    _, error = retry(capsys, str(tmp_path), "--failed", "labels", code=2)

    assert "--failed: found 'labels'" in error
    assert "there are: label (1), production (1); did you mean 'label'?" in error


def test_what_the_run_went_on_without_is_left_where_it_is_and_told_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lost = run_with_failures(tmp_path, "md", "production")

    out, _ = retry(capsys, str(tmp_path))

    assert list(folder.quarantined()) == [lost["md"].key]
    assert "Left in quarantine: 1" in out
    assert "generation 0 went on without it" in out


def test_a_run_without_quarantined_units_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with_failures(tmp_path)

    out, _ = retry(capsys, str(tmp_path), "--failed", "md")

    assert "no unit is quarantined" in out


def test_a_folder_without_a_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, error = retry(capsys, str(tmp_path), code=2)

    assert "holds no run" in error


def test_a_living_driver_is_to_be_stopped_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lost = run_with_failures(tmp_path, "label")
    code = (
        "import sys; from pathlib import Path\n"
        "from dasksse.store.folders import RunFolder, driver_lock\n"
        f"with driver_lock(RunFolder(Path({str(tmp_path)!r}))):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert driver.stdout is not None
        driver.stdout.readline()

        _, error = retry(capsys, str(tmp_path), code=2)
    finally:
        driver.kill()
        driver.communicate()

    assert f"process {driver.pid}" in error
    assert "stop it first, then retry, then give the run command again" in error
    assert list(folder.quarantined()) == [lost["label"].key]
