"""The relaxation command: its table, its files, what it refuses, and a kill in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import studies
from ase.build import bulk
from ase.io import read
from studies import SCALES, write_copper

from dasksse.cli import main
from dasksse.label import calculators

if TYPE_CHECKING:
    from collections.abc import Callable

SUPPORT = Path(__file__).parents[2] / "support"
PATIENCE_S = 300.0


@pytest.fixture(autouse=True)
def made_up_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(calculators.CALCULATOR_KINDS, "made-up", studies.MADE_UP)
    studies.CALLS.clear()
    studies.FAILING.clear()


@pytest.fixture
def relax(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*words: object) -> tuple[int, str]:
        config = tmp_path / "config.yaml"
        if not config.exists():
            write_copper(tmp_path, label__calculator__settings__cutoff_Ry=900.0)
        arguments = ["relax", str(config), "--dir", str(tmp_path / "study")]
        code = main([*arguments, *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out if code < 2 else captured.err

    return run


def test_the_table_has_a_line_for_each_functional_and_for_the_file(
    tmp_path: Path, relax: Callable[..., tuple[int, str]]
) -> None:
    code, text = relax(
        "--functional", "PBE,PBEsol", "--max-force-eV-A", "0.001", "--json", tmp_path / "out"
    )

    assert code == 0
    lines = text[text.index("Lattice of cu") :].splitlines()
    first_words = [line.split()[0] for line in lines[2:7]]
    assert first_words == ["PBE", "-2.36", "PBEsol", "-4.27", "structure"]
    assert lines[2].split()[1:4] == ["3.6616"] * 3
    assert lines[4].split()[1:4] == ["3.5899"] * 3
    assert lines[6].split()[2:5] == ["3.7500"] * 3
    values = json.loads((tmp_path / "out").read_text())
    assert values == json.loads((tmp_path / "study/lattice.json").read_text())
    pbe, pbesol = values["rows"]
    assert pbe["lattice"]["volume_A3"] / pbesol["lattice"]["volume_A3"] == pytest.approx(
        (SCALES["PBE"] / SCALES["PBEsol"]) ** 3, rel=1e-3
    )
    assert pbe["deviations_percent"]["a"] == pytest.approx(-2.36, abs=0.02)
    assert pbe["converged"]
    assert pbe["functional"] == "PBE"
    assert {path.name for path in (tmp_path / "study/relaxed").iterdir()} == {
        f"cu-{functional}{end}"
        for functional in SCALES
        for end in (".cif", ".extxyz", "-path.extxyz")
    }


def test_without_a_functional_the_calculator_stays_as_it_is(
    relax: Callable[..., tuple[int, str]],
) -> None:
    code, text = relax("--no-cell")

    assert code == 0
    assert "PBE              3.7500   3.7500" in text
    assert {settings.functional for settings in studies.CALLS} == {"PBE"}


def test_a_relaxation_that_is_not_converged_is_told(
    relax: Callable[..., tuple[int, str]],
) -> None:
    code, text = relax("--max-steps", 1, "--max-force-eV-A", "0.0001")

    assert code == 1
    assert "PBE: not converged, largest force" in text
    assert "--max-steps" in text


def test_a_relaxation_that_failed_is_told(
    tmp_path: Path, relax: Callable[..., tuple[int, str]]
) -> None:
    studies.FAILING.append(studies.MadeUpSettings(cutoff_Ry=900.0, functional="PBE"))

    code, text = relax("--functional", "PBE,PBEsol")

    assert code == 1
    assert "PBE: failed: made up exited with 1" in text
    values = json.loads((tmp_path / "study/lattice.json").read_text())
    assert [row["lattice"] is None for row in values["rows"]] == [True, False]


def test_what_failed_is_relaxed_by_the_same_command_after_a_retry(
    tmp_path: Path,
    relax: Callable[..., tuple[int, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    studies.FAILING.append(studies.MadeUpSettings(cutoff_Ry=900.0, functional="PBE"))
    relax("--functional", "PBE,PBEsol")
    studies.FAILING.clear()
    studies.CALLS.clear()

    assert main(["retry", str(tmp_path / "study")]) == 0
    told = capsys.readouterr().out
    code, text = relax("--functional", "PBE,PBEsol")

    assert "Released: 1" in told
    assert "to continue: the same `dasksse relax` command again" in told
    assert code == 0
    assert "PBE: failed" not in text
    assert {settings.functional for settings in studies.CALLS} == {"PBE"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--system", "zn"), "--system: found 'zn', allowed: cu"),
        (("--functional", "PBE,B3LYP"), "found 'B3LYP'; "),
        (
            ("--optimiser", "FIRE2"),
            "allowed: LBFGS, FIRE, BFGSLineSearch; did you mean 'FIRE'?",
        ),
        (("--max-steps", 0), "--max-steps: found 0, allowed: more than 0"),
        (("--max-force-eV-A", -1), "--max-force-eV-A: found -1, allowed: more than 0"),
    ],
)
def test_wrong_words_are_named_with_what_is_allowed(
    tmp_path: Path,
    relax: Callable[..., tuple[int, str]],
    words: tuple[Any, ...],
    expected: str,
) -> None:
    code, error = relax(*words)

    assert code == 2
    assert expected in error
    assert not (tmp_path / "study").exists()


def test_a_killed_relaxation_is_continued_by_the_same_command(tmp_path: Path) -> None:
    calculator = {"kind": "python", "settings": {"factory": "studies.SlowEMT"}}
    config = write_copper(tmp_path, label__calculator=calculator)
    crystal = bulk("Cu", a=3.7, cubic=True)
    crystal.rattle(0.2, seed=1)
    crystal.write(tmp_path / "cu.cif")
    words = [sys.executable, "-m", "dasksse.cli", "relax", str(config)]
    words += ["--dir", str(tmp_path / "study"), "--max-force-eV-A", "0.002"]
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    try:
        trajectory = until_steps(tmp_path / "study", 4, process)
    finally:
        process.kill()
        process.wait()
    before = trajectory.read_text()

    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )

    assert done.returncode == 0, done.stderr
    values = json.loads((tmp_path / "study/lattice.json").read_text())["rows"][0]
    path = tmp_path / "study/relaxed/cu-python-path.extxyz"
    whole = before[: before.rindex("4\nLattice")]  # the last one may have been cut in two
    assert path.read_text().startswith(whole)
    assert len(read(path, ":")) == values["n_configurations"]
    assert values["converged"]
    assert values["lattice"]["lengths_A"] == pytest.approx([3.59] * 3, abs=5e-3)


def until_steps(root: Path, n_steps: int, process: subprocess.Popen[bytes]) -> Path:
    """Trajectory of the relaxation once it has some configurations."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        for path in root.glob("work/relaxation/*.part/relaxation.extxyz"):
            if path.read_text().count("Lattice") >= n_steps:
                return path
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    raise AssertionError("waited too long")
