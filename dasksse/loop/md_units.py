"""Units that run MD and what is read from it: payloads, keys and amounts of work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasksse.config.schema import ProductionSection
from dasksse.loop.units import derived_seed
from dasksse.loop.walk import make_unit
from dasksse.store.allocation import TrajectoryGroup
from dasksse.units import FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import ExploreSection, RunConfig, StableDiffusionSection
    from dasksse.loop.schemes.learning import Round
    from dasksse.records import Json, Unit


_SOUND = {"min_distance_A", "intact_framework", "max_volume_ratio"}
"""Settings that decide which frames are sound enough for the probe; others leave it alone."""


@dataclass(frozen=True)
class MdSettings:
    """What the runs of one group have in common.

    Attributes
    ----------
    kind
        Kind of the units: ``md`` or ``production``.
    path
        Group in the store.
    generation
        Generation of the models.
    ensemble
        As in the configuration.
    length_ps
        Length of a run [ps].
    section
        Where time step, frame interval, segments and equilibration come from.
    """

    kind: str
    path: str
    generation: int
    ensemble: str
    length_ps: float
    section: ExploreSection | ProductionSection

    @property
    def n_steps(self) -> int:
        """Steps of a run."""
        return max(1, round(self.length_ps * FS_PER_PS / self.section.timestep_fs))

    @property
    def interval(self) -> int:
        """Steps between frames, at most the whole run."""
        return min(self.section.frame_interval_steps, self.n_steps)


@dataclass(frozen=True)
class MdPlan:
    """MD units of one system and the group they are published to."""

    group: TrajectoryGroup
    units: tuple[Unit, ...]

    @property
    def generation(self) -> int:
        """Generation of the models that drive the MD."""
        return self.units[0].generation


def exploration_plan(
    config: RunConfig,
    *,
    system: str,
    at: Round,
    structure: Mapping[str, Json],
    models: Sequence[str],
) -> MdPlan:
    """MD of one schedule line on one system in one generation."""
    line = at.line
    pressures = line.pressures_GPa if line.ensemble.startswith("npt") else (0.0,)
    runs = [
        (temperature, pressure, replica)
        for replica in range(line.replicas)
        for temperature in line.temperatures_K
        for pressure in pressures
    ]
    settings = MdSettings(
        kind="md",
        path=f"explore/{at.generation:03d}/{system}",
        generation=at.generation,
        ensemble=line.ensemble,
        length_ps=at.length_ps,
        section=config.explore,
    )
    return _md_plan(config, settings, runs=runs, structure=structure, models=models)


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
    settings = MdSettings(
        kind="production",
        path=f"production/{system}",
        generation=generation,
        ensemble=production.ensemble,
        length_ps=production.length_ps,
        section=production,
    )
    return _md_plan(config, settings, runs=runs, structure=structure, models=models)


def stability_plan(
    config: RunConfig,
    section: StableDiffusionSection,
    *,
    system: str,
    structure: Mapping[str, Json],
    models: Sequence[str],
    generation: int,
    member: int,
) -> MdPlan:
    """Short MD for D of one generation, driven by one model of its ensemble."""
    base = config.production or ProductionSection()
    settings = MdSettings(
        kind="md",
        path=f"stability/{generation:03d}/{system}-{member}",
        generation=generation,
        ensemble="nvt",
        length_ps=section.length_ps + base.equilibration_ps,
        section=base,
    )
    runs = [(temperature, 0.0, 0) for temperature in section.temperatures_K]
    files = [*models[member:], *models[:member]]
    return _md_plan(config, settings, runs=runs, structure=structure, models=files)


def _md_plan(
    config: RunConfig,
    settings: MdSettings,
    *,
    runs: Sequence[tuple[float, float, int]],
    structure: Mapping[str, Json],
    models: Sequence[str],
) -> MdPlan:
    """Units and group for runs given as temperature, pressure and replica."""
    seeds = [derived_seed(config.seed, settings.path, *run) for run in runs]
    group = TrajectoryGroup(
        path=settings.path,
        numbers=tuple(structure["numbers"]),
        type_map=config.type_map,
        temperatures_K=tuple(run[0] for run in runs),
        pressures_GPa=tuple(run[1] for run in runs),
        replicas=tuple(run[2] for run in runs),
        seeds=tuple(seeds),
        n_frames=settings.n_steps // settings.interval + 1,
        frame_interval_ps=settings.interval * settings.section.timestep_fs / FS_PER_PS,
        equilibration_ps=settings.section.equilibration_ps,
        models=tuple(models),
        precision_A=config.store.step_A,
    )
    framework = config.explore.framework
    units = []
    for index, (run, seed) in enumerate(zip(runs, seeds, strict=True)):
        payload = {
            "spec": _md_spec(config, settings, models, run=run, seed=seed),
            "structure_file": structure["file"],
            "group": settings.path,
            "run": index,
            "mobile_species": config.mobile_species,
            "framework": None
            if framework is None
            else [unit.model_dump(mode="json") for unit in framework],
        }
        units.append(
            make_unit(
                settings.kind,
                "MD",
                "production:run" if settings.kind == "production" else "exploration:run",
                payload,
                generation=settings.generation,
                amount=settings.n_steps,
                amount_name="MD steps",
            )
        )
    return MdPlan(group, tuple(units))


def _md_spec(
    config: RunConfig,
    settings: MdSettings,
    models: Sequence[str],
    *,
    run: tuple[float, float, int],
    seed: int,
) -> dict[str, Any]:
    """Fields of :class:`dasksse.explore.MdSpec`, model paths relative to the run folder."""
    explore = config.explore
    return {
        "models": list(models),
        "type_map": list(config.type_map),
        "ensemble": settings.ensemble,
        "temperature_K": run[0],
        "pressure_GPa": run[1],
        "timestep_fs": settings.section.timestep_fs,
        "n_steps": settings.n_steps,
        "frame_interval_steps": settings.interval,
        "segment_steps": settings.section.segment_steps,
        "seed": seed,
        "thermostat_damping_fs": explore.thermostat_damping_fs,
        "barostat_damping_fs": explore.barostat_damping_fs,
        "zbl": None if explore.zbl is None else [explore.zbl.inner_A, explore.zbl.outer_A],
        "min_distance_A": explore.min_distance_A,
        "max_temperature_ratio": explore.max_temperature_ratio,
        "max_volume_ratio": explore.max_volume_ratio,
    }


def frames_of(plan: MdPlan, runs: Mapping[int, int]) -> dict[str, Json]:
    """Which frames to read: group, the units that wrote them, frames of each run.

    Parameters
    ----------
    plan
        The MD.
    runs
        Frames of each run, see :func:`dasksse.loop.schemes.exploration.valid_runs`.
    """
    return {
        "group": plan.group.path,
        "units": [unit.key for unit in plan.units],
        "n_valid": {str(run): count for run, count in sorted(runs.items())},
        "n_planned": plan.group.n_frames,
    }


def select_unit(
    config: RunConfig,
    plan: MdPlan,
    runs: Mapping[int, int],
    *,
    levels: tuple[float, float],
    excluded: Sequence[int],
    labelled: Sequence[Sequence[str]],
    about: Mapping[str, Json],
) -> Unit:
    """Verdict on every frame of a system, and which get a label."""
    section = config.select.model_dump(mode="json", exclude={"trust"})
    if section["among"] == "candidates":
        del section["among"]  # the keys of runs from before this setting stay as they are
    payload = {
        **frames_of(plan, runs),
        "section": {**section, "max_labels": config.select.labels_of(str(about["system"]))},
        "levels": list(levels),
        "excluded": list(excluded),
        "labelled": [list(source) for source in labelled],
        "about": dict(about),
        "mobile_species": config.mobile_species,
        "seed": derived_seed(config.seed, "select", plan.group.path),
    }
    return make_unit(
        "select", "REDUCE", "selection:select", payload, generation=plan.generation
    )


def probe_unit(
    config: RunConfig,
    plan: MdPlan,
    runs: Mapping[int, int],
    *,
    n_frames: int,
    high_eV_A: float,
) -> Unit:
    """Draw the probe frames of one system from its MD."""
    payload = {
        **frames_of(plan, runs),
        "section": config.select.model_dump(mode="json", include=_SOUND),
        "n_frames": n_frames,
        "high_eV_A": high_eV_A,
        "mobile_species": config.mobile_species,
        "seed": derived_seed(config.seed, "probe", plan.group.path),
    }
    return make_unit("probe", "REDUCE", "selection:probe", payload, generation=plan.generation)


def diffusion_unit(
    config: RunConfig,
    plan: MdPlan,
    runs: Mapping[int, int],
    levels: tuple[float, float],
    *,
    chains: Sequence[Json] = (),
    kind: str = "diffusion",
) -> Unit:
    """D(T), Arrhenius fit and MSD of one system's production runs.

    Parameters
    ----------
    chains
        Parts of each run that was continued.
    kind
        Kind of the unit.
    """
    generation = -1 if kind == "diffusion" else plan.generation
    payload = {
        **frames_of(plan, runs),
        "mobile_species": config.mobile_species,
        "charge": config.mobile_charge,
        "high_eV_A": levels[1],
    }
    if chains:
        payload["continued"] = list(chains)
    return make_unit(kind, "REDUCE", "diffusion:analyse", payload, generation=generation)
