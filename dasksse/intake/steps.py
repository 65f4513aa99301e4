"""How far atoms move between frames, and whether their images are still beyond doubt."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MAX_STEP = 0.35
"""Longest step allowed, in smallest widths of the cell; at one half the image is a guess."""
LONG_STEP = 0.25
"""Two steps above this within one interval may add up to more than half the width."""
MANY_LONG_STEPS = 30
"""Fewer long steps are no tail that can be judged."""


@dataclass(frozen=True)
class Step:
    """A step of nearest images: in smallest widths of the cell, in Å, that width, and where."""

    share: float = 0.0
    length_A: float = 0.0
    width_A: float = float("nan")
    atom: int = 0
    frame: int = 0


class StepLengths:
    """Distribution of the lengths of steps, as far as wrong images depend on it.

    Parameters
    ----------
    numbers
        Atomic numbers, shape ``(atom,)``.

    Attributes
    ----------
    longest
        The longest step.
    """

    def __init__(self, numbers: NDArray[np.int64]) -> None:
        self._numbers = numbers
        self._n_frames = 0
        self._n_atoms = Counter(numbers.tolist())
        self._n_long: Counter[int] = Counter()
        self.longest = Step()

    def add(self, lengths_A: Array, widths_A: Array, first_frame: int) -> None:
        """Take in steps.

        Parameters
        ----------
        lengths_A
            Length of the step into each frame [Å], shape ``(frame, atom)``.
        widths_A
            Smallest width of the cell [Å], shape ``(frame,)``.
        first_frame
            Number of the first frame.
        """
        shares = lengths_A / widths_A[:, None]
        self._n_frames += len(shares)
        frame, atom = np.unravel_index(int(shares.argmax()), shares.shape)
        if shares[frame, atom] > self.longest.share:
            self.longest = Step(
                float(shares[frame, atom]),
                float(lengths_A[frame, atom]),
                float(widths_A[frame]),
                int(atom),
                first_frame + int(frame),
            )
        if shares[frame, atom] > LONG_STEP:
            _, atoms = np.nonzero(shares > LONG_STEP)
            self._n_long.update(self._numbers[atoms].tolist())

    def doubt(self) -> str:
        """Why images may be wrong; empty when they cannot be.

        Notes
        -----
        One step above 0.35 of the smallest width is too long. Many above 0.25 are too many:
        if they come independently, n of them among N steps of an element make some
        ``n**2 / 2N`` intervals with two, whose sum may be above one half and is then taken for
        a shorter step elsewhere. No more than half such an interval may be expected.
        """
        longest = self.longest
        if longest.share > MAX_STEP:
            symbol = chemical_symbols[self._numbers[longest.atom]]
            return (
                f"into frame {longest.frame} atom {longest.atom + 1} ({symbol}) moves by "
                f"{longest.length_A:.2f} Å, the limit is {MAX_STEP * longest.width_A:.2f} Å "
                f"({MAX_STEP} of the smallest width of the cell, {longest.width_A:.2f} Å)"
            )
        for number, n_long in self._n_long.items():
            n_steps = self._n_frames * self._n_atoms[number]
            limit = max(MANY_LONG_STEPS, n_steps**0.5)
            if n_long > limit:
                return (
                    f"{n_long} of {n_steps} steps of {chemical_symbols[number]} are longer "
                    f"than {LONG_STEP} of the smallest width of the cell, the limit is "
                    f"{limit:.0f}; the longest, of {longest.length_A:.2f} Å, is that of atom "
                    f"{longest.atom + 1} into frame {longest.frame}"
                )
        return ""
