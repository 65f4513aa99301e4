"""CPU time of a training step and of an MD step by descriptor, for four and six elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from measure import CONFIGS, LOOSE_LIMITS, ZBL_A, Outcome, Row

from dasksse.config.descriptors import has_shared_places
from dasksse.config.load import load_config
from dasksse.config.schema import TrainSection
from dasksse.explore import MdSpec, close_clients, run_md
from dasksse.label import label_frames, load_calculator
from dasksse.records import Frames, Labels, Workplace
from dasksse.structures import read_structure, start_set, to_atoms
from dasksse.train import suggest_sel, train_member, training_input, write_deepmd_data

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from measure import Options

STEPS, QUICK_STEPS = 200, 40
ROW_STEPS = 20
MD_STEPS, QUICK_MD_STEPS = 40, 10
N_FRAMES = 4
TEMPERATURE_K = 300.0
FAMILIES = {4: ("Ge",), 6: ("Si", "Ge", "Sn")}
"""Elements M of Li10MP2S12 by the number of types they make."""

NETWORKS: dict[str, dict[str, Any]] = {
    "se_e2_a, two sides": {"descriptor": {"type": "se_e2_a"}},
    "se_e2_a, one side": {"descriptor": {"type": "se_e2_a", "type_one_side": True}},
    "se_e2_a, type embedding": {
        "descriptor": {"type": "se_e2_a"},
        "type_embedding": {"neuron": [8]},
    },
    "se_atten, no attention": {"descriptor": {"type": "se_atten", "attn_layer": 0}},
}
SHAPE = {"rcut": 6.0, "rcut_smth": 2.0, "neuron": [25, 50, 100], "axis_neuron": 12}


@dataclass(frozen=True)
class _Family:
    """Crystals and toy labels of some of the materials."""

    type_map: tuple[str, ...]
    crystals: list[Atoms]
    labels: list[tuple[str, Labels]]


def _children_cpu_s() -> float:
    """CPU time of the living children of this process [s]."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(t.user + t.system for t in times)


def _family(metals: tuple[str, ...]) -> _Family:
    toy = load_config(CONFIGS / "huang2021-lgps-small.yaml").config.label.calculator
    crystals, labels = [], []
    for metal in metals:
        name = f"structures/Li10{metal}P2S12_ordered.cif"
        atoms = to_atoms(read_structure(name, base_dir=CONFIGS))
        frames = start_set(
            atoms, n_frames=N_FRAMES, rattle_A=(0.02, 0.08), strain=0.02, min_distance_A=1.0,
            seed=1,
        )  # fmt: skip
        crystals.append(atoms)
        labels.append((metal, label_frames(frames, load_calculator(toy))))
    return _Family(("Li", *metals, "P", "S"), crystals, labels)


def _train(family: _Family, network: dict[str, Any], folder: Path, steps: int) -> Any:
    """Model, and CPU time of a step behind the first rows of the curve [s]."""
    section = TrainSection(
        descriptor=SHAPE | network["descriptor"],
        type_embedding=network.get("type_embedding"),
        deepmd={"training": {"disp_freq": ROW_STEPS}},
    )
    shared = has_shared_places(section.descriptor)
    deepmd_input = training_input(
        section,
        type_map=family.type_map,
        systems=write_deepmd_data(
            family.labels, type_map=family.type_map, folder=folder / "data"
        ),
        validation=[],
        sel=suggest_sel(family.labels, type_map=family.type_map, rcut_A=6.0, shared=shared),
        steps=steps,
        seed=1,
        warm=False,
        has_virial=True,
    )
    seen: dict[float, float] = {}
    trained = train_member(
        deepmd_input,
        workdir=folder / "train",
        backend="tensorflow",
        init_from=None,
        compress=False,
        workplace=Workplace(),
        on_progress=lambda step, _: seen.setdefault(step, _children_cpu_s()),
    )
    steps_seen = sorted(step for step in seen if ROW_STEPS <= step < steps)
    first, last = steps_seen[0], steps_seen[-1]
    return trained.model_file, (seen[last] - seen[first]) / max(last - first, 1)


def _md_step_s(family: _Family, model: Path, folder: Path, steps: int) -> float:
    """CPU time of an MD step of one model, 200 atoms [s], the child being warm."""
    atoms = family.crystals[0] * (2, 2, 1)
    start = Frames(
        np.asarray(atoms.numbers), np.array([atoms.positions]), np.array([atoms.cell.array])
    )
    seconds = []
    for name, length in (("warm", 2), ("short", 2), ("long", steps + 2)):
        spec = MdSpec(
            models=(str(model),), type_map=family.type_map, ensemble="nvt",
            temperature_K=TEMPERATURE_K, pressure_GPa=0.0, timestep_fs=0.5, n_steps=length,
            frame_interval_steps=2, segment_steps=length, seed=1,
            thermostat_damping_fs=100.0, barostat_damping_fs=500.0, zbl=ZBL_A, **LOOSE_LIMITS,
        )  # fmt: skip
        before = _children_cpu_s()
        run_md(spec, start, workdir=folder / name)
        seconds.append(_children_cpu_s() - before)
    close_clients()
    return (seconds[2] - seconds[1]) / steps


def measure(options: Options) -> Outcome:
    """Train and run every network on the same data, one after the other."""
    steps = QUICK_STEPS if options.is_quick else STEPS
    md_steps = QUICK_MD_STEPS if options.is_quick else MD_STEPS
    lines: list[dict[str, float | int | str]] = []
    for n_types, metals in FAMILIES.items():
        family = _family(metals)
        for name, network in NETWORKS.items():
            folder = options.workdir / f"{n_types}-{len(lines)}"
            model, train_s = _train(family, network, folder, steps)
            md_s = _md_step_s(family, model, folder, md_steps)
            options.say(f"{n_types} elements, {name}: {1e3 * train_s:.1f} {1e3 * md_s:.1f} ms")
            lines.append(
                {
                    "elements": n_types,
                    "network": name,
                    "training step [ms]": 1e3 * train_s,
                    "MD step [ms]": 1e3 * md_s,
                }
            )
    reference = lines[1]
    rows = [
        Row(
            f"{line['network']}, {line['elements']} elements: {what} over that of se_e2_a, "
            "one side, 4 elements",
            float(line[f"{what} [ms]"]) / (float(reference[f"{what} [ms]"]) or np.inf),
        )
        for what in ("training step", "MD step")
        for line in lines
    ]
    note = (
        f"CPU times of one thread. Training: one frame of 50 atoms a step, {steps} steps, the "
        "network of Huang et al. 2021, float64. MD: one model, 200 atoms, NVT."
    )
    return Outcome(rows, breakdown=lines, notes=[note])
