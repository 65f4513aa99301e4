from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import ParseError

import ase.test
import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from dasksse.label.dft.vasp_files import (
    find_trouble,
    incar_text,
    kpoints_text,
    poscar_text,
    read_scf,
    read_vasprun,
)
from dasksse.units import virial_from_stress

FIXTURES = Path(ase.test.__file__).parent / "testdata" / "vasp"
"""Output of VASP 6 that ASE brings with it."""

STEP = "DAV: {:3d}    -0.202398598E+02    {:.5E}   {:.5E}   640   0.1E+01    0.2E+00\n"


def write_run(folder: Path, *changes: tuple[float, float], ending: str) -> None:
    lines = [STEP.format(i + 1, *change) for i, change in enumerate(changes)]
    (folder / "OSZICAR").write_text("   N   E   dE   d eps   ncg   rms\n" + "".join(lines))
    (folder / "OUTCAR").write_text(f"----------- aborting loop {ending} -----------\n")


ENERGY = "<energy><i name='e_fr_energy'>1</i></energy>"
REACHED = "because EDIFF is reached"
UNCONVERGED = "EDIFF was not reached (unconverged) "


def test_incar_is_written_in_fortrans_spelling() -> None:
    text = incar_text(
        {"ALGO": "Normal", "LREAL": False, "EDIFF": 1e-6, "ENCUT": 650.0, "NGX": (48, 48)}
    )

    assert text == ("ALGO = Normal\nLREAL = .FALSE.\nEDIFF = 1e-06\nENCUT = 650\nNGX = 48 48\n")


def test_kpoints_are_centred_at_gamma() -> None:
    assert kpoints_text((3, 3, 2)) == "centred at Gamma\n0\nGamma\n3 3 2\n0 0 0\n"


def test_poscar_of_a_triclinic_cell() -> None:
    cell = [[4.0, 0.0, 0.0], [1.0, 5.0, 0.0], [0.5, 0.25, 6.0]]
    atoms = Atoms(
        "Li2S", scaled_positions=[[0, 0, 0], [0.5, 0.25, 0.75], [0.5, 0, 0]], cell=cell
    )

    assert poscar_text(atoms) == (
        "Li2S\n1.0\n"
        "  4.0000000000000000   0.0000000000000000   0.0000000000000000\n"
        "  1.0000000000000000   5.0000000000000000   0.0000000000000000\n"
        "  0.5000000000000000   0.2500000000000000   6.0000000000000000\n"
        "Li S\n2 1\nDirect\n"
        "  0.0000000000000000   0.0000000000000000   0.0000000000000000\n"
        "  0.5000000000000000   0.2500000000000000   0.7500000000000000\n"
        "  0.5000000000000000   0.0000000000000000   0.0000000000000000\n"
    )


def test_ase_reads_the_poscar_as_it_was_meant(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    cell = np.diag([5.0, 6.0, 7.0]) + rng.normal(scale=0.3, size=(3, 3))
    atoms = Atoms("Li3PS4", scaled_positions=rng.random((8, 3)), cell=cell, pbc=True)

    (tmp_path / "POSCAR").write_text(poscar_text(atoms))
    back = read(tmp_path / "POSCAR")

    assert list(back.symbols) == list(atoms.symbols)
    np.testing.assert_allclose(back.cell.array, atoms.cell.array, atol=1e-14)
    np.testing.assert_allclose(back.positions, atoms.positions, atol=1e-14)


def test_forces_and_virial_of_a_real_run_agree_with_ases_reading() -> None:
    path = FIXTURES / "vasprun_dfpt.xml"
    theirs = read(path, index=-1)

    energy, forces, virial = read_vasprun(path, len(theirs), theirs.get_volume())

    assert energy == pytest.approx(theirs.get_potential_energy(force_consistent=True))
    np.testing.assert_allclose(forces, theirs.get_forces())
    expected = virial_from_stress(theirs.get_stress(), theirs.get_volume())
    np.testing.assert_allclose(virial, expected, rtol=1e-6)


def test_the_free_energy_is_read_and_not_the_one_without_smearing() -> None:
    path = FIXTURES / "vasprun_pstress.xml"

    energy, forces, virial = read_vasprun(path, 2, 11.37482325)

    assert energy == -20.23985977  # e_0_energy is -20.24010135
    np.testing.assert_array_equal(forces, np.zeros((2, 3)))
    # -166 kB under compression's sign: the cell wants to shrink, so the virial is negative
    by_hand = -165.99562580 * 0.1 / 160.21766208 * 11.37482325
    np.testing.assert_allclose(virial, np.eye(3) * by_hand, rtol=1e-8)


def test_the_virial_is_the_force_on_the_cell_of_a_real_outcar(tmp_path: Path) -> None:
    # two neighbouring lines of one OUTCAR: FORCE on cell = -STRESS in eV, and the same in kB
    lines = (FIXTURES / "OUTCAR_example_1").read_text().splitlines()
    row = max(i for i, line in enumerate(lines) if line.startswith("  in kB"))
    in_eV, in_kB = (_tensor(line.split()[-6:]) for line in lines[row - 1 : row + 1])
    rows = "".join(f"<v>{x} {y} {z}</v>" for x, y, z in in_kB)
    path = tmp_path / "vasprun.xml"
    path.write_text(
        "<modeling><calculation><varray name='forces'><v>0 0 0</v></varray>"
        f"<varray name='stress'>{rows}</varray>"
        "<energy><i name='e_fr_energy'>0</i></energy></calculation></modeling>"
    )

    _, _, virial = read_vasprun(path, 1, 5768.42)

    np.testing.assert_allclose(virial, in_eV, atol=3e-5)


def _tensor(words: list[str]) -> np.ndarray:
    """From VASP's order XX YY ZZ XY YZ ZX."""
    xx, yy, zz, xy, yz, zx = (float(word) for word in words)
    return np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])


