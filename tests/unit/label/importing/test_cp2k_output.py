from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.units import Bohr, Hartree
from pymatgen.io.cp2k.outputs import Cp2kOutput

from dasksse.errors import StoreError
from dasksse.label.importing.cp2k_output import read_cp2k
from dasksse.units import EV_A3_PER_GPA, pressure_from_virial

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(golden: Path, tmp_path: Path) -> Path:
    """Output of three steps of MD in a cell that changes, with the files beside it."""
    for path in golden.glob("cp2k_md*"):
        shutil.copy(path, tmp_path)
    return tmp_path / "cp2k_md.out"


def rewrite(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert re.search(old, text, re.MULTILINE)
        text = re.sub(old, new, text, flags=re.MULTILINE)
    path.write_text(text)


def test_energies_forces_and_cells_are_those_that_pymatgen_reads(run: Path) -> None:
    output = Cp2kOutput(run, auto_load=False)
    output.parse_energies()
    output.parse_forces()

    [labels] = read_cp2k(run).labels

    np.testing.assert_allclose(labels.energies, output.data["total_energy"], rtol=2e-8)
    forces = np.array(output.data["forces"]) * Hartree / Bohr
    np.testing.assert_allclose(labels.forces, forces, atol=1e-6)
    assert labels.frames.numbers.tolist() == [3] * 4 + [1] * 4
    assert labels.frames.cells[2, 2].tolist() == [0.3485080251, 0.0, 3.9834649546]
    assert labels.frames.positions[0, 0, 0] == 0.0034862297
    assert (labels.source, labels.functional) == ("CP2K 2023.1, CUTOFF 200 Ry", "PBE")


def test_the_pressure_is_a_third_of_the_trace_that_is_printed(run: Path) -> None:
    [labels] = read_cp2k(run).labels

    volume = labels.frames.volumes_A3[0]
    assert pressure_from_virial(labels.virials[0], volume) == pytest.approx(18.3469539771)


def test_the_energy_follows_the_work_of_forces_and_virial(run: Path) -> None:
    [labels] = read_cp2k(run).labels

    inverse = np.linalg.inv(labels.frames.cells)
    fractional = labels.frames.positions @ inverse
    for i, j in ((0, 1), (1, 2)):
        move = (fractional[j] - fractional[i]) @ labels.frames.cells[i]
        strain = inverse[i] @ labels.frames.cells[j] - np.eye(3)
        forces = (labels.forces[i] + labels.forces[j]) / 2
        virial = (labels.virials[i] + labels.virials[j]) / 2
        work = -(forces * move).sum() - (virial * strain).sum()
        # a coarse grid: energies of moved atoms are some percent off
        assert labels.energies[j] - labels.energies[i] == pytest.approx(work, rel=0.1)


def test_a_single_point_needs_no_other_file(run: Path) -> None:
    for path in run.parent.glob("*-1*"):
        path.unlink()

    [labels] = read_cp2k(run).labels

    assert labels.is_good.tolist() == [True, False, False]
    assert (
        labels.reasons[1:]
        == ("its positions are not in the file PROJECT-pos-1.xyz beside the output",) * 2
    )
    np.testing.assert_allclose(labels.frames.cells[0, 2], [0.3486229710, 0, 3.9847787924])
    np.testing.assert_allclose(labels.forces[0, 0, 2], -0.00377294 * Hartree / Bohr)


def test_the_cell_is_rebuilt_from_lengths_and_angles_without_input(run: Path) -> None:
    for path in (*run.parent.glob("*-1*"), run.with_suffix(".inp")):
        path.unlink()

    [labels] = read_cp2k(run).labels

    np.testing.assert_allclose(labels.frames.cells[0, 2], [0.348623, 0.0, 3.984779], atol=1e-6)


def test_a_cell_in_any_direction_needs_the_input(run: Path) -> None:
    for path in run.parent.glob("*-1*"):
        path.unlink()
    exact = "A 0.0 4.2001234 0.0\nB 0.0 0.0 4.1004321\nC 3.9847788 0.3486229 0.0\n"
    rewrite(
        run,
        (r"(Vector a .*:) .*", r"\1 0.000 4.200 0.000 |a| = 4.200123"),
        (r"(Vector b .*:) .*", r"\1 0.000 0.000 4.100 |b| = 4.100432"),
        (r"(Vector c .*:) .*", r"\1 3.985 0.349 0.000 |c| = 4.000000"),
    )

    [without] = read_cp2k(run).labels
    rewrite(run.with_suffix(".inp"), (r"^ +ABC .*\n.*ALPHA.*$", exact))
    [with_input] = read_cp2k(run).labels

    assert without.reasons[0].startswith("its cell is printed with three digits only")
    assert with_input.is_good[0]
    assert with_input.frames.cells[0, 0, 1] == 4.2001234


def test_moving_cells_without_their_file_are_left_out(run: Path) -> None:
    run.with_name("cp2k_md-1.cell").unlink()
    rewrite(run, (r"^ QS\| Density", " MD| Ensemble type            NPT_I\n QS| Density"))

    [labels] = read_cp2k(run).labels

    assert labels.is_good.tolist() == [True, False, False]
    assert labels.reasons[1] == "its cell is not in the file PROJECT-1.cell beside the output"


def test_a_cell_that_does_not_move_needs_no_file(run: Path) -> None:
    run.with_name("cp2k_md-1.cell").unlink()
    rewrite(run, (r"^ QS\| Density", " MD| Ensemble type              NVT\n QS| Density"))

    [labels] = read_cp2k(run).labels

    assert labels.is_good.all()
    assert np.ptp(labels.frames.cells, axis=0).max() == 0.0


def test_forces_of_md_may_be_in_their_own_file(run: Path) -> None:
    [expected] = read_cp2k(run).labels
    rewrite(run, (r"^ ATOMIC FORCES.*\n\n.*\n(.*\n){8}", ""))

    [labels] = read_cp2k(run).labels

    np.testing.assert_allclose(labels.forces, expected.forces, atol=1e-6)


def test_an_unconverged_scf_is_left_out(golden: Path) -> None:
    [labels] = read_cp2k(golden / "cp2k_unconverged.out").labels

    assert labels.reasons == ("SCF not converged",)
    assert not labels.is_good.any()


def test_an_output_without_forces_says_how_to_print_them(run: Path) -> None:
    rewrite(run, (r"^ ATOMIC FORCES.*\n\n.*\n(.*\n){8}", ""))
    for path in run.parent.glob("*-1*"):
        path.unlink()

    [labels] = read_cp2k(run).labels

    assert "no forces: switch FORCE_EVAL/PRINT/FORCES on" in labels.reasons


def test_the_output_of_later_versions_is_read_alike(run: Path) -> None:
    [expected] = read_cp2k(run).labels
    new_head = " FORCES| Atomic forces [hartree/bohr]\\n FORCES|   Atom     x   y   z   |f|"
    rewrite(
        run,
        (r"energy \[a\.u\.\]:", "energy [hartree]"),
        (r"^ ATOMIC FORCES in \[a\.u\.\]\n\n # Atom .*$", new_head),
        (
            r"^ +(\d) +\d +(?:Li|H) +(\S+) +(\S+) +(\S+)$",
            r" FORCES|      \1  \2  \3  \4   0.10000000E+00",
        ),
        (r"tensor \[GPa\]", "tensor [bar]"),
        (r"^( STRESS\|.*)E\+01", r"\1E+05"),
    )
    for path in run.parent.glob("*-frc-1.xyz"):
        path.unlink()

    [labels] = read_cp2k(run).labels

    assert "FORCES|      8 " in run.read_text()
    np.testing.assert_array_equal(labels.energies, expected.energies)
    np.testing.assert_allclose(labels.forces, expected.forces, atol=1e-6)
    factor = EV_A3_PER_GPA * labels.frames.volumes_A3[0]
    assert labels.virials[0, 2, 2] == pytest.approx(24.4361039195 * factor)


@pytest.mark.parametrize(
    ("printed", "functional"),
    [
        (" FUNCTIONAL| PADE:", "LDA"),
        (" FUNCTIONAL| PBE:\n FUNCTIONAL| PBEsol, J.P. Perdew et al.", "PBEsol"),
        (" FUNCTIONAL| MGGA_X_SCAN:\n FUNCTIONAL| MGGA_C_SCAN:", "SCAN"),
        (" FUNCTIONAL| MGGA_X_R2SCAN:\n FUNCTIONAL| MGGA_C_R2SCAN:", "r2SCAN"),
        (" FUNCTIONAL| PBE:\n vdW POTENTIAL| DFT-D3\n vdW POTENTIAL| BJ Damping", "PBE+D3"),
        (" FUNCTIONAL| PBE:\n vdW POTENTIAL|   DFT-D3 (Version 3.1)", "PBE+D3(0)"),
        (" FUNCTIONAL| BECKE88:\n FUNCTIONAL| LYP:", "unknown"),
    ],
)
def test_the_functional_is_found(run: Path, printed: str, functional: str) -> None:
    rewrite(run, (r"^ FUNCTIONAL\| PBE:$", printed))

    [labels] = read_cp2k(run).labels

    assert labels.functional == functional


def test_a_job_that_was_killed_is_noted_and_its_steps_are_read(run: Path) -> None:
    text = run.read_text()
    run.write_text(text[: text.rindex(" *** SCF run converged")])

    reading = read_cp2k(run)

    assert [len(labels) for labels in reading.labels] == [2]
    assert reading.notes == ("the job did not end by itself; 2 energies",)


def test_an_output_without_energy_or_of_a_slab_is_refused(run: Path) -> None:
    text = run.read_text()
    run.write_text(text[: text.index(" ENERGY|")])
    with pytest.raises(StoreError, match="CP2K printed no energy"):
        read_cp2k(run)

    run.write_text(re.sub(r"(Periodicity +)XYZ", r"\1 XY", text))
    with pytest.raises(StoreError, match="not periodic in all directions"):
        read_cp2k(run)
