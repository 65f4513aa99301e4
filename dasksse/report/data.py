"""What a report is made from: plain frozen records, independent of run folder and engine.

Shares and fractions run from 0 to 1. ``None`` stands for "not known (yet)", so a report can be
drawn of a run that is still in its first generation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dasksse.analyse.convergence import ConvergenceInTime
    from dasksse.analyse.stability import DiffusionOfGeneration

MAX_PARITY_POINTS = 20_000
"""Force components drawn per set; more make no difference to the eye."""

RmseSet = Literal["train", "held_out", "probe", "new"]
Level = Literal["trust", "care", "doubt"]
MeanStd = tuple[float, float]

RMSE_SETS: tuple[RmseSet, ...] = ("train", "held_out", "probe", "new")
"""``new``: labels chosen in a generation, judged by the models that had not seen them."""

SET_TITLES: Mapping[str, str] = {
    "train": "training",
    "held_out": "held out",
    "probe": "probe",
    "new": "new labels",
}


@dataclass(frozen=True)
class Verdict:
    """One plain sentence on how far a result carries.

    Attributes
    ----------
    level
        ``trust``: holds; ``care``: holds with the limit the text names; ``doubt``: do not use.
    subject
        What it is about, two or three words.
    text
        The sentence.
    """

    level: Level
    subject: str
    text: str


@dataclass(frozen=True, kw_only=True)
class SystemRow:
    """One crystal of the run: atoms in the cell, cell volume [Å³]."""

    name: str
    formula: str
    n_atoms: int
    volume_A3: float
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """Labels of one source and functional.

    Attributes
    ----------
    n_good, n_refused, n_failed
        Frames with a label, with one that must not be used, and without one.
    why
        Frames that were refused or failed, by kind of reason, the most frequent first.
    median_s, p95_s
        Time of a label [s]: median, and what 95 % of them stay below.
    core_hours, estimated_core_hours
        What all labels took, refused and failed ones included, and what was said beforehand.
    memory_bytes
        Largest memory of a label.
    """

    source: str
    functional: str
    is_surrogate: bool
    n_good: int
    n_refused: int = 0
    n_failed: int = 0
    why: Mapping[str, int] = field(default_factory=dict)
    median_s: float | None = None
    p95_s: float | None = None
    core_hours: float | None = None
    estimated_core_hours: float | None = None
    memory_bytes: float | None = None

    @property
    def n_asked(self) -> int:
        """Frames that should have got a label."""
        return self.n_good + self.n_refused + self.n_failed


@dataclass(frozen=True, kw_only=True)
class TemperatureShare:
    """Shares of the planned frames of one system at one temperature [K]."""

    system: str
    temperature_K: float
    accurate: float
    candidate: float
    failed: float
    n_planned: int


@dataclass(frozen=True, kw_only=True)
class LearningCurveData:
    """Force error on training batches [eV/Å] of one model by step, shape ``(point,)``."""

    member: int
    steps: NDArray[np.int64]
    force_rmse_train: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TrustCheckData:
    """Deviation of newly labelled frames beside their true error.

    Attributes
    ----------
    deviation
        Maximal force deviation of the ensemble [eV/Å], shape ``(frame,)``.
    true_error
        Largest force error of an atom against the label [eV/Å], shape ``(frame,)``.
    kind
        ``candidate`` or ``check`` (accurate frame labelled on purpose), shape ``(frame,)``.
    """

    deviation: NDArray[np.float64]
    true_error: NDArray[np.float64]
    kind: NDArray[np.str_]


@dataclass(frozen=True, kw_only=True)
class GenerationRow:
    """One learning generation: training, exploration, selection, labels.

    Attributes
    ----------
    generation, line
        Number of the generation and of its schedule line, both from 0.
    accurate, candidate, failed
        Shares of the planned frames; None before exploration.
    n_planned_frames, n_frames
        Frames the runs should have written, and did.
    rmse
        Set (see :data:`RMSE_SETS`) to ``{energy_rmse_meV_atom, force_rmse_meV_A,
        virial_rmse_meV_atom}``, each ``(mean, std)`` over the ensemble or None.
    materials
        Set to the same for each reduced formula among its frames.
    probe_deviation_mean_eV_A
        Mean maximal force deviation on the probe frames.
    framework_broken
        Share of frames in which a framework unit is broken.
    deviations
        Temperature [K] to the maximal force deviation [eV/Å] of its frames, ``(frame,)``.
    """

    generation: int
    line: int
    systems: tuple[str, ...]
    ensemble: str
    temperatures_K: tuple[float, ...]
    length_ps: float
    n_train: int
    n_held_out: int
    trust_low_eV_A: float
    trust_high_eV_A: float
    accurate: float | None = None
    candidate: float | None = None
    failed: float | None = None
    n_planned_frames: int | None = None
    n_frames: int | None = None
    n_blown_up_runs: int | None = None
    n_candidates: int | None = None
    n_labelled: int | None = None
    rmse: Mapping[str, Mapping[str, MeanStd | None]] = field(default_factory=dict)
    materials: Mapping[str, Any] = field(default_factory=dict)
    probe_deviation_mean_eV_A: float | None = None
    framework_broken: float | None = None
    by_temperature: tuple[TemperatureShare, ...] = ()
    deviations: Mapping[float, NDArray[np.float64]] = field(default_factory=dict)
    learning_curves: tuple[LearningCurveData, ...] = ()
    trust_check: TrustCheckData | None = None

    def error(self, name: str, quantity: str) -> MeanStd | None:
        """Error of a set, such as ``error("probe", "force_rmse_meV_A")``; None if unknown."""
        return self.rmse.get(name, {}).get(quantity)


@dataclass(frozen=True, kw_only=True)
class ParityData:
    """Labels beside predictions of the final ensemble for one set.

    Attributes
    ----------
    energy_label_eV_atom, energy_model_eV_atom
        Energy per atom [eV], shape ``(frame,)``.
    force_label_eV_A, force_model_eV_A
        Force components [eV/Å], shape ``(point,)``, at most :data:`MAX_PARITY_POINTS`.
    element
        Chemical symbol of each force component's atom, shape ``(point,)``.
    """

    energy_label_eV_atom: NDArray[np.float64]
    energy_model_eV_atom: NDArray[np.float64]
    force_label_eV_A: NDArray[np.float64]
    force_model_eV_A: NDArray[np.float64]
    element: NDArray[np.str_]

    def thinned(self, *, seed: int, limit: int = MAX_PARITY_POINTS) -> ParityData:
        """Same data with at most ``limit`` force components, drawn without bias."""
        n_points = len(self.force_label_eV_A)
        if n_points <= limit:
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(n_points, limit, replace=False))
        return replace(
            self,
            force_label_eV_A=self.force_label_eV_A[chosen],
            force_model_eV_A=self.force_model_eV_A[chosen],
            element=self.element[chosen],
        )


@dataclass(frozen=True, kw_only=True)
class ProductionRow:
    """MD for diffusion of one system at one temperature.

    Attributes
    ----------
    length_ps, equilibration_ps
        Length of each run [ps], and the part of it that is discarded.
    diffusion
        Keys of ``dasksse diffusion --json``; empty before the analysis.
    lag_ps, msd_A2, msd_err_A2
        Lag times and MSD of the mobile species with its error, shape ``(lag,)``.
    species_msd
        Species to MSD [Å²], shape ``(lag,)``.
    untrusted_fraction
        Share of frames whose deviation is above the trust level.
    framework_broken
        Share of frames in which a framework unit is broken.
    trust_note
        What else limits this row, in words.
    trouble
        Why the finished runs could not be analysed; empty if they were or will be.
    convergence
        D of growing parts of the runs, with a verdict on their length; None if unknown.
    """

    system: str
    temperature_K: float
    n_runs: int
    n_atoms: int
    length_ps: float
    equilibration_ps: float
    diffusion: Mapping[str, Any] = field(default_factory=dict)
    lag_ps: NDArray[np.float64] | None = None
    msd_A2: NDArray[np.float64] | None = None
    msd_err_A2: NDArray[np.float64] | None = None
    species_msd: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    untrusted_fraction: float | None = None
    framework_broken: float | None = None
    mean_temperature_K: float | None = None
    mean_pressure_GPa: float | None = None
    trust_note: str = ""
    trouble: str = ""
    convergence: ConvergenceInTime | None = None


@dataclass(frozen=True, kw_only=True)
class FailureRow:
    """A unit without result: what it was, why it failed, where its folder is."""

    kind: str
    key: str
    reason: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """A whole run, finished or not.

    Attributes
    ----------
    status
        ``running``, ``learned`` (production left out), ``finished`` or ``stopped: reason``.
    created
        When the report was made, ISO 8601.
    is_surrogate
        True when the labels come from a model of DFT and not from DFT.
    label_notes
        What was done with the labels of the newest training set: which were mixed, how far
        energies were shifted, which filters could not act.
    parity
        Set (see :data:`RMSE_SETS`) to the parity data of the final ensemble.
    arrhenius
        System to the keys of ``dasksse arrhenius --json``; None without a fit.
    stability
        D of each generation from each of its models, where ``stop`` asks for it.
    timing
        ``wall_s`` [s], ``cpu_hours`` by kind, ``driver_share`` of the wall time, as known.
    """

    name: str
    status: str
    created: str
    dasksse_version: str
    config_hash: str
    label_source: str
    functional: str
    is_surrogate: bool
    type_map: tuple[str, ...]
    mobile_species: str
    versions: Mapping[str, str] = field(default_factory=dict)
    systems: tuple[SystemRow, ...] = ()
    labels: tuple[LabelRow, ...] = ()
    label_notes: tuple[str, ...] = ()
    generations: tuple[GenerationRow, ...] = ()
    production: tuple[ProductionRow, ...] = ()
    parity: Mapping[str, ParityData] = field(default_factory=dict)
    arrhenius: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    stability: tuple[DiffusionOfGeneration, ...] = ()
    timing: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[FailureRow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def explored(self) -> tuple[GenerationRow, ...]:
        """Generations whose exploration is judged."""
        return tuple(row for row in self.generations if row.accurate is not None)

    @property
    def production_systems(self) -> tuple[str, ...]:
        """Systems with production runs, in order of appearance."""
        return tuple(dict.fromkeys(row.system for row in self.production))
