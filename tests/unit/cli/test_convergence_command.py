"""The command convergence: tables, verdicts, list of runs, figure, and what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from distributed import LocalCluster
from stores import set_pressure, write

from dasksse.cli import main
from dasksse.records import MemoryTrajectory

if TYPE_CHECKING:
    from pathlib import Path

N_FRAMES, INTERVAL_PS = 401, 0.1


def hopping(*, hops_per_ps: float, seed: int, temperature_K: float, n_cells: int = 1) -> Any:
    """Ions that hop by 2 Å, two for each still one, in a cubic cell."""
    rng = np.random.default_rng(seed)
    shape = (N_FRAMES, 12 * n_cells, 3)
    hops = rng.choice([-2.0, 2.0], shape) * (
        rng.random(shape) < hops_per_ps * INTERVAL_PS / 3.0
    )
    ions = np.cumsum(hops, axis=0) + rng.normal(0.0, 0.1, shape)
    still = rng.normal(0.0, 0.1, (N_FRAMES, 6 * n_cells, 3))
    numbers = np.repeat([3, 16], [12 * n_cells, 6 * n_cells])
    cell = np.eye(3) * 9.0 * n_cells ** (1.0 / 3.0)
    positions = np.concatenate([ions, still], axis=1)
    return MemoryTrajectory(numbers, positions, cell, INTERVAL_PS, temperature_K)


def fill(store: Path, system: str, runs: list[MemoryTrajectory]) -> Path:
    for run in runs:
        write(store, run, group=f"production/{system}", piece=N_FRAMES)
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two replicas that diffuse well at 600 K, and one that hardly moves at 300 K."""
    fast = [hopping(hops_per_ps=1.0, seed=s, temperature_K=600.0) for s in range(2)]
    slow = hopping(hops_per_ps=1e-3, seed=5, temperature_K=300.0)
    return fill(tmp_path_factory.mktemp("stores") / "a.zarr", "salt", [*fast, slow])


def run(*words: object) -> int:
    options = ("--equilibration-ps", 0, "--threads", 1)
    return main(["convergence", *map(str, (*words, *options))])


def test_tables_verdicts_and_the_runs_that_would_settle_it_are_shown(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "--lengths-ps", 7.5) == 0

    text = " ".join(capsys.readouterr().out.split())
    assert "production/salt at 600 K: D(Li) in m²/s, 2 runs" in text
    assert "converged within 10 % at 40 ps" in text
    assert "7.5 ps" in text
    assert "diffusive within 40 ps: needs longer, at least" in text
    assert "Runs that would settle it" in text
    assert "salt 300 0 40 ps at least" in text
    assert "salt 600" not in text


def test_json_holds_every_number_and_the_runs(store: Path, tmp_path: Path) -> None:
    run(store, "--json", tmp_path / "c.json")

    values = json.loads((tmp_path / "c.json").read_text())

    assert (values["tolerance"], values["is_converged"], values["sizes"]) == (0.1, False, [])
    cold, hot = values["results"]
    assert (cold["temperature_K"], cold["verdict"]["state"]) == (300.0, "not_diffusive")
    assert (hot["temperature_K"], hot["verdict"]["state"]) == (600.0, "converged")
    assert hot["nested"][-1]["D_m2_s"] == pytest.approx(1.0 * 4.0 / 6.0 * 1e-8, rel=0.3)
    (wanted,) = values["runs"]
    assert (wanted["system"], wanted["temperature_K"], wanted["replica"]) == ("salt", 300.0, 0)
    assert wanted["length_ps"] == 40.0
    assert wanted["wanted_ps"] > 40.0


def test_a_dask_cluster_gives_the_same(store: Path, tmp_path: Path) -> None:
    run(store, "--temperature-K", 600, "--json", tmp_path / "here.json")
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        words = ("--scheduler", cluster.scheduler_address, "--json", tmp_path / "there.json")
        assert run(store, "--temperature-K", 600, *words) == 0

    here, there = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("here", "there"))
    assert here == there


