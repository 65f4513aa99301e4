"""The commands rdf and density: tables, files, and what they refuse."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase.build import bulk
from ase.io.cube import read_cube_data
from stores import write

from dasksse.analyse.rdf import radial_distributions
from dasksse.cli import main
from dasksse.records import MemoryTrajectory

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "commands.md"


def salt(*, seed: int = 0, temperature_K: float = 600.0) -> MemoryTrajectory:
    """LiCl that vibrates, more so when hot."""
    atoms = bulk("LiCl", "rocksalt", a=5.13, cubic=True).repeat(2)
    order = np.argsort(atoms.numbers, kind="stable")
    width = 0.1 * np.sqrt(temperature_K / 600.0)
    noise = np.random.default_rng(seed).normal(0.0, width, (40, len(atoms), 3))
    positions = atoms.positions[order] + noise
    cells = np.broadcast_to(atoms.cell.array, (40, 3, 3))
    return MemoryTrajectory(atoms.numbers[order], positions, cells, 0.05, temperature_K)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two runs at one temperature."""
    for seed in (0, 1):
        write(tmp_path / "a.zarr", salt(seed=seed))
    return tmp_path / "a.zarr"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*words: object) -> tuple[int, str]:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out if code == 0 else captured.err

    return run


def test_the_table_has_a_line_for_each_pair(
    store: Path, call: Callable[..., tuple[int, str]]
) -> None:
    code, text = call("rdf", store)

    assert code == 0
    head, _, *lines = text.splitlines()
    assert head == (
        "production/salt at 600 K: 2 runs, 80 frames, one of 1; distances up to 5.10 Å"
    )
    assert [line.split()[0] for line in lines] == ["Li-Li", "Li-Cl", "Cl-Cl", "total"]
    columns = lines[1].replace("±", " ").split()
    assert float(columns[1]) == pytest.approx(2.565, abs=0.03)
    assert float(columns[6]) == pytest.approx(6.0, abs=0.02)
    assert float(columns[8]) == pytest.approx(6.0, abs=0.02)


def test_the_json_holds_what_the_table_says_and_the_curves(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    code, _ = call(
        "rdf", store, "--pairs", "Cl-Li,Li-Li", "--r-max-A", 5, "--bin-A", 0.1, "--every", 4,
        "--json", tmp_path / "g.json", "--plot", tmp_path / "g.png",
    )  # fmt: skip

    assert code == 0
    values = json.loads((tmp_path / "g.json").read_text())
    runs = [salt(seed=seed) for seed in (0, 1)]
    expected = radial_distributions(runs, ["Cl-Li", "Li-Li"], r_max_A=5.0, bin_A=0.1, every=4)
    assert values["n_frames"] == 20
    assert values["temperature_K"] == 600.0
    np.testing.assert_allclose(values["r_A"], expected.r_A)
    assert [pair["pair"] for pair in values["pairs"]] == ["Cl-Li", "Li-Li"]
    np.testing.assert_allclose(values["g"]["Cl-Li"], expected["Cl-Li"].g, rtol=0.2, atol=0.3)
    first = values["pairs"][0]
    assert first["first_peak_A"] == pytest.approx(2.565, abs=0.03)
    assert first["coordination"] == pytest.approx(6.0, abs=0.05)
    assert first["coordination_err"] < 0.05
    assert first["first_minimum_A"] == pytest.approx(expected["Cl-Li"].first_minimum_A, abs=0.1)
    assert values["pairs"][1]["coordination"] == pytest.approx(12.0, abs=0.1)
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_not_within_the_range_is_a_dash_and_null(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    _, text = call("rdf", store, "--pairs", "Li-Li", "--r-max-A", 4, "--json", tmp_path / "g")

    (pair,) = json.loads((tmp_path / "g").read_text())["pairs"]
    assert pair["first_peak_A"] == pytest.approx(5.13 / np.sqrt(2), abs=0.03)
    assert pair["first_minimum_A"] is pair["coordination"] is pair["coordination_err"] is None
    assert text.split()[-3:] == ["-", "-", "-"]


def test_each_system_and_temperature_has_a_table_of_its_own(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    write(store, salt(seed=2, temperature_K=900.0))
    write(store, salt(seed=3), group="production/brine")

    _, text = call("rdf", store, "--json", tmp_path / "all.json")
    _, only = call("rdf", store, "--system", "salt", "--temperature-K", 900)

    titles = [line.split(":")[0] for line in text.splitlines() if ": " in line]
    assert titles == [
        "production/brine at 600 K",
        "production/salt at 600 K",
        "production/salt at 900 K",
    ]
    results = json.loads((tmp_path / "all.json").read_text())["results"]
    assert [(r["system"], r["temperature_K"], r["n_runs"]) for r in results] == [
        ("brine", 600.0, 1),
        ("salt", 600.0, 2),
        ("salt", 900.0, 1),
    ]
    assert only.startswith("production/salt at 900 K: 1 run, ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pairs", "Li-Na"), "no 'Na' among the atoms; elements present: Cl, Li"),
        (("--pairs", "LiCl"), "must be two elements such as Li-S"),
        (("--r-max-A", "9"), "found 9 Å as longest distance"),
        (("--every", "0"), "every is 0"),
        (("--system", "glass"), "no runs of system 'glass'; allowed: production/salt at 600 K"),
        (("--temperature-K", "300"), "no runs of 300 K; allowed: production/salt at 600 K"),
        (("--plot", "g.txt"), "--plot: found 'g.txt', allowed: names on .png"),
        (("--json", "nowhere/g.json"), "--json nowhere/g.json: there is no folder nowhere"),
    ],
)
def test_bad_options_are_told(
    store: Path, call: Callable[..., tuple[int, str]], words: tuple[str, ...], message: str
) -> None:
    code, text = call("rdf", store, *words)

    assert code == 2
    assert message in text


