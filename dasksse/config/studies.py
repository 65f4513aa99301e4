"""Settings of the studies: what each one runs, and for how long.

Defaults are those of Huang et al. 2021 (doi:10.1063/5.0041849, Table III) unless the
description says otherwise. They take months on a small machine, which `max_core_hours` guards
against.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dasksse.config.base import (
    Count,
    Element,
    Name,
    Positive,
    Section,
    Share,
    Supercell,
    Temperature,
)

Temperatures = Annotated[tuple[Temperature, ...], Field(min_length=1)]
Lengths = Annotated[tuple[Positive, ...], Field(min_length=1)]
LADDER: tuple[Supercell, ...] = ((1, 1, 1), (2, 2, 1), (2, 2, 2), (3, 3, 2), (4, 4, 2))
"""50, 200, 400, 900 and 1600 atoms of Li10GeP2S12."""


class MdStudySection(Section):
    """MD of a study: where it differs from `production`."""

    system: Name | None = Field(
        default=None,
        description="System to study; `studies.system` when absent.",
    )
    temperatures_K: Temperatures = Field(
        default=(400.0, 500.0, 666.0), description="Temperatures [K]."
    )
    length_ps: Positive = Field(default=1000.0, description="Length of a run [ps].")
    replicas: Count = Field(default=1, description="Runs at each temperature.")


class LocalitySection(Section):
    """Forces on an atom whose surroundings within a radius are fixed."""

    system: Name | None = Field(default=None, description="As `studies.system`.")
    supercell: Supercell | None = Field(
        default=(2, 2, 2),
        description="Repeats of the structure file; of the system when absent.",
    )
    radii_A: Lengths = Field(
        default=(5.5, 6.0, 6.5, 7.0, 7.5), description="Radii of the fixed sphere [Å]."
    )
    atoms_per_element: Count = Field(default=1, description="Central atoms of each element.")
    n_frames: Annotated[int, Field(ge=2)] = Field(
        default=10, description="Perturbations of the rest for each atom and radius."
    )
    rattle_A: Positive = Field(
        default=0.1, description="Standard deviation of the perturbation [Å]."
    )
    forces_from: Literal["labels", "models"] = Field(
        default="labels",
        description="`labels`: the calculator, as in the paper; `models`: the ensemble, which "
        "knows nothing beyond twice its cutoff.",
    )


class AccuracySection(Section):
    """Errors of the ensemble on the labels of the run."""

    max_frames: Count = Field(
        default=2000, description="Labels of each material at most, evenly drawn."
    )


class SpeedSection(Section):
    """Time of an MD step against the number of atoms."""

    system: Name | None = Field(default=None, description="As `studies.system`.")
    supercells: tuple[Supercell, ...] = Field(
        default=LADDER, min_length=2, description="Repeats of the structure file."
    )
    temperature_K: Temperature = Field(default=600.0, description="Temperature [K].")
    n_steps: Count = Field(default=200, description="Steps that are timed.")
    repeats: Count = Field(default=3, description="Measurements; the fastest counts.")


class TimeStepSection(Section):
    """Conservation of energy in NVE by time step."""

    system: Name | None = Field(default=None, description="As `studies.system`.")
    timesteps_fs: Annotated[
        tuple[Annotated[float, Field(gt=0.0, le=10.0)], ...], Field(min_length=2)
    ] = Field(
        default=(1.0, 2.0, 3.0, 4.0),
        description="Time steps to compare [fs]; that of `production` is added.",
    )
    temperature_K: Temperature = Field(
        default=1200.0,
        description="Temperature of the start velocities [K]; a crystal at rest takes half of "
        "it up as potential energy.",
    )
    length_ps: Positive = Field(default=20.0, description="Length of a run [ps].")


class SimulationTimeSection(MdStudySection):
    """D from growing parts of one trajectory."""

    temperatures_K: Temperatures = Field(
        default=(300.0, 400.0, 500.0, 600.0), description="Temperatures [K]."
    )
    length_ps: Positive = Field(default=10_000.0, description="Length of a run [ps].")
    lengths_ps: Lengths = Field(
        default=(100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0),
        description="Lengths to compare [ps]; those above `length_ps` are left out.",
    )


class CellSizeSection(MdStudySection):
    """D in cells of several sizes."""

    temperatures_K: Temperatures = Field(
        default=(300.0, 400.0, 500.0, 600.0), description="Temperatures [K]."
    )
    length_ps: Positive = Field(default=10_000.0, description="Length of a run [ps].")
    supercells: tuple[Supercell, ...] = Field(
        default=LADDER, min_length=2, description="Repeats of the structure file."
    )


class FunctionalSection(MdStudySection):
    """D with ensembles that were trained on labels of different functionals."""

    temperatures_K: Temperatures = Field(
        default=(400.0, 500.0, 666.0, 800.0, 1000.0), description="Temperatures [K]."
    )
    runs: dict[str, str] = Field(
        default_factory=dict,
        description="Folder of the finished run of each other functional, relative to the "
        "config file, such as `{PBEsol: ../lgps-pbesol}`; without any, no study.",
    )
    name: str = Field(
        default="",
        description="Name of this run's own functional; as its labels say when empty.",
    )


class LatticeScalingSection(MdStudySection):
    """D at scaled volumes (Huang et al., first version, Fig. 5)."""

    volume_scales: tuple[Annotated[float, Field(gt=0.5, lt=2.0)], ...] = Field(
        default=(0.95, 0.97, 0.99, 1.0, 1.01, 1.03, 1.05),
        min_length=2,
        description="Volumes relative to that of the system.",
    )


class ThermalExpansionSection(MdStudySection):
    """Mean cell in NpT against temperature."""

    temperatures_K: Temperatures = Field(
        default=(300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1000.0),
        description="Temperatures [K].",
    )
    ensemble: Literal["npt-iso", "npt-aniso", "npt-tri"] = Field(
        default="npt-aniso", description="Ensemble."
    )
    pressure_GPa: float = Field(default=0.0, description="Pressure [GPa].")
    fit_below_K: Temperature = Field(
        default=700.0, description="The line is fitted up to this temperature [K]."
    )
    reference_K: Temperature = Field(
        default=300.0, description="Expansion is relative to the fitted length here [K]."
    )


class DisorderSection(MdStudySection):
    """D averaged over random arrangements of cations, against the ordered crystal."""

    temperatures_K: Temperatures = Field(
        default=(300.0, 400.0, 500.0, 666.0), description="Temperatures [K]."
    )
    n_orderings: Annotated[int, Field(ge=2)] = Field(
        default=30, description="Random arrangements."
    )
    species: tuple[Element, ...] = Field(
        default=(),
        description="Species that exchange places, such as [Ge, P]; those of a "
        "`cation_ordering` among the systems when empty.",
    )
    site: str | None = Field(
        default=None, description="Site that they share; that of the same `cation_ordering`."
    )


class RdfSection(Section):
    """Pair distributions of ordered and disordered cells, from the runs of `disorder`."""

    temperature_K: Temperature | None = Field(
        default=None, description="The highest of `disorder` when absent [K]."
    )
    n_orderings: Count = Field(
        default=5, description="Arrangements that are averaged, as in the paper."
    )
    r_max_A: Positive = Field(default=8.0, description="Largest distance [Å].")


class DiffusionStudySection(MdStudySection):
    """D(T), with the cell of each temperature."""

    temperatures_K: Temperatures = Field(
        default=(300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1000.0),
        description="Temperatures [K].",
    )
    expansion_per_K: Annotated[float, Field(ge=0.0, lt=1e-3)] | Literal["measured"] = Field(
        default=3.4e-5,
        description="Linear thermal expansion [1/K] that the cell follows; `measured` takes "
        "that of the study `thermal-expansion`, 0 keeps the cell.",
    )
    reference_K: Temperature = Field(
        default=300.0, description="Temperature [K] of the cell in the structure file."
    )
    disordered: bool = Field(
        default=True, description="Run a random arrangement of cations beside the ordered one."
    )
    long_below_K: Temperature = Field(
        default=350.0, description="Runs below this temperature [K] are `long_factor` longer."
    )
    long_factor: Annotated[float, Field(ge=1.0)] = Field(
        default=10.0, description="10 ns at 300 K where the others run 1 ns."
    )
    also_fixed_cell: bool = Field(
        default=False,
        description="Run the ordered crystal above 700 K in the cell of `reference_K` as well: "
        "what the expansion does to D (Fig. 10).",
    )


class MembersSection(Section):
    """D from each member of the ensemble: how much the potential itself leaves open."""

    system: Name | None = Field(default=None, description="As `studies.system`.")
    temperatures_K: Temperatures = Field(
        default=(600.0, 800.0), description="Temperatures [K]."
    )
    length_ps: Positive = Field(default=200.0, description="Length of a run [ps].")


class ComparisonSection(Section):
    """Results beside measurements."""

    experiment: str | None = Field(
        default=None,
        description="CSV, relative to the config file, with the columns T_K, D_m2_s or "
        "sigma_mS_cm, and optionally the error (D_err_m2_s, sigma_err_mS_cm) and source.",
    )


class StudiesSection(Section):
    """Studies of the protocol of Huang et al. 2021, doi:10.1063/5.0041849."""

    system: Name | None = Field(
        default=None, description="System to study; the first of `production` when absent."
    )
    max_core_hours: Positive = Field(
        default=200.0,
        description="Studies that would take more by the estimate are refused before anything "
        "starts.",
    )
    untrusted_share: Share = Field(
        default=0.01,
        description="A D with a larger share of frames above the upper trust level is said to "
        "be outside what the potential knows.",
    )
    locality: LocalitySection = Field(default=LocalitySection(), description="Fig. 3.")
    accuracy: AccuracySection = Field(default=AccuracySection(), description="Table V, Fig. 5.")
    speed: SpeedSection = Field(default=SpeedSection(), description="Fig. 6.")
    time_step: TimeStepSection = Field(
        default=TimeStepSection(), description="Energy in NVE; not in the paper."
    )
    simulation_time: SimulationTimeSection = Field(
        default=SimulationTimeSection(), description="Fig. 7a."
    )
    cell_size: CellSizeSection = Field(default=CellSizeSection(), description="Fig. 7b.")
    functional: FunctionalSection = Field(default=FunctionalSection(), description="Fig. 8.")
    lattice_scaling: LatticeScalingSection = Field(
        default=LatticeScalingSection(), description="First version, Fig. 5."
    )
    thermal_expansion: ThermalExpansionSection = Field(
        default=ThermalExpansionSection(), description="Figs. 9 and 10."
    )
    disorder: DisorderSection = Field(default=DisorderSection(), description="Fig. 11.")
    rdf: RdfSection = Field(default=RdfSection(), description="Fig. 12.")
    diffusion: DiffusionStudySection = Field(
        default=DiffusionStudySection(), description="Fig. 13."
    )
    members: MembersSection = Field(
        default=MembersSection(), description="Spread of D across the ensemble."
    )
    comparison: ComparisonSection = Field(
        default=ComparisonSection(), description="Measurements beside Fig. 13."
    )

    @model_validator(mode="after")
    def _rdf_from_runs_that_are_there(self) -> Self:
        asked = self.rdf.temperature_K
        if asked is not None and asked not in self.disorder.temperatures_K:
            there = ", ".join(f"{t:g}" for t in self.disorder.temperatures_K)
            msg = f"rdf.temperature_K: found {asked:g}, allowed: those of disorder ({there})"
            raise ValueError(msg)
        return self
