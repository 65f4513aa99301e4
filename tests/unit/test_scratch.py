from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dasksse.scratch import ScratchFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWNER = """
import sys
from dasksse.scratch import ScratchFolder
folder = ScratchFolder("test")
(folder.path / "data").write_text("of the owner")
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "scratch"
    monkeypatch.setenv("DASKSSE_SCRATCH", str(place))
    return place


@contextlib.contextmanager
def owner() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that owns a folder."""
    command = [sys.executable, "-c", _OWNER]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def killed() -> Path:
    """Folder of a process that was killed."""
    with owner() as (process, folder):
        process.kill()
        process.wait()
    assert (folder / "data").exists()
    return folder


def test_the_folder_of_a_killed_process_goes_at_the_next_start(place: Path) -> None:
    killed()

    new = ScratchFolder("other")

    assert sorted(place.iterdir()) == [new.path, lock_of(new.path)]


def test_folders_of_the_living_stay() -> None:
    with owner() as (_, folder):
        first, second = ScratchFolder("test"), ScratchFolder("test")

        assert (folder / "data").read_text() == "of the owner"
        assert first.path.is_dir()
        assert second.path.is_dir()


def test_a_process_that_ends_leaves_nothing(place: Path) -> None:
    with owner() as (process, _):
        process.communicate("")

    assert process.returncode == 0
    assert list(place.iterdir()) == []


def test_what_is_not_known_to_be_of_a_dead_owner_stays(place: Path) -> None:
    stale = killed()
    elsewhere = place / "dasksse-test-0@elsewhere"
    without_lock = place / f"dasksse-test-1@{socket.gethostname()}"
    other_program = place / f"test-2@{socket.gethostname()}"
    for folder in (elsewhere, other_program):
        shutil.copytree(stale, folder)
        shutil.copy(lock_of(stale), lock_of(folder))
    lock_of(stale).unlink()
    stale.rename(without_lock)

    ScratchFolder("test").close()

    kept = [elsewhere, lock_of(elsewhere), other_program, lock_of(other_program), without_lock]
    assert sorted(place.iterdir()) == sorted(kept)


def test_links_are_not_followed(place: Path, tmp_path: Path) -> None:
    stale = killed()
    moved = stale.rename(tmp_path / "moved")
    stale.symlink_to(moved)  # in place of the folder
    (tmp_path / "lock").touch()
    other = place / f"dasksse-test-1@{socket.gethostname()}"
    other.mkdir()
    lock_of(other).symlink_to(tmp_path / "lock")
    with_link = killed()
    (with_link / "to").symlink_to(moved)

    ScratchFolder("test").close()

    assert not with_link.exists()
    assert other.is_dir()
    assert (moved / "data").exists()


def test_a_folder_of_another_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = killed()
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)

    ScratchFolder("test")

    assert stale.exists()


def test_what_could_not_be_removed_goes_at_the_next_start(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        ScratchFolder("test").close()
        assert len(list(place.iterdir())) == 2

    ScratchFolder("test").close()

    assert list(place.iterdir()) == []


def test_it_goes_when_closed_or_forgotten(place: Path) -> None:
    closed = ScratchFolder("test")
    closed.close()
    closed.close()
    forgotten = ScratchFolder("test")
    assert sorted(place.iterdir()) == [forgotten.path, lock_of(forgotten.path)]

    del forgotten
    gc.collect()

    assert list(place.iterdir()) == []


def test_without_locks_it_is_never_taken_for_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", refuse)
        own = ScratchFolder("test")

    ScratchFolder("test")

    assert own.path.is_dir()
