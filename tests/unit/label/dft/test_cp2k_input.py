"""CP2K's input language, the user's template over ours, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr
from pydantic import ValidationError

from dasksse.label.dft.cp2k_data import Kind
from dasksse.label.dft.cp2k_input import frame_free_input, with_frame
from dasksse.label.dft.cp2k_sections import merged, parse_input
from dasksse.label.dft.cp2k_settings import Cp2kSettings

LITHIUM = Kind("DZVP-MOLOPT-SR-GTH-q3", "BASIS_MOLOPT", "GTH-PBE-q3", "GTH_POTENTIALS", 3)
LANTHANUM = Kind(
    "DZVP-MOLOPT-SR-GTH-q11", "BASIS_MOLOPT_UCL", "GTH-PBE-q11", "GTH_POTENTIALS", 11
)


CELLS = {"gamma": [12.0, 12.0, 12.0], "several": [8.69, 8.69, 12.6]}


def written(template: str = "", cell: str = "gamma", **settings: Any) -> list[str]:
    """Lines of the input of 43 Li and 1 La: 140 electrons."""
    virial = settings.pop("virial", True)
    if cell == "gamma":
        settings["kspacing_per_A"] = None
    atoms = Atoms("Li43La", positions=np.zeros((44, 3)), cell=CELLS[cell], pbc=True)
    kinds = {"Li": LITHIUM, "La": LANTHANUM}
    checked = Cp2kSettings(input=template, **settings)
    text = frame_free_input(checked, atoms, kinds, virial=virial).text()
    return [line.strip() for line in text.splitlines()]


def test_what_is_read_is_written_without_comments_and_with_closed_sections() -> None:
    text = (
        "&force_eval\n! all of it\n&DFT # a part\nCHARGE 1 ! e\n&end\n&KIND Li\n&END KIND\n&END"
    )

    assert parse_input(text).text() == (
        "&FORCE_EVAL\n  &DFT\n    CHARGE 1\n  &END DFT\n  &KIND Li\n  &END KIND\n"
        "&END FORCE_EVAL\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("&DFT\n&SCF\n&END SCF\n", "section &DFT of the CP2K input has no &END"),
        ("&DFT\n&SCF\n&END DFT\n", "line 3 .*'&END DFT': the open section is &SCF"),
        ("CHARGE 1\n&END\n", "line 2 .*'&END': the open section is none"),
        ("@SET x 1\n", "line 1 .*preprocessor cannot be used here"),
    ],
)
def test_input_that_cannot_be_read_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_input(text)


def test_keywords_replace_those_of_their_name_and_kinds_are_told_apart_by_element() -> None:
    ours = parse_input("&A\nX 1\nX 2\nY 3\n&KIND Li\nB 1\n&END\n&KIND S\nB 2\n&END\n&END\n")
    theirs = parse_input("&A\nx 4\n&KIND S\nB 5\n&END\n&NEW ON\n&END\n&END\n")

    both = merged(ours, theirs)

    assert " ".join(both.text().split()) == (
        "&A Y 3 x 4 &KIND Li B 1 &END KIND &KIND S B 5 &END KIND &NEW ON &END NEW &END A"
    )


def test_settings_are_in_the_input() -> None:
    lines = written(max_scf_steps=77, energy_tolerance_eV=1e-7)

    assert {"CUTOFF 500.0", "REL_CUTOFF 40.0", "MAX_SCF 77", "EPS_SCF 1e-07"} <= set(lines)
    assert lines.index("&KIND La") == lines.index("POTENTIAL GTH-PBE-q3") + 2
    assert [line for line in lines if "FILE_NAME" in line] == [
        "BASIS_SET_FILE_NAME BASIS_MOLOPT",
        "BASIS_SET_FILE_NAME BASIS_MOLOPT_UCL",
        "POTENTIAL_FILE_NAME GTH_POTENTIALS",
    ]
    assert not {"&KPOINTS", "&SMEAR", "&OT"} & set(lines)


def test_k_points_come_with_their_own_extrapolation() -> None:
    gamma, several = written(), written(cell="several")

    assert "SCHEME MACDONALD 3 3 2 0 0 0.25" in several
    assert "EXTRAPOLATION USE_PREV_P" in several
    assert "EXTRAPOLATION USE_PREV_WF" in gamma


def test_smearing_is_a_temperature_with_empty_states() -> None:
    lines = written(smearing_eV=0.1)

    assert "ADDED_MOS 14" in lines
    kelvin = next(line.split()[-1] for line in lines if line.startswith("ELECTRONIC_TEMP"))
    assert float(kelvin) == pytest.approx(1160.45, abs=0.01)


@pytest.mark.parametrize(
    ("functional", "section"),
    [
        ("PBE", "&PBE"),
        ("PBE+D3", "&PBE"),
        ("PBEsol", "PARAMETRIZATION PBESOL"),
        ("LDA", "&PADE"),
        ("SCAN", "&MGGA_C_SCAN"),
        ("r2SCAN", "&MGGA_X_R2SCAN"),
    ],
)
def test_functionals_have_cp2ks_names(functional: str, section: str) -> None:
    assert section in written(functional=functional)


def test_orbital_transformation_replaces_diagonalisation_and_mixing() -> None:
    lines = set(written(solver="ot"))

    assert "&OT" in lines
    assert not {"&DIAGONALIZATION", "&MIXING"} & lines


def test_no_stress_is_computed_where_no_virial_is_wanted() -> None:
    assert "STRESS_TENSOR NONE" in written(virial=False)
    assert "STRESS_TENSOR ANALYTICAL" in written()


def test_template_goes_over_what_is_written() -> None:
    template = (
        "&FORCE_EVAL\n&DFT\n&SCF\n&MIXING\nALPHA 0.05\n&END\n&END\n&END\n"
        "&SUBSYS\n&KIND Li\nBASIS_SET MINE\n&END\n&END\n&END\n"
    )

    lines = written(template)

    assert "ALPHA 0.05" in lines
    assert "ALPHA 0.3" not in lines
    assert "NBROYDEN 8" in lines
    assert lines[lines.index("&KIND Li") + 1 :][:2] == [
        "POTENTIAL GTH-PBE-q3",
        "BASIS_SET MINE",
    ]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("&FORCE_EVAL\n&DFT\n&KPOINTS\n&END\n&END\n&END", "KPOINTS: set `kspacing_per_A`"),
        ("&FORCE_EVAL\n&DFT\n&MGRID\ncutoff 1\n&END\n&END\n&END", "CUTOFF: set `cutoff_Ry`"),
        ("&GLOBAL\nRUN_TYPE MD\n&END", "RUN_TYPE: a label is a single point"),
        ("&MOTION\n&END", "MOTION: a label is a single point"),
    ],
)
def test_template_cannot_set_what_settings_decide(template: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Cp2kSettings(input=template)


def test_frame_is_written_in_bohr_to_the_last_digit() -> None:
    atoms = Atoms("LiH", positions=[[0.1, 0.2, 1 / 3], [2.0, 2.0, 2.0]], cell=[4.0, 5.0, 6.0])

    text = with_frame(parse_input("&FORCE_EVAL\n&SUBSYS\n&END\n&END"), atoms)

    lines = [line.split() for line in text.splitlines()]
    rows = {line[0]: np.array(line[-3:], dtype=float) for line in lines if line[0] in "ABC LiH"}
    np.testing.assert_array_equal(rows["Li"], atoms.positions[0] / Bohr)
    np.testing.assert_array_equal([rows[axis] for axis in "ABC"], atoms.cell.array / Bohr)
    assert "UNIT BOHR" in text
