"""What studies work with: structures, MD, diffusion and reductions, asked for by need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dasksse.loop.md_units import diffusion_unit, frames_of, production_plan
from dasksse.loop.schemes.exploration import commit, valid_runs
from dasksse.loop.units import structure_unit
from dasksse.loop.walk import make_unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.config.schema import RunConfig, SystemSection
    from dasksse.loop.md_units import MdPlan
    from dasksse.loop.units import LabelSource
    from dasksse.loop.walk import Walk
    from dasksse.records import Json, Unit
    from dasksse.study.case import Case


@dataclass
class Bench:
    """Asks for units and hands out what they found.

    Every method returns None while something it needs is under way. A study goes on asking for
    its other cases then, so that all that can run does.

    Attributes
    ----------
    walk
        Collects the units.
    config
        The run's configuration.
    digests
        Digest of each system's structure file, by system name.
    models
        Frozen models of the ensemble, relative to the folder of the study.
    labels
        Labels of the run, by system; each is a finished or wanted unit.
    root
        Folder of the study.
    base_dir
        Folder that paths in the configuration are relative to.
    levels
        Trust levels [eV/Å].
    """

    walk: Walk
    config: RunConfig
    digests: Mapping[str, str]
    models: tuple[str, ...]
    labels: tuple[LabelSource, ...]
    root: Path
    base_dir: Path
    levels: tuple[float, float]
    _committed: set[str] = field(default_factory=set)

    def structure(self, system: SystemSection) -> Mapping[str, Json] | None:
        """A crystal, built: record with ``file``, ``n_atoms``, ``numbers`` and so on."""
        config = self.config.model_copy(update={"systems": (system,)})
        unit = structure_unit(config, system.name, self.digests[system.name])
        self.walk.want([unit])
        return self.walk.result(unit)

    def runs(self, case: Case, *, models: Sequence[str] = ()) -> MdPlan | None:
        """MD of a case, all of it settled: done, or failed for good.

        Parameters
        ----------
        case
            What to run.
        models
            Another ensemble than that of the run.
        """
        structure = self.structure(case.system)
        if structure is None:
            return None
        files = list(models or self.models)
        files = [*files[case.member :], *files[: case.member]]
        plan = production_plan(
            self.config,
            case.section(self.config),
            system=case.name,
            structure=structure,
            models=files,
            generation=0,
        )
        if case.name not in self._committed:
            self._committed.add(case.name)
            commit(self.walk, plan)
        return plan if self.walk.want(plan.units) else None

    def diffusion(self, case: Case, *, models: Sequence[str] = ()) -> Mapping[str, Json] | None:
        """D at each temperature of a case, see :mod:`dasksse.loop.stages.diffusion`.

        Returns
        -------
        Mapping[str, Json] or None
            ``points`` (one for each temperature that could be analysed, with the keys of
            ``dasksse diffusion --json`` and more), ``arrhenius`` and ``damaged``, texts on runs
            that are missing.
        """
        plan = self.runs(case, models=models)
        if plan is None:
            return None
        unit = diffusion_unit(self.config, plan, valid_runs(self.walk, plan), self.levels)
        self.walk.want([unit])
        return self.walk.result(unit)

    def frames(self, plan: MdPlan) -> dict[str, Json]:
        """Frames that a reduction reads with ``dasksse.loop.stages.diffusion.read_runs``."""
        return frames_of(plan, valid_runs(self.walk, plan))

    def reduce(
        self, function: str, payload: Mapping[str, Json], *, tag: str = "REDUCE"
    ) -> Mapping[str, Json] | None:
        """Result of a function on a worker.

        Parameters
        ----------
        function
            ``module:function`` below :mod:`dasksse.study`; it takes the payload and a
            :class:`dasksse.records.UnitContext` and returns JSON values.
        payload
            What decides the result; JSON values.
        tag
            ``REDUCE``, ``MD``, ``LABEL`` or ``TRAIN``: which workers do it.
        """
        unit = self.unit(function, payload, tag=tag)
        self.walk.want([unit])
        return self.walk.result(unit)

    def unit(
        self,
        function: str,
        payload: Mapping[str, Json],
        *,
        tag: str = "REDUCE",
        amount: float = 1.0,
        amount_name: str = "",
    ) -> Unit:
        """Unit of a function below :mod:`dasksse.study`."""
        return make_unit(
            "study",
            tag,
            f"dasksse.study.{function}",
            payload,
            amount=amount,
            amount_name=amount_name,
        )
