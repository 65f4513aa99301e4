"""The units of a learning run: their payloads, keys and amounts of work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasksse.loop.walk import make_unit
from dasksse.records import Json, Unit, content_key
from dasksse.store.trajectories import TrajectoryGroup
from dasksse.units import FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import ProductionSection, RunConfig, ScheduleSection


def derived_seed(*parts: Json) -> int:
    """A seed below 2^31 that follows from the run's seed and a purpose."""
    return int(content_key("seed", *parts)[:8], 16) % (2**31 - 2) + 1


@dataclass(frozen=True)
class LabelSource:
    """A finished or wanted unit that yields labels.

    Attributes
    ----------
    unit
        The unit.
    system
        System the frames belong to.
    role
        ``start``, ``relax``, ``candidate``, ``check`` or ``probe``.
    generation
        Generation that asked for it.
    """

    unit: Unit
    system: str
    role: str
    generation: int

    @property
    def reference(self) -> list[str]:
        """Kind, key and system, as payloads carry them."""
        return [self.unit.kind, self.unit.key, self.system]


def structure_unit(config: RunConfig, name: str, digest: str) -> Unit:
    """Build one system: read, order, supercell, check."""
    section = config.system(name).model_dump(mode="json")
    payload = {
        "section": section,
        "digest": digest,
        "type_map": list(config.type_map),
        "mobile_species": config.mobile_species,
    }
    return make_unit("structure", "REDUCE", "structures:build", payload)


def relax_unit(config: RunConfig, name: str, structure: Unit) -> Unit:
    """Relax the crystal with the labeller."""
    relax = config.start.relax
    payload = {
        "structure": structure.key,
        "system": name,
        "relax": None if relax is None else relax.model_dump(mode="json"),
        "label": _label_settings(config),
    }
    steps = 0 if relax is None else relax.max_steps
    return make_unit(
        "relax", "LABEL", "structures:relax", payload, amount=steps, amount_name="labels"
    )


def start_unit(config: RunConfig, name: str, structure_file: str, n_frames: int) -> Unit:
    """Perturbed copies of a crystal."""
    start = config.start
    payload = {
        "structure_file": structure_file,
        "n_frames": n_frames,
        "rattle_A": list(start.rattle_A),
        "strain": start.strain,
        "min_distance_A": start.min_distance_A,
        "seed": derived_seed(config.seed, "start", name),
    }
    return make_unit("start", "REDUCE", "structures:start_set", payload)


def _label_settings(config: RunConfig) -> dict[str, Json]:
    return {
        "calculator": config.label.calculator.model_dump(mode="json"),
        "virial": config.label.virial,
        "max_force_eV_A": config.label.max_force_eV_A,
    }


def label_sources(  # noqa: PLR0913 - all by keyword
    config: RunConfig,
    *,
    drawn: Mapping[str, Json],
    indices: Sequence[int],
    system: str,
    role: str,
    generation: int,
) -> list[LabelSource]:
    """Label frames of the file that a unit made, batch by batch.

    The key rests on the frames' content: a frame chosen again, by other trust levels or in
    another order, is not labelled again as long as its batch is the same (always, for batches
    of one).
    """
    size = config.label.batch_size
    sources = []
    for first in range(0, len(indices), size):
        batch = [int(i) for i in indices[first : first + size]]
        settings = _label_settings(config)
        frame_keys = [drawn["frame_keys"][i] for i in batch]
        unit = make_unit(
            "label",
            "LABEL",
            "labels:label",
            {"frames_file": drawn["file"], "indices": batch, **settings},
            generation=generation,
            amount=len(batch),
            amount_name="labels",
            identity={"frames": frame_keys, **settings},
        )
        sources.append(LabelSource(unit, system, role, generation))
    return sources


def dataset_unit(
    config: RunConfig,
    generation: int,
    sources: Sequence[Sequence[str]],
    previous_sel: Sequence[int] | None,
) -> Unit:
    """Training data of one generation."""
    payload = {
        "sources": [list(source) for source in sources],
        "type_map": list(config.type_map),
        "held_out_share": config.train.held_out_share,
        "rcut_A": float(config.train.descriptor.get("rcut", 6.0)),
        "given_sel": config.train.descriptor.get("sel"),
        "previous_sel": None if previous_sel is None else list(previous_sel),
        "seed": config.seed,
    }
    return make_unit("dataset", "REDUCE", "training:dataset", payload, generation=generation)


