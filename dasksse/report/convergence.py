"""What a convergence test found, setting by setting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.records import Json


@dataclass(frozen=True)
class Errors:
    """Errors of labels against better ones of the same frames, or the errors allowed.

    Attributes
    ----------
    energy_difference_meV_atom
        Largest error of the energy difference between two frames [meV/atom].
    force_meV_A
        Root mean square error of a force component [meV/Å].
    stress_GPa
        Root mean square error of a stress component [GPa]; None where there is no virial.
    energy_meV_atom
        Mean error of the energy [meV/atom]: one that all frames share does no harm.
    force_largest_meV_A
        Largest error of a force component [meV/Å].
    """

    energy_difference_meV_atom: float
    force_meV_A: float
    stress_GPa: float | None
    energy_meV_atom: float = 0.0
    force_largest_meV_A: float = 0.0

    def excess(self, asked: Self) -> list[str]:
        """What is above the asked errors, as texts; empty when nothing is."""
        named = (
            ("energy differences", "meV/atom", "energy_difference_meV_atom"),
            ("forces", "meV/Å", "force_meV_A"),
            ("stress", "GPa", "stress_GPa"),
        )
        return [
            f"{getattr(self, key):.3g} {unit} in {name} (asked: {getattr(asked, key):g})"
            for name, unit, key in named
            if getattr(self, key) is not None and getattr(self, key) > getattr(asked, key)
        ]


@dataclass(frozen=True)
class Rung:
    """One value of a setting.

    Attributes
    ----------
    value
        The value.
    seconds
        Median time of a single point [s]; None when it failed.
    errors
        Errors against the finest value; None when either failed.
    reason
        Why it failed; empty when it did not.
    """

    value: Json
    seconds: float | None = None
    errors: Errors | None = None
    reason: str = ""


@dataclass(frozen=True)
class Ladder:
    """All values of one setting, coarse ones first, the others as configured.

    Attributes
    ----------
    setting
        Name of the setting.
    configured
        Its value in the configuration.
    rungs
        Its values, the last one the reference.
    pick
        Place of the value to take; None when the ladder is not converged.
    why
        Why that one, or why none.
    left_out
        Values that the calculator does not have for these elements, with the reason.
    """

    setting: str
    configured: Json
    rungs: tuple[Rung, ...]
    pick: int | None = None
    why: str = ""
    left_out: tuple[tuple[Json, str], ...] = ()

    @property
    def finest(self) -> Json:
        """The value that all others are compared with."""
        return self.rungs[-1].value

    @property
    def picked(self) -> Json:
        """The value to take; None when there is none, and where Gamma alone is enough."""
        return None if self.pick is None else self.rungs[self.pick].value


@dataclass(frozen=True)
class Confirmation:
    """All picks together against all of these settings at their finest.

    Attributes
    ----------
    picks
        Picked value of each setting that has one.
    finest
        Finest value of each of these settings.
    rung
        Errors and time of the picks together.
    finest_seconds
        Median time of a single point at the finest values [s]; None when it failed.
    """

    picks: Mapping[str, Json]
    finest: Mapping[str, Json]
    rung: Rung
    finest_seconds: float | None


@dataclass(frozen=True)
class Convergence:
    """A whole convergence test.

    Attributes
    ----------
    system
        System whose rattled copies were computed.
    n_atoms, n_frames
        Atoms of a frame, and frames.
    source
        Calculator as configured, as its labels name it.
    asked
        Errors that are allowed.
    ladders
        One for each setting.
    confirmation
        All picks together; None when there are none.
    """

    system: str
    n_atoms: int
    n_frames: int
    source: str
    asked: Errors
    ladders: tuple[Ladder, ...]
    confirmation: Confirmation | None = field(default=None)

    @property
    def doubts(self) -> list[str]:
        """Why the picks together must not be trusted; empty when they may."""
        if self.confirmation is None:
            return ["there is no pick"]
        rung = self.confirmation.rung
        if rung.errors is None:
            return [f"the single points to confirm the picks failed: {rung.reason}"]
        return rung.errors.excess(self.asked)

    @property
    def is_converged(self) -> bool:
        """True when every setting has a pick and all together keep to the asked errors."""
        return all(ladder.pick is not None for ladder in self.ladders) and not self.doubts
