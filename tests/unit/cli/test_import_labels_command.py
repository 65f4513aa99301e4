from __future__ import annotations

import json
from pathlib import Path

import ase
import numpy as np
import pytest

from dasksse.cli import main

VASP = Path(ase.__file__).parent / "test" / "testdata" / "vasp"


def write_system(folder: Path, n_frames: int = 2) -> Path:
    (folder / "set.000").mkdir(parents=True)
    (folder / "type.raw").write_text("0\n1\n")
    rng = np.random.default_rng(0)
    arrays = {
        "coord": rng.normal(size=(n_frames, 6)),
        "force": rng.normal(size=(n_frames, 6)),
        "energy": rng.normal(size=n_frames),
        "box": np.tile(5.0 * np.eye(3).ravel(), (n_frames, 1)),
    }
    for name, array in arrays.items():
        np.save(folder / "set.000" / f"{name}.npy", array)
    return folder


def run(*words: object) -> int:
    return main(["import-labels", *map(str, words)])


def test_a_table_says_what_became_of_each_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    data = write_system(tmp_path / "data")
    store = tmp_path / "labels.zarr"

    code = run(
        data, VASP / "vasprun_pstress.xml", "--store", store, "--type-map", "Li,Cl",
        "--functional", "PBE", "--json", tmp_path / "report.json",
    )  # fmt: skip

    out = capsys.readouterr().out
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["data", "DeePMD-kit", "data", "2", "2", "0", "0"] in rows
    assert ["vasprun_pstress.xml", "VASP", "vasprun.xml", "1", "0", "0", "1"] in rows
    assert "1 left out: its functional is LDA, and --functional says PBE" in out
    assert "3 frames read: 2 added, 0 known already, 1 left out" in out
    assert f"{store}: 2 frames of LiCl" in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["systems"] == {"LiCl": 2}
    assert [file["n_added"] for file in report["files"]] == [2, 0]


def test_labels_without_functional_are_taken_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_system(tmp_path / "data")

    code = run(data, "--store", tmp_path / "labels.zarr", "--type-map", "Li Cl")

    assert code == 0
    assert "the functional of 2 frames in the store is not known" in capsys.readouterr().out


def test_when_nothing_can_be_read_the_exit_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    assert run(tmp_path / "data", "--store", tmp_path / "labels.zarr") == 2
    assert "no labels found" in capsys.readouterr().out

    (tmp_path / "data" / "OUTCAR").write_text("")
    assert run(tmp_path / "data", "--store", tmp_path / "labels.zarr") == 2
    assert "unreadable" in capsys.readouterr().out
    assert not (tmp_path / "labels.zarr").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), r"system: there is no type_map.raw"),
        (("--type-map", "Li,Xx"), "--type-map 'Li,Xx': give each element once"),
        (("--type-map", "Li,Li"), "give each element once"),
        (("--type-map", "Li"), "types run from 0 to 1, but the type map has 1"),
    ],
)
def test_elements_that_are_not_known_are_bad_input(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write_system(tmp_path / "system")

    assert run(data, "--store", tmp_path / "labels.zarr", *words) == 2

    assert message in capsys.readouterr().err


def test_of_many_files_those_with_something_amiss_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for number in range(45):
        write_system(tmp_path / "data" / f"{number:02d}")
    (tmp_path / "data" / "zz").mkdir()
    (tmp_path / "data" / "zz" / "OUTCAR").write_text("")

    code = run(
        tmp_path / "data", "--store", tmp_path / "a.zarr", "--type-map", "Li,Cl",
        "--functional", "PBE",
    )  # fmt: skip

    out = capsys.readouterr().out
    assert code == 0
    assert "... 46 in all" in out
    assert "data/zz/OUTCAR" in out.splitlines()[1]
    assert "90 frames read: 2 added, 88 known already, 0 left out" in out