def test_a_calculation_without_stress_has_no_virial(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text(
        "<modeling><calculation><varray name='forces'><v> 0.1 0.2 0.3 </v></varray>"
        "<energy><i name='e_fr_energy'> -1.5 </i></energy></calculation></modeling>"
    )

    energy, forces, virial = read_vasprun(path, 1, 100.0)

    assert (energy, forces.tolist(), virial) == (-1.5, [[0.1, 0.2, 0.3]], None)


def test_a_cut_off_vasprun_is_refused(tmp_path: Path) -> None:
    whole = (FIXTURES / "vasprun_pstress.xml").read_text()
    path = tmp_path / "vasprun.xml"
    path.write_text(whole[: whole.index("</calculation>")])

    with pytest.raises(ParseError):
        read_vasprun(path, 2, 11.4)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "no finished calculation"),
        ("<calculation><structure/></calculation>", "no finished calculation"),
        (
            f"<calculation>{ENERGY}</calculation>",
            "no forces of 2 atoms",
        ),
        (
            f"<calculation><varray name='forces'><v>0 0 0</v></varray>{ENERGY}</calculation>",
            "no forces of 2 atoms",
        ),
        (
            f"<calculation><varray name='forces'><v>0 0 ***</v></varray>{ENERGY}</calculation>",
            "could not convert",
        ),
    ],
)
def test_a_vasprun_without_result_is_refused(tmp_path: Path, body: str, message: str) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text(f"<modeling>{body}</modeling>")

    with pytest.raises(ValueError, match=message):
        read_vasprun(path, 2, 100.0)


def test_a_run_that_stops_by_itself_is_converged(tmp_path: Path) -> None:
    write_run(tmp_path, (1.0, 1.0), (0.1, 0.1), (-4e-7, -1e-7), ending=REACHED)

    scf = read_scf(tmp_path, max_steps=60, tolerance_eV=1e-6)

    assert scf.is_converged
    assert (scf.steps, scf.changes_eV) == (3, (-4e-7, -1e-7))


@pytest.mark.parametrize(
    ("last", "ending", "is_converged"),
    [
        ((1e-3, 1e-8), UNCONVERGED, False),
        ((1e-8, 1e-8), UNCONVERGED, False),  # VASP 6 knows better
        ((1e-3, 1e-8), REACHED, False),  # VASP 5 always says so at its last step
        ((1e-8, -1e-3), REACHED, False),
        ((1e-8, -1e-8), REACHED, True),
    ],
)
def test_at_the_last_step_the_changes_decide(
    tmp_path: Path, last: tuple[float, float], ending: str, *, is_converged: bool
) -> None:
    write_run(tmp_path, (1.0, 1.0), (0.1, 0.1), last, ending=ending)

    assert read_scf(tmp_path, max_steps=3, tolerance_eV=1e-6).is_converged == is_converged


def test_rows_of_every_solver_count_as_steps(tmp_path: Path) -> None:
    rows = "".join(
        f"{solver}{number:4d}    -0.2E+02    -0.1E-07   -0.1E-07   640   0.1E+01\n"
        for number, solver in enumerate(("DAV:", "RMM:", "CGA:", "DMP:", "CG :"), start=1)
    )
    (tmp_path / "OSZICAR").write_text(rows + "   1 F= -.20E+02 E0= -.20E+02  d E =0.1E-02\n")
    (tmp_path / "OUTCAR").write_text(REACHED)

    assert read_scf(tmp_path, max_steps=60, tolerance_eV=1e-6).steps == 5


def test_an_empty_oszicar_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path, ending=REACHED)

    with pytest.raises(ValueError, match="no step to self-consistency"):
        read_scf(tmp_path, max_steps=60, tolerance_eV=1e-6)


@pytest.mark.parametrize(
    ("line", "is_scf"),
    [
        ("Error EDDDAV: Call to ZHEGV failed. Returncode =   7   2   8", True),
        ("WARNING: Sub-Space-Matrix is not hermitian in DAV            1", True),
        ("BRMIX: very serious problems", True),
        ("POSMAP internal error: symmetry equivalent atom not found", False),
        ("ZBRENT: fatal error in bracketing", False),
        ("LAPACK: Routine ZPOTRF failed!         147           1           0", False),
        ("slurmstepd: error: Detected 1 oom_kill event, Out Of Memory", False),
    ],
)
def test_known_messages_are_quoted(tmp_path: Path, line: str, *, is_scf: bool) -> None:
    log = tmp_path / "output.log"
    log.write_text(f" running on    4 total cores\n |     {line}     |\n DAV:  1\n")

    trouble = find_trouble(log)

    assert trouble is not None
    assert (trouble.message, trouble.is_scf) == (line, is_scf)


def test_ordinary_output_is_no_trouble(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_text(
        " running    1 mpi-ranks\n| ADVICE TO THIS USER RUNNING VASP |\n entering main loop\n"
        "DAV:   1     0.2E+03    0.2E+03   -0.1E+04   640   0.9E+02\n   1 F= -.2E+02\n"
    )

    assert find_trouble(log) is None
    assert find_trouble(tmp_path / "absent") is None
