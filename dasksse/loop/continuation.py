"""Production runs that are continued: their units, groups, and the judgement of their length.

A run is continued in parts as long as itself. Part ``n`` of all runs of a system is a group of
the store, with the runs in the order of their production. A part is a unit of its own that goes
on from the state at the end of the one before, so that none depends on why it was asked for:
another tolerance or limit does no finished part again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dasksse.loop.md_units import MdPlan
from dasksse.loop.walk import make_unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json, Unit
    from dasksse.store.allocation import TrajectoryGroup


@dataclass
class Chain:
    """One production run and its continuations, as far as they are finished.

    Attributes
    ----------
    units
        Units of the parts, in order; the first one is that of the run itself.
    records
        What they returned.
    pending
        Unit of the next part, once it is asked for and until it is finished.
    """

    units: list[Unit]
    records: list[Mapping[str, Json]]
    pending: Unit | None = None

    @property
    def n_parts(self) -> int:
        """Finished parts."""
        return len(self.records)

    @property
    def can_go_on(self) -> bool:
        """True unless the last part blew up, or left nothing to go on from."""
        last = self.records[-1]
        return last["end"] == "complete" and bool(last.get("end_state"))

    def to_json(self) -> list[dict[str, Json]]:
        """Group, unit and frames of each part that has any."""
        return [
            {
                "group": unit.payload["group"],
                "run": unit.payload["run"],
                "unit": unit.key,
                "n_frames": record["n_frames"],
            }
            for unit, record in zip(self.units, self.records, strict=True)
            if record["n_frames"]
        ]


def part_path(system: str, number: int) -> str:
    """Group of a part of a system's runs; part 0 is production itself."""
    return f"continued/{number:03d}/{system}" if number else f"production/{system}"


def next_unit(chain: Chain, system: str) -> Unit:
    """Continue a run by its own length, from the end of its last part."""
    first, last = chain.units[0], chain.records[-1]
    payload = {
        **first.payload,
        "group": part_path(system, chain.n_parts),
        "continues": {"key": chain.units[-1].key, "end_state": last["end_state"]},
    }
    return make_unit(
        first.kind,
        first.tag,
        "production:run",
        payload,
        generation=first.generation,
        amount=first.amount,
        amount_name=first.amount_name,
    )


def part_plans(plan: MdPlan, system: str, chains: Sequence[Chain]) -> list[MdPlan]:
    """Units of each continuation of a system's runs, and the group they are published to.

    Parameters
    ----------
    plan
        Production of the system.
    chains
        Its runs.
    """
    asked = [[*chain.units, *([chain.pending] if chain.pending else [])] for chain in chains]
    return [
        MdPlan(_group(plan, system, number), tuple(u[number] for u in asked if len(u) > number))
        for number in range(1, max(map(len, asked), default=0))
    ]


def _group(plan: MdPlan, system: str, number: int) -> TrajectoryGroup:
    spec = plan.units[0].payload["spec"]
    n_steps, interval = int(spec["n_steps"]), int(spec["frame_interval_steps"])
    first_frame = number * n_steps // interval + 1
    return replace(
        plan.group,
        path=part_path(system, number),
        n_frames=(number + 1) * n_steps // interval + 1 - first_frame,
        continues=part_path(system, number - 1),
        first_frame=first_frame,
    )


def convergence_unit(config: RunConfig, chains: Sequence[Chain], *, tolerance: float) -> Unit:
    """Judge whether the runs of a system at one temperature are long enough for D."""
    payload = {
        "runs": [chain.to_json() for chain in chains],
        "temperature_K": chains[0].units[0].payload["spec"]["temperature_K"],
        "mobile_species": config.mobile_species,
        "tolerance": tolerance,
    }
    return make_unit("convergence", "REDUCE", "production:judge", payload)
