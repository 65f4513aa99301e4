from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dasksse.analyse.diffusion import diffusion_of, estimate_diffusion
from dasksse.analyse.diffusion_result import IF_DIFFUSIVE, DiffusionResult
from dasksse.analyse.sample import sample_runs
from dasksse.errors import AnalysisError

AGREED_KEYS = {
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
"""Of ``diffusion --json``: never taken away."""
CELL = 20.0 * np.eye(3)


def estimate(
    *runs: np.ndarray, numbers: np.ndarray | None = None, **changes: Any
) -> DiffusionResult:
    kwargs: dict[str, Any] = {
        "cells_per_run": [CELL] * len(runs),
        "numbers": np.full(runs[0].shape[1], 3) if numbers is None and runs else numbers,
        "mobile": "Li",
        "temperature_K": 600.0,
        "frame_interval_ps": 0.1,
    }
    return estimate_diffusion(runs, **(kwargs | changes))


def walk(n_frames: int, n_ions: int, *, seed: int) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(0, 0.3, (n_frames, n_ions, 3))
    return np.cumsum(steps, axis=0)


def test_json_has_the_agreed_keys_and_plain_values() -> None:
    values = estimate(walk(300, 20, seed=0), charge=1.0, untrusted_fraction=0.02).to_json()

    assert set(values) >= AGREED_KEYS
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["untrusted_fraction"] == 0.02


def test_without_diffusion_there_is_a_bound_and_no_number() -> None:
    vibrating = np.random.default_rng(1).normal(0, 0.2, (500, 20, 3))

    values = estimate(vibrating, charge=1.0).to_json()

    assert values["regime"] == "not_diffusive"
    assert all(values[name] is None for name in IF_DIFFUSIVE)
    assert {"D_m2_s", "haven_ratio_low95", "sigma_collective_err_mS_cm"} <= set(IF_DIFFUSIVE)
    assert values["upper_bound_m2_s"] > 0.0
    json.dumps(values, allow_nan=False)


def test_a_frozen_crystal_gives_a_bound_without_warnings() -> None:
    with np.errstate(all="raise"):
        result = estimate(np.ones((100, 20, 3)))

    assert result.regime == "not_diffusive"
    assert result.upper_bound_m2_s == pytest.approx(3 * 2.5**2 / (100 * 20) / 0.6 * 1e-8)


def test_without_a_charge_there_is_no_conductivity() -> None:
    result = estimate(walk(300, 20, seed=2))

    assert result.D_m2_s is not None
    assert result.sigma_mS_cm is None
    assert result.sigma_collective_mS_cm is None


def test_replicas_shrink_the_error_and_are_counted() -> None:
    runs = [walk(400, 20, seed=seed) for seed in range(25)]

    one, all_of_them = estimate(runs[0]), estimate(*runs)

    assert one.D_err_m2_s is not None
    assert all_of_them.D_err_m2_s is not None
    assert all_of_them.D_err_m2_s < 0.6 * one.D_err_m2_s
    assert (all_of_them.n_runs, all_of_them.n_frames) == (25, 10_000)


def test_a_run_that_broke_off_early_is_left_out() -> None:
    whole, broken = walk(400, 20, seed=3), walk(50, 20, seed=4)

    assert estimate(whole, broken).to_json() == estimate(whole).to_json()


def test_arrays_share_the_lag_axis() -> None:
    result = estimate(walk(300, 5, seed=5))

    assert result.lag_ps.shape == result.msd_A2.shape == result.msd_err_A2.shape == (300,)
    assert result.lag_ps[10] == pytest.approx(1.0)


def test_a_lone_ion_has_an_error_too() -> None:
    results = [estimate(walk(2000, 1, seed=seed)) for seed in range(40)]

    pulls = [(r.D_m2_s - 4.5e-9) / r.D_err_m2_s for r in results if r.D_m2_s is not None]
    assert len(pulls) >= 38
    assert 0.6 < np.std(pulls) < 1.4


def test_intervals_hold_the_estimate_and_widen_with_confidence() -> None:
    values = estimate(walk(600, 10, seed=9), charge=1.0).to_json()

    for name, unit in [
        ("D", "_m2_s"),
        ("D_collective", "_m2_s"),
        ("haven_ratio", ""),
        ("sigma", "_mS_cm"),
        ("sigma_collective", "_mS_cm"),
    ]:
        ends = [values[f"{name}_{end}{unit}"] for end in ("low95", "low68", "high68", "high95")]
        assert ends == sorted(ends)
        assert ends[1] < values[f"{name}{unit}"] < ends[2]
        assert ends[0] > 0.0
        assert ends[2] - ends[1] == pytest.approx(2 * values[f"{name}_err{unit}"], rel=0.2)


def test_each_axis_has_the_error_of_its_own_motion() -> None:
    result = estimate(walk(1000, 20, seed=10) * np.array([0.0, 1.0, 2.0]))

    assert result.D_xyz_m2_s is not None
    assert result.D_xyz_err_m2_s is not None
    assert result.D_xyz_err_m2_s[0] == 0.0
    assert result.D_xyz_err_m2_s[2] == pytest.approx(4 * result.D_xyz_err_m2_s[1], rel=0.5)
    assert result.D_xyz_err_m2_s[1] / result.D_xyz_m2_s[1] < 0.1


def test_without_a_temperature_there_is_a_D_and_no_conductivity() -> None:
    result = estimate(walk(300, 20, seed=2), charge=1.0, temperature_K=None)

    assert result.D_m2_s is not None
    assert result.temperature_K is None
    assert result.sigma_mS_cm is None


def test_a_second_opinion_on_the_error_is_given() -> None:
    result = estimate(walk(2000, 20, seed=11))

    assert result.D_bootstrap_err_m2_s == pytest.approx(result.D_err_m2_s, rel=0.5)


def test_effective_jumps_and_the_floor_belong_together() -> None:
    result = estimate(walk(400, 20, seed=12))

    assert result.effective_jumps == pytest.approx(0.27 * 400 * 20 / 2.5**2, rel=0.1)
    assert result.floor == pytest.approx(result.effective_jumps**-0.5)


def test_rare_jumps_show_a_non_gaussian_peak() -> None:
    rng = np.random.default_rng(13)
    frames, steps = rng.random((2000, 20)) < 0.01, rng.normal(0, 2.0, (2000, 20, 3))
    jumping = np.cumsum(frames[..., None] * steps, axis=0) + rng.normal(0, 0.3, (2000, 20, 3))

    result = estimate(jumping)

    assert result.non_gaussian_peak > 1.0
    assert 0.0 < result.non_gaussian_peak_ps < 10.0
    assert abs(estimate(walk(2000, 20, seed=14)).non_gaussian_peak) < 0.3


def test_a_sample_and_its_scalars_give_the_same_as_arrays() -> None:
    ions = walk(300, 10, seed=15)

    direct = diffusion_of(
        sample_runs([ions]),
        species="Li",
        frame_interval_ps=0.1,
        volume_A3=8000.0,
        temperature_K=600.0,
        charge=1.0,
    )

    assert direct.to_json() == estimate(ions, charge=1.0).to_json()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mobile": "Na"}, "no 'Na' among the atoms; elements present: Li"),
        ({"temperature_K": 0.0}, "temperature_K is 0.0, must be above 0"),
        ({"frame_interval_ps": float("nan")}, "frame_interval_ps is nan"),
        ({"cells_per_run": []}, "1 runs, but cells of 0"),
        ({"numbers": np.full(4, 3)}, r"run 0 has shape \(300, 5, 3\), need \(frame, 4, 3\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        estimate(walk(300, 5, seed=7), **changes)


def test_a_run_too_short_for_a_window_is_refused() -> None:
    with pytest.raises(AnalysisError, match="has 19 frames, diffusion needs at least 20"):
        estimate(walk(19, 5, seed=8))


def test_no_run_at_all_is_refused() -> None:
    with pytest.raises(AnalysisError, match="has 0 frames"):
        estimate(numbers=np.array([3]))
