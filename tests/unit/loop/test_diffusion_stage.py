"""The Arrhenius fit of a run: bounds enter, broken temperatures do not, and both are said."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dasksse.loop.stages.diffusion import _arrhenius, _at_temperature
from dasksse.records import MemoryTrajectory
from dasksse.report.converged_d import read_convergence
from dasksse.units import BOLTZMANN_EV_K

RUNS: Any = [SimpleNamespace(numbers=np.array([3, 3, 16]))]
PAYLOAD = {"mobile_species": "Li", "charge": 1.0}


def point(temperature_K: float, **changes: Any) -> dict[str, Any]:
    D = 3e-8 * float(np.exp(-0.25 / (BOLTZMANN_EV_K * temperature_K)))
    return {
        "temperature_K": temperature_K,
        "D_m2_s": D,
        "D_err_m2_s": 0.1 * D,
        "upper_bound_m2_s": None,
        "framework_broken": 0.0,
        "framework_melted": [],
        "volume_A3": 100.0,
        **changes,
    }


def hopping(n_frames: int) -> MemoryTrajectory:
    """Ions that hop along an axis now and then, in a framework that rattles."""
    rng = np.random.default_rng(1)
    hops = rng.choice([-2.0, 2.0], (n_frames, 12, 3)) * (rng.random((n_frames, 12, 3)) < 0.02)
    still = np.zeros((n_frames, 6, 3))
    positions = np.concatenate([np.cumsum(hops, axis=0), still], axis=1)
    positions += rng.normal(0.0, 0.1, positions.shape)
    return MemoryTrajectory(
        np.repeat([3, 16], [12, 6]), positions, 12.0 * np.eye(3), 0.1, 600.0, 1
    )


def test_a_temperature_says_whether_its_d_is_converged() -> None:
    values, _ = _at_temperature([hopping(1201)], {**PAYLOAD, "high_eV_A": 0.25})

    found = read_convergence(json.loads(json.dumps(values["convergence"])))

    assert found.verdict.tolerance == 0.1
    assert [w.length_ps for w in found.nested] == pytest.approx([29.9, 59.9, 119.9])
    assert found.whole.D_m2_s == values["D_m2_s"]
    assert found.whole.D_err_m2_s == values["D_err_m2_s"]
    assert len(found.window_sets[0].windows) == 4


def test_a_run_too_short_to_tell_still_has_its_d() -> None:
    values, _ = _at_temperature([hopping(45)], {**PAYLOAD, "high_eV_A": 0.25})

    assert values["convergence"] is None
    assert values["framework_melted"] == []
    assert values["regime"]


def test_bounds_take_part_and_broken_temperatures_are_left_out_and_said() -> None:
    bound = {"D_m2_s": None, "D_err_m2_s": None, "upper_bound_m2_s": 1e-10}
    points = [point(400.0, **bound), *(point(T) for T in (600.0, 800.0, 1000.0))]
    points.append(point(1500.0, D_m2_s=1e-7, framework_broken=0.3))
    points.append(point(1600.0, D_m2_s=1e-7, framework_melted=["S"]))

    fit = _arrhenius(points, RUNS, PAYLOAD)

    assert fit is not None
    assert (fit["n_points"], fit["n_bounds"]) == (3, 1)
    assert fit["Ea_eV"] == pytest.approx(0.25, abs=1e-4)
    assert fit["sigma_mS_cm"] > 0.0
    assert fit["notes"][:2] == [
        "1500 K left out: framework broken in 30 % of frames",
        "1600 K left out: framework melted: S",
    ]


def test_too_few_temperatures_give_no_fit() -> None:
    assert _arrhenius([point(600.0)], RUNS, PAYLOAD) is None
    assert _arrhenius([], RUNS, PAYLOAD) is None


def test_without_a_charge_there_is_no_conductivity() -> None:
    fit = _arrhenius([point(600.0), point(800.0)], RUNS, {**PAYLOAD, "charge": None})

    assert fit is not None
    assert fit["sigma_mS_cm"] is None
