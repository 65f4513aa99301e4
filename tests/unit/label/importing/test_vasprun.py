from __future__ import annotations

import gzip
import re
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.io import read

from dasksse.errors import StoreError
from dasksse.label.importing.vasp_settings import functional_of
from dasksse.label.importing.vasprun import read_vasprun
from dasksse.units import pressure_from_virial, virial_from_stress

VASP = Path(ase.__file__).parent / "test" / "testdata" / "vasp"


def steps(text: str, *changes: tuple[str, str]) -> str:
    """A file with one more ionic step for each change: a pattern and what replaces it."""
    head, step, tail = re.split(r"(<calculation>.*</calculation>)", text, flags=re.DOTALL)
    more = [re.sub(*change, step, flags=re.DOTALL) for change in changes]
    return head + "\n".join([step, *more]) + tail


@pytest.mark.parametrize("name", ["vasprun_dfpt.xml", "vasprun_pstress.xml"])
def test_numbers_are_those_that_ase_reads(name: str) -> None:
    atoms = read(VASP / name, format="vasp-xml")

    [labels] = read_vasprun(VASP / name).labels

    assert labels.frames.numbers.tolist() == atoms.numbers.tolist()
    np.testing.assert_allclose(labels.frames.positions[0], atoms.positions, atol=1e-12)
    np.testing.assert_allclose(labels.frames.cells[0], atoms.cell.array)
    free_energy = atoms.get_potential_energy(force_consistent=True)
    assert labels.energies[0] == pytest.approx(free_energy, abs=1e-8)
    np.testing.assert_array_equal(labels.forces[0], atoms.get_forces())
    expected = virial_from_stress(atoms.get_stress(), atoms.get_volume())
    np.testing.assert_allclose(labels.virials[0], expected, rtol=1e-9)


def test_the_energy_is_the_one_the_forces_derive_from(vasprun: str, tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    change = (r'(e_0_energy">) *[-\d.]+', r"\1 -5.0")
    path.write_text(steps(vasprun, change))

    [labels] = read_vasprun(path).labels

    assert labels.energies.tolist() == [-6.74587304, -6.74587304]


def test_the_virial_of_a_squeezed_crystal_is_positive(vasprun: str, tmp_path: Path) -> None:
    stress = (
        r'<varray name="stress" >.*?</varray>',
        '<varray name="stress" ><v>10 0 0</v><v>0 10 0</v><v>0 0 10</v></varray>',
    )
    path = tmp_path / "vasprun.xml"
    path.write_text(steps(vasprun, stress))

    [labels] = read_vasprun(path).labels

    volume = labels.frames.volumes_A3[1]
    assert pressure_from_virial(labels.virials[1], volume) == pytest.approx(1.0)  # 10 kB


def test_a_stress_that_was_not_computed_gives_no_virial(vasprun: str, tmp_path: Path) -> None:
    zeros = (r'(<varray name="stress" >).*?</varray>', r"\1" + 3 * "<v>0 0 0</v>" + "</varray>")
    absent = (r'<varray name="stress" >.*?</varray>', "")
    path = tmp_path / "vasprun.xml"
    path.write_text(steps(vasprun, zeros, absent))

    [labels] = read_vasprun(path).labels

    assert labels.is_good.all()
    assert labels.has_virial.tolist() == [True, False, False]


def test_steps_that_are_no_labels_are_left_out_with_their_reason(
    vasprun: str, tmp_path: Path
) -> None:
    learned = (r"<scstep>.*?</scstep>", "")
    stars = (r'(\n  <energy>\s*<i name="e_fr_energy">) *[-\d.]+', r"\1 ********")
    no_forces = (r'<varray name="forces" >.*?</varray>', "")
    path = tmp_path / "vasprun.xml"
    path.write_text(steps(vasprun, learned, stars, no_forces))

    [labels] = read_vasprun(path).labels

    assert labels.is_good.tolist() == [True, False, False, False]
    assert "machine-learned force field" in labels.reasons[1]
    assert labels.reasons[2] == ""  # not finite, which every import looks for
    assert labels.reasons[3] == "no forces"


def test_a_step_that_came_to_its_last_scf_step_without_convergence_is_left_out(
    vasprun: str, tmp_path: Path
) -> None:
    n_steps = vasprun.count("<scstep>")
    few = vasprun.replace('name="NELM">   100', f'name="NELM">   {n_steps}')
    path = tmp_path / "vasprun.xml"
    path.write_text(few.replace('"EDIFF">      0.00000001', '"EDIFF">      1.0E-20'))

    [labels] = read_vasprun(path).labels

    assert not labels.is_good.any()
    assert re.match(rf"SCF not converged: {n_steps} steps, last change", labels.reasons[0])


def test_what_was_done_before_a_job_was_killed_is_read(vasprun: str, tmp_path: Path) -> None:
    text = steps(vasprun, ("x^", ""))
    path = tmp_path / "vasprun.xml.gz"
    path.write_bytes(gzip.compress(text[: text.rindex("<energy>")].encode()))

    reading = read_vasprun(path)

    assert [len(labels) for labels in reading.labels] == [1]
    assert "cut off after 1 finished steps" in reading.notes[0]


def test_a_file_without_a_finished_step_is_refused(vasprun: str, tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text(vasprun[: vasprun.index("<calculation>") + 500])

    with pytest.raises(StoreError, match="holds no finished ionic step"):
        read_vasprun(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text("<modeling><calculation></calculation></modeling>")

    with pytest.raises(StoreError, match=r"cannot be read as vasprun\.xml"):
        read_vasprun(path)


def test_program_and_functional_are_noted(vasprun: str, tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text(vasprun.replace('name="GGA">PE', 'name="GGA">PS'))

    [labels] = read_vasprun(path).labels

    assert (labels.source, labels.functional) == ("VASP 6.3.2, ENCUT 400 eV", "PBEsol")
    assert not labels.is_surrogate


@pytest.mark.parametrize(
    ("tags", "potential", "functional"),
    [
        ({}, "PAW_PBE Li_sv 10Sep2004", "PBE"),
        ({"GGA": "--"}, "PAW Li 17Jan2003", "LDA"),
        ({"GGA": "PS"}, "PAW_PBE Li", "PBEsol"),
        ({"GGA": "PE", "IVDW": "12"}, "PAW_PBE Li", "PBE+D3"),
        ({"GGA": "PE", "IVDW": "11"}, "PAW_PBE Li", "PBE+D3(0)"),
        ({"GGA": "PE", "IVDW": "4"}, "PAW_PBE Li", "unknown"),
        ({"METAGGA": "SCAN"}, "PAW_PBE Li", "SCAN"),
        ({"METAGGA": "R2SCA"}, "PAW_PBE Li", "r2SCAN"),
        ({"METAGGA": "MBJ"}, "PAW_PBE Li", "unknown"),
        ({"GGA": "PE", "LHFCALC": " T  "}, "PAW_PBE Li", "unknown"),
        ({"GGA": "MK", "LUSE_VDW": ".TRUE."}, "PAW_PBE Li", "unknown"),
    ],
)
def test_the_functional_follows_from_tags_and_potentials(
    tags: dict[str, str], potential: str, functional: str
) -> None:
    assert functional_of(tags, [potential]) == functional
