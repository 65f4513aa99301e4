"""The configuration as frozen pydantic models: every key, its unit, default and meaning.

Unknown keys are errors. Scalars carry their unit in the name. Defaults are those of the main
reference (Huang et al. 2021, doi:10.1063/5.0041849) unless the description says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dasksse.config.base import (
    Count,
    Element,
    Name,
    Positive,
    RegistrySection,
    Section,
    Seed,
    Share,
    Supercell,
    Temperature,
    check_element,
)
from dasksse.config.descriptors import compression_fault, sel_fault
from dasksse.config.studies import StudiesSection

__all__ = [
    "CationOrderingSection",
    "Count",
    "Element",
    "Ensemble",
    "ExploreSection",
    "ExtendSection",
    "FailureBudgetSection",
    "FiltersSection",
    "LabelSection",
    "Name",
    "OrderingSection",
    "PolyhedronSection",
    "Positive",
    "ProbeSection",
    "ProductionSection",
    "RegistrySection",
    "RelaxSection",
    "RunConfig",
    "ScheduleSection",
    "Section",
    "SelectSection",
    "Share",
    "StartSection",
    "StopSection",
    "StoreSection",
    "StudiesSection",
    "SystemSection",
    "TrainSection",
    "TrustSection",
    "ZblSection",
]


# --- structures ------------------------------------------------------------------------------


class OrderingSection(Section):
    """How to turn partial occupancies into whole atoms."""

    method: Literal["ewald", "random"] = Field(
        default="ewald",
        description="`ewald`: orderings ranked by point-charge energy (simulated annealing for "
        "large cells); `random`: seeded random occupation.",
    )
    rank: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Which of the ranked orderings to take, 0 the lowest in energy."
    )
    seed: Seed = Field(default=0, description="Seed of the random choices.")
    charges: dict[Element, float] | None = Field(
        default=None,
        description="Formal charge [e] per element; guessed from oxidation states when absent.",
    )
    max_composition_change: Share = Field(
        default=0.05,
        description="Largest allowed change of the composition, as atoms changed over atoms in "
        "the cell, when occupancies are rounded to a neutral integer composition.",
    )
    min_distance_A: Positive = Field(
        default=1.2,
        description="Two sites that may stay empty are never both occupied when they are "
        "closer than this [Å].",
    )


class CationOrderingSection(Section):
    """Random redistribution of species over the sites they share (4d in LGPS)."""

    species: tuple[Element, ...] = Field(
        min_length=2, description="Species that exchange places, such as [Ge, P]."
    )
    site: str | None = Field(
        default=None,
        description="Named site of the disordered CIF (its label there, such as `4d`-type "
        "`Ge1`); every site of these species when absent.",
    )
    seed: Seed = Field(default=0, description="Seed of the permutation.")


class SystemSection(Section):
    """One crystal to work on."""

    name: Name = Field(description="Name of the system in plots, store and schedule.")
    structure: str = Field(
        description="File (CIF, POSCAR, extxyz ...), relative to the config file, or a "
        "Materials Project id such as mp-696138 (needs the mp-api package and MP_API_KEY)."
    )
    ordering: OrderingSection | None = Field(
        default=None, description="Needed when the structure has partial occupancies."
    )
    cation_ordering: CationOrderingSection | None = Field(
        default=None, description="Random ordering of cations on a site."
    )
    supercell: Supercell = Field(default=(1, 1, 1), description="Repeats along a, b, c.")
    volume_scale: Annotated[float, Field(gt=0.5, lt=2.0)] = Field(
        default=1.0, description="Volume relative to the file's cell, scaled isotropically."
    )


class RelaxSection(Section):
    """Relaxation of the crystal with the labeller before it is perturbed."""

    max_steps: Count = Field(
        default=60, description="Most steps; every step is a label and is learned from."
    )
    max_force_eV_A: Positive = Field(
        default=0.1, description="Relaxed when no force component is larger [eV/Å]."
    )
    cell: bool = Field(default=False, description="Relax the cell as well.")


class StartSection(Section):
    """Perturbed crystals that the first generation learns from."""

    systems: tuple[Name, ...] = Field(
        default=(), description="Systems to perturb; the first one when empty."
    )
    n_frames: Annotated[int, Field(ge=0)] = Field(
        default=590,
        description="Structures in all (590 in Huang et al. 2021); 0 for none, where "
        "`label_stores` has labels to begin with, or `train.initial_models` are taken as they "
        "are.",
    )
    label_stores: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        description="Stores with labels that exist already, learned from in every generation: "
        "made by `dasksse import-labels`, or data.zarr of another run. Relative to the config "
        "file.",
    )
    rattle_A: tuple[Positive, Positive] = Field(
        default=(0.02, 0.08),
        description="Standard deviation of the random displacement [Å], drawn per frame from "
        "this range. Above 0.15 Å forces run to 100 eV/Å and ruin the fit.",
    )
    relax: RelaxSection | None = Field(
        default=None,
        description="Relax first; leave out when the structure file is relaxed already.",
    )
    strain: Annotated[float, Field(ge=0.0, le=0.2)] = Field(
        default=0.03, description="Largest component of the random symmetric strain."
    )
    min_distance_A: Positive = Field(
        default=1.0, description="Structures with closer atoms are drawn again."
    )


# --- labels ----------------------------------------------------------------------------------


def _check_pairs(limits: dict[str, float]) -> dict[str, float]:
    """Pairs of elements in one spelling, the two in alphabetical order."""
    checked: dict[str, float] = {}
    for pair, limit in limits.items():
        symbols = sorted(check_element(symbol) for symbol in pair.split("-"))
        name = "-".join(symbols)
        if len(symbols) != 2 or name in checked:  # noqa: PLR2004 - a pair
            msg = f"{pair!r} must be two elements such as Li-S, each pair listed once"
            raise ValueError(msg)
        checked[name] = limit
    return checked


PairDistances = Annotated[dict[str, Positive], AfterValidator(_check_pairs)]


class FiltersSection(Section):
    """Rules that keep labels out of training; a rule is on when it has a value."""

    min_distance_A: Positive | Literal["auto"] | PairDistances | None = Field(
        default=None,
        description="Smallest distance of two atoms [Å]: one number, numbers by pair of "
        "elements such as `{Li-S: 1.5}` (other pairs are free), or `auto`, 0.6 of the sum of "
        "covalent radii. 0.6 Å in Marcolongo et al. (arXiv:1910.10090).",
    )
    volume_ratio: tuple[Positive, Positive] | None = Field(
        default=None,
        description="Smallest and largest volume over that of the system's structure.",
    )
    max_bond_change: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        default=None,
        description="Largest relative change of a bond of a rigid framework unit, such as P-S "
        "in PS4, against its length in the system's structure; 0.2 in Marcolongo et al.",
    )
    max_broken_share: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        default=None,
        description="Largest share of framework units that may have a broken bond, as "
        "`explore.framework` has it.",
    )
    max_framework_rmsd_A: Positive | None = Field(
        default=None,
        description="Largest root-mean-square displacement [Å] of the framework from the "
        "system's structure; beyond, the frame is molten.",
    )
    energy_iqr: Positive | None = Field(
        default=None,
        description="Energy per atom at most so many interquartile ranges from the median of "
        "the MD frames of the same system and temperature; 2 in Marcolongo et al.",
    )
    force_iqr: Positive | None = Field(
        default=None,
        description="The same for force components; 10 in Marcolongo et al.",
    )
    min_frames: Annotated[int, Field(ge=4)] = Field(
        default=20,
        description="`energy_iqr` and `force_iqr` leave smaller groups alone.",
    )

    @property
    def is_on(self) -> bool:
        """Whether any rule is on."""
        return any(
            getattr(self, name) is not None
            for name in type(self).model_fields
            if name != "min_frames"
        )

    @model_validator(mode="after")
    def _volumes_in_order(self) -> Self:
        if self.volume_ratio is not None and self.volume_ratio[0] >= self.volume_ratio[1]:
            low, high = self.volume_ratio
            msg = f"volume_ratio: the first ({low:g}) must be below the second ({high:g})"
            raise ValueError(msg)
        return self


class LabelSection(Section):
    """Where energies, forces and virials come from."""

    calculator: RegistrySection = Field(
        default=RegistrySection(kind="sevennet"),
        description="Calculator by name. The default is a surrogate, not DFT.",
    )
    virial: bool = Field(
        default=True, description="Ask the calculator for the virial; needed before any NpT."
    )
    batch_size: Count | None = Field(
        default=None,
        description="Frames labelled by one task, so that cheap calculators stay busy; by the "
        "calculator when absent: one for DFT, four for the others.",
    )
    max_force_eV_A: Positive = Field(
        default=50.0,
        description="Labels with a larger force component are refused, with reason.",
    )
    max_net_force_eV_A: Positive = Field(
        default=0.01,
        description="Labels whose forces add up to more than this per atom [eV/Å] are refused: "
        "they are not converged.",
    )
    wait_share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=1.0,
        description="The next training starts when this share of a generation's labels is in; "
        "late ones join the generation after.",
    )
    filters: FiltersSection = Field(
        default=FiltersSection(), description="Rules that keep labels out of training."
    )
    mixing: Literal["refuse", "align", "as_is"] = Field(
        default="refuse",
        description="Labels of different source or functional in one training set: `refuse` "
        "stops the run; `align` shifts energies by one number per element, found from frames "
        "that both sources have labelled; `as_is` takes them as they are.",
    )


# --- training --------------------------------------------------------------------------------


class TrainSection(Section):
    """The ensemble of Deep Potential models."""

    ensemble_size: Annotated[int, Field(ge=2, le=16)] = Field(
        default=4, description="Models that differ only in their seed."
    )
    backend: Literal["tensorflow", "pytorch", "jax", "paddle"] = Field(
        default="tensorflow", description="DeePMD-kit backend; tensorflow runs on any CPU."
    )
    descriptor: dict[str, Any] = Field(
        default_factory=lambda: {
            "type": "se_e2_a",
            "rcut": 6.0,
            "rcut_smth": 2.0,
            "neuron": [25, 50, 100],
            "axis_neuron": 12,
        },
        description="DeePMD-kit descriptor, passed through; `sel` is found from the data when "
        "absent.",
    )
    type_embedding: dict[str, Any] | None = Field(
        default=None,
        description="DeePMD-kit type embedding, passed through, such as `{neuron: [8]}`: one "
        "embedding network for all elements. `se_atten` has one of its own when absent.",
    )
    fitting_net: dict[str, Any] = Field(
        default_factory=lambda: {"neuron": [120, 120, 120]},
        description="DeePMD-kit fitting network, passed through.",
    )
    precision: Literal["float64", "float32"] = Field(
        default="float64", description="Precision of network parameters."
    )
    initial_models: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        description="Frozen models, relative to the config file, that the first generation "
        "starts from, members taking them in turn; the type map must be that of the run. With "
        "`steps: 0` they are taken as they are.",
    )
    steps: Annotated[int, Field(ge=0)] = Field(
        default=400_000,
        description="Steps of the first generation; 0 takes `initial_models` as they are.",
    )
    steps_warm: Count = Field(
        default=400_000, description="Steps of each later, warm-started generation."
    )
    warm_start: bool = Field(
        default=True, description="Start from the last generation's parameters."
    )
    learning_rate: Positive = Field(default=1e-3, description="Learning rate at the start.")
    learning_rate_warm: Positive = Field(
        default=5e-4, description="Learning rate at the start of a warm-started training."
    )
    learning_rate_stop: Positive = Field(
        default=5e-8,
        description="Learning rate at the end; the decay is made to fit the steps.",
    )
    batch_size: Count | Literal["auto"] = Field(
        default=1, description="Frames a step, or `auto` (32 atoms or more)."
    )
    loss: dict[str, Any] = Field(
        default_factory=dict, description="DeePMD-kit loss keys merged over the defaults."
    )
    held_out_share: Annotated[float, Field(ge=0.0, lt=0.9)] = Field(
        default=0.05, description="Share of the labels kept out of training for evaluation."
    )
    compress: bool = Field(
        default=False, description="Compress frozen models: pays for long or large MD."
    )
    checkpoint_every_steps: Count = Field(
        default=1000, description="A crash loses at most this many training steps."
    )
    deepmd: dict[str, Any] = Field(
        default_factory=dict, description="Merged over the whole generated DeePMD-kit input."
    )

    @property
    def takes_models_as_they_are(self) -> bool:
        """Whether the first generation is not trained."""
        return self.steps == 0

    @model_validator(mode="after")
    def _models_to_take(self) -> Self:
        if self.steps == 0 and len(self.initial_models) < 2:  # noqa: PLR2004 - an ensemble
            msg = "steps: 0 trains nothing; give 2 or more initial_models, or 1 step or more"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _network_of_the_backend(self) -> Self:
        if self.type_embedding is not None and self.backend != "tensorflow":
            msg = (
                "type_embedding: the tensorflow backend alone takes it; elsewhere choose a "
                f"descriptor that has one, such as se_atten; found backend: {self.backend}"
            )
            raise ValueError(msg)
        fault = self.compress and compression_fault(
            self.descriptor,
            backend=self.backend,
            has_embedding=self.type_embedding is not None,
        )
        if fault:
            msg = f"compress: {fault}; or set `compress: false`"
            raise ValueError(msg)
        return self


# --- exploration -----------------------------------------------------------------------------

Ensemble = Literal["nvt", "nve", "npt-iso", "npt-aniso", "npt-tri"]


class ScheduleSection(Section):
    """One line of the exploration schedule (Huang et al. 2021, Table I)."""

    systems: tuple[Name, ...] = Field(min_length=1, description="Systems to run MD on.")
    ensemble: Ensemble = Field(default="npt-iso", description="Ensemble of the MD.")
    temperatures_K: tuple[Temperature, ...] = Field(
        min_length=1, description="Temperatures [K], one set of runs each."
    )
    pressures_GPa: tuple[float, ...] = Field(
        default=(0.0,), min_length=1, description="Pressures [GPa] for NpT."
    )
    replicas: Count = Field(
        default=1, description="Runs per system, temperature and pressure, by seed."
    )
    lengths_ps: tuple[Positive, ...] = Field(
        min_length=1,
        description="Length [ps] in the first, second, ... generation of this line; the last "
        "one is used from then on.",
    )
    max_generations: Count = Field(
        default=4, description="Go on with the next line after these."
    )


class ZblSection(Section):
    """Short-range repulsion under the network (Ziegler-Biersack-Littmark)."""

    inner_A: Positive = Field(default=0.8, description="Switching starts here [Å].")
    outer_A: Positive = Field(default=1.2, description="Repulsion ends here [Å].")


class PolyhedronSection(Section):
    """One kind of framework unit, such as PS4."""

    centre: Element = Field(description="Element in the centre, such as P.")
    ligand: Element = Field(description="Element at the corners, such as S.")
    cutoff_A: Positive | None = Field(
        default=None,
        description="A bond is broken above this [Å]; 1.4 x the mean bond of the start "
        "structure when absent.",
    )


class ExploreSection(Section):
    """MD with the ensemble: model 0 drives, all models are compared."""

    schedule: tuple[ScheduleSection, ...] = Field(
        description="Lines in order; an empty list `[]` learns from what is there already."
    )
    timestep_fs: Annotated[float, Field(gt=0.0, le=10.0)] = Field(
        default=2.0, description="Time step [fs], at most 10."
    )
    frame_interval_steps: Count = Field(
        default=10, description="A frame and its deviations are kept every so many steps."
    )
    segment_steps: Count = Field(
        default=5000, description="A crash loses at most this many MD steps."
    )
    equilibration_ps: Annotated[float, Field(ge=0.0)] = Field(
        default=0.0, description="Frames before this time [ps] are marked as equilibration."
    )
    thermostat_damping_fs: Positive = Field(
        default=200.0, description="Nose-Hoover relaxation time [fs]."
    )
    barostat_damping_fs: Positive = Field(
        default=2000.0, description="Nose-Hoover barostat relaxation time [fs]."
    )
    zbl: ZblSection | None = Field(default=None, description="Optional ZBL repulsion.")
    framework: tuple[PolyhedronSection, ...] | None = Field(
        default=None,
        description="Units the framework watch follows; found from the start structure when "
        "absent.",
    )
    min_distance_A: Positive = Field(
        default=0.6, description="A run with closer atoms has blown up."
    )
    max_temperature_ratio: Annotated[float, Field(gt=1.0)] = Field(
        default=5.0,
        description="A run hotter than this times its target (plus 1000 K) has blown up.",
    )
    max_volume_ratio: Annotated[float, Field(gt=1.0)] = Field(
        default=1.5, description="A run whose volume grows or shrinks by more has blown up."
    )


# --- selection -------------------------------------------------------------------------------


class TrustSection(Section):
    """Levels of the maximal force deviation that part accurate, candidate and failed."""

    mode: Literal["fixed", "auto"] = Field(
        default="fixed",
        description="`fixed`: the levels below; `auto`: low = factor x the force error of the "
        "first generation on its training set, high = low + width, then kept.",
    )
    low_eV_A: Positive = Field(default=0.12, description="Accurate below [eV/Å].")
    high_eV_A: Positive = Field(default=0.25, description="Failed from here on [eV/Å].")
    auto_factor: Annotated[float, Field(ge=1.0)] = Field(
        default=1.2, description="`auto`: low level over the training error."
    )
    auto_width_eV_A: Positive = Field(
        default=0.2, description="`auto`: high minus low [eV/Å], 0.1-0.3 in the papers."
    )

    @model_validator(mode="after")
    def _low_below_high(self) -> Self:
        if self.low_eV_A >= self.high_eV_A:
            msg = f"low_eV_A ({self.low_eV_A:g}) must be below high_eV_A ({self.high_eV_A:g})"
            raise ValueError(msg)
        return self


class SelectSection(Section):
    """Which frames are worth a label."""

    trust: TrustSection = Field(default=TrustSection(), description="Trust levels.")
    deviation_of: Literal["all", "mobile"] = Field(
        default="all", description="Deviation over all atoms, or over the mobile species alone."
    )
    among: Literal["candidates", "all"] = Field(
        default="candidates",
        description="Choose among `candidates`, frames between the trust levels, or among "
        "`all` frames that are sound, to see what the trust levels are worth.",
    )
    max_labels: Annotated[int, Field(ge=0)] | dict[Name, Annotated[int, Field(ge=0)]] = Field(
        default=300,
        description="Most candidates labelled per system and generation: one number, or one "
        "for each system that is explored, such as `{small: 300, large: 150}`.",
    )
    diversity: Name = Field(
        default="farthest_point",
        description="`farthest_point`: spread over a local-environment descriptor, away from "
        "what is labelled; `deviation`: the largest deviation first; `random`.",
    )
    accurate_checks: Annotated[int, Field(ge=0)] = Field(
        default=4,
        description="Accurate frames labelled as well each generation, drawn at random, to see "
        "whether the trust level is earned; held out of training.",
    )
    min_distance_A: Positive = Field(
        default=1.0, description="Candidates with closer atoms are refused and replaced."
    )
    intact_framework: bool = Field(
        default=False, description="Refuse candidates whose framework units are broken."
    )
    max_volume_ratio: Annotated[float, Field(gt=1.0)] = Field(
        default=1.25, description="Refuse candidates whose volume changed by more."
    )

    def labels_of(self, system: str) -> int:
        """Most candidates of a system that are labelled in a generation."""
        return self.max_labels[system] if isinstance(self.max_labels, dict) else self.max_labels


class ProbeSection(Section):
    """Frames drawn once from MD at all temperatures, labelled, never trained on."""

    n_frames: Annotated[int, Field(ge=0)] = Field(
        default=40, description="Frames in all, spread over the temperatures; 0 for none."
    )
    generation: Annotated[int, Field(ge=0)] = Field(
        default=1,
        description="Generation (from 0) whose MD they are drawn from: the MD of the first one "
        "is often far off. Ensembles of earlier generations are judged on them too. Failed "
        "frames are not drawn.",
    )


class FailureBudgetSection(Section):
    """Share of units of a kind that may fail before the run stops with exit code 3."""

    label: Share = Field(default=0.1, description="Labels without result.")
    md: Share = Field(default=0.5, description="MD units lost to engine crashes.")
    train: Share = Field(default=0.25, description="Trainings that failed.")


class StableDiffusionSection(Section):
    """Learning ends when D of short runs changes no longer, nor differs between the models."""

    system: Name | None = Field(
        default=None, description="System; the first of `production` when absent."
    )
    temperatures_K: tuple[Temperature, ...] = Field(
        default=(600.0, 800.0, 1000.0), min_length=1, description="Temperatures [K]."
    )
    length_ps: Positive = Field(
        default=100.0, description="Length of a run without equilibration [ps]."
    )
    tolerance: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        default=0.2,
        description="D is stable when its change since the generation before, the error of "
        "that, and the spread of the models are below this share of it; 0.1 in log10 D, about "
        "0.2, in Marcolongo et al. (arXiv:1910.10090).",
    )
    Ea_tolerance_eV: Positive = Field(
        default=0.03,
        description="The same for the activation energy [eV], from three temperatures on.",
    )
    generations: Count = Field(
        default=2, description="Generations in a row that must be stable."
    )


class StopSection(Section):
    """When a schedule line, or the run, is done."""

    accurate_share: Share = Field(
        default=0.995, description="A line is done when this share of frames is accurate."
    )
    max_generations: Count = Field(
        default=40, description="Most generations of the whole schedule."
    )
    stable_diffusion: StableDiffusionSection | None = Field(
        default=None,
        description="End learning when D is stable, whatever is left of the schedule: every "
        "generation, each model drives runs of its own for that. Off when absent.",
    )
    retries: Annotated[int, Field(ge=0)] = Field(
        default=2, description="Times a crashed unit is tried again before quarantine."
    )
    hung_after_s: Positive = Field(
        default=900.0,
        description="An engine that says nothing for so long [s] is taken for hung and ended.",
    )
    failure_budget: FailureBudgetSection = Field(
        default=FailureBudgetSection(), description="How much may fail."
    )


# --- production ------------------------------------------------------------------------------


class ExtendSection(Section):
    """Production runs of temperatures whose D is not converged are continued."""

    tolerance: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        default=0.1,
        description="Relative error of D, and its change from half the length to the whole, "
        "up to which it is converged.",
    )
    max_length_ps: Positive = Field(
        description="Length up to which a run is continued [ps], in parts of `length_ps`."
    )
    rounds: Count = Field(
        default=3, description="How often runs are judged and continued at most."
    )


class ProductionSection(Section):
    """MD for diffusion with the last ensemble."""

    systems: tuple[Name, ...] = Field(
        default=(), description="Systems to run; the first one when empty."
    )
    ensemble: Ensemble = Field(default="nvt", description="Ensemble; D comes from NVT.")
    temperatures_K: tuple[Temperature, ...] = Field(
        default=(500.0, 600.0, 800.0, 1000.0), min_length=1, description="Temperatures [K]."
    )
    pressure_GPa: float = Field(default=0.0, description="Pressure [GPa] for NpT.")
    replicas: Count = Field(default=1, description="Runs per system and temperature.")
    length_ps: Positive = Field(default=1000.0, description="Length of a run [ps].")
    equilibration_ps: Annotated[float, Field(ge=0.0)] = Field(
        default=10.0, description="Discarded from the start of each run [ps]."
    )
    timestep_fs: Annotated[float, Field(gt=0.0, le=10.0)] = Field(
        default=2.0, description="Time step [fs], at most 10."
    )
    frame_interval_steps: Count = Field(default=50, description="Steps between frames.")
    segment_steps: Count = Field(
        default=20_000, description="A crash loses at most this many MD steps."
    )
    train_steps: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="Steps of an extra training for production models (4 000 000 in Huang et "
        "al. 2021); 0 takes the ensemble trained after the last generation.",
    )
    extend: ExtendSection | None = Field(
        default=None,
        description="Continue the runs of temperatures whose D is not converged, and only "
        "these; off when absent.",
    )

    @property
    def most_parts(self) -> int:
        """Lengths that a run may have in all when it is continued."""
        if self.extend is None:
            return 1
        return int(self.extend.max_length_ps / self.length_ps + 1e-9)

    @model_validator(mode="after")
    def _room_to_extend(self) -> Self:
        if self.extend is not None and self.most_parts < 2:  # noqa: PLR2004 - once more
            msg = (
                f"extend.max_length_ps ({self.extend.max_length_ps:g}) must be at least twice "
                f"length_ps ({self.length_ps:g}): runs are continued by whole lengths"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _longer_than_equilibration(self) -> Self:
        if self.length_ps <= self.equilibration_ps:
            msg = (
                f"length_ps ({self.length_ps:g}) must be above equilibration_ps "
                f"({self.equilibration_ps:g})"
            )
            raise ValueError(msg)
        return self


class StoreSection(Section):
    """How trajectories are stored."""

    precision_A: Annotated[float, Field(ge=0.0, le=0.1)] | Literal["lossless"] = Field(
        default=1e-3,
        description="Positions are rounded to multiples of this [Å], which takes a third of "
        "their space; 0 or `lossless` for none. Groups that are there keep theirs.",
    )

    @property
    def step_A(self) -> float:
        """Step of the rounding [Å]; 0 for none."""
        return 0.0 if self.precision_A == "lossless" else self.precision_A


class RunConfig(Section):
    """A whole run, from crystal to D(T)."""

    name: Name = Field(description="Name of the run; also its default folder below runs/.")
    seed: Seed = Field(default=2021, description="Seed from which all others are derived.")
    type_map: tuple[Element, ...] = Field(
        min_length=1, description="Elements in the order of the model's types."
    )
    mobile_species: Element = Field(default="Li", description="The ion whose D is asked for.")
    mobile_charge: float = Field(default=1.0, description="Its charge [e], for conductivity.")
    systems: tuple[SystemSection, ...] = Field(min_length=1, description="Crystals.")
    start: StartSection = Field(default=StartSection(), description="Start set.")
    label: LabelSection = Field(default=LabelSection(), description="Labels.")
    train: TrainSection = Field(default=TrainSection(), description="Training.")
    explore: ExploreSection = Field(description="Exploration.")
    select: SelectSection = Field(default=SelectSection(), description="Selection.")
    probe: ProbeSection = Field(default=ProbeSection(), description="Probe of progress.")
    stop: StopSection = Field(default=StopSection(), description="Stop rules and budgets.")
    production: ProductionSection | None = Field(
        default=None, description="Production MD; none when absent."
    )
    studies: StudiesSection = Field(
        default=StudiesSection(), description="Studies of `dasksse study`."
    )
    store: StoreSection = Field(default=StoreSection(), description="Store of trajectories.")
    engine: RegistrySection = Field(
        default=RegistrySection(kind="local"), description="Where work runs."
    )
    on_end: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        description="Command and arguments, one word each, run without a shell when the run "
        "ends, for whatever reason; a summary is its standard input.",
    )
    reproducible: bool = Field(
        default=False,
        description="Comparison mode: serial, parallel and crashed runs give equal results.",
    )

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        names = [system.name for system in self.systems]
        if len(set(names)) != len(names):
            msg = f"systems: names must differ, found {names}"
            raise ValueError(msg)
        if len(set(self.type_map)) != len(self.type_map):
            msg = f"type_map: elements must differ, found {list(self.type_map)}"
            raise ValueError(msg)
        if self.mobile_species not in self.type_map:
            known = list(self.type_map)
            msg = f"mobile_species: {self.mobile_species} is not in type_map {known}"
            raise ValueError(msg)
        used: list[tuple[str, tuple[str, ...]]] = [("start.systems", self.start.systems)]
        used += [
            (f"explore.schedule.{i}.systems", line.systems)
            for i, line in enumerate(self.explore.schedule)
        ]
        if self.production is not None:
            used.append(("production.systems", self.production.systems))
        stable = self.stop.stable_diffusion
        if stable is not None and stable.system is not None:
            used.append(("stop.stable_diffusion.system", (stable.system,)))
        for where, asked in used:
            for name in asked:
                if name not in names:
                    msg = f"{where}: no system named {name!r}; there are {names}"
                    raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _labels_of_every_explored_system(self) -> Self:
        limits = self.select.max_labels
        if not isinstance(limits, dict):
            return self
        names = {system.name for system in self.systems}
        explored = {name for line in self.explore.schedule for name in line.systems}
        for what, wrong in (
            ("no system named", limits.keys() - names),
            ("no number for", explored - limits.keys()),
        ):
            if wrong:
                msg = (
                    f"select.max_labels: {what} {', '.join(sorted(wrong))}; give one number "
                    f"for all, or one for each of {', '.join(sorted(explored))}"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> Self:
        if self.start.n_frames or self.start.label_stores:
            return self
        if not self.train.takes_models_as_they_are:
            msg = (
                "start.n_frames: 0 leaves nothing to learn from; give start.label_stores, or 1 "
                "or more, or take train.initial_models as they are with train.steps 0"
            )
            raise ValueError(msg)
        if not self.explore.schedule and self.production and self.production.train_steps:
            msg = (
                "production.train_steps: there are no labels to train on; give "
                "start.label_stores, or 0"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _levels_without_training(self) -> Self:
        if self.train.takes_models_as_they_are and self.select.trust.mode == "auto":
            msg = (
                "select.trust.mode: `auto` needs the error of a training, and train.steps is "
                "0; set the levels (`fixed`)"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _steps_of_later_generations(self) -> Self:
        from_nothing = self.train.takes_models_as_they_are and not self.train.warm_start
        if from_nothing and self.explore.schedule:
            msg = (
                "train.warm_start: false trains every generation from nothing, with "
                "train.steps, which is 0; set warm_start to true, or give steps"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _places_for_every_element(self) -> Self:
        fault = sel_fault(self.train.descriptor, self.type_map)
        if fault:
            msg = f"train.descriptor.sel: {fault}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _pairs_of_known_elements(self) -> Self:
        limits = self.label.filters.min_distance_A
        for pair in limits if isinstance(limits, dict) else ():
            unknown = set(pair.split("-")) - set(self.type_map)
            if unknown:
                msg = (
                    f"label.filters.min_distance_A: {pair} has {', '.join(sorted(unknown))}, "
                    f"which is not in type_map {list(self.type_map)}"
                )
                raise ValueError(msg)
        return self

    def system(self, name: str) -> SystemSection:
        """System section by name."""
        return next(system for system in self.systems if system.name == name)
