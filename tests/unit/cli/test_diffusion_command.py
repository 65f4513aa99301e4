"""The command diffusion: table, JSON, figure, and what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from distributed import LocalCluster
from stores import set_pressure, write

from dasksse.cli import main
from dasksse.records import MemoryTrajectory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NUMBERS = np.array([3] * 12 + [15] * 4 + [16] * 8)
CELL = np.diag([10.0, 11.0, 12.0])
KEYS = {
    "species",
    "temperature_K",
    "D_m2_s",
    "D_err_m2_s",
    "D_xyz_m2_s",
    "D_collective_m2_s",
    "D_collective_err_m2_s",
    "haven_ratio",
    "haven_ratio_err",
    "sigma_mS_cm",
    "sigma_collective_mS_cm",
    "regime",
    "upper_bound_m2_s",
    "fit_window_ps",
    "log_slope",
    "n_frames",
    "n_atoms_species",
    "n_runs",
    "untrusted_fraction",
}
"""Fixed: scripts rely on them."""


def walk(*, seed: int, step_A: float = 0.2, temperature_K: float | None = 600.0) -> Any:
    """Li that walks in a framework that vibrates."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, 10, (1, 24, 3)) + rng.normal(0.0, 0.05, (800, 24, 3))
    positions[:, :12] += np.cumsum(rng.normal(0.0, step_A, (800, 12, 3)), axis=0)
    return MemoryTrajectory(NUMBERS, positions, CELL, 0.1, temperature_K)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two runs at 600 K."""
    for seed in (0, 1):
        write(tmp_path / "a.zarr", walk(seed=seed), piece=200)
    return tmp_path / "a.zarr"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*words: object) -> tuple[int, str]:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out if code == 0 else captured.err

    return run


def test_the_json_has_the_fixed_keys_and_the_known_value(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    code, text = call("diffusion", store, "--json", tmp_path / "d.json")

    values = json.loads((tmp_path / "d.json").read_text())
    D = 0.2**2 / 2.0 / 0.1 * 1e-8
    assert code == 0
    assert set(values) >= KEYS
    assert values["regime"] == "diffusive"
    assert abs(values["D_m2_s"] - D) < 3.0 * values["D_err_m2_s"]
    assert values["D_low95_m2_s"] < values["D_m2_s"] < values["D_high95_m2_s"]
    assert (values["n_runs"], values["n_atoms_species"], values["n_frames"]) == (2, 12, 1600)
    assert values["untrusted_fraction"] is None
    assert values["framework_bounded"] is True
    assert "framework bounded" in text
    assert "600" in text


def test_several_temperatures_are_a_list_and_one_can_be_chosen(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    write(store, walk(seed=5, temperature_K=800.0), piece=200)

    call("diffusion", store, "--json", tmp_path / "all.json")
    call("diffusion", store, "--temperature-K", 800, "--json", tmp_path / "one.json")

    rows = json.loads((tmp_path / "all.json").read_text())["results"]
    assert [row["temperature_K"] for row in rows] == [600.0, 800.0]
    assert json.loads((tmp_path / "one.json").read_text()) == rows[1]


def test_runs_at_other_pressures_are_not_pooled(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    set_pressure(store, "production/salt", 0, 0.0)
    set_pressure(store, "production/salt", 1, 2.5)

    _, text = call("diffusion", store, "--json", tmp_path / "all.json")
    call("diffusion", store, "--pressure-GPa", 2.5, "--json", tmp_path / "one.json")
    code, message = call("diffusion", store, "--pressure-GPa", 7)

    rows = json.loads((tmp_path / "all.json").read_text())["results"]
    assert [(row["pressure_GPa"], row["n_runs"]) for row in rows] == [(0.0, 1), (2.5, 1)]
    assert json.loads((tmp_path / "one.json").read_text()) == rows[1]
    assert "salt, 2.5 GPa at 600 K: fitted" in text
    assert code == 2
    assert "no runs of 7 GPa; allowed: production/salt at 600 K, 0 GPa; " in message


def test_one_pressure_is_named_only_where_it_is_asked_for(
    store: Path, call: Callable[..., tuple[int, str]]
) -> None:
    _, text = call("diffusion", store)
    code, message = call("diffusion", store, "--pressure-GPa", 1)

    assert "pressure" not in text
    assert code == 2
    assert "allowed: production/salt at 600 K, unknown pressure" in message


@pytest.mark.parametrize("words", [[], ["--no-framework"]])
def test_a_framework_that_melts_is_told(
    words: list[str], store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    hot = walk(seed=5, temperature_K=900.0)
    wander = np.random.default_rng(6).normal(0.0, 0.3, (800, 8, 3))
    hot.all_positions[:, 16:] += np.cumsum(wander, axis=0)
    write(store, hot, piece=200)

    _, text = call("diffusion", store, *words, "--json", tmp_path / "d.json")

    cold_row, hot_row = json.loads((tmp_path / "d.json").read_text())["results"]
    assert cold_row["framework_melted"] == cold_row["notes"] == []
    assert hot_row["framework_melted"] == ["S"]
    assert hot_row["notes"][0].startswith("the framework has melted (S): ")
    assert "salt at 900 K: the framework has melted (S)" in text
    assert "salt at 600 K: the framework has melted" not in text


def test_whether_a_short_run_has_melted_is_not_known(
    tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    write(tmp_path / "s.zarr", walk(seed=1), piece=200)

    code, _ = call(
        "diffusion", tmp_path / "s.zarr", "--equilibration-ps", 77.5,
        "--json", tmp_path / "d.json",
    )  # fmt: skip

    assert code == 0
    assert json.loads((tmp_path / "d.json").read_text())["framework_melted"] is None


def test_ions_that_stay_have_a_bound_and_no_d(
    tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    write(tmp_path / "b.zarr", walk(seed=2, step_A=0.0), piece=200)

    code, text = call("diffusion", tmp_path / "b.zarr", "--json", tmp_path / "d.json")

    values = json.loads((tmp_path / "d.json").read_text())
    assert code == 0
    assert values["D_m2_s"] is None
    assert values["regime"] == "not_diffusive"
    assert values["upper_bound_m2_s"] > 0.0
    assert "upper bound" in text


def test_an_unknown_temperature_leaves_only_the_conductivity_unknown(
    tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    write(tmp_path / "c.zarr", walk(seed=3, temperature_K=None), piece=200)

    code, text = call("diffusion", tmp_path / "c.zarr", "--json", tmp_path / "d.json")

    values = json.loads((tmp_path / "d.json").read_text())
    assert code == 0
    assert values["temperature_K"] is None
    assert values["D_m2_s"] is not None
    assert values["sigma_mS_cm"] is None
    assert "no temperature is known" in text


def test_the_last_axis_is_the_one_asked_for(
    tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    run = walk(seed=4)
    run.all_positions[:, :12, 2] += 3.0 * (run.all_positions[:, :12, 2] - 5.0)
    write(tmp_path / "z.zarr", run, piece=200)

    call("diffusion", tmp_path / "z.zarr", "--direction", "c", "--json", tmp_path / "d.json")

    *across, along = json.loads((tmp_path / "d.json").read_text())["D_xyz_m2_s"]
    assert all(along > 5.0 * value for value in across)


def test_the_figure_shows_all_elements(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    code, _ = call("diffusion", store, "--plot", tmp_path / "msd.svg")

    assert code == 0
    assert (tmp_path / "msd.svg").stat().st_size > 10_000


def test_a_dask_cluster_gives_the_same(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    call("diffusion", store, "--json", tmp_path / "here.json")
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        words = ("--scheduler", cluster.scheduler_address, "--json", tmp_path / "there.json")
        code, _ = call("diffusion", store, *words)

    assert code == 0
    here, there = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("here", "there"))
    assert here == there


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--species", "Na"], "no 'Na' among the atoms; elements present: Li, P, S"),
        (["--system", "garnet"], "allowed: production/salt at 600 K"),
        (["--temperature-K", "300"], "allowed: production/salt at 600 K"),
        (["--direction", "up"], "--direction: found 'up', allowed: x, y, z, a, b, c"),
        (["--threads", "0"], "--threads: found 0, allowed: numbers of at least 1"),
        (["--equilibration-ps", "79"], "diffusion needs at least 20"),
        (["--plot", "d.txt"], "--plot: found 'd.txt', allowed"),
        (["--json", "nowhere/d.json"], "no folder"),
        (["--reference", "framwork"], "no 'framwork' among the atoms"),
    ],
)
def test_what_does_not_fit_is_refused(
    words: list[str], message: str, store: Path, call: Callable[..., tuple[int, str]]
) -> None:
    code, text = call("diffusion", store, *words)

    assert code == 2
    assert message in text


def test_no_store_is_an_error(tmp_path: Path, call: Callable[..., tuple[int, str]]) -> None:
    code, text = call("diffusion", tmp_path / "none.zarr")

    assert code == 2
    assert "no store is there" in text
