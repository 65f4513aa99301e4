from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from contextlib import contextmanager
from typing import TYPE_CHECKING

from made_up_run import held, make_run_folder, start_units

from dasksse.cli.main import main
from dasksse.store.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

KEYS = {
    "state", "stage", "iteration", "generations", "probe", "labels", "not_labelled", "units",
    "running", "pools", "quarantined", "D", "eta_s", "core_hours", "wall_s", "dashboard",
    "updated", "events",
}  # fmt: skip
COMMAND = """
import signal, sys
from dasksse.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run where it is ignored
sys.exit(main(sys.argv[1:]))
"""
PATIENCE_S = 60.0
BACK = b"\x1b[?1049l"
"""Leaves the full screen."""


class Terminal:
    """``dasksse status --watch`` on a terminal of 80 columns."""

    def __init__(self, run: Path) -> None:
        self._own, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "status", str(run), "--watch"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        )
        os.close(terminal)
        self.output = b""

    def read_until(self, text: bytes) -> None:
        while text not in self.output:
            assert select.select([self._own], [], [], PATIENCE_S)[0], self.output[-3000:]
            self.output += os.read(self._own, 4096)

    def press(self, keys: bytes) -> None:
        os.write(self._own, keys)

    def wait(self) -> int:
        """Exit code; what is left to read is read."""
        try:
            while chunk := os.read(self._own, 4096):
                self.output += chunk
        except OSError:  # all have closed the terminal
            pass
        return self.process.wait(timeout=60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._own)


@contextmanager
def watching(run: Path) -> Iterator[Terminal]:
    terminal = Terminal(run)
    try:
        yield terminal
    finally:
        terminal.close()


def test_json_has_all_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run_folder(tmp_path / "run", state="finished")

    code = main(["status", str(folder.root), "--json"])

    values = json.loads(capsys.readouterr().out)
    assert code == 0
    assert values.keys() == KEYS
    assert [pool["name"] for pool in values["pools"]] == ["gpu", "cpu"]


def test_the_status_is_printed_once_without_watch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run_folder(tmp_path / "run")

    code = main(["status", str(folder.root)])

    assert code == 0
    assert capsys.readouterr().out.count("generation  accurate  candidate  failed") == 1


def test_q_ends_the_watch_and_leaves_the_last_state(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "run")
    with held(start_units(folder)), watching(folder.root) as terminal:
        terminal.read_until(b"exploration of generation 4")
        terminal.press(b"xq")

        code = terminal.wait()

    assert code == 0
    after = terminal.output.partition(BACK)[2]
    assert b"48" in after
    assert b"generation 9: 4 models" in after


def test_ctrl_c_ends_the_watch_without_an_error(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "run")
    with held(start_units(folder)), watching(folder.root) as terminal:
        terminal.read_until(b"exploration of generation 4")
        terminal.process.send_signal(signal.SIGINT)

        code = terminal.wait()

    assert code == 0
    assert b"Traceback" not in terminal.output


def test_the_watch_follows_the_driver_and_ends_with_the_run(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "run")
    with held(start_units(folder)), watching(folder.root) as terminal:
        terminal.read_until(b"exploration of generation 4")
        driver = Journal(folder.journal)

        assert driver.write(facts={"stage": "labels"})
        terminal.read_until(b"generation 4, labels")
        assert driver.write(facts={"state": "finished"})
        code = terminal.wait()

    assert code == 0
    assert b"finished" in terminal.output.partition(BACK)[2]


def test_into_a_file_a_changed_status_is_printed_once(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "run", state="stopped: too many failures")

    result = subprocess.run(
        [sys.executable, "-m", "dasksse.cli", "status", str(folder.root), "--watch"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert result.stdout.count("stopped: too many failures, generation 4") == 1
    assert "\x1b" not in result.stdout


def test_a_damaged_journal_without_a_driver_is_rebuilt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run_folder(tmp_path / "run")
    folder.journal.write_bytes(b"no database" * 100)

    code = main(["status", str(folder.root), "--json"])

    assert code == 0
    assert json.loads(capsys.readouterr().out)["state"] == "new"
    assert list(folder.root.glob("journal.sqlite.damaged-*"))


def test_a_damaged_journal_under_a_driver_is_left_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run_folder(tmp_path / "run")
    folder.journal.write_bytes(b"no database" * 100)

    with held([folder.root / "driver.lock"]):
        code = main(["status", str(folder.root)])

    assert code == 1
    assert "cannot be read" in capsys.readouterr().err
    assert not list(folder.root.glob("journal.sqlite.damaged-*"))
