"""How fine the settings of a calculator must be: one after the other, then all together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import ConfigError
from dasksse.label import resolved_calculator
from dasksse.loop.units import start_unit, structure_unit
from dasksse.loop.walk import Plan, RunState, WaitingError, Walk, make_unit
from dasksse.records import Frames
from dasksse.report.convergence import Confirmation, Convergence, Errors, Ladder, Rung
from dasksse.study.ladders import choose_ladders, configured_value, with_settings
from dasksse.study.picks import with_pick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json, Unit

KIND = "converge"
"""Kind of the units that compute one frame with one choice of settings."""

NO_LIMIT = 1e9
"""Coarse settings may give forces that would be refused as labels."""

SOME_CELL = 10.0 * np.eye(3)
"""A cell [Å] to learn the names of ladders with."""

Point = list["Unit"]
"""The same settings on every frame."""


class Converge:
    """A convergence test as a plan of units.

    Parameters
    ----------
    root
        Folder of the study.
    system
        Name of the system whose rattled copies are computed.
    n_frames
        Copies, 2 or more: errors of energy differences need them.
    asked
        Errors that are allowed.
    vary
        Settings to vary, each with its values, empty for those the calculator declares; all
        settings that it declares when there are none.
    """

    name = KIND

    def __init__(
        self,
        root: Path,
        *,
        system: str,
        n_frames: int,
        asked: Errors,
        vary: Mapping[str, Sequence[Json]],
    ) -> None:
        self._root = root
        self._system = system
        self._n_frames = n_frames
        self._asked = asked
        self._vary = vary
        self.outcome: Convergence | None = None
        """What was found; None while the plan is not finished."""

    def check(self, config: RunConfig) -> None:
        """Check the settings to vary without computing anything.

        Raises
        ------
        ConfigError
            When there is nothing to vary, or a value cannot be taken.
        """
        calculator = resolved_calculator(config.label.calculator)
        choose_ladders(calculator, self._vary, SOME_CELL)

    def plan(self, config: RunConfig, digests: Mapping[str, str], state: RunState) -> Plan:
        """Units that can start now.

        Raises
        ------
        ConfigError
            When there is nothing to vary, or a value cannot be taken.
        """
        walk = Walk(state)
        try:
            self.outcome = self._walk(walk, config, digests)
        except WaitingError:
            return walk.plan
        walk.plan.is_finished = True
        return walk.plan

    def _walk(self, walk: Walk, config: RunConfig, digests: Mapping[str, str]) -> Convergence:
        structure = structure_unit(config, self._system, digests[self._system])
        (built,) = walk.need([structure], "structure")
        # the first frame of a start set is the crystal itself, whose forces may be zero
        start = start_unit(config, self._system, str(built["file"]), self._n_frames + 1)
        (drawn,) = walk.need([start], "frames")
        cell = Frames.load(self._root / str(built["file"])).cells[0]
        bench = _Bench(walk, config, drawn)
        values = choose_ladders(bench.calculator, self._vary, cell)
        points = {
            name: [bench.point({name: value}) for value in ladder]
            for name, ladder in values.items()
        }
        everything = [unit for ladder in points.values() for point in ladder for unit in point]
        n_points = len({unit.key for unit in everything})
        walk.milestone(
            "frames",
            f"{self._n_frames} frames of {built['n_atoms']} atoms, {n_points} single points",
        )
        walk.need(everything, "single points")
        refusal = bench.unavailable(bench.point({}))
        if refusal:
            raise ConfigError(refusal)
        ladders, source = self._ladders(walk, bench, values, points)
        return Convergence(
            system=self._system,
            n_atoms=int(built["n_atoms"]),
            n_frames=self._n_frames,
            source=source,
            asked=self._asked,
            ladders=ladders,
            confirmation=_confirm(walk, bench, [x for x in ladders if x.pick is not None]),
        )

    def _ladders(
        self,
        walk: Walk,
        bench: _Bench,
        values: Mapping[str, Sequence[Json]],
        points: Mapping[str, Sequence[Point]],
    ) -> tuple[tuple[Ladder, ...], str]:
        """Judged ladders, and the source of labels with all settings as configured."""
        known, left_out = {}, {}
        for name, ladder in values.items():
            pairs = list(zip(ladder, points[name], strict=True))
            known[name] = [pair for pair in pairs if not bench.unavailable(pair[1])]
            texts = [(value, bench.unavailable(point)) for value, point in pairs]
            left_out[name] = tuple((value, text) for value, text in texts if text)
        units = [bench.compare([point for _, point in pairs]) for pairs in known.values()]
        records = walk.need(units, "errors")
        ladders = []
        source = bench.calculator.kind
        for (name, pairs), record in zip(known.items(), records, strict=True):
            configured = configured_value(bench.calculator, name)
            found = Ladder(
                name, configured, bench.rungs(pairs, record), left_out=left_out[name]
            )
            ladders.append(with_pick(found, self._asked))
            row = record["rows"][[value for value, _ in pairs].index(configured)]
            source = source if row is None else row["source"]
        return tuple(ladders), source


def _confirm(walk: Walk, bench: _Bench, picked: Sequence[Ladder]) -> Confirmation | None:
    """All picks together; settings without a pick stay as configured."""
    if not picked:
        return None
    picks = {ladder.setting: ladder.picked for ladder in picked}
    finest = {ladder.setting: ladder.finest for ladder in picked}
    points = [bench.point(picks), bench.point(finest)]
    walk.need([unit for point in points for unit in point], "confirmation")
    (record,) = walk.need([bench.compare(points)], "errors")
    rungs = bench.rungs(list(zip(["picks", "finest"], points, strict=True)), record)
    # without the finest there is no error either: its reason is the one to tell
    rung = rungs[0] if rungs[1].seconds is not None else rungs[1]
    return Confirmation(picks, finest, rung, rungs[1].seconds)


class _Bench:
    """Frames, the calculator as configured, and what is known of its units."""

    def __init__(self, walk: Walk, config: RunConfig, drawn: Mapping[str, Json]) -> None:
        self.calculator = resolved_calculator(config.label.calculator)
        self._walk = walk
        self._drawn = drawn
        self._virial = config.label.virial

    def point(self, values: Mapping[str, Json]) -> Point:
        """One unit for each frame, so that they run side by side."""
        settings = {
            "calculator": with_settings(self.calculator, values).model_dump(mode="json"),
            "virial": self._virial,
            "max_force_eV_A": NO_LIMIT,
            "max_net_force_eV_A": NO_LIMIT,
        }
        return [
            make_unit(
                KIND,
                "LABEL",
                "convergence:single_point",
                # its time is asked for too: no label that exists already will do
                {
                    "frames_file": self._drawn["file"],
                    "indices": [index],
                    "known": [],
                    **settings,
                },
                amount_name="labels",
                identity={"frame": self._drawn["frame_keys"][index], **settings},
            )
            for index in range(1, int(self._drawn["n_frames"]))
        ]

    def compare(self, points: Sequence[Point]) -> Unit:
        """Errors of settled points against the last one."""
        keys = [
            [unit.key if self._has_label(unit) else None for unit in point] for point in points
        ]
        payload = {"points": keys, "kind": KIND}
        return make_unit("errors", "REDUCE", "convergence:errors", payload)

    def _has_label(self, unit: Unit) -> bool:
        return "n_good" in (self._walk.result(unit) or {})

    def unavailable(self, point: Point) -> str:
        """Why the calculator does not have these settings here; empty when it does."""
        records = [self._walk.result(unit) or {} for unit in point]
        return next((str(r["unavailable"]) for r in records if "unavailable" in r), "")

    def rungs(
        self, pairs: Sequence[tuple[Json, Point]], record: Mapping[str, Any]
    ) -> tuple[Rung, ...]:
        """What is known of each value."""
        found = []
        for (value, point), row in zip(pairs, record["rows"], strict=True):
            if row is None:
                found.append(Rung(value, reason=self._reason(point)))
                continue
            errors = None if row["errors"] is None else Errors(**row["errors"])
            found.append(Rung(value, row["seconds"], errors))
        return tuple(found)

    def _reason(self, point: Point) -> str:
        failed = self._walk.state.failed
        errors = [
            str(failed[unit.key].get("error", "")) for unit in point if unit.key in failed
        ]
        return (errors or [self.unavailable(point)])[0]
