"""The command van-hove: a random walk has the Gaussian of its diffusion coefficient."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from stores import write

from dasksse.cli import main
from dasksse.records import MemoryTrajectory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEP_A, INTERVAL_PS = 0.2, 0.1
NUMBERS = np.repeat([3, 17], [30, 10])


def walk(*, seed: int = 0, temperature_K: float = 600.0) -> MemoryTrajectory:
    """Li that walks at random among Cl that stay."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, STEP_A, (1500, 40, 3)) * (NUMBERS == 3)[:, None]
    positions = rng.uniform(0.0, 12.0, (1, 40, 3)) + np.cumsum(steps, axis=0)
    return MemoryTrajectory(NUMBERS, positions, np.eye(3) * 12.0, INTERVAL_PS, temperature_K)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for seed in (0, 1):
        write(tmp_path / "a.zarr", walk(seed=seed), piece=500)
    return tmp_path / "a.zarr"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*words: object) -> tuple[int, str]:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out if code == 0 else captured.err

    return run


def values_of(path: Path) -> Any:
    return json.loads(path.read_text())


def test_a_random_walk_has_the_gaussian_of_its_msd(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    lags_ps = (0.1, 1.0, 5.0)

    code, text = call(
        "van-hove", store, "--lags-ps", *lags_ps, "--equilibration-ps", 0,
        "--json", tmp_path / "v.json", "--plot", tmp_path / "v.png",
    )  # fmt: skip

    values = values_of(tmp_path / "v.json")
    assert code == 0
    assert (values["species"], values["n_runs"], values["n_ions"]) == ("Li", 2, 30)
    r_A = np.array(values["r_A"])
    for index, lag_ps in enumerate(lags_ps):
        variance = STEP_A**2 * lag_ps / INTERVAL_PS
        gaussian = (2.0 * np.pi * variance) ** -1.5 * np.exp(-(r_A**2) / (2.0 * variance))
        expected = 4.0 * np.pi * r_A**2 * gaussian
        found = np.array(values["per_distance_1_A"][index])
        assert values["lag_ps"][index] == pytest.approx(lag_ps)
        assert values["msd_A2"][index] == pytest.approx(3.0 * variance, rel=0.1)
        assert values["non_gaussian"][index] == pytest.approx(0.0, abs=0.1)
        np.testing.assert_allclose(found, expected, atol=0.08 * expected.max())
        shells_A3 = 4.0 / 3.0 * np.pi * np.diff(np.append(r_A - 0.05, r_A[-1] + 0.05) ** 3)
        assert np.dot(values["density_1_A3"][index], shells_A3) == pytest.approx(1.0)
    lines = text.splitlines()
    assert lines[0] == "production/salt at 600 K: Li: 2 runs, 30 ions in each"
    assert [float(line.split()[0]) for line in lines[2:5]] == list(lags_ps)
    assert (tmp_path / "v.png").read_bytes().startswith(b"\x89PNG")


def test_each_temperature_has_its_own_table_and_column(
    store: Path, tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    write(store, walk(seed=2, temperature_K=900.0), piece=500)

    code, text = call("van-hove", store, "--json", tmp_path / "v", "--plot", tmp_path / "v.svg")

    assert code == 0
    assert [row["temperature_K"] for row in values_of(tmp_path / "v")["results"]] == [600, 900]
    assert "production/salt at 900 K: Li: 1 run, " in text
    assert "production/salt at 900 K" in (tmp_path / "v.svg").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--species", "Na"], "no 'Na' among the atoms; elements present: Cl, Li"),
        (["--lags-ps", "200"], "lags [200.0] ps; allowed: from 0.1 ps up to"),
        (["--bin-A", "0"], "--bin-A: found 0, allowed: more than 0"),
        (["--temperature-K", "300"], "allowed: production/salt at 600 K"),
        (["--plot", "v.txt"], "--plot: found 'v.txt', allowed"),
        (["--json", "nowhere/v.json"], "no folder"),
    ],
)
def test_what_does_not_fit_is_refused(
    words: list[str], message: str, store: Path, call: Callable[..., tuple[int, str]]
) -> None:
    code, text = call("van-hove", store, *words)

    assert code == 2
    assert message in text