def train_units(
    config: RunConfig,
    generation: int,
    dataset: Unit,
    *,
    initial: Sequence[Mapping[str, Json]] | None,
    steps: int,
) -> list[Unit]:
    """One training per member; from scratch when there is nothing to start from."""
    units = []
    for member in range(config.train.ensemble_size):
        init = None
        if initial is not None:
            init = str(initial[member % len(initial)]["checkpoint"])
        payload = {
            "dataset": dataset.key,
            "section": config.train.model_dump(
                mode="json", exclude={"ensemble_size", "steps", "steps_warm", "held_out_share"}
            ),
            "type_map": list(config.type_map),
            "steps": steps,
            "init_from": init,
            "seed": derived_seed(config.seed, "train", member, generation),
        }
        units.append(
            make_unit(
                "train",
                "TRAIN",
                "training:train",
                payload,
                generation=generation,
                amount=steps,
                amount_name="training steps",
            )
        )
    return units


@dataclass(frozen=True)
class MdPlan:
    """MD units of one system and the group they are published to."""

    group: TrajectoryGroup
    units: tuple[Unit, ...]


def exploration_plan(
    config: RunConfig,
    *,
    system: str,
    line: ScheduleSection,
    round_: int,
    generation: int,
    structure: Mapping[str, Json],
    models: Sequence[str],
) -> MdPlan:
    """MD of one schedule line on one system in its ``round_``-th generation."""
    explore = config.explore
    length_ps = line.lengths_ps[min(round_, len(line.lengths_ps) - 1)]
    pressures = line.pressures_GPa if line.ensemble.startswith("npt") else (0.0,)
    runs = [
        (temperature, pressure, replica)
        for replica in range(line.replicas)
        for temperature in line.temperatures_K
        for pressure in pressures
    ]
    md = {
        "ensemble": line.ensemble,
        "timestep_fs": explore.timestep_fs,
        "length_ps": length_ps,
        "frame_interval_steps": explore.frame_interval_steps,
        "segment_steps": explore.segment_steps,
        "equilibration_ps": explore.equilibration_ps,
    }
    path = f"explore/{generation:03d}/{system}"
    return _md_plan(config, path, "md", generation, runs, md, structure, models)


def production_plan(
    config: RunConfig,
    production: ProductionSection,
    *,
    system: str,
    structure: Mapping[str, Json],
    models: Sequence[str],
    generation: int,
) -> MdPlan:
    """MD for diffusion of one system."""
    runs = [
        (temperature, production.pressure_GPa, replica)
        for temperature in production.temperatures_K
        for replica in range(production.replicas)
    ]
    md = {
        "ensemble": production.ensemble,
        "timestep_fs": production.timestep_fs,
        "length_ps": production.length_ps,
        "frame_interval_steps": production.frame_interval_steps,
        "segment_steps": production.segment_steps,
        "equilibration_ps": production.equilibration_ps,
    }
    path = f"production/{system}"
    return _md_plan(config, path, "production", generation, runs, md, structure, models)


