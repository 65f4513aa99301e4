"""Lattice parameters: against an equation of state, by functional, and after a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import studies
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.eos import EquationOfState
from ase.io import read
from studies import CALLS, SCALES, session, write_copper

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError
from dasksse.loop.stages.relaxation import read_trajectory
from dasksse.study import Relaxation, RelaxRequest
from dasksse.study.relaxation import STEPS_AT_ONCE, calculators, write_structures

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms

    from dasksse.study import LatticeRow

MADE_UP = RegistrySection(kind="made-up", settings={"cutoff_Ry": 900.0})


def request(**changes: Any) -> RelaxRequest:
    options = {
        "systems": ("cu",),
        "functionals": (),
        "cell": True,
        "max_steps": 200,
        "max_force_eV_A": 1e-3,
        "optimiser": "LBFGS",
    }
    return RelaxRequest(**(options | changes))


def rows_of(tmp_path: Path, config: Path, **changes: Any) -> list[LatticeRow]:
    study = Relaxation(request(**changes))
    session(study, config, tmp_path / "study")
    return study.rows


@pytest.fixture(scope="module")
def a_of_copper_A() -> float:
    """Lattice constant of effective-medium copper by a fit to energies alone."""
    volumes, energies = [], []
    for a in np.linspace(3.54, 3.64, 11):
        atoms = bulk("Cu", a=a)
        atoms.calc = EMT()
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    volume, _, _ = EquationOfState(volumes, energies).fit()
    return float((4.0 * volume) ** (1.0 / 3.0))


@pytest.mark.parametrize("optimiser", ["LBFGS", "FIRE", "BFGSLineSearch"])
def test_the_lattice_constant_is_that_of_the_equation_of_state(
    tmp_path: Path, a_of_copper_A: float, optimiser: str
) -> None:
    config = write_copper(tmp_path, label__calculator={"kind": "emt"})

    (row,) = rows_of(tmp_path, config, optimiser=optimiser)

    assert row.is_converged
    assert row.lattice is not None
    # 1e-3 eV in the virial per atom is a strain of 4e-5 at 134 GPa; the fit is no better
    assert row.lattice.lengths_A == pytest.approx([a_of_copper_A] * 3, rel=3e-4)
    assert row.lattice.angles_deg == pytest.approx([90.0] * 3, abs=1e-3)
    assert row.deviations_percent == pytest.approx(
        [100.0 * (a_of_copper_A / 3.75 - 1.0)] * 3
        + [100.0 * ((a_of_copper_A / 3.75) ** 3 - 1.0)],
        abs=0.1,
    )


def test_each_functional_has_its_lattice(tmp_path: Path, a_of_copper_A: float) -> None:
    config = write_copper(tmp_path, label__calculator=MADE_UP.model_dump())

    rows = rows_of(tmp_path, config, functionals=tuple(SCALES))

    assert [row.method for row in rows] == list(SCALES)
    for row in rows:
        assert row.lattice is not None
        expected = SCALES[row.method] * a_of_copper_A
        assert row.lattice.lengths_A == pytest.approx([expected] * 3, rel=5e-4)


def test_the_table_is_about_the_cell_of_the_file_not_the_supercell(tmp_path: Path) -> None:
    config = write_copper(
        tmp_path,
        label__calculator={"kind": "emt"},
        systems=[
            {"name": "cu", "structure": "cu.cif", "supercell": [2, 1, 1], "volume_scale": 0.95}
        ],
    )

    (row,) = rows_of(tmp_path, config)

    assert row.record["n_atoms"] == 8
    assert row.lattice is not None
    assert row.reference is not None
    assert row.reference.lengths_A == pytest.approx([3.75] * 3)
    assert row.reference.volume_A3 == pytest.approx(3.75**3)
    assert row.lattice.lengths_A == pytest.approx([3.59] * 3, abs=2e-3)
    assert row.energy_eV_atom == pytest.approx(row.record["energy_eV"] / 8)


def test_the_cell_stays_when_it_is_not_to_relax(tmp_path: Path) -> None:
    config = write_copper(tmp_path, label__calculator={"kind": "emt"})

    (row,) = rows_of(tmp_path, config, cell=False)

    assert row.is_converged
    assert row.lattice is not None
    assert row.lattice.lengths_A == pytest.approx([3.75] * 3)
    assert row.record["pressure_GPa"] < -5.0  # stretched as it is


def tilted(tmp_path: Path, **changes: Any) -> Path:
    """A made-up crystal far enough from its minimum to take a dozen steps."""
    config = write_copper(tmp_path, label__calculator=MADE_UP.model_dump(), **changes)
    atoms = bulk("Cu", a=3.75, cubic=True)
    atoms.set_cell(np.diag([3.9, 3.7, 3.6]), scale_atoms=True)
    atoms.rattle(0.15, seed=3)
    atoms.write(tmp_path / "cu.cif")
    return config


def interrupt_after(monkeypatch: pytest.MonkeyPatch, n_points: int) -> None:
    real = studies.MadeUpDft.single_point

    def single_point(*arguments: Any, **options: Any) -> Any:
        if len(CALLS) == n_points:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(studies.MadeUpDft, "single_point", single_point)


def test_a_broken_off_relaxation_goes_on_from_its_last_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tilted(tmp_path)
    (calm,) = rows_of(tmp_path / "calm", config)
    n_calm = len(CALLS)
    CALLS.clear()
    with monkeypatch.context() as patch:
        interrupt_after(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            rows_of(tmp_path, config)
    (trajectory,) = (tmp_path / "study/work/relaxation").glob("*.part/relaxation.extxyz")
    before = trajectory.read_text()

    (row,) = rows_of(tmp_path, config)

    after = (tmp_path / "study" / row.record["trajectory"]).read_text()
    assert n_calm > 10
    assert after.startswith(before)
    frames = read(tmp_path / "study" / row.record["trajectory"], ":")
    assert len(frames) == len(CALLS) == row.record["n_configurations"]
    assert row.is_converged
    assert row.energy_eV_atom == pytest.approx(calm.energy_eV_atom, abs=1e-5)
    assert row.lattice is not None
    assert calm.lattice is not None
    assert row.lattice.volume_A3 == pytest.approx(calm.lattice.volume_A3, rel=2e-3)


def test_a_broken_off_relaxation_takes_no_more_steps_than_a_calm_one_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tilted(tmp_path)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            rows_of(tmp_path, config, max_steps=7)

    (row,) = rows_of(tmp_path, config, max_steps=7)

    assert not row.is_converged
    assert len(CALLS) == row.record["n_configurations"] == 8  # the first one, and seven steps


def test_more_steps_go_on_where_fewer_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dasksse.study.relaxation.STEPS_AT_ONCE", 9)
    config = tilted(tmp_path)
    (few,) = rows_of(tmp_path, config, max_steps=9)
    n_few = len(CALLS)

    (more,) = rows_of(tmp_path, config, max_steps=60)

    assert not few.is_converged
    assert n_few == 10
    assert more.is_converged
    assert len(more.records) > 1
    assert more.records[:1] == few.records
    assert len(CALLS) == sum(record["n_configurations"] for record in more.records)
    assert STEPS_AT_ONCE >= 50  # so that few units are made


def test_what_is_served_from_a_trajectory_is_what_was_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tilted(tmp_path)
    rows_of(tmp_path / "once", config, max_steps=1)
    monkeypatch.setattr("dasksse.study.relaxation.STEPS_AT_ONCE", 1)

    (row,) = rows_of(tmp_path / "twice", config, max_steps=2)

    first = read(tmp_path / "twice/study" / row.records[0]["trajectory"], "-1")
    direct = first.copy()
    direct.calc = None
    answer = studies.MadeUpDft(
        studies.MadeUpSettings.model_validate(MADE_UP.settings)
    ).single_point(direct, None)  # type: ignore[arg-type]
    assert first.get_potential_energy() == pytest.approx(answer.energy, abs=1e-6)
    assert first.get_forces() == pytest.approx(answer.forces, abs=1e-6)
    stress = -answer.virial / first.get_volume()
    assert first.get_stress(voigt=False) == pytest.approx(stress, abs=1e-7)


def test_a_relaxation_that_failed_stops_no_other(tmp_path: Path) -> None:
    studies.FAILING.append(studies.MadeUpSettings(cutoff_Ry=900.0, functional="PBE"))
    config = write_copper(tmp_path, label__calculator=MADE_UP.model_dump())

    pbe, pbesol = rows_of(tmp_path, config, functionals=("PBE", "PBEsol"))

    assert pbe.lattice is None
    assert "not self-consistent, tried all" in pbe.reason
    assert not pbe.is_converged
    assert pbesol.is_converged


def test_relaxed_crystals_and_their_paths_are_written(tmp_path: Path) -> None:
    config = write_copper(tmp_path, label__calculator={"kind": "emt"})
    rows = rows_of(tmp_path, config)

    (cif,) = write_structures(rows, tmp_path / "relaxed", tmp_path / "study")

    assert cif.name == "cu-emt.cif"
    assert rows[0].lattice is not None
    assert read(cif).cell.lengths() == pytest.approx(rows[0].lattice.lengths_A, abs=1e-4)
    last = read(tmp_path / "relaxed/cu-emt-path.extxyz", "-1")
    assert last.get_potential_energy() == pytest.approx(rows[0].record["energy_eV"], abs=1e-6)
    assert read(tmp_path / "relaxed/cu-emt.extxyz").cell == pytest.approx(last.cell, abs=1e-6)


def test_a_calculator_whose_functional_is_fixed_is_refused_another() -> None:
    with pytest.raises(ConfigError, match=r"--functional: .* kind 'emt' cannot .* made-up"):
        calculators(RegistrySection(kind="emt"), ["PBE"])


def test_a_functional_that_a_code_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigError, match=r"--functional: .*found 'B3LYP'.*'PBEsol'"):
        calculators(MADE_UP, ["PBE", "B3LYP"])


def trajectory_of(folder: Path, n_frames: int) -> tuple[Path, list[Atoms]]:
    path = folder / "relaxation.extxyz"
    frames = [bulk("Cu", a=3.6 + 0.01 * i, cubic=True) for i in range(n_frames)]
    for frame in frames:
        frame.calc = EMT()
        frame.get_stress()
        frame.get_potential_energy()
        frame.write(path, append=True)
    return path, frames


@pytest.mark.parametrize("cut", [1, 20, 60, 200])
def test_a_configuration_that_was_not_wholly_written_is_cut_off(
    tmp_path: Path, cut: int
) -> None:
    path, _ = trajectory_of(tmp_path, 3)
    whole = path.read_text()
    start_of_last = whole.rindex("4\nLattice")
    assert len(whole) - cut > start_of_last
    path.write_text(whole[:-cut])

    frames = read_trajectory(path)

    assert len(frames) == 2
    assert path.read_text() == whole[:start_of_last]
    assert frames[-1].cell[0, 0] == pytest.approx(3.61)


@pytest.mark.parametrize("text", ["", "4", "4\nLattice="])
def test_a_trajectory_without_a_whole_configuration_is_empty(tmp_path: Path, text: str) -> None:
    path = tmp_path / "relaxation.extxyz"
    path.write_text(text)

    assert read_trajectory(path) == []
    assert path.read_text() == ""


def test_a_whole_trajectory_is_left_as_it_is(tmp_path: Path) -> None:
    path, frames = trajectory_of(tmp_path, 2)
    before = path.read_text()

    found = read_trajectory(path)

    assert path.read_text() == before
    assert found[1].get_potential_energy() == pytest.approx(frames[1].get_potential_energy())
    assert read_trajectory(tmp_path / "none.extxyz") == []
