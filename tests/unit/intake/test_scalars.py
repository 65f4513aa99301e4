"""Temperature, pressure and energy of each frame get from a file into the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.io.trajectory import Trajectory
from ase.stress import full_3x3_to_voigt_6_stress
from walks import Walk, make_walk, write_dump, write_extxyz, write_vasprun, write_xdatcar

from dasksse.errors import TrajectoryError
from dasksse.intake import Hints, RunReport, Selection, import_trajectories, parse_species_map
from dasksse.store import layout
from dasksse.store.stored_trajectory import open_trajectories
from dasksse.store.trajectory_writer import TrajectoryWriter
from dasksse.store.verification import OK, verify_store
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.store.stored_trajectory import StoredTrajectory

HINTS = Hints(dt_fs=50.0, species=parse_species_map("Li,S"))
N_FRAMES = 60
ENERGY_EV = -70.0 + 0.1 * np.arange(N_FRAMES)
PRESSURE_GPA = np.linspace(-1.0, 1.0, N_FRAMES)
TEMPERATURE_K = 600.0 + np.arange(N_FRAMES)
STRESS_EV_A3 = -PRESSURE_GPA * units.GPa
"""Diagonal, in ASE's sign: positive under tension."""
SHEAR = np.array([[2.0, 5.0, 6.0], [5.0, 0.5, 7.0], [6.0, 7.0, 0.5]])
"""Uneven, and with off-diagonal elements, which are no pressure; its trace is 3."""


def imported(
    folder: Path, *paths: Path, hints: Hints = HINTS, **more: object
) -> tuple[list[StoredTrajectory], list[RunReport]]:
    reports = import_trajectories(list(paths), folder / "s.zarr", hints=hints, **more)
    assert [finding.state for finding in verify_store(folder / "s.zarr")] == [OK] * len(paths)
    return list(open_trajectories(folder / "s.zarr")[0].runs), reports


def calculated(walk: Walk) -> list[Atoms]:
    """Frames as a calculator of ASE leaves them, with velocities."""
    images = []
    for frame in range(N_FRAMES):
        atoms = Atoms(walk.symbols, walk.wrapped[frame], cell=walk.cells[frame], pbc=True)
        atoms.set_momenta(np.ones((16, 3)) * (1.0 + frame))
        whole = STRESS_EV_A3[frame] * SHEAR
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=ENERGY_EV[frame],
            stress=full_3x3_to_voigt_6_stress(whole),
        )
        images.append(atoms)
    return images


def with_keys(path: Path, texts: list[str]) -> Path:
    """Extended XYZ with other words on the second line of each frame."""
    walk = make_walk(n_frames=len(texts))
    write_extxyz(path, walk, walk.wrapped, "KEYS")
    head, *rest = path.read_text().split("KEYS")
    frames = [text + part for text, part in zip(texts, rest, strict=True)]
    path.write_text(head + "".join(frames))
    return path


def test_ase_trajectories_give_all_three(tmp_path: Path) -> None:
    images = calculated(make_walk())
    with Trajectory(tmp_path / "md.traj", "w") as file:
        for atoms in images:
            file.write(atoms)

    (run,), (report,) = imported(tmp_path, tmp_path / "md.traj")

    assert run.scalars("energy") == pytest.approx(ENERGY_EV)
    assert run.scalars("pressure") == pytest.approx(PRESSURE_GPA, abs=1e-6)
    kelvin = [atoms.get_temperature() for atoms in images]
    assert run.scalars("temperature") == pytest.approx(kelvin)
    assert report.mean_temperature_K == pytest.approx(np.mean(kelvin))
    assert report.scalars == ("temperature", "pressure", "energy")


def test_extended_xyz_as_ase_writes_it(tmp_path: Path) -> None:
    write(tmp_path / "md.xyz", calculated(make_walk()), format="extxyz")

    (run,), _ = imported(tmp_path, tmp_path / "md.xyz")

    assert run.scalars("energy") == pytest.approx(ENERGY_EV)
    assert run.scalars("pressure") == pytest.approx(PRESSURE_GPA, abs=1e-6)


def test_extended_xyz_takes_the_energy_of_the_forces_and_the_virial_first(
    tmp_path: Path,
) -> None:
    volume_A3 = 9.0**3
    texts = []
    for energy, pressure in zip(ENERGY_EV, PRESSURE_GPA, strict=True):
        virial = " ".join(f"{x:.10f}" for x in (pressure * units.GPa * volume_A3 * SHEAR).flat)
        texts.append(
            f'energy={energy - 1.0:.4f} free_energy={energy:.4f} virial="{virial}" '
            'stress="9 9 9 0 0 0"'
        )

    (run,), _ = imported(tmp_path, with_keys(tmp_path / "md.xyz", texts))

    assert run.scalars("energy") == pytest.approx(ENERGY_EV)
    assert run.scalars("pressure") == pytest.approx(PRESSURE_GPA, abs=1e-5)
    assert run.scalars("temperature") is None


