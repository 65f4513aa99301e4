"""What a drill found: collected while it runs, judged at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Outcome:
    """Numbers of a drill.

    Attributes
    ----------
    seed, engine
        Seed, and kind of the engine.
    segment_steps
        Steps of an MD segment, the most that a kill may cost one run.
    recover_s
        Seconds from each kill until every unit it interrupted was begun again or done, by kind.
    units_total
        Units finished in the disturbed runs.
    units_repeated, segments_repeated
        Finished units, and finished MD segments of unfinished runs, that were done again.
    md_steps_lost_max
        Most MD steps that one kill cost one run.
    rounds
        Disturbed runs.
    restarts
        Times the same command was given again.
    is_pinned
        True when models differed where training was hit, and the comparison was made with the
        calm run's models.
    is_compared
        True when every disturbed run came to its end and was compared.
    differences
        What differs from the calm run.
    orphans
        Processes that outlived their run.
    left_out
        Kinds of death that could not happen, and why.
    troubles
        Whatever else went wrong.
    wall_s
        Duration of the drill [s].
    """

    seed: int
    engine: str
    segment_steps: int
    recover_s: dict[str, list[float]] = field(default_factory=dict)
    units_total: int = 0
    units_repeated: list[str] = field(default_factory=list)
    segments_repeated: list[str] = field(default_factory=list)
    md_steps_lost_max: int = 0
    rounds: int = 0
    restarts: int = 0
    is_pinned: bool = False
    is_compared: bool = False
    differences: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def kills(self) -> int:
        """Deaths so far."""
        return sum(len(times) for times in self.recover_s.values())

    @property
    def is_equal(self) -> bool:
        """True when every disturbed run equals the calm one."""
        return self.is_compared and not self.differences

    def wrong(self) -> list[str]:
        """What went wrong, one text each; empty when the drill was passed."""
        texts = [f"done again: unit {name}" for name in self.units_repeated]
        texts += [f"done again: MD segment {name}" for name in self.segments_repeated]
        if self.md_steps_lost_max > self.segment_steps:
            texts.append(
                f"a kill cost a run {self.md_steps_lost_max} MD steps, more than a segment of "
                f"{self.segment_steps}"
            )
        texts += [f"not equal to the calm run: {text}" for text in self.differences]
        if not self.is_compared:
            texts.append("no disturbed run could be compared with the calm run")
        texts += [f"process left behind: {text}" for text in self.orphans]
        return texts + self.troubles

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "kills_by_kind": {kind: len(times) for kind, times in self.recover_s.items()},
            "units_total": self.units_total,
            "units_repeated": len(self.units_repeated),
            "md_steps_lost_max": self.md_steps_lost_max,
            "recover_s_by_kind": {
                kind: {"median": median(times), "max": max(times), "n": len(times)}
                for kind, times in self.recover_s.items()
            },
            "equal_to_calm": self.is_equal,
            "kills": self.kills,
            "seed": self.seed,
            "engine": self.engine,
            "segment_steps": self.segment_steps,
            "segments_repeated": len(self.segments_repeated),
            "rounds": self.rounds,
            "restarts": self.restarts,
            "pinned": self.is_pinned,
            "orphans": self.orphans,
            "left_out": self.left_out,
            "wall_s": self.wall_s,
            "wrong": self.wrong(),
        }
