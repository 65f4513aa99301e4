from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.geometry import cell_to_cellpar
from lattice_walks import UNIT_CELL, Walk, walk_run
from stores import write

from dasksse.cli import main

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "commands.md"
WALK = Walk(n_frames=1500, rate_out=(0.05, 0.2))
CIF = """data_walk
_cell_length_a {}
_cell_length_b {}
_cell_length_c {}
_cell_angle_alpha {}
_cell_angle_beta {}
_cell_angle_gamma {}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
LiA Li 0 0 0 0.8
LiB Li 0 0 0.5 0.2
S1 S 0.5 0.45 0.275 1
S2 S 0.5 0.45 0.775 1
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jumps") / "walk.zarr"
    run = walk_run(WALK)
    write(path, run, piece=1500)
    write(path, replace(walk_run(replace(WALK, seed=1)), temperature_K=700.0), piece=1500)
    return path


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.cif"
    path.write_text(CIF.format(*cell_to_cellpar(UNIT_CELL * np.array([[1], [1], [2]]))))
    return path


def run(*words: object) -> int:
    return main(["jumps", *map(str, words)])


def test_tables_json_csv_and_figure_of_one_temperature(
    store: Path, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        store, "--temperature-K", 600, "--sites", reference, "--attempt-THz", 5,
        "--json", tmp_path / "jumps.json", "--csv", tmp_path / "jumps.csv",
        "--plot", tmp_path / "jumps.png",
    )  # fmt: skip

    out = capsys.readouterr().out
    assert code == 0
    assert "18 sites of Li" in out
    assert "barrier (eV)" in out
    values = json.loads((tmp_path / "jumps.json").read_text())
    assert {row["class"]: row["n_sites"] for row in values["occupation"]} == {
        "LiA": 9,
        "LiB": 9,
    }
    assert values["temperature_K"] == 600.0
    with (tmp_path / "jumps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == values["n_jumps"] > 100
    first = rows[0]
    vector = [float(first[name]) for name in ("dx_A", "dy_A", "dz_A")]
    assert np.linalg.norm(vector) == pytest.approx(float(first["length_A"]), abs=1e-3)
    assert first["from"].startswith(first["from_class"])
    assert {row["run"] for row in rows} == {"0"}
    assert (tmp_path / "jumps.png").read_bytes().startswith(b"\x89PNG")


def test_all_temperatures_go_to_one_file(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(store, "--json", tmp_path / "all.json", "--plot", tmp_path / "all.svg")

    assert code == 0
    assert "production/salt at 700 K: 1 run" in capsys.readouterr().out
    results = json.loads((tmp_path / "all.json").read_text())["results"]
    assert [result["temperature_K"] for result in results] == [600.0, 700.0]
    assert results[0]["site_source"] == "density"
    assert (tmp_path / "all.svg").stat().st_size > 1000


def test_runs_without_jumps_are_drawn_too(tmp_path: Path) -> None:
    write(tmp_path / "still.zarr", walk_run(Walk(n_frames=300, rate_out=1e-9)), piece=300)

    assert run(tmp_path / "still.zarr", "--plot", tmp_path / "still.pdf") == 0

    assert (tmp_path / "still.pdf").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--species", "Na"], r"no 'Na' among the atoms; elements present: Li, S"),
        (["--radius-A", "3"], r"radius 3 Å of a site; allowed: above 0 and up to 1\.\d+ Å"),
        (["--temperature-K", "650"], r"no runs of 650 K; allowed: .*600 K; .*700 K"),
        (["--supercell", "2,2"], r"--supercell: found '2,2'; allowed: three whole numbers"),
        (["--plot", "x.jpeg"], r"--plot: found 'x.jpeg', allowed: names on .png, .svg, .pdf"),
        (["--csv", "nowhere/x.csv"], r"--csv nowhere/x.csv: there is no folder nowhere"),
        (["--sites", "absent.cif"], r"there is no file .*absent.cif"),
        (["--attempt-THz", "0"], r"attempt frequency 0 THz, must be above 0"),
    ],
)
def test_bad_input_is_said_with_exit_code_2(
    store: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, *words) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_reference_of_another_crystal_is_refused_by_how_much(
    store: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = reference.read_text().splitlines()
    text[1] = "_cell_length_a 3.9"
    reference.write_text("\n".join(text))

    assert run(store, "--sites", reference) == 2
    assert re.search(r"does not match .*\(\+15\.4 %", capsys.readouterr().err)


def test_options_on_the_page_are_those_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    usage = capsys.readouterr().out.split("positional arguments")[0]

    section = PAGE.read_text().split("## `dasksse jumps STORE`")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]

    option = r"--[a-z][\w-]*"
    assert set(re.findall(option, "".join(rows))) == set(re.findall(option, usage))