@pytest.mark.parametrize("words", [("rdf",), ("density", "--out", "li.cube")])
def test_a_store_that_is_not_there_is_told(
    tmp_path: Path, call: Callable[..., tuple[int, str]], words: tuple[str, ...]
) -> None:
    code, text = call(words[0], tmp_path / "no.zarr", *words[1:])

    assert code == 2
    assert "no.zarr: no store is there" in text


def test_a_density_is_written_and_told(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    code, text = call(
        "density", store, "--out", tmp_path / "li.cube",
        "--spacing-A", 0.3, "--supercell", "2,2,2",
    )  # fmt: skip

    assert code == 0
    assert text.splitlines()[:2] == [
        "production/salt at 600 K: 2 runs, 80 frames",
        "18 × 18 × 18 points, 0.285 × 0.285 × 0.285 Å apart",
    ]
    assert text.splitlines()[2].startswith("4 Li in the cell, density up to ")
    values, atoms = read_cube_data(str(tmp_path / "li.cube"))
    assert values.mean() * atoms.get_volume() == pytest.approx(4.0, rel=1e-4)
    assert atoms.get_chemical_formula() == "Cl4"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--species": "Na"}, "no 'Na' among the atoms; elements present: Cl, Li"),
        ({"--out": "li.xyz"}, "li.xyz: allowed are names *.cube"),
        ({"--out": "nowhere/li.cube"}, "there is no folder nowhere"),
        ({"--supercell": "2"}, "--supercell: found '2'; allowed: three whole numbers"),
        ({"--supercell": "2,0,1"}, "supercell (2, 0, 1); allowed"),
        ({"--spacing-A": "0"}, "grid spacing 0 Å; allowed"),
    ],
)
def test_a_density_that_cannot_be_is_told(
    store: Path,
    tmp_path: Path,
    call: Callable[..., tuple[int, str]],
    changed: dict[str, Any],
    message: str,
) -> None:
    options = {"--out": tmp_path / "li.cube", **changed}

    code, text = call("density", store, *(word for pair in options.items() for word in pair))

    assert code == 2
    assert message in text
    assert not (tmp_path / "li.cube").exists()


def test_one_file_holds_the_density_of_one_system_at_one_temperature(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    write(store, replace(salt(seed=2), temperature_K=900.0))

    code, text = call("density", store, "--out", tmp_path / "li.cube")

    assert code == 2
    assert "found: production/salt at 600 K; production/salt at 900 K; choose with" in text
    assert call(
        "density", store, "--out", tmp_path / "li.cube", "--temperature-K", 900
    )[0] == 0  # fmt: skip


@pytest.mark.parametrize("command", ["rdf", "density"])
def test_the_page_on_commands_names_the_options(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    usage = capsys.readouterr().out.split("positional arguments")[0]

    section = PAGE.read_text().split(f"## `dasksse {command} STORE`")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"--[a-z][\w-]*", "".join(rows))) == set(
        re.findall(r"--[a-z][\w-]*", usage)
    )
