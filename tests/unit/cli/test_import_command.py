from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from walks import make_walk, write_dump, write_extxyz

from dasksse.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def run(*words: object) -> int:
    return main(["import", *map(str, words)])


def test_a_dump_is_imported_and_all_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    walk = make_walk(breathing=0.01)
    dump = write_dump(tmp_path / "md.dump.gz", walk, walk.wrapped)
    store = tmp_path / "s.zarr"
    report = tmp_path / "report.json"

    words = (
        dump, "--store", store, "--md-step-fs", 0.5, "--species-map", "1=Li,2=S",
        "--temperature-K", 700, "--system", "lis", "--every", 2, "--frames", "10:",
        "--json", report,
    )  # fmt: skip
    code = run(*words)

    out = capsys.readouterr().out
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    numbers = ["production/lis", "0", "25", "16", "0.1", "700", "NpT"]
    assert ["md.dump.gz", "LAMMPS", "dump", *numbers] in rows
    assert "crossings undone by nearest images; longest step" in out
    assert "the cell varies (NpT); take the headline D from NVT runs" in out
    told = json.loads(report.read_text())
    assert told["store"] == str(store)
    (only,) = told["runs"]
    assert only["n_read"] == 50
    assert (only["n_frames"], only["temperature_K"], only["state"]) == (25, 700.0, "wrapped")
    assert only["is_npt"] is True

    assert run(*words) == 0
    assert "in the store already, nothing done" in capsys.readouterr().out


def test_files_are_joined_when_asked(tmp_path: Path) -> None:
    walk = make_walk()
    paths = [
        write_extxyz(tmp_path / "1.xyz", walk.part(slice(31)), walk.wrapped[:31]),
        write_extxyz(tmp_path / "2.xyz", walk.part(slice(30, None)), walk.wrapped[30:]),
    ]
    report = tmp_path / "report.json"
    code = run(
        *paths, "--join", "--store", tmp_path / "s.zarr", "--dt-fs", 50, "--json", report
    )
    (only,) = json.loads(report.read_text())["runs"]
    assert code == 0
    assert (only["n_frames"], only["files"]) == (60, ["1.xyz", "2.xyz"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no time between frames; give it [fs] as --dt-fs"),
        (("--dt-fs", 0), "--dt-fs: found 0.0, allowed is a number above 0"),
        (("--dt-fs", 50, "--frames", "9"), "--frames '9': allowed are A:B"),
        (("--dt-fs", 50, "--every", 0), "--every 0: allowed are 1 and more"),
        (
            ("--dt-fs", 50, "--length-unit", "mm"),
            "--length-unit: found 'mm', allowed: angstrom",
        ),
        (("--dt-fs", 50, "--species-map", "1=Xx"), "--species-map '1=Xx'"),
        (("--dt-fs", 50, "--cell", "1,2"), "--cell '1,2'"),
        (("--dt-fs", 50, "--unwrapped"), "jumps by"),
        (("--dt-fs", 50, "--frames", "90:"), "no frames in 90:"),
        (("--dt-fs", 50, "--precision-A", "-1"), "precision_A: found -1.0"),
    ],
)
def test_bad_input_ends_with_2_and_leaves_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[object, ...],
    message: str,
) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)

    code = run(path, "--store", tmp_path / "s.zarr", *words)

    assert code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["a.xyz"]
