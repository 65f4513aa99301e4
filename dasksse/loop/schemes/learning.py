"""What a learning scheme carries from generation to generation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.analyse.stability import DiffusionOfGeneration
    from dasksse.config.schema import ScheduleSection
    from dasksse.loop.units import LabelSource
    from dasksse.loop.walk import Walk
    from dasksse.records import Json, Unit


def divide(total: int, parts: int) -> list[int]:
    """Split a number as evenly as whole numbers allow, at least one each."""
    return [max(1, total // parts + (i < total % parts)) for i in range(parts)]


@dataclass(frozen=True)
class Round:
    """One generation of one line of the schedule.

    Attributes
    ----------
    line
        The line.
    generation
        Number of the generation in the run, from 0.
    index
        Number of the generation within the line, from 0.
    """

    line: ScheduleSection
    generation: int
    index: int

    @property
    def length_ps(self) -> float:
        """Length of the MD [ps]."""
        return self.line.lengths_ps[min(self.index, len(self.line.lengths_ps) - 1)]


@dataclass(frozen=True)
class Ensemble:
    """Trained models of one generation.

    Attributes
    ----------
    members
        Records of the trainings that succeeded.
    dataset
        Unit of the data they were trained on; None for models that the run began with.
    sel
        Neighbour counts the networks were built for.
    """

    members: tuple[Mapping[str, Json], ...]
    dataset: Unit | None
    sel: tuple[int, ...]

    @property
    def models(self) -> list[str]:
        """Model files, relative to the run folder."""
        return [str(member["model"]) for member in self.members]

    @property
    def training_error_eV_A(self) -> float:
        """Mean force error at the end of training [eV/Å]; of trained models alone."""
        errors = [float(member["force_rmse_eV_A"]) for member in self.members]
        return sum(errors) / len(errors)


@dataclass
class Learning:
    """What a walk carries from generation to generation.

    Attributes
    ----------
    structures
        Record of each system's structure, relaxed where asked.
    known
        Files of the run that hold the label of a frame, by the frame's content key.
    sources
        Label units to train on, in the order they were asked for.
    probe, checks
        Label units never trained on: the probe, and accurate frames by generation.
    newest
        Label units of the last selection, or of the start set.
    members_of_last
        Keys of the label units the ensemble was trained on.
    ensemble
        The last one trained.
    unprobed
        Ensembles of generations before the probe was drawn.
    initial
        Records of the models that the run begins with.
    diffusion
        D of each generation, where learning ends by it.
    n_stable
        Generations in a row, up to now, whose D was stable.
    levels
        Trust levels [eV/Å], fixed for the whole run.
    """

    structures: dict[str, Mapping[str, Json]]
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sources: list[LabelSource] = field(default_factory=list)
    probe: list[LabelSource] = field(default_factory=list)
    checks: dict[int, list[LabelSource]] = field(default_factory=dict)
    newest: list[LabelSource] = field(default_factory=list)
    members_of_last: tuple[str, ...] = ()
    ensemble: Ensemble | None = None
    unprobed: list[tuple[int, Ensemble]] = field(default_factory=list)
    initial: tuple[Mapping[str, Json], ...] = ()
    diffusion: list[DiffusionOfGeneration] = field(default_factory=list)
    n_stable: int = 0
    levels: tuple[float, float] | None = None

    @property
    def trained(self) -> tuple[Ensemble, tuple[float, float]]:
        """Ensemble and trust levels; exploring before training is a mistake in the scheme."""
        if self.ensemble is None or self.levels is None:
            msg = "exploration before training"
            raise RuntimeError(msg)
        return self.ensemble, self.levels

    def note_labels(self, walk: Walk) -> None:
        """List the label sources that are done, for the store."""
        asked = [*self.sources, *self.probe]
        asked += [source for part in self.checks.values() for source in part]
        walk.plan.labels = [
            (s.unit.kind, s.unit.key, s.system, s.role, s.generation)
            for s in asked
            if walk.result(s.unit) is not None
        ]