def test_pressures_are_judged_apart_and_never_compared_as_sizes(tmp_path: Path) -> None:
    runs = [hopping(hops_per_ps=1.0, seed=seed, temperature_K=600.0) for seed in range(2)]
    store = fill(tmp_path / "p.zarr", "salt", runs)
    large = hopping(hops_per_ps=1.0, seed=2, temperature_K=600.0, n_cells=2)
    fill(tmp_path / "p.zarr", "large", [large])
    for group, number, pressure_GPa in (("salt", 0, 0.0), ("salt", 1, 2.0), ("large", 0, 2.0)):
        set_pressure(store, f"production/{group}", number, pressure_GPa)

    run(store, "--json", tmp_path / "c.json")

    values = json.loads((tmp_path / "c.json").read_text())
    found = {(each["system"], each["pressure_GPa"]) for each in values["results"]}
    assert found == {("large", 2.0), ("salt", 0.0), ("salt", 2.0)}
    (size,) = values["sizes"]
    names = [cell["name"] for cell in size["cells"]]
    assert names == ["p.zarr:production/salt, 2 GPa", "p.zarr:production/large"]


@pytest.mark.parametrize("name", ["runs.yaml", "runs.json"])
def test_the_list_of_runs_is_written_alone(store: Path, tmp_path: Path, name: str) -> None:
    run(store, "--runs", tmp_path / name)

    (wanted,) = yaml.safe_load((tmp_path / name).read_text())  # JSON is YAML
    assert wanted["temperature_K"] == 300.0
    assert wanted["is_lower_bound"] is True


def test_one_temperature_and_tolerance_can_be_chosen(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "--temperature-K", 600, "--tolerance", 0.01) == 0

    text = capsys.readouterr().out
    assert "300 K" not in text
    assert "not converged within 1 %" in text


def test_sizes_of_several_stores_are_compared_and_extrapolated(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = [hopping(hops_per_ps=1.0, seed=9, temperature_K=600.0, n_cells=3)]
    other = fill(tmp_path / "b.zarr", "large", large)

    words = ("--temperature-K", 600, "--size-extrapolation", "--json", tmp_path / "c.json")
    assert run(store, other, *words) == 0

    (size,) = json.loads((tmp_path / "c.json").read_text())["sizes"]
    assert [cell["n_atoms"] for cell in size["cells"]] == [18, 54]
    assert size["compared"] == ["a.zarr:production/salt", "b.zarr:production/large"]
    assert size["infinite"]["n_sizes"] == 2
    text = capsys.readouterr().out
    assert "b.zarr:production/large at 600 K" in text
    assert "54 against 18 atoms" in text
    assert "infinite cell, by 1/L" in text


def test_cells_whose_difference_is_hidden_by_errors_are_to_run_longer(tmp_path: Path) -> None:
    small = hopping(hops_per_ps=0.5, seed=1, temperature_K=600.0)
    large = hopping(hops_per_ps=0.5, seed=2, temperature_K=600.0, n_cells=2)
    store = fill(tmp_path / "a.zarr", "small", [small])
    fill(store, "large", [large])

    run(store, "--tolerance", 0.1, "--json", tmp_path / "c.json")

    values = json.loads((tmp_path / "c.json").read_text())
    (size,) = values["sizes"]
    assert size["state"] == "undecided"
    wanted = {entry["system"]: entry["wanted_ps"] for entry in values["runs"]}
    assert wanted["large"] >= size["length_factor"] * 40.0 - 1e-6


def test_a_figure_is_drawn(store: Path, tmp_path: Path) -> None:
    assert run(store, "--plot", tmp_path / "c.png") == 0

    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tolerance", "0"], "--tolerance: found 0, allowed: between 0 and 1"),
        (["--tolerance", "10"], "--tolerance: found 10, allowed: between 0 and 1"),
        (["--plot", "c.txt"], "--plot: found 'c.txt', allowed: names on .png"),
        (["--runs", "c.txt"], "--runs: found 'c.txt', allowed: names on .json"),
        (["--json", "no/where.json"], "--json no/where.json: there is no folder no"),
        (["--memory-MB", "0"], "--memory-MB: found 0, allowed: numbers of at least 1"),
        (["--lengths-ps", "-5"], "--lengths-ps: found -5, allowed: more than 0"),
        (["--species", "Xx"], "no 'Xx' among the atoms"),
        (["--system", "none"], "no runs of system 'none'"),
    ],
)
def test_bad_options_are_refused(
    store: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, *options) == 2

    assert message in " ".join(capsys.readouterr().err.split())
