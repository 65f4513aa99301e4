"""Which deaths, and when: drawn from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Schedule:
    """Kinds of death in random order, all about equally often, with random waits between.

    Parameters
    ----------
    kinds
        Kinds to choose from.
    kills
        Number of deaths.
    seed
        Equal seeds give equal schedules.

    Attributes
    ----------
    rng
        For choices among victims.
    """

    def __init__(self, kinds: Sequence[str], kills: int, *, seed: int) -> None:
        # streams of their own: how often victims are looked for depends on the machine
        order, self._waits, self.rng = map(np.random.default_rng, ([seed, i] for i in range(3)))
        self._left: list[str] = []
        while len(self._left) < kills:
            self._left += [str(kind) for kind in order.permutation(list(kinds))]
        del self._left[kills:]

    @property
    def left(self) -> tuple[str, ...]:
        """Deaths that are still to come, in order."""
        return tuple(self._left)

    def wait_s(self, longest_s: float) -> float:
        """Time to the next death [s], evenly drawn up to the longest."""
        return float(self._waits.uniform(0.0, longest_s))

    def done(self, kind: str) -> None:
        """Strike one death of a kind off the list, its first."""
        self._left.remove(kind)

    def put_back(self, kinds: Sequence[str]) -> None:
        """Have some deaths happen once more, before the others."""
        self._left[:0] = kinds

    def drop(self, is_hopeless: Callable[[str], bool]) -> list[str]:
        """Take out the kinds that cannot happen; give them, each once."""
        dropped = sorted({kind for kind in self._left if is_hopeless(kind)})
        self._left = [kind for kind in self._left if kind not in dropped]
        return dropped
