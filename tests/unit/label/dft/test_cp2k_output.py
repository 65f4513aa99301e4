"""What CP2K prints is read in each of its layouts, and what went wrong is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.units import Bohr, Hartree

from dasksse.errors import ConfigError, LabelError, ScfError
from dasksse.label.dft.cp2k_output import (
    AtomicUnits,
    check_converged,
    check_ranks,
    explain,
    read_output,
    scf_steps,
)

FOLDER = Path("frame-1")

SILICON = """
  Step     Update method      Time    Convergence         Total energy    Change
  ------------------------------------------------------------------------------
     1 NoMix/Diag. 0.40E+00    0.3     1.61081450        -8.1602093613 -8.16E+00
    10 Broy./Diag. 0.40E+00    0.5     0.00000023        -7.0638261638 -4.44E-07
    11 Broy./Diag. 0.40E+00    0.5     0.00000005        -7.0638262674 -1.04E-07

  *** SCF run converged in    11 steps ***

 #  Atom  Element  Kind  Atomic population                           Net charge
       1     Si       1          3.999999                              0.000001

 ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:               -7.063826265733830

 ATOMIC FORCES in [a.u.]

 # Atom   Kind   Element          X                    Y                    Z
      1      1      Si         -0.09043008423754     0.04082431532938    -0.05372803500340
      2      1      Si          0.09043556400206    -0.04082540433400     0.05372532337599
 SUM OF ATOMIC FORCES           0.00000547976452    -0.00000108900462    -0.00000271162741

 STRESS| Analytical stress tensor [GPa]
 STRESS|                        x                   y                   z
 STRESS|      x        6.57766817172E+01   1.32860587856E+01  -1.13004902578E+01
 STRESS|      y        1.32860587856E+01   6.89167301063E+01   1.95884417742E+01
 STRESS|      z       -1.13004902578E+01   1.95884417742E+01   6.83114771205E+01
 STRESS| 1/3 Trace                                             6.76682963146E+01

 STRESS| Eigenvectors and eigenvalues of the analytical stress tensor [GPa]
 STRESS|                        1                   2                   3
 STRESS|      x           0.532233799420      0.840370459812      0.102492307179
"""
"""From CP2K 2023.1, some lines left out."""

SINCE_2025 = """
 ENERGY| Total FORCE_EVAL ( QS ) energy [hartree]    -7.063826265733830

 FORCES| Atomic forces [hartree/bohr]
 FORCES|   Atom     x               y               z               |f|
 FORCES|      1 -9.0430084E-02  4.0824315E-02 -5.3728035E-02  1.1281000E-01
 FORCES|      2  9.0435564E-02 -4.0825404E-02  5.3725323E-02  1.1281000E-01
 FORCES| Sum     5.4797645E-06 -1.0890046E-06 -2.7116274E-06  6.2102072E-06

 STRESS| Analytical stress tensor [bar]
 STRESS|                        x                   y                   z
 STRESS|      x        6.57766817172E+05   1.32860587856E+05  -1.13004902578E+05
 STRESS|      y        1.32860587856E+05   6.89167301063E+05   1.95884417742E+05
 STRESS|      z       -1.13004902578E+05   1.95884417742E+05   6.83114771205E+05
"""
"""The layout since 2025."""

UNCONVERGED = """
     1 NoMix/Diag. 0.40E+00    0.3     1.61081450        -8.1602093613 -8.16E+00
     2 Broy./Diag. 0.40E+00    0.4     0.00020382        -6.9204960138  1.24E+00

  Leaving inner SCF loop after reaching     2 steps.

  Total energy:                                                -6.90667686749039

 *** WARNING in qs_scf.F:601 :: SCF run NOT converged ***
"""

ABORTED = """
 *******************************************************************************
 *   ___                                                                       *
 *  /   \\                                                                      *
 * [ABORT]                                                                     *
 *  \\___/    The requested basis set <NOPE> for element <Si> was not found in  *
 *    |                     the basis set files <BASIS_MOLOPT>                 *
 *  O/|                                                                        *
 * /| |                                                                        *
 * / \\                                          aobasis/basis_set_types.F:1509 *
 *******************************************************************************


 ===== Routine Calling Stack =====
