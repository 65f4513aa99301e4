"""What pw.x reads and prints, on texts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from ase.io.espresso import read_espresso_in, read_espresso_out, read_fortran_namelist
from ase.test.fio.test_espresso import pw_output_cell, pw_output_text

from dasksse.errors import LabelError, ScfError
from dasksse.label.dft.espresso import EspressoSettings
from dasksse.label.dft.espresso_files import read_output, write_input
from dasksse.label.dft.upf import Upf

if TYPE_CHECKING:
    from pathlib import Path

UPFS = {"Cl": Upf("Cl", "NC", "PBE"), "Li": Upf("Li", "NC", "PBE")}
FILES = {"Cl": "Cl-Cl.upf", "Li": "Li-Li.upf"}
PAIR = Atoms("LiCl", [[0.0, 0.0, 0.0], [2.65, 0.1, 0.0]], cell=[4.0, 4.5, 30.0], pbc=True)

GOLDEN = """\
&CONTROL
  calculation = 'scf'
  pseudo_dir = './'
  outdir = './scratch'
  disk_io = 'none'
  tprnfor = .true.
  tstress = .true.
/
&SYSTEM
  ibrav = 0
  nat = 2
  ntyp = 2
  ecutwfc = 80
  ecutrho = 320
  nosym = .true.
  occupations = 'fixed'
/
&ELECTRONS
  conv_thr = 1e-07
  electron_maxstep = 100
  mixing_beta = 0.7
