"""Stopping a training, with a clock of the test's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from dasksse.errors import OutOfTimeError
from dasksse.train import time_limit
from dasksse.train.time_limit import TimeLimit

if TYPE_CHECKING:
    from collections.abc import Callable


class Training:
    """Writes a checkpoint every 100 steps: the first after 30 s, then one each 10 s."""

    def __init__(self, *, walltime_s: float, found: int = 0, n_steps: int = 1000) -> None:
        self.now = 0.0
        self.walltime_s = walltime_s
        self.found = found
        self.n_steps = n_steps

    def newest_checkpoint(self) -> int:
        new = 0 if self.now < 30.0 else 1 + int((self.now - 30.0) // 10.0)
        return min(self.found + 100 * new, self.n_steps)

    def time_left_s(self) -> float:
        return self.walltime_s - self.now

    def run(self, until_s: float) -> None:
        limit = TimeLimit(self, self.newest_checkpoint, n_steps=self.n_steps)
        while self.now < until_s:
            limit()
            self.now += 0.5


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Training]:
    def make(**facts: float) -> Training:
        made = Training(**facts)
        monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=lambda: made.now))
        return made

    return make


def test_it_stops_behind_the_last_checkpoint_that_comes_in_time(
    training: Callable[..., Training],
) -> None:
    run = training(walltime_s=65.0, found=500, n_steps=5000)

    with pytest.raises(OutOfTimeError, match="goes on from that of step 900"):
        run.run(until_s=100.0)

    assert run.now == 62.0  # the checkpoint came at 60 s and had 2 s to settle


def test_while_another_checkpoint_comes_in_time_it_goes_on(
    training: Callable[..., Training],
) -> None:
    run = training(walltime_s=65.0)

    run.run(until_s=59.0)


def test_before_the_pace_is_known_it_uses_all_its_time(
    training: Callable[..., Training],
) -> None:
    run = training(walltime_s=33.0, found=500)

    with pytest.raises(
        OutOfTimeError, match=r"walltime is over; .* checkpoint is that of step 600"
    ):
        run.run(until_s=100.0)

    assert run.now == 33.5


def test_a_checkpoint_that_is_being_written_is_waited_for(
    training: Callable[..., Training],
) -> None:
    run = training(walltime_s=30.5, found=500)

    with pytest.raises(OutOfTimeError, match="that of step 600"):
        run.run(until_s=100.0)

    assert run.now == 32.0


def test_a_short_rest_is_begun_if_it_fits(training: Callable[..., Training]) -> None:
    run = training(walltime_s=64.0, n_steps=430)  # 30 steps after 60 s

    run.run(until_s=64.0)


def test_without_walltime_it_never_stops(training: Callable[..., Training]) -> None:
    run = training(walltime_s=float("inf"))

    run.run(until_s=500.0)