"""


def test_energy_forces_and_stress_are_read() -> None:
    results = read_output(SILICON, 2, FOLDER, virial=True)

    # what cp2k_shell gave for the same frame, which converts nothing
    assert results.energy == pytest.approx(-7.0638262657338, abs=1e-12)
    assert results.forces[1, 2] == pytest.approx(0.053725323375987, abs=1e-13)
    assert results.stress is not None
    assert results.stress[0, 0] == pytest.approx(0.0022357043463082, rel=1e-9)
    assert results.stress[1, 2] == pytest.approx(0.00066579771537019, rel=1e-9)


def test_both_layouts_tell_the_same() -> None:
    old = read_output(SILICON, 2, FOLDER, virial=True)
    new = read_output(SINCE_2025, 2, FOLDER, virial=True)

    assert new.energy == old.energy
    np.testing.assert_allclose(new.forces, old.forces, atol=1e-9)
    np.testing.assert_allclose(new.stress, old.stress, rtol=1e-12)


def test_answer_is_in_units_of_labels_with_the_sign_of_the_virial() -> None:
    stress = np.diag([0.001, 0.0, 0.0])  # pressed along x

    answer = AtomicUnits(-1.0, np.ones((1, 3)), stress).answer(10.0)

    assert answer.energy == -Hartree
    assert answer.forces[0, 0] == pytest.approx(Hartree / Bohr)
    assert answer.virial is not None
    assert answer.virial[0, 0] == pytest.approx(0.01 * Hartree / Bohr**3)


def test_stress_is_left_out_where_it_was_not_asked_for() -> None:
    results = read_output(SILICON, 2, FOLDER, virial=False)

    assert results.stress is None
    assert results.answer(10.0).virial is None


@pytest.mark.parametrize(
    ("text", "n_atoms", "message"),
    [
        (SILICON, 3, "energy and 3 forces expected, found 2 forces"),
        ("", 2, "energy and 2 forces expected, found 0 forces"),
        (SILICON.partition(" STRESS|")[0], 2, "stress tensor in GPa, bar, kbar .*found none"),
        (SILICON.replace("[GPa]", "[atm]"), 2, "expected, found in atm, 3 rows"),
    ],
)
def test_outputs_that_are_not_whole_are_refused(text: str, n_atoms: int, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        read_output(text, n_atoms, FOLDER, virial=True)


def test_steps_are_counted_over_all_loops() -> None:
    loops = UNCONVERGED.replace("NOT converged", "").replace("WARNING", "") + SILICON

    assert scf_steps(SILICON) == 11
    assert scf_steps(loops) == 13


def test_a_warning_of_no_convergence_is_an_error_with_the_last_steps() -> None:
    with pytest.raises(ScfError, match="SCF run NOT converged") as raised:
        check_converged(UNCONVERGED, FOLDER)

    assert "2 Broy./Diag." in raised.value.log_tail
    assert "Total energy" not in raised.value.log_tail
    check_converged(SILICON, FOLDER)


def test_message_in_the_box_is_told_without_its_figure() -> None:
    assert explain(ABORTED) == (
        "The requested basis set <NOPE> for element <Si> was not found in the basis set files "
        "<BASIS_MOLOPT> aobasis/basis_set_types.F:1509"
    )


def test_last_lines_are_told_where_there_is_no_box() -> None:
    assert explain("first\n\nlast\n") == "first\nlast"


def test_copies_that_run_alone_are_told_from_ranks_that_work_together() -> None:
    line = " GLOBAL| Total number of message passing processes                       {}\n"

    check_ranks(line.format(2), ("mpirun", "-np", "2"))
    check_ranks(line.format(1), ())
    check_ranks("died before it said so", ("mpirun", "-np", "2"))
    with pytest.raises(ConfigError, match="'mpirun -np 2' starts 2 copies of CP2K"):
        check_ranks(line.format(1), ("mpirun", "-np", "2"))