def test_stress_in_voigt_order_and_pressure_in_gpa_are_taken(tmp_path: Path) -> None:
    voigt = [f'stress="{2 * s:.10f} {s / 2:.10f} {s / 2:.10f} 9 9 9"' for s in STRESS_EV_A3]
    named = [
        f"pressure_GPa={pressure:.6f} temperature={kelvin:g}"
        for pressure, kelvin in zip(PRESSURE_GPA, TEMPERATURE_K, strict=True)
    ]
    paths = with_keys(tmp_path / "1.xyz", voigt), with_keys(tmp_path / "2.xyz", named)

    runs, _ = imported(tmp_path, *paths)

    for run in runs:
        assert run.scalars("pressure") == pytest.approx(PRESSURE_GPA, abs=1e-6)
    assert runs[0].scalars("temperature") is None
    assert runs[1].scalars("temperature") == pytest.approx(TEMPERATURE_K)


def test_stress_is_left_alone_where_lengths_are_no_angstrom(tmp_path: Path) -> None:
    walk = make_walk()
    small = Walk(walk.numbers, walk.fractions, walk.cells / 10.0)
    path = write_extxyz(
        tmp_path / "a.xyz", small, small.wrapped, 'energy=-3 stress="1 1 1 0 0 0"'
    )

    (run,), _ = imported(tmp_path, path, hints=Hints(dt_fs=50.0, length_unit="nm"))

    assert run.scalars("pressure") is None
    assert run.scalars("energy") == pytest.approx(np.full(N_FRAMES, -3.0))


def test_vasprun_gives_energy_without_pv_pressure_in_vasps_sign_and_temperature(
    tmp_path: Path,
) -> None:
    walk = make_walk()
    path = write_vasprun(tmp_path / "vasprun.xml", walk, walk.wrapped)
    head, *steps = path.read_text().split("</calculation>")
    pstress_kB, volume_A3 = 20.0, 9.0**3
    kinetic_eV = 1.5 * 15 * BOLTZMANN_EV_K * TEMPERATURE_K
    text = [head, *steps][:N_FRAMES]
    for frame in range(N_FRAMES):
        rows = "".join(
            f"<v>{x:.8f} {y:.8f} {z:.8f}</v>" for x, y, z in 10.0 * PRESSURE_GPA[frame] * SHEAR
        )
        enthalpy = ENERGY_EV[frame] + 0.1 * pstress_kB * units.GPa * volume_A3
        text[frame] += (
            f'<varray name="stress">{rows}</varray><energy>'
            f'<i name="e_fr_energy">{enthalpy:.8f}</i><i name="e_wo_entrp">0</i>'
            f'<i name="kinetic">{kinetic_eV[frame]:.8f}</i></energy></calculation>'
        )
    text[0] = text[0].replace("<incar>", f'<incar><i name="PSTRESS">{pstress_kB}</i>')
    path.write_text("".join(text) + "</modeling>")

    (run,), (report,) = imported(tmp_path, path)

    assert run.scalars("energy") == pytest.approx(ENERGY_EV, abs=1e-5)
    assert run.scalars("pressure") == pytest.approx(PRESSURE_GPA, abs=1e-6)
    assert run.scalars("temperature") == pytest.approx(TEMPERATURE_K, abs=1e-3)
    assert run.temperature_K == 700.0
    assert report.mean_temperature_K == pytest.approx(TEMPERATURE_K.mean())


