"""What ABACUS reads and writes, on texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from fake_abacus import read_input, read_stru

from dasksse.errors import LabelError, ScfError
from dasksse.label.dft.abacus import AbacusSettings
from dasksse.label.dft.abacus_files import by_species, read_output, write_files
from dasksse.label.dft.upf import Upf

if TYPE_CHECKING:
    from pathlib import Path

UPFS = {"Cl": Upf("Cl", "NC", "PBE"), "Li": Upf("Li", "NC", "PBE")}
UPF_FILES = {"Cl": "Cl-Cl.upf", "Li": "Li-Li.upf"}
ORBITAL_FILES = {"Cl": "Cl-Cl.orb", "Li": "Li-Li.orb"}
SALT = Atoms(
    ["Li", "Cl", "Li"],
    [[0.0, 0.0, 0.0], [2.65, 0.1, 0.0], [0.0, 2.0, 9.5]],
    cell=[4.0, 4.5, 30.0],
    pbc=True,
)

GOLDEN_INPUT = """\
INPUT_PARAMETERS
suffix dasksse
calculation scf
basis_type pw
pseudo_dir ./
orbital_dir ./
ecutwfc 100
scf_thr 1e-07
scf_nmax 100
mixing_type broyden
mixing_beta 0.7
smearing_method fixed
symmetry 0
cal_force 1
cal_stress 1
"""
GOLDEN_STRU = """\
ATOMIC_SPECIES
Cl 35.4500 Cl-Cl.upf
Li 6.9400 Li-Li.upf

LATTICE_CONSTANT
1.889726125837

LATTICE_VECTORS
4.000000000000 0.000000000000 0.000000000000
0.000000000000 4.500000000000 0.000000000000
0.000000000000 0.000000000000 30.000000000000

ATOMIC_POSITIONS
Cartesian

Cl
0.0
1
2.650000000000 0.100000000000 0.000000000000

Li
0.0
2
0.000000000000 0.000000000000 0.000000000000
0.000000000000 2.000000000000 9.500000000000
"""
GOLDEN_KPT = "K_POINTS\n0\nGamma\n7 6 1 0 0 0\n"

LOG = """\
 PW ALGORITHM --------------- ION=   1  ELEC=   1--------------------------------
 PW ALGORITHM --------------- ION=   1  ELEC=  13--------------------------------
   E_KohnSham              -16.143965127167             -219.649914042766
 charge density convergence is achieved
 final etot is -219.649914042766 eV

 TOTAL-FORCE (eV/Angstrom)
      Cl1      -0.154995      -1.114764      +0.083421
      Li1      +0.292544      +0.119474      +0.337774
      Li2      -0.137549      +0.995290    -4.21195e-01

 TOTAL-STRESS (KBAR)
    {xx}    +0.00000000    +0.00000000
     +0.00000000    {yy}    +0.00000000
     +0.00000000    +0.00000000    {yy}