def _md_plan(  # noqa: PLR0913 - one private builder for both callers
    config: RunConfig,
    path: str,
    kind: str,
    generation: int,
    runs: Sequence[tuple[float, float, int]],
    md: Mapping[str, Any],
    structure: Mapping[str, Json],
    models: Sequence[str],
) -> MdPlan:
    n_steps = max(1, round(md["length_ps"] * FS_PER_PS / md["timestep_fs"]))
    interval = min(md["frame_interval_steps"], n_steps)
    seeds = [derived_seed(config.seed, path, *run) for run in runs]
    explore = config.explore
    group = TrajectoryGroup(
        path=path,
        numbers=tuple(structure["numbers"]),
        type_map=config.type_map,
        temperatures_K=tuple(run[0] for run in runs),
        pressures_GPa=tuple(run[1] for run in runs),
        replicas=tuple(run[2] for run in runs),
        seeds=tuple(seeds),
        n_frames=n_steps // interval + 1,
        frame_interval_ps=interval * md["timestep_fs"] / FS_PER_PS,
        equilibration_ps=md["equilibration_ps"],
    )
    units = []
    for index, (temperature, pressure, _) in enumerate(runs):
        spec = {
            "models": list(models),
            "type_map": list(config.type_map),
            "ensemble": md["ensemble"],
            "temperature_K": temperature,
            "pressure_GPa": pressure,
            "timestep_fs": md["timestep_fs"],
            "n_steps": n_steps,
            "frame_interval_steps": interval,
            "segment_steps": md["segment_steps"],
            "seed": seeds[index],
            "thermostat_damping_fs": explore.thermostat_damping_fs,
            "barostat_damping_fs": explore.barostat_damping_fs,
            "zbl": None if explore.zbl is None else [explore.zbl.inner_A, explore.zbl.outer_A],
            "min_distance_A": explore.min_distance_A,
            "max_temperature_ratio": explore.max_temperature_ratio,
            "max_volume_ratio": explore.max_volume_ratio,
        }
        payload = {
            "spec": spec,
            "structure_file": structure["file"],
            "group": path,
            "run": index,
            "mobile_species": config.mobile_species,
            "framework": None
            if explore.framework is None
            else [unit.model_dump(mode="json") for unit in explore.framework],
        }
        units.append(
            make_unit(
                kind,
                "MD",
                "exploration:run",
                payload,
                generation=generation,
                amount=n_steps,
                amount_name="MD steps",
            )
        )
    return MdPlan(group, tuple(units))


def select_unit(
    config: RunConfig,
    plan: MdPlan,
    runs: Mapping[int, int],
    *,
    generation: int,
    levels: tuple[float, float],
    excluded: Sequence[int],
    labelled: Sequence[Sequence[str]],
    about: Mapping[str, Json],
) -> Unit:
    """Verdict on every frame of a system, and which get a label."""
    payload = {
        "group": plan.group.path,
        "units": [unit.key for unit in plan.units],
        "n_valid": {str(run): count for run, count in sorted(runs.items())},
        "n_planned": plan.group.n_frames,
        "section": config.select.model_dump(mode="json", exclude={"trust"}),
        "levels": list(levels),
        "excluded": list(excluded),
        "labelled": [list(source) for source in labelled],
        "about": dict(about),
        "mobile_species": config.mobile_species,
        "generation": generation,
        "seed": derived_seed(config.seed, "select", plan.group.path),
    }
    return make_unit("select", "REDUCE", "selection:select", payload, generation=generation)


def probe_unit(
    config: RunConfig, plan: MdPlan, runs: Mapping[int, int], *, n_frames: int, generation: int
) -> Unit:
    """Draw the probe frames of one system from its MD."""
    payload = {
        "group": plan.group.path,
        "units": [unit.key for unit in plan.units],
        "n_valid": {str(run): count for run, count in sorted(runs.items())},
        "n_planned": plan.group.n_frames,
        "section": config.select.model_dump(mode="json", exclude={"trust"}),
        "n_frames": n_frames,
        "mobile_species": config.mobile_species,
        "seed": derived_seed(config.seed, "probe", plan.group.path),
    }
    return make_unit("probe", "REDUCE", "selection:probe", payload, generation=generation)


def evaluate_unit(
    config: RunConfig,
    generation: int,
    *,
    models: Sequence[str],
    dataset: Unit,
    sources: Mapping[str, Sequence[Sequence[str]]],
) -> Unit:
    """Errors of an ensemble on held-out, training, probe and new labels."""
    payload = {
        "models": list(models),
        "dataset": dataset.key,
        "sources": {name: [list(s) for s in part] for name, part in sources.items()},
        "type_map": list(config.type_map),
    }
    return make_unit("evaluate", "REDUCE", "training:evaluate", payload, generation=generation)


def diffusion_unit(
    config: RunConfig, plan: MdPlan, runs: Mapping[int, int], levels: tuple[float, float]
) -> Unit:
    """D(T), Arrhenius fit and MSD of one system's production runs."""
    payload = {
        "group": plan.group.path,
        "units": [unit.key for unit in plan.units],
        "n_valid": {str(run): count for run, count in sorted(runs.items())},
        "mobile_species": config.mobile_species,
        "charge": config.mobile_charge,
        "high_eV_A": levels[1],
    }
    return make_unit("diffusion", "REDUCE", "diffusion:analyse", payload)
