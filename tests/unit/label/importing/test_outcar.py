from __future__ import annotations

import gzip
import re
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.io import read

from dasksse.errors import StoreError
from dasksse.label.importing.outcar import read_outcar
from dasksse.units import virial_from_stress

EXAMPLE = Path(ase.__file__).parent / "test" / "testdata" / "vasp" / "OUTCAR_example_1"


def with_step(text: str, *change: str) -> str:
    """A file with a second ionic step, changed."""
    first = text.index("----------------------------------------- Iteration    1(   1)")
    end = text.index("  energy  without entropy=")
    step = text[first:end]
    return text[:end] + (step.replace(*change) if change else step) + text[end:]


def test_numbers_are_those_that_ase_reads() -> None:
    atoms = read(EXAMPLE, format="vasp-out")

    reading = read_outcar(EXAMPLE)

    [labels] = reading.labels
    assert reading.notes == ()
    assert labels.frames.numbers.tolist() == atoms.numbers.tolist()
    np.testing.assert_array_equal(labels.frames.positions[0], atoms.positions)
    np.testing.assert_array_equal(labels.frames.cells[0], atoms.cell.array)
    assert labels.energies[0] == atoms.get_potential_energy(force_consistent=True)
    np.testing.assert_array_equal(labels.forces[0], atoms.get_forces())
    expected = virial_from_stress(atoms.get_stress(), atoms.get_volume())
    np.testing.assert_allclose(labels.virials[0], expected, rtol=1e-12)
    assert (labels.source, labels.functional) == ("VASP 5.3.3, ENCUT 300 eV", "PBE")


def test_the_virial_is_the_total_that_vasp_prints_in_ev(outcar: str, tmp_path: Path) -> None:
    path = tmp_path / "OUTCAR"
    path.write_text(outcar)
    match = re.search(r"^  Total +(.*)$", outcar, re.MULTILINE)
    assert match is not None
    xx, yy, zz, xy, yz, zx = (float(word) for word in match[1].split())

    [labels] = read_outcar(path).labels

    expected = [[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]]
    np.testing.assert_allclose(labels.virials[0], expected, rtol=2e-5, atol=2e-5)


def test_elements_come_from_vrhfin_where_it_is(outcar: str, tmp_path: Path) -> None:
    path = tmp_path / "OUTCAR"
    path.write_text(
        outcar.replace(" POSCAR: Ni", "   VRHFIN =Cu: d10 p1\n   VRHFIN =Au: s1\n").replace(
            "ions per type =              18", "ions per type =              16   2"
        )
    )

    [labels] = read_outcar(path).labels

    assert labels.frames.numbers.tolist() == [29] * 16 + [79] * 2


def test_a_step_that_vasp_6_calls_unconverged_is_left_out(outcar: str, tmp_path: Path) -> None:
    path = tmp_path / "OUTCAR"
    said = "aborting loop because EDIFF is reached"
    path.write_text(
        with_step(outcar, said, "aborting loop EDIFF was not reached (unconverged)")
    )

    [labels] = read_outcar(path).labels

    assert labels.is_good.tolist() == [True, False]
    assert labels.reasons[1].startswith("SCF not converged: 63 steps")


def test_a_step_of_vasp_5_that_came_to_nelm_is_left_out(outcar: str, tmp_path: Path) -> None:
    path = tmp_path / "OUTCAR"
    text = outcar.replace("NELM   =    120", "NELM   =     63").replace("0.1E-03", "0.1E-09")
    path.write_text(text)

    [labels] = read_outcar(path).labels

    assert not labels.is_good.any()
    assert "SCF not converged" in labels.reasons[0]


def test_a_step_at_nelm_that_met_the_criterion_is_good(outcar: str, tmp_path: Path) -> None:
    path = tmp_path / "OUTCAR"
    path.write_text(outcar.replace("NELM   =    120", "NELM   =     63"))

    [labels] = read_outcar(path).labels

    assert labels.is_good.all()


@pytest.mark.parametrize("place", ["POSITION  ", "-0.601239", "  free  energy   TOTEN"])
def test_what_was_done_before_a_job_was_killed_is_read(
    place: str, outcar: str, tmp_path: Path
) -> None:
    text = with_step(outcar)
    path = tmp_path / "OUTCAR.gz"
    path.write_bytes(gzip.compress(text[: text.rindex(place)].encode()))

    reading = read_outcar(path)

    assert [len(labels) for labels in reading.labels] == [1]
    assert reading.notes == ("the job did not end by itself; 1 finished steps",)


def test_stars_in_a_table_mask_one_frame_only(outcar: str, tmp_path: Path) -> None:
    path = tmp_path / "OUTCAR"
    path.write_text(with_step(outcar, "-0.114705", "*********"))

    [labels] = read_outcar(path).labels

    assert labels.is_good.tolist() == [True, False]


@pytest.mark.parametrize("text", ["", " vasp.6.3.0\n", " running on 4 cores\n"])
def test_a_file_without_a_finished_step_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "OUTCAR"
    path.write_text(text)

    with pytest.raises(StoreError, match="OUTCAR"):
        read_outcar(path)
