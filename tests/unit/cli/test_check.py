"""``dasksse check`` prints the job scripts, and all commands that the files can run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from dasksse.cli import main
from dasksse.config.load import load_config
from dasksse.engine.scripts import job_script
from dasksse.engine.settings import PoolSettings
from dasksse.loop.prepare import open_run_folder
from dasksse.records import Frames, Labels
from dasksse.store.labels import LabelBatch, append_labels

if TYPE_CHECKING:
    import pytest

CONFIGS = Path(__file__).parents[3] / "configs"
POOL = {
    "queue": "gpu",
    "python": "/opt/py",
    "setup": ["module load [bold]cuda[/bold]  # " + "x" * 200],
    "prefix": ["mpirun", "-n", "4", "a b"],
    "walltime": "1 h",
}


def write_config(folder: Path, **changes: object) -> Path:
    values = yaml.safe_load((CONFIGS / "toy.yaml").read_text())
    values["systems"][0]["structure"] = str(CONFIGS / values["systems"][0]["structure"])
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values | changes))
    return path


def write_cluster(folder: Path, kind: str, pools: dict[str, object]) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump({"kind": kind, "settings": {"pools": pools}}))
    return path


def check(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["check", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def commands_in(text: str) -> list[str]:
    return text.partition("Commands these files can run\n")[2].splitlines()


def test_job_scripts_are_printed_as_they_would_be_submitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    pools: dict[str, object] = {"gpu": POOL, "cpu": {"python": "/opt/py"}}
    cluster = write_cluster(tmp_path, "slurm", pools)

    out = check(capsys, write_config(tmp_path), "--cluster", cluster)

    for name, values in pools.items():
        script = job_script(
            "slurm",
            PoolSettings.model_validate(values),
            pool_name=name,
            job_name=f"dasksse-00000000-{name}-1",
            cluster_dir=tmp_path / "runs" / "toy" / "cluster",
        )
        assert script in out
        assert f"Job script of pool {name} (slurm; 00000000: the run's own id)" in out


def test_checking_makes_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path)
    cluster = write_cluster(tmp_path, "slurm", {"gpu": POOL})
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    check(capsys, config, "--cluster", cluster)

    assert list((tmp_path / "here").iterdir()) == []


def test_every_command_of_both_files_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calculator = {
        "kind": "python",
        "settings": {
            "factory": "ase.calculators.emt:EMT",
            "functional": "none",
            "settings": {"profile": {"command": "mpirun pw.x"}},
        },
    }
    config = write_config(
        tmp_path, label={"calculator": calculator}, on_end=["notify-me", "a b"]
    )
    cluster = write_cluster(tmp_path, "slurm", {"gpu": POOL})

    out = check(capsys, config, "--cluster", cluster)

    assert commands_in(out) == [
        "  label.calculator.settings.factory: ase.calculators.emt:EMT",
        "  label.calculator.settings.settings.profile.command: mpirun pw.x",
        "  on_end: notify-me 'a b'",
        f"  settings.pools.gpu.setup: {POOL['setup'][0]}",
        "  settings.pools.gpu.python: /opt/py",
        "  settings.pools.gpu.prefix: mpirun -n 4 'a b'",
    ]


def test_pools_of_this_machine_run_a_prefix_but_no_setup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = {"kind": "local", "settings": {"pools": {"all": POOL}}}

    out = check(capsys, write_config(tmp_path, engine=engine))

    assert commands_in(out) == ["  engine.settings.pools.all.prefix: mpirun -n 4 'a b'"]
    assert "Job script" not in out


def test_files_without_commands_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = check(capsys, write_config(tmp_path))

    assert commands_in(out) == ["  none"]
    assert "Job script" not in out


def test_programs_of_a_dft_engine_are_listed_though_no_key_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"kind": "vasp", "settings": {"command": ["my vasp", "-x"]}}

    default = check(capsys, write_config(tmp_path, label={"calculator": {"kind": "vasp"}}))
    named = check(capsys, write_config(tmp_path, label={"calculator": own}))

    assert commands_in(default) == ["  label.calculator: vasp_std"]
    assert commands_in(named) == ["  label.calculator.settings.command: 'my vasp' -x"]


def test_time_of_labels_is_that_of_the_kind_unless_a_run_has_measured_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    own = {"calculator": {"kind": "python:ase.calculators.emt.EMT"}}
    config = write_config(tmp_path, label=own)

    before = check(capsys, config)
    folder, _ = open_run_folder(load_config(config), tmp_path / "runs" / "trial")
    store_labels(folder.root, seconds=(360.0, 1080.0))
    after = check(capsys, config)

    assert "time of a label: unknown for this calculator until a run has measured it" in before
    assert "core-minutes and those of the labels" in before
    measured = "time of a label: 720 s (8 atoms) on 1 core(s), mean of 2 in runs/trial"
    assert f"{measured}; other sizes by atoms^2" in after
    assert re.search(r"labels +\d+ +46 labels +9.20 core-hours\n", after)


def test_a_run_without_labels_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    out = check(capsys, CONFIGS.parent / "examples" / "02-lgps-diffusion" / "config.yaml")

    assert "no labels to make" in out
    assert "sevennet" not in out
    assert "Schedule" not in out


def store_labels(run_dir: Path, *, seconds: tuple[float, ...]) -> None:
    n = len(seconds)
    cells = np.tile(5.0 * np.eye(3), (n, 1, 1))
    labels = Labels(
        Frames(np.full(8, 3), np.zeros((n, 8, 3)), cells),
        np.zeros(n),
        np.zeros((n, 8, 3)),
        np.zeros((n, 3, 3)),
        "code 1.0",
        "PBE",
        is_surrogate=False,
        seconds=np.array(seconds),
    )
    append_labels(run_dir, "salt", [LabelBatch("a" * 16, labels, 0, "start")])


def test_what_a_batch_system_cannot_give_is_refused_with_file_and_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = write_cluster(tmp_path, "slurm", {"gpu": {"resource_spec": "nodes=1"}})

    code = main(["check", str(write_config(tmp_path)), "--cluster", str(cluster)])

    error = capsys.readouterr().err
    assert code == 2
    assert f"{cluster}:settings.pools.gpu.resource_spec: found 'nodes=1'" in error
