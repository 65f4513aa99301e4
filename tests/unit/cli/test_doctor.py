"""``dasksse doctor``: the part on labels, and the crystal that it labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from ase.build import bulk
from ase.data import chemical_symbols
from ase.neighborlist import neighbor_list

from dasksse.cli import doctor_command, main
from dasksse.cli.tiny_cell import tiny_cell

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture
def doctor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Runs the part on labels alone: exit code and what was printed."""
    bench = doctor_command._Bench
    parts = bench.parts
    monkeypatch.setattr(
        bench, "parts", lambda self: [p for p in parts(self) if p.name.startswith("labels")]
    )

    def run(
        calculator: dict[str, object], preset: str = "lgps-quickstart", **changes: object
    ) -> tuple[int, str]:
        values = yaml.safe_load((CONFIGS / f"{preset}.yaml").read_text())
        for system in values["systems"]:
            system["structure"] = str(CONFIGS / system["structure"])
        values["label"]["calculator"] = calculator
        values |= changes
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(values))
        code = main(["doctor", str(path)])
        return code, capsys.readouterr().out

    return run


def test_one_label_is_made_of_the_elements_of_the_run(
    doctor: Callable[..., tuple[int, str]],
) -> None:
    code, out = doctor({"kind": "toy", "settings": {}})

    assert code == 0
    assert "labels (toy): toy screened-Coulomb model (a surrogate, not DFT), Li8S4 in" in out


def test_everything_that_is_missing_for_labels_is_named_with_its_fix(
    doctor: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("VASP_PP_PATH", "PMG_VASP_PSP_DIR"):
        monkeypatch.delenv(variable, raising=False)

    code, out = doctor({"kind": "vasp", "settings": {"command": ["no-such-vasp"]}})

    assert code == 1
    assert "no-such-vasp" in out
    for element in ("Li", "Ge", "P", "S"):
        assert f"POTCAR of {element}: " in out
    assert "label.calculator.settings.potcar_dir" in out


def test_a_label_that_fails_is_shown_with_its_reason_as_it_is(
    doctor: Callable[..., tuple[int, str]],
) -> None:
    settings = {"charges": {"Li": 1.0, "S": -1.0}}  # not neutral

    code, out = doctor({"kind": "toy", "settings": settings})

    assert code == 1
    assert "fails  labels (toy): ValueError: the charges of the cell sum to +4 e, not 0" in out
    assert 'fix: pip install "dasksse[sevennet]"' in out


def test_elements_of_no_simple_salt_are_labelled_as_the_smallest_crystal_of_the_run(
    tmp_path: Path, doctor: Callable[..., tuple[int, str]]
) -> None:
    bulk("AlP", "zincblende", a=5.46, cubic=True).write(tmp_path / "AlP.cif")
    systems = [
        {"name": "large", "structure": str(tmp_path / "AlP.cif"), "supercell": [2, 1, 1]},
        {"name": "salt", "structure": str(tmp_path / "AlP.cif")},
    ]
    charges = {"Al": 3.0, "P": -3.0}

    code, out = doctor(
        {"kind": "toy", "settings": {"charges": charges, "radii_A": {"Al": 0.5, "P": 1.9}}},
        "toy",
        systems=systems,
        type_map=["Al", "P"],
        mobile_species="Al",
        mobile_charge=3.0,
    )

    assert tiny_cell(("Al", "P"), "Al", 3.0) is None
    assert code == 0
    assert "(a surrogate, not DFT), Al4P4 in" in out


@pytest.mark.parametrize(
    ("elements", "mobile", "charge", "formula", "a_A"),
    [
        (("Li", "Ge", "P", "S"), "Li", 1.0, "Li8S4", 5.71),
        (("Li", "La", "Zr", "O"), "Li", 1.0, "Li8O4", 4.62),
        (("Li", "Cl"), "Li", 1.0, "Cl4Li4", 5.13),
        (("Na", "Zr", "Si", "P", "O"), "Na", 1.0, "Na8O4", 5.55),
        (("Mg", "Sc", "Se"), "Mg", 2.0, "Mg4Se4", 5.46),
        (("Ca", "F"), "F", -1.0, "Ca4F8", 5.46),
    ],
)
def test_the_crystal_is_a_salt_of_the_mobile_ion_near_its_measured_size(
    elements: tuple[str, ...], mobile: str, charge: float, formula: str, a_A: float
) -> None:
    cell = tiny_cell(elements, mobile, charge)

    assert cell is not None
    assert cell.get_chemical_formula() == formula
    assert cell.cell[0, 0] == pytest.approx(a_A, rel=0.07)
    # nearest neighbours are of the other kind
    first, second, distance = neighbor_list("ijd", cell, 0.9 * cell.cell[0, 0])
    nearest = [second[first == i][np.argmin(distance[first == i])] for i in range(len(cell))]
    assert all(cell.numbers[i] != cell.numbers[j] for i, j in enumerate(nearest))
    assert mobile in {chemical_symbols[number] for number in cell.numbers}


@pytest.mark.parametrize(("elements", "charge"), [(("Li",), 1.0), (("Li", "N"), 1.0)])
def test_there_is_no_crystal_where_charges_fit_no_simple_salt(
    elements: tuple[str, ...], charge: float
) -> None:
    assert tiny_cell(elements, "Li", charge) is None
