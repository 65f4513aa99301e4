"""Models and training data of the speed example; speed does not depend on what a net knows."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dasksse.config.load import load_config
from dasksse.config.schema import TrainSection
from dasksse.label import label_frames, load_calculator
from dasksse.records import Frames, Labels, Workplace
from dasksse.store.folders import write_json
from dasksse.structures import read_structure, start_set, to_atoms
from dasksse.train import (
    describe_model,
    suggest_sel,
    train_member,
    training_input,
    write_deepmd_data,
)

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parents[1] / "configs"
CRYSTAL = "structures/Li10GeP2S12_ordered.cif"
TYPE_MAP = ("Li", "Ge", "P", "S")
N_FRAMES = 4
NO_CHANGE = {"learning_rate": 1e-12, "learning_rate_stop": 1e-13}
"""Too small to change a weight within the six digits of float32."""

PUBLISHED = TrainSection(
    descriptor={
        "type": "se_e2_a",
        "rcut": 6.0,
        "rcut_smth": 2.0,
        "neuron": [25, 50, 100],
        "axis_neuron": 16,
    },
    fitting_net={"neuron": [240, 240, 240]},
)
SMALL = load_config(HERE.parent / "02-lgps-diffusion" / "train-50.yaml").config.train
TOY = TrainSection(
    descriptor={
        "type": "se_e2_a",
        "rcut": 6.0,
        "rcut_smth": 2.0,
        "neuron": [4, 8],
        "axis_neuron": 2,
    },
    fitting_net={"neuron": [8, 8]},
)

SECONDS = re.compile(r"average training time: ([\d.]+) s/batch")
"""DeePMD-kit's mean over the steps behind the first row, without checkpoints and start-up."""


@dataclass(frozen=True)
class Network:
    """A network to time; with a frozen model its weights, else random ones."""

    name: str
    section: TrainSection
    model: Path | None = None
    type_map: tuple[str, ...] = TYPE_MAP


def crystal(supercell: tuple[int, int, int]) -> Frames:
    """One frame of ordered LGPS."""
    atoms = to_atoms(read_structure(CRYSTAL, base_dir=CONFIGS)) * supercell
    numbers = np.asarray(atoms.numbers, dtype=np.int64)
    return Frames(numbers, atoms.positions[None], np.array([atoms.cell.array]))


def toy_labels(supercell: tuple[int, int, int]) -> Labels:
    """Some rattled and strained crystals with the forces of the toy salt."""
    toy = load_config(CONFIGS / "huang2021-lgps-small.yaml").config.label.calculator
    atoms = to_atoms(read_structure(CRYSTAL, base_dir=CONFIGS)) * supercell
    frames = start_set(
        atoms, n_frames=N_FRAMES, rattle_A=(0.02, 0.08), strain=0.02, min_distance_A=1.0, seed=1
    )
    return label_frames(frames, load_calculator(toy))


def given_networks(models: list[Path], workdir: Path) -> list[Network]:
    """The networks of frozen models; those of one ensemble are alike."""
    about = describe_model(models[0], workdir=workdir)
    descriptor, fitting_net = (
        {key: value for key, value in about.network[part].items() if key not in _OURS}
        for part in ("descriptor", "fitting_net")
    )
    section = TrainSection(descriptor=descriptor, fitting_net=fitting_net)
    return [
        Network(f"given-{number}", section, model.absolute(), about.type_map)
        for number, model in enumerate(models)
    ]


_OURS = ("precision", "seed")


def _input(network: Network, labels: Labels, folder: Path, steps: int) -> dict[str, Any]:
    named = [("toy", labels)]
    return training_input(
        network.section,
        type_map=network.type_map,
        systems=write_deepmd_data(named, type_map=network.type_map, folder=folder / "data"),
        validation=[],
        sel=suggest_sel(named, type_map=network.type_map, rcut_A=6.0),
        steps=steps,
        seed=1,
        warm=False,
        has_virial=True,
    )


def made_model(network: Network, precision: str, *, compressed: bool, root: Path) -> Path:
    """Frozen model of a network in a precision: one training step that changes nothing."""
    folder = root / "models" / f"{network.name}-{precision}"
    if not (folder / "made.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        source = None
        if network.model is not None:  # apart from what else lies beside it
            source = Path(shutil.copy(network.model, folder / "source.pb"))
        section = network.section.model_copy(update={**NO_CHANGE, "precision": precision})
        asked = Network(network.name, section, network.model, network.type_map)
        train_member(
            _input(asked, toy_labels((1, 1, 1)), folder, 1),
            workdir=folder,
            backend="tensorflow",
            init_from=source,
            compress=True,
            workplace=Workplace(),
        )
        write_json(folder / "made.json", {"from": str(network.model or "random weights")})
    return folder / ("compressed_model.pb" if compressed else "frozen_model.pb")


def training_step_s(
    network: Network, precision: str, labels: Labels, *, steps: int, folder: Path
) -> float:
    """Time of a training step [s], the first half of the steps left out."""
    every = {"training": {"disp_freq": steps // 2, "save_freq": steps}}
    section = network.section.model_copy(update={"precision": precision, "deepmd": every})
    asked = Network(network.name, section, type_map=network.type_map)
    train_member(
        _input(asked, labels, folder, steps),
        workdir=folder,
        backend="tensorflow",
        init_from=None,
        compress=False,
        workplace=Workplace(),
        restart=False,
    )
    return float(SECONDS.findall((folder / "train.log").read_text())[-1])
