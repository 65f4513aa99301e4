"""MD that a study needs: a crystal with its changes, temperatures and a length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.config.schema import CationOrderingSection, ProductionSection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.config.schema import Ensemble, RunConfig, SystemSection

BASE = ProductionSection()


@dataclass(frozen=True, kw_only=True)
class Case:
    """Runs of one crystal.

    Attributes
    ----------
    name
        Of the group of the runs in the store, ``production/<name>``; equal names must stand for
        equal runs, so that studies can share them.
    system
        The crystal: a system of the configuration, with other repeats, volume or cations. Its
        ``name`` is still that of the system.
    temperatures_K
        Temperatures [K], one set of runs each.
    length_ps
        Length of a run without equilibration [ps].
    ensemble, pressure_GPa
        Ensemble, and pressure [GPa] for NpT.
    replicas
        Runs at each temperature.
    member
        Model that drives the MD; all others are compared with it.
    timestep_fs
        Time step [fs]; that of ``production`` when None.
    """

    name: str
    system: SystemSection
    temperatures_K: tuple[float, ...]
    length_ps: float
    ensemble: Ensemble = "nvt"
    pressure_GPa: float = 0.0
    replicas: int = 1
    member: int = 0
    timestep_fs: float | None = None

    def section(self, config: RunConfig) -> ProductionSection:
        """Settings of the runs: those of ``production``, but for what the case says."""
        base = config.production or BASE
        changes = {
            "systems": (self.system.name,),
            "ensemble": self.ensemble,
            "temperatures_K": self.temperatures_K,
            "pressure_GPa": self.pressure_GPa,
            "replicas": self.replicas,
            "length_ps": self.length_ps + base.equilibration_ps,
            "extend": None,
            "timestep_fs": self.timestep_fs or base.timestep_fs,
        }
        return base.model_copy(update=changes)

    def n_steps(self, config: RunConfig) -> float:
        """MD steps of all runs together."""
        section = self.section(config)
        runs = len(self.temperatures_K) * self.replicas
        return runs * section.length_ps * 1000.0 / section.timestep_fs


def studied_system(config: RunConfig, name: str | None) -> SystemSection:
    """System that a study is about: the named one, that of all studies, or of production."""
    production = config.production.systems if config.production is not None else ()
    first = production[0] if production else config.systems[0].name
    return config.system(name or config.studies.system or first)


def repeated(system: SystemSection, supercell: Sequence[int]) -> SystemSection:
    """The crystal with other repeats of its structure file."""
    return system.model_copy(update={"supercell": tuple(supercell)})


def scaled(system: SystemSection, factor: float) -> SystemSection:
    """The crystal with its volume multiplied."""
    return system.model_copy(update={"volume_scale": system.volume_scale * factor})


def shuffled(
    system: SystemSection, *, species: Sequence[str], site: str | None, seed: int
) -> SystemSection:
    """The crystal with cations in random places."""
    ordering = CationOrderingSection(species=tuple(species), site=site, seed=seed)
    return system.model_copy(update={"cation_ordering": ordering})


def cell_name(supercell: Sequence[int]) -> str:
    """Repeats as a word, such as ``2x2x1``."""
    return "x".join(str(n) for n in supercell)


def temperature_name(temperature_K: float) -> str:
    """Temperature as a word, such as ``600K``."""
    return f"{temperature_K:g}K"
