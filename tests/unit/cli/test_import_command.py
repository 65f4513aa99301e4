from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from walks import Walk, make_walk, write_dump, write_extxyz

from dasksse.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
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


def test_runs_at_different_pressures_are_analysed_apart(
    tmp_path: Path,
) -> None:
    store = tmp_path / "s.zarr"
    for seed, pressure_GPa in enumerate((0, 2.5)):
        walk = make_walk(seed=seed)
        path = write_extxyz(tmp_path / f"{seed}.xyz", walk, walk.wrapped)
        words = ("--dt-fs", 50, "--temperature-K", 600, "--pressure-GPa", pressure_GPa)
        assert run(path, "--store", store, *words) == 0

    main(["diffusion", str(store), "--json", str(tmp_path / "found.json")])

    found = json.loads((tmp_path / "found.json").read_text())["results"]
    assert [(one["pressure_GPa"], one["n_runs"]) for one in found] == [(0.0, 1), (2.5, 1)]


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
        (("--dt-fs", 50, "--pressure-GPa", "nan"), "--pressure-GPa: found nan, allowed is a"),
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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "md.xyz: is a folder; needed are files"),
        (lambda path: path.touch(), "md.xyz: the file is empty"),
        (lambda path: None, "md.xyz: no such file"),
        (
            lambda path: path.write_text("hello\n"),
            "md.xyz: holds no whole frame; extended XYZ has the number of atoms",
        ),
        (
            lambda path: path.write_text("ITEM: TIMESTEP\n0\n"),
            "md.xyz: holds no whole frame; a LAMMPS dump has ITEM: TIMESTEP",
        ),
    ],
)
def test_what_is_no_trajectory_ends_with_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], object],
    message: str,
) -> None:
    make(tmp_path / "md.xyz")

    assert run(tmp_path / "md.xyz", "--store", tmp_path / "s.zarr") == 2

    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.zarr", lambda path: path.mkdir(), "no store: found a folder without zarr.json"),
        ("a.zarr", lambda path: path.touch(), "no store: found a file there"),
        ("a.h5", lambda path: None, "the name of a store ends in .zarr"),
        ("file/a.zarr", lambda path: path.parent.touch(), "its folder cannot be written"),
    ],
)
def test_what_can_be_no_store_ends_with_2_and_is_left_alone(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    make: Callable[[Path], object],
    message: str,
) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    make(tmp_path / name)
    before = sorted(tmp_path.rglob("*"))

    assert run(path, "--store", tmp_path / name, "--dt-fs", 50) == 2

    assert message in " ".join(capsys.readouterr().err.split())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_given_twice_is_taken_once_and_is_no_two_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    words = (path, path, "--dt-fs", 50, "--store")

    assert run(*words, tmp_path / "joined.zarr", "--join") == 2
    assert "a.xyz: given twice, it is the same as" in capsys.readouterr().err
    assert run(*words, tmp_path / "s.zarr") == 0
    assert "a.xyz: in the store already, nothing done" in capsys.readouterr().out


def test_ions_without_a_framework_are_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = make_walk()
    ions = Walk(walk.numbers[:8], walk.fractions[:, :8], walk.cells)
    path = write_extxyz(tmp_path / "a.xyz", ions, ions.wrapped, "dt_fs=50")

    assert run(path, "--store", tmp_path / "s.zarr") == 0

    told = " ".join(capsys.readouterr().out.split())
    assert "all atoms are one element: there is no framework" in told


def test_numbers_of_each_frame_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped, "dt_fs=50 energy=-3")
    report = tmp_path / "report.json"

    assert run(path, "--store", tmp_path / "s.zarr", "--json", report) == 0

    assert "a.xyz: with energy of each frame" in capsys.readouterr().out
    assert json.loads(report.read_text())["runs"][0]["scalars"] == ["energy"]
