"""The convergence command: what it prints, draws, writes, refuses, and returns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import studies
import yaml
from studies import CALLS, CONFIG, MadeUpSettings, write_copper

from dasksse.cli import main
from dasksse.config.load import load_config
from dasksse.label import calculators

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
PNG = b"\x89PNG"


@pytest.fixture(autouse=True)
def made_up_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(calculators.CALCULATOR_KINDS, "made-up", studies.MADE_UP)
    monkeypatch.setattr("dasksse.label.single_point.time", studies.CLOCK)
    CALLS.clear()
    studies.FAILING.clear()
    studies.MISSING.clear()


@pytest.fixture
def converge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    def run(*words: object) -> tuple[int, str]:
        config = tmp_path / "config.yaml"
        if not config.exists():
            write_copper(tmp_path)
        arguments = ["converge", str(config), "--dir", str(tmp_path / "study")]
        code = main([*arguments, *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out if code < 2 else captured.err

    return run


def rows(text: str, title: str) -> list[list[str]]:
    """Rows of a printed table, one list of words each."""
    lines = text[text.index(f"\n{title}\n") :].splitlines()[3:]
    return [line.split() for line in lines[: lines.index(next(x for x in lines if ":" in x))]]


def test_tables_picks_numbers_and_figure(
    tmp_path: Path, converge: Callable[..., tuple[int, str]]
) -> None:
    code, text = converge("--json", tmp_path / "found.json")

    assert code == 0
    assert "2 rattled copies of cu, 4 atoms" in text
    cutoffs = rows(text, "cutoff_Ry")
    assert [row[0] for row in cutoffs] == ["100.0", "200.0", "300.0", "400.0", "500.0"]
    assert [row[3] for row in cutoffs] == ["408", "40.8", "4.04", "0.367", "0"]
    assert [row[6] for row in cutoffs] == ["3", "4", "5", "6", "7"]
    assert [row[7:] for row in cutoffs] == [[], [], ["configured"], ["picked"], []]
    assert "cutoff_Ry: 400.0 is enough; 6 s a frame, with the finest 7 s" in text
    assert "against the finest value of each, 7 s a frame: within what is asked" in text
    pasted = yaml.safe_load(text[text.index("label:\n") :])
    assert pasted["label"]["calculator"]["settings"] == {"cutoff_Ry": 400.0, "basis": "DZVP"}
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == json.loads((tmp_path / "study/convergence.json").read_text())
    assert [ladder["picked"] for ladder in found["ladders"]] == [400.0, "DZVP"]
    assert found["is_converged"]
    assert (tmp_path / "study/convergence.png").read_bytes().startswith(PNG)
    assert "<svg" in (tmp_path / "study/convergence.svg").read_text()


def test_the_config_is_left_alone_unless_asked(
    tmp_path: Path, converge: Callable[..., tuple[int, str]]
) -> None:
    converge()
    assert (tmp_path / "config.yaml").read_text() == CONFIG

    code, text = converge("--write")

    assert code == 0
    assert "cutoff_Ry 400.0, basis DZVP" in text
    assert (tmp_path / "config.yaml").read_text() == CONFIG.replace(
        "cutoff_Ry: 300.0", 'basis: "DZVP"\n      cutoff_Ry: 400.0'
    )


@pytest.mark.parametrize("calculator", ["", "label: {calculator: {settings: {basis: TZVP}}}\n"])
def test_a_config_that_extends_another_is_written_and_the_other_left_alone(
    tmp_path: Path, converge: Callable[..., tuple[int, str]], calculator: str
) -> None:
    write_copper(tmp_path)
    base = (tmp_path / "config.yaml").rename(tmp_path / "base.yaml")
    own = f"# mine\nextends: base.yaml\n{calculator}"
    (tmp_path / "config.yaml").write_text(own)

    code, text = converge("--write")

    assert code == 0
    assert "cutoff_Ry 400.0, basis DZVP" in text
    assert base.read_text() == CONFIG
    loaded = load_config(tmp_path / "config.yaml")
    settings = loaded.config.label.calculator.settings
    assert settings == {"cutoff_Ry": 400.0, "basis": "DZVP"}
    assert "# mine" in loaded.text
    assert loaded.files[1].path == base


def test_after_writing_the_same_command_computes_only_what_is_new(
    converge: Callable[..., tuple[int, str]],
) -> None:
    converge("--write")
    CALLS.clear()

    code, text = converge("--write")

    # each ladder is now about the pick of the other setting; the others were computed before
    assert code == 0
    assert {(s.cutoff_Ry, s.basis) for s in CALLS} == {
        (100.0, "DZVP"),
        (200.0, "DZVP"),
        (500.0, "DZVP"),
        (400.0, "SZV"),
    }
    assert "configured, picked" in text


def test_a_ladder_that_is_not_converged_is_told_and_not_written(
    tmp_path: Path, converge: Callable[..., tuple[int, str]]
) -> None:
    code, text = converge("--vary", "cutoff_Ry=100,200,300", "--vary", "basis", "--write")

    assert code == 1
    assert (
        "cutoff_Ry: nothing picked; not converged: 200 and 300 still differ by 36.7 meV/Å in "
        "forces (asked: 3)"
    ) in text
    assert "basis: DZVP is enough" in text
    changed = CONFIG.replace("cutoff_Ry: 300.0", 'basis: "DZVP"\n      cutoff_Ry: 300.0')
    assert (tmp_path / "config.yaml").read_text() == changed


def test_picks_that_do_not_hold_together_are_not_written(
    tmp_path: Path, converge: Callable[..., tuple[int, str]]
) -> None:
    code, text = converge("--force-error-meV-A", 0.9, "--write")

    assert code == 1
    assert "against the finest value of each, 7 s a frame: 1.18 meV/Å in forces" in text
    assert "nothing to write: 1.18 meV/Å in forces (asked: 0.9)" in text
    assert (tmp_path / "config.yaml").read_text() == CONFIG


def test_a_failed_value_is_marked_and_a_failed_finest_draws_nothing(
    tmp_path: Path, converge: Callable[..., tuple[int, str]]
) -> None:
    studies.FAILING.append(MadeUpSettings(cutoff_Ry=500.0))

    code, text = converge("--vary", "cutoff_Ry")

    assert code == 1
    assert [row[-1] for row in rows(text, "cutoff_Ry")][-1] == "failed"
    assert "cutoff_Ry: nothing picked; 500.0 failed" in text
    assert "nothing to write: there is no pick" in text
    assert "there are no errors to draw" in text
    root = tmp_path / "study"
    assert f"{root / 'failed'}; after `dasksse retry {root}` the same command" in text
    assert not (tmp_path / "study/convergence.png").exists()


def test_what_failed_is_computed_by_the_same_command_after_a_retry(
    tmp_path: Path,
    converge: Callable[..., tuple[int, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    studies.FAILING.append(MadeUpSettings(cutoff_Ry=500.0))
    converge("--vary", "cutoff_Ry")
    studies.FAILING.clear()
    CALLS.clear()

    assert main(["retry", str(tmp_path / "study"), "--failed", "converge"]) == 0
    told = capsys.readouterr().out
    code, text = converge("--vary", "cutoff_Ry")

    assert "Released: 2" in told
    assert "to continue: the same `dasksse converge` command again" in told
    assert code == 0
    assert "cutoff_Ry: 400.0 is enough" in text
    assert [settings.cutoff_Ry for settings in CALLS] == [500.0, 500.0]
    assert not any((tmp_path / "study/failed").iterdir())


def test_a_study_has_no_store_of_data(
    tmp_path: Path, converge: Callable[..., tuple[int, str]]
) -> None:
    converge("--vary", "cutoff_Ry")

    assert (tmp_path / "study/convergence.json").exists()
    assert not (tmp_path / "study/data.zarr").exists()


def test_a_value_that_is_left_out_is_told(converge: Callable[..., tuple[int, str]]) -> None:
    studies.MISSING.append("SZV")

    code, text = converge("--vary", "basis")

    assert code == 0
    assert "SZV is left out: no basis SZV for Cu" in text
    assert "basis: DZVP is enough" in text


def test_the_toy_preset_converges_its_cut_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = tmp_path / "serial.yaml"
    cluster.write_text("kind: serial\n")
    toy = str(ROOT / "configs" / "toy.yaml")

    code = main(["converge", toy, "--dir", str(tmp_path / "toy"), "--cluster", str(cluster)])

    text = capsys.readouterr().out
    forces = [float(row[3]) for row in rows(text, "rc_A")]
    assert code == 0
    assert forces == sorted(forces, reverse=True)
    assert forces[-2] < 3.0 < forces[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--vary", "cutof_Ry"), "allowed: cutoff_Ry, basis; did you mean 'cutoff_Ry'?"),
        (("--vary", "cutoff=1,2"), "unknown key for kind 'made-up'; allowed: "),
        (("--vary", "basis=SZV,QZ"), "label.calculator.settings.basis: found 'QZ'"),
        (("--vary", "basis=SZV"), "--vary: found 'basis=SZV', allowed: SETTING"),
        (("--system", "zn"), "--system: found 'zn', allowed: cu"),
        (("--frames", 1), "--frames: found 1, allowed: 2 or more"),
        (("--force-error-meV-A", 0), "--force-error-meV-A: found 0, allowed: more than 0"),
    ],
)
def test_wrong_words_are_named_with_what_is_allowed(
    tmp_path: Path,
    converge: Callable[..., tuple[int, str]],
    words: tuple[Any, ...],
    expected: str,
) -> None:
    code, error = converge(*words)

    assert code == 2
    assert expected in error
    assert not (tmp_path / "study").exists()


def test_a_folder_of_something_else_is_refused(
    tmp_path: Path, converge: Callable[..., tuple[int, str]]
) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study/thesis.tex").write_text("years of work")

    code, error = converge()

    assert code == 2
    assert "holds something else; choose another folder with --dir" in error
