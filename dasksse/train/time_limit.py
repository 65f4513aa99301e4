"""When to stop a training whose worker runs out of time."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from dasksse.errors import OutOfTimeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.records import Workplace

SETTLE_S = 2.0
"""The files of a checkpoint are written within so long [s]; none is cut off in writing."""


class TimeLimit:
    """Stops a training when its worker's time is over, if possible right behind a checkpoint.

    Call it often while the training runs. Once two checkpoints have been seen to come, it is
    known when the next one is due: if that is too late, the training stops where nothing is
    lost.

    Parameters
    ----------
    workplace
        The remaining time.
    newest_checkpoint
        Gives the step of the newest checkpoint, 0 when there is none.
    n_steps
        Steps of the whole training.
    """

    def __init__(
        self, workplace: Workplace, newest_checkpoint: Callable[[], int], *, n_steps: int
    ) -> None:
        self._workplace = workplace
        self._newest_checkpoint = newest_checkpoint
        self._n_steps = n_steps
        self._step = newest_checkpoint()
        self._came_at: float | None = None
        self._next_after_s: float | None = None

    def __call__(self) -> None:
        """Look at the clock and for a new checkpoint.

        Raises
        ------
        OutOfTimeError
            When it is time to stop.
        """
        now = time.monotonic()
        self._note_checkpoint(now)
        left_s = self._workplace.time_left_s()
        age_s = math.inf if self._came_at is None else now - self._came_at
        if left_s < 0 and (age_s >= SETTLE_S or left_s < -SETTLE_S):
            msg = f"walltime is over; the newest checkpoint is that of step {self._step}"
            raise OutOfTimeError(msg)
        if self._next_after_s is not None and SETTLE_S <= age_s < self._next_after_s - left_s:
            msg = (
                f"{left_s:.0f} s of walltime left, too little for another checkpoint: "
                f"training goes on from that of step {self._step}"
            )
            raise OutOfTimeError(msg)

    def _note_checkpoint(self, now: float) -> None:
        """Tell from two checkpoints when the next one is due."""
        step = self._newest_checkpoint()
        if step == self._step:
            return
        if self._came_at is not None and step > self._step:
            to_next = min(step - self._step, self._n_steps - step)
            self._next_after_s = to_next * (now - self._came_at) / (step - self._step)
        self._step, self._came_at = step, now