def test_what_vasp_could_not_print_is_unknown_and_zeros_are_no_stress(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_vasprun(tmp_path / "vasprun.xml", walk, walk.wrapped)
    zeros = '<varray name="stress"><v>0 0 0</v><v>0 0 0</v><v>0 0 0</v></varray>'
    energy = '<energy><i name="e_fr_energy">-7</i></energy></calculation>'
    text = path.read_text().replace("</calculation>", zeros + energy)
    path.write_text(text.replace(">-7<", ">******<", 3))

    (run,), _ = imported(tmp_path, path)

    assert run.scalars("pressure") is None
    assert run.scalars("energy") == pytest.approx([np.nan] * 3 + [-7.0] * 57, nan_ok=True)


def test_npz_gives_its_arrays_of_frames(tmp_path: Path) -> None:
    walk = make_walk()
    arrays = {
        "positions": walk.wrapped,
        "cell": walk.cells,
        "species": walk.numbers,
        "energy": ENERGY_EV.astype(np.float32),
        "temperature": TEMPERATURE_K.astype(int),
        "pressure": PRESSURE_GPA,
    }
    np.savez(tmp_path / "a.npz", **arrays)

    (run,), _ = imported(tmp_path, tmp_path / "a.npz")

    assert run.scalars("energy") == pytest.approx(ENERGY_EV, abs=1e-5)
    assert run.scalars("temperature") == pytest.approx(TEMPERATURE_K)
    assert run.scalars("pressure") == pytest.approx(PRESSURE_GPA)
    np.savez(tmp_path / "b.npz", **{**arrays, "energy": ENERGY_EV[:5]})
    with pytest.raises(TrajectoryError, match=r"energy has shape \(5,\), needed is \(60,\)"):
        imported(tmp_path, tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", **{**arrays, "energy": ENERGY_EV.astype(str)})
    with pytest.raises(TrajectoryError, match=r"energy is an array of .*needed are real"):
        imported(tmp_path, tmp_path / "c.npz")


@pytest.mark.parametrize("write_file", [write_dump, write_xdatcar])
def test_formats_without_have_none(tmp_path: Path, write_file: object) -> None:
    walk = make_walk()
    (run,), (report,) = imported(tmp_path, write_file(tmp_path / "file", walk, walk.wrapped))
    assert [run.scalars(name) for name in layout.IMPORTED_SCALARS] == [None] * 3
    assert report.scalars == ()


def test_scalars_follow_their_frames_through_selection_and_joining(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dasksse.intake.text.BLOCK_BYTES", 3000)
    texts = [f"step={20 * i} energy={e:.4f}" for i, e in enumerate(ENERGY_EV)]
    whole = with_keys(tmp_path / "whole.xyz", texts).read_text().splitlines(keepends=True)
    (tmp_path / "1.xyz").write_text("".join(whole[: 31 * 18]))
    (tmp_path / "2.xyz").write_text("".join(whole[25 * 18 :]))  # a restart repeats 6 frames

    (run,), _ = imported_once(
        tmp_path,
        [tmp_path / "1.xyz", tmp_path / "2.xyz"],
        Selection(start=4, every=7),
    )

    # frames are counted over both files, so that the repeated ones have numbers too
    assert run.scalars("energy") == pytest.approx(ENERGY_EV[4::7], abs=1e-6)


def test_a_frame_repeated_at_a_seam_without_times_takes_its_energy_with_it(
    tmp_path: Path,
) -> None:
    whole = with_keys(tmp_path / "whole.xyz", [f"energy={e:.4f}" for e in ENERGY_EV])
    lines = whole.read_text().splitlines(keepends=True)
    (tmp_path / "1.xyz").write_text("".join(lines[: 31 * 18]))
    (tmp_path / "2.xyz").write_text("".join(lines[30 * 18 :]))

    (run,), _ = imported_once(tmp_path, [tmp_path / "1.xyz", tmp_path / "2.xyz"], Selection())

    assert run.scalars("energy") == pytest.approx(ENERGY_EV)


def imported_once(
    folder: Path, paths: list[Path], selection: Selection
) -> tuple[list[StoredTrajectory], list[RunReport]]:
    hints = Hints(md_step_fs=2.5, dt_fs=50.0)
    store = folder / "s.zarr"
    reports = import_trajectories(paths, store, hints=hints, selection=selection, join=True)
    assert [finding.state for finding in verify_store(store)] == [OK]
    return list(open_trajectories(store)[0].runs), reports


def test_runs_of_a_group_may_differ_in_what_they_have(tmp_path: Path) -> None:
    walk = make_walk(seed=1)
    bare = write_dump(tmp_path / "a.dump", walk, walk.wrapped)
    energies = with_keys(tmp_path / "b.xyz", [f"energy={e:.4f}" for e in ENERGY_EV])
    kelvins = with_keys(tmp_path / "c.xyz", [f"temperature={T:g}" for T in TEMPERATURE_K])

    runs, reports = imported(tmp_path, bare, energies, kelvins)

    found = [
        (run.scalars("energy") is None, run.scalars("temperature") is None) for run in runs
    ]
    assert found == [(True, True), (False, True), (True, False)]
    assert [report.scalars for report in reports] == [(), ("energy",), ("temperature",)]
    assert runs[1].scalars("energy") == pytest.approx(ENERGY_EV)


def test_a_group_of_an_earlier_version_takes_the_run_without_its_scalars_and_says_so(
    tmp_path: Path,
) -> None:
    walk = make_walk(seed=1)
    with TrajectoryWriter(
        tmp_path / "s.zarr", group="production/Li8S8", numbers=walk.numbers,
        frame_interval_ps=0.05,
    ) as writer:  # fmt: skip
        writer.add(walk.unwrapped, walk.cells)
    energies = with_keys(tmp_path / "b.xyz", [f"energy={e:.4f}" for e in ENERGY_EV])

    (report,) = import_trajectories([energies], tmp_path / "s.zarr", hints=HINTS)

    runs = open_trajectories(tmp_path / "s.zarr")[0].runs
    assert [run.n_frames for run in runs] == [N_FRAMES, N_FRAMES]
    assert runs[1].scalars("energy") is None
    assert report.scalars == ()
    (note,) = [note for note in report.notes if "left out" in note]
    assert note.startswith("energy of each frame left out: the runs of production/Li8S8")
    assert [finding.state for finding in verify_store(tmp_path / "s.zarr")] == [OK, OK]
