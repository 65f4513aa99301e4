"""A study driven with made-up results: no engine, no disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretender import DIGESTS

from dasksse.loop.walk import RunState
from dasksse.study.protocol import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dasksse.config.schema import RunConfig
    from dasksse.records import Unit
    from dasksse.study.outcome import Outcome, StudyKind

NO_FOLDER = Path("/no/such/folder")
MODELS = ("ensemble/0.pb", "ensemble/1.pb", "ensemble/2.pb", "ensemble/3.pb")


def name_of(unit: Unit) -> str:
    """What a unit is: the function of a study's own, else its kind."""
    return unit.function.rpartition(".")[2] if unit.kind == "study" else unit.kind


class MadeUpStudy:
    """Finishes the units of one study with answers by :func:`name_of`; a text is a failure."""

    def __init__(
        self,
        kind: StudyKind,
        config: RunConfig,
        answers: Mapping[str, Callable[[Unit], dict[str, Any] | str]],
        *,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._protocol = Protocol(
            [kind], root=NO_FOLDER, models=MODELS, labels=labels or {}, base_dir=NO_FOLDER
        )
        self._name = kind.name
        self._config = config
        self._answers = answers
        self.results: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, dict[str, Any]] = {}
        self.units: list[Unit] = []

    def asked(self, name: str) -> list[Unit]:
        """Units of a kind that were asked for."""
        return [unit for unit in self.units if name_of(unit) == name]

    def conclude(self) -> Outcome:
        """Finish unit after unit, the last asked for first, until there is an outcome."""
        while True:
            state = RunState(self.results, self.failed)
            plan = self._protocol.plan(self._config, DIGESTS, state)
            if self._name in self._protocol.outcomes:
                return self._protocol.outcomes[self._name]
            assert plan.ready, "nothing to do and no outcome"
            unit = plan.ready[-1]
            self.units.append(unit)
            answer = self._answers[name_of(unit)](unit)
            if isinstance(answer, str):
                self.failed[unit.key] = {"error": answer}
            else:
                self.results[unit.key] = answer