/
ATOMIC_SPECIES
Cl 35.4500 Cl-Cl.upf
Li 6.9400 Li-Li.upf
K_POINTS automatic
7 6 1 0 0 0
CELL_PARAMETERS angstrom
4.000000000000 0.000000000000 0.000000000000
0.000000000000 4.500000000000 0.000000000000
0.000000000000 0.000000000000 30.000000000000
ATOMIC_POSITIONS angstrom
Li 0.000000000000 0.000000000000 0.000000000000
Cl 2.650000000000 0.100000000000 0.000000000000
"""


def text_of(
    settings: dict[str, Any], upfs: dict[str, Upf] | None = None, *, stress: bool = True
) -> str:
    checked = EspressoSettings.model_validate(settings)
    return write_input(PAIR, checked, upfs or UPFS, FILES, stress=stress)


def namelists_of(settings: dict[str, Any], upfs: dict[str, Upf] | None = None) -> Any:
    return read_fortran_namelist(io.StringIO(text_of(settings, upfs)))[0]


def test_defaults_match_the_golden_input() -> None:
    assert text_of({"energy_tolerance_eV": 1.3605693012183622e-6}) == GOLDEN


def test_ase_reads_the_same_atoms_back() -> None:
    atoms = read_espresso_in(io.StringIO(text_of({})))

    assert atoms.get_chemical_symbols() == ["Li", "Cl"]
    np.testing.assert_allclose(atoms.positions, PAIR.positions, atol=1e-12)
    np.testing.assert_allclose(atoms.cell.array, PAIR.cell.array, atol=1e-12)


def test_gamma_alone_takes_real_wavefunctions() -> None:
    assert "K_POINTS gamma\nCELL" in text_of({"kspacing_per_A": None})


def test_the_stress_is_asked_for_only_where_it_is_wanted() -> None:
    assert "tstress = .false." in text_of({}, stress=False)


def test_smearing_is_gaussian_of_the_width_asked_for() -> None:
    system = namelists_of({"smearing_eV": 0.13605693012183622})["system"]

    assert (system["occupations"], system["smearing"]) == ("smearing", "gaussian")
    assert system["degauss"] == pytest.approx(0.01, rel=1e-12)


@pytest.mark.parametrize(
    ("kinds", "given", "expected"),
    [
        (("NC", "NC"), None, 240.0),
        (("NC", "PAW"), None, 480.0),
        (("NC", ""), None, 480.0),
        (("US", "US"), 700.0, 700.0),
    ],
)
def test_cutoff_of_the_density_follows_the_type_of_pseudopotential(
    kinds: tuple[str, str], given: float | None, expected: float
) -> None:
    upfs = {name: Upf(name, kind, "PBE") for name, kind in zip(FILES, kinds, strict=True)}

    system = namelists_of({"ecutwfc_Ry": 60.0, "ecutrho_Ry": given}, upfs)["system"]

    assert system["ecutrho"] == expected


@pytest.mark.parametrize(
    ("functional", "own", "expected"),
    [
        ("PBE", "PBE", None),
        ("PBE+D3", "PBE", None),
        ("PBEsol", "PBE", "PBESOL"),
        ("LDA", "", "PZ"),
        ("SCAN", "PBE", "SCAN"),
        ("r2SCAN", "PBE", "XC-000I-000I-000I-000I-497L-498L"),
    ],
)
def test_the_functional_is_named_only_where_the_pseudopotentials_do_not_say_it(
    functional: str, own: str, expected: str | None
) -> None:
    upfs = {name: Upf(name, "NC", own) for name in FILES}

    assert namelists_of({"functional": functional}, upfs)["system"].get("input_dft") == expected


def test_the_users_keys_go_over_ours_in_any_case_and_spelling() -> None:
    own = {
        "SYSTEM": {"Nosym": False, "nspin": 2, "starting_magnetization(1)": 0.5},
        "electrons": {"conv_thr": "1d-10", "mixing_mode": "local-TF"},
        "cell": {"press": 1.5},
    }

    text = text_of({"namelists": own, "cards": "HUBBARD ortho-atomic\nU Fe-3d 4.0"})

    namelists = read_fortran_namelist(io.StringIO(text))[0]
    assert namelists["system"]["nosym"] is False
    assert namelists["system"]["starting_magnetization(1)"] == 0.5
    assert namelists["electrons"]["conv_thr"] == 1e-10
    assert namelists["electrons"]["mixing_mode"] == "local-TF"
    assert namelists["electrons"]["electron_maxstep"] == 100
    assert namelists["cell"]["press"] == 1.5
    assert text.endswith("HUBBARD ortho-atomic\nU Fe-3d 4.0\n")


@pytest.mark.parametrize("text", [pw_output_text, pw_output_cell])
def test_real_outputs_give_what_ase_reads(text: str, tmp_path: Path) -> None:
    first = read_espresso_out(io.StringIO(text), index=slice(0, 1))
    reference = next(iter(first))
    (tmp_path / "output.log").write_text(text)

    answer = read_output(tmp_path, reference, virial=True)

    stress = reference.get_stress(voigt=False)
    # ASE converts with the constants of 2006, which differ by 8e-8
    assert answer.energy == pytest.approx(
        reference.get_potential_energy(force_consistent=True), rel=2e-7
    )
    np.testing.assert_allclose(answer.forces, reference.get_forces(), rtol=2e-7)
    np.testing.assert_allclose(
        answer.virial, -reference.get_volume() * stress, rtol=1e-6, atol=1e-12
    )


def test_compression_gives_a_positive_virial_of_the_printed_pressure(tmp_path: Path) -> None:
    atoms = Atoms("Fe2H", cell=[2.834, 2.862, 2.834], pbc=True)  # 155.1 bohr³, P = 384.59 kbar
    (tmp_path / "output.log").write_text(pw_output_text)

    answer = read_output(tmp_path, atoms, virial=True)

    pressure_GPa = np.trace(answer.virial) / 3 / atoms.get_volume() * 160.21766208
    assert pressure_GPa == pytest.approx(38.459, abs=1e-3)
    assert answer.scf_steps == 23


def test_an_output_that_breaks_off_names_what_is_missing(tmp_path: Path) -> None:
    atoms = Atoms("Fe2H", cell=[2.834, 2.862, 2.834], pbc=True)
    (tmp_path / "output.log").write_text(pw_output_text.partition("Forces acting")[0])

    with pytest.raises(LabelError, match=r"no forces in output\.log"):
        read_output(tmp_path, atoms, virial=False)


def test_stars_in_place_of_numbers_are_no_result(tmp_path: Path) -> None:
    atoms = Atoms("Fe2H", cell=[2.834, 2.862, 2.834], pbc=True)
    printed = "force =     0.00000000    0.00000000    0.00000000"
    stars = "force = **************    0.00000000    0.00000000"
    (tmp_path / "output.log").write_text(pw_output_text.replace(printed, stars, 1))

    with pytest.raises(LabelError, match="no forces"):
        read_output(tmp_path, atoms, virial=False)


def test_an_unconverged_output_is_no_result(tmp_path: Path) -> None:
    atoms = Atoms("Fe2H", cell=[2.834, 2.862, 2.834], pbc=True)
    text = "     convergence NOT achieved after 100 iterations: stopping\n" + pw_output_text
    (tmp_path / "output.log").write_text(text)

    with pytest.raises(ScfError):
        read_output(tmp_path, atoms, virial=False)
