from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pretender import toy
from study_player import StudyPlayer

from dasksse.study.energy_conservation import energy_conservation
from dasksse.study.time_step import TimeStep
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from dasksse.records import Unit

N_ATOMS = 50
INTERVAL_PS = 0.01


def series(
    n_frames: int, *, drift_meV_atom_ps: float, noise_meV_atom: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Potential energy and temperature of a run with a known drift of their sum."""
    rng = np.random.default_rng(seed)
    temperature_K = 600.0 + 60.0 * rng.standard_normal(n_frames)
    kinetic_eV = 0.5 * (3 * N_ATOMS - 3) * BOLTZMANN_EV_K * temperature_K
    total_meV = drift_meV_atom_ps * INTERVAL_PS * np.arange(n_frames) - 4000.0
    total_meV += noise_meV_atom * rng.standard_normal(n_frames)
    return total_meV * N_ATOMS / 1000.0 - kinetic_eV, temperature_K


def test_drift_and_fluctuation_are_those_put_in() -> None:
    found = energy_conservation(
        *series(4000, drift_meV_atom_ps=0.03, noise_meV_atom=0.2),
        n_atoms=N_ATOMS,
        interval_ps=INTERVAL_PS,
    )

    assert found["drift_meV_atom_ps"] == pytest.approx(0.03, abs=3e-3)
    assert found["fluctuation_meV_atom"] == pytest.approx(0.2, rel=0.05)
    assert found["mean_temperature_K"] == pytest.approx(600.0, abs=5.0)
    # 3 k_B per atom is 0.2585 meV/K
    assert found["heating_K_ns"] == pytest.approx(
        1000.0 * found["drift_meV_atom_ps"] / 0.25852, rel=1e-3
    )


def test_the_error_of_the_drift_holds_over_many_runs() -> None:
    found = [
        energy_conservation(
            *series(400, drift_meV_atom_ps=0.05, noise_meV_atom=0.3, seed=seed),
            n_atoms=N_ATOMS,
            interval_ps=INTERVAL_PS,
        )
        for seed in range(400)
    ]

    pulls = np.array(
        [(one["drift_meV_atom_ps"] - 0.05) / one["drift_err_meV_atom_ps"] for one in found]
    )
    assert np.mean(np.abs(pulls) < 1.0) == pytest.approx(0.68, abs=0.08)


def test_a_harmonic_oscillator_has_the_shadow_energy_of_velocity_verlet() -> None:
    """Its fluctuation is quadratic in the step, and there is no drift."""

    def ratio(step: float) -> float:
        x, v, xs, vs = 1.0, 0.0, [], []
        for _ in range(20_000):
            v -= 0.5 * step * x
            x += step * v
            v -= 0.5 * step * x
            xs.append(x)
            vs.append(v)
        kinetic_eV = 0.5 * np.array(vs) ** 2
        temperature_K = kinetic_eV / (0.5 * 3 * BOLTZMANN_EV_K)
        found = energy_conservation(
            0.5 * np.array(xs) ** 2, temperature_K, n_atoms=2, interval_ps=step
        )
        assert abs(found["drift_meV_atom_ps"]) < 1e-3 * found["fluctuation_meV_atom"]
        return found["fluctuation_meV_atom"] / found["kinetic_fluctuation_meV_atom"]

    assert ratio(0.2) == pytest.approx(4.0 * ratio(0.1), rel=0.02)
    assert ratio(0.1) == pytest.approx(0.1**2 / 4.0, rel=0.02)


def energies(unit: Unit) -> dict[str, Any]:
    """As the integrator has it, with a drift that sets in at 4 fs."""
    step_fs = float(unit.payload["group"].rpartition("-")[2].removesuffix("fs"))
    heating = 1.0 if step_fs < 4.0 else 500.0
    return {
        "left_out": "",
        "n_atoms": N_ATOMS,
        "length_ps": 20.0,
        "drift_meV_atom_ps": heating * 0.2585e-3,
        "drift_err_meV_atom_ps": 0.1e-3,
        "fluctuation_meV_atom": 0.01 * step_fs**2,
        "kinetic_fluctuation_meV_atom": 10.0,
        "heating_K_ns": heating,
        "heating_err_K_ns": 0.4,
        "mean_temperature_K": 600.0,
    }


def study(answer: Any = energies, **section: Any) -> StudyPlayer:
    config = toy(studies__time_step=section, production__timestep_fs=2.0)
    return StudyPlayer([TimeStep()], config, answers={"study": answer})


def test_runs_are_nve_with_the_steps_asked_for_and_that_of_production() -> None:
    player = study(timesteps_fs=[1.0, 4.0], temperature_K=900.0)
    player.conclude()

    specs = [unit.payload["spec"] for unit in player.asked("production")]
    assert {spec["timestep_fs"] for spec in specs} == {1.0, 2.0, 4.0}
    assert {spec["ensemble"] for spec in specs} == {"nve"}
    assert {spec["temperature_K"] for spec in specs} == {900.0}


def test_the_step_in_use_is_judged_and_the_longest_that_holds_is_named() -> None:
    player = study()
    outcome = player.conclude()

    assert outcome.verdict.level == "trust"
    assert "3 fs would hold as well" in outcome.verdict.text
    assert "power 2," in outcome.verdict.text
    assert [row["holds"] for row in outcome.tables[0].rows] == ["yes", "yes", "yes", "no"]
    assert len(TimeStep().draw(outcome.values).axes) == 2


def test_short_runs_do_not_say_that_a_step_holds() -> None:
    outcome = study(lambda unit: energies(unit) | {"heating_err_K_ns": 40.0}).conclude()

    assert outcome.verdict.level == "care"
    assert "too short" in outcome.verdict.text


def test_a_run_that_broke_off_is_named() -> None:
    def answer(unit: Unit) -> dict[str, Any]:
        if unit.payload["group"].endswith("-2fs"):
            return {"left_out": "broke off after 3 of 20 ps"}
        return energies(unit)

    outcome = study(answer).conclude()

    assert outcome.verdict.level == "doubt"
    assert outcome.notes == ("2 fs: broke off after 3 of 20 ps",)