"""


def write(
    folder: Path, upfs: dict[str, Upf] | None = None, *, stress: bool = True, **settings: Any
) -> dict[str, str]:
    checked = AbacusSettings.model_validate(settings)
    orbitals = ORBITAL_FILES if checked.basis_type == "lcao" else {}
    write_files(folder, SALT, checked, upfs or UPFS, (UPF_FILES, orbitals), stress=stress)
    return read_input(folder / "INPUT")


def read(folder: Path, text: str, *, virial: bool = True) -> Any:
    (folder / "OUT.dasksse").mkdir(exist_ok=True)
    (folder / "OUT.dasksse" / "running_scf.log").write_text(text)
    (folder / "output.log").write_text("printed\n")
    return read_output(folder, SALT, virial=virial)


def test_defaults_match_the_golden_input(tmp_path: Path) -> None:
    write(tmp_path, energy_tolerance_eV=1.3605693012183622e-6)

    assert (tmp_path / "INPUT").read_text() == GOLDEN_INPUT
    assert (tmp_path / "STRU").read_text() == GOLDEN_STRU
    assert (tmp_path / "KPT").read_text() == GOLDEN_KPT


def test_atoms_are_grouped_by_species_in_a_known_order(tmp_path: Path) -> None:
    write(tmp_path)

    atoms, files = read_stru(tmp_path / "STRU")

    assert files == list(UPF_FILES.values())
    assert atoms.get_chemical_symbols() == ["Cl", "Li", "Li"]
    np.testing.assert_allclose(atoms.positions, SALT.positions[by_species(SALT)], atol=1e-10)
    np.testing.assert_allclose(atoms.cell.array, SALT.cell.array, atol=1e-10)


def test_orbitals_stand_in_the_order_of_species(tmp_path: Path) -> None:
    words = write(tmp_path, basis_type="lcao", orbital_dir="/orb", kspacing_per_A=None)

    assert "\nNUMERICAL_ORBITAL\nCl-Cl.orb\nLi-Li.orb\n" in (tmp_path / "STRU").read_text()
    assert (words["basis_type"], words["gamma_only"]) == ("lcao", "1")
    assert words["scf_thr"] == "1e-07"


def test_smearing_has_the_width_asked_for(tmp_path: Path) -> None:
    words = write(tmp_path, smearing_eV=0.13605693012183622)

    assert words["smearing_method"] == "gaussian"
    assert float(words["smearing_sigma"]) == pytest.approx(0.01, rel=1e-12)


@pytest.mark.parametrize(
    ("functional", "own", "expected"),
    [
        ("PBE", "PBE", None),
        ("PBEsol", "PBE", "PBESOL"),
        ("LDA", "", "LDA"),
        ("SCAN", "PBE", "SCAN"),
        ("r2SCAN", "PBE", "MGGA_X_R2SCAN+MGGA_C_R2SCAN"),
    ],
)
def test_the_functional_is_named_only_where_the_pseudopotentials_do_not_say_it(
    functional: str, own: str, expected: str | None, tmp_path: Path
) -> None:
    upfs = {name: Upf(name, "NC", own) for name in UPF_FILES}

    words = write(tmp_path, upfs, functional=functional)

    assert words.get("dft_functional") == expected


def test_the_users_keywords_go_over_ours(tmp_path: Path) -> None:
    own = {"Mixing_Beta": 0.3, "nspin": 2, "scf_thr": "1e-9", "out_chg": False}

    words = write(tmp_path, keywords=own, stress=False)

    assert [words[key.lower()] for key in own] == ["0.3", "2", "1e-9", "0"]
    assert words["cal_stress"] == "0"
    assert words["ecutwfc"] == "100"


def test_forces_come_back_in_the_order_of_the_frame(tmp_path: Path) -> None:
    answer = read(tmp_path, LOG.format(xx="+1.0", yy="+2.0"))

    assert answer.energy == -219.649914042766
    assert answer.scf_steps == 13
    np.testing.assert_allclose(
        answer.forces,
        [
            [0.292544, 0.119474, 0.337774],
            [-0.154995, -1.114764, 0.083421],
            [-0.137549, 0.995290, -0.421195],
        ],
    )


def test_a_crystal_that_is_compressed_has_a_positive_virial(tmp_path: Path) -> None:
    # ABACUS 3.10 on one crystal at three strains along x, as published: the stress it prints
    # falls while the crystal is stretched, so it is positive under compression
    strains = (-0.001, 0.0, 0.001)
    printed = (("3.6004660309", "1.4926137776"), ("0.3748412154", "0.3748412154"))
    printed += (("-2.8185879742", "-0.7383655290"),)

    virials = np.array(
        [read(tmp_path, LOG.format(xx=xx, yy=yy)).virial[0, 0] for xx, yy in printed]
    )

    # a stable crystal: E'' > 0, and W = -dE/d(strain) falls with the strain
    assert (np.diff(virials) < 0).all()
    kbar_A3 = SALT.get_volume() / 1602.1766208
    np.testing.assert_allclose(virials[0], 3.6004660309 * kbar_A3, rtol=1e-9)
    modulus_GPa = -np.polyfit(strains, virials, 1)[0] / SALT.get_volume() * 160.21766208
    assert modulus_GPa == pytest.approx(320.95, abs=0.01)


def test_the_final_energy_goes_before_that_of_any_step(tmp_path: Path) -> None:
    text = LOG.format(xx="1.0", yy="2.0") + " !FINAL_ETOT_IS -219.6499140427659142 eV\n"

    assert read(tmp_path, text).energy == -219.6499140427659142


@pytest.mark.parametrize(
    "line",
    [
        " convergence has NOT been achieved!\n",
        " !! convergence has not been achieved @_@\n",
        " #SCF IS NOT CONVERGED#\n",
    ],
)
def test_unconverged_is_no_result_though_all_is_printed(line: str, tmp_path: Path) -> None:
    with pytest.raises(ScfError):
        read(tmp_path, LOG.format(xx="1.0", yy="2.0") + line)


@pytest.mark.parametrize(
    ("absent", "text"),
    [
        (" charge density convergence is achieved", "no end of self-consistency"),
        (" final etot is", "no energy"),
        ("      Cl1", "no forces of these atoms"),
        (" TOTAL-FORCE", "no forces of these atoms"),
        (" TOTAL-STRESS", "no stress"),
    ],
)
def test_what_is_missing_is_named(absent: str, text: str, tmp_path: Path) -> None:
    log = LOG.format(xx="1.0", yy="2.0").replace(absent, " gone")

    with pytest.raises(LabelError, match=text):
        read(tmp_path, log)


def test_no_stress_is_missed_where_no_virial_is_wanted(tmp_path: Path) -> None:
    text = LOG.partition(" TOTAL-STRESS")[0]

    assert read(tmp_path, text, virial=False).virial is None
