"""Tells what happens: on the screen, in ``run.log``, in the journal."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dasksse.loop.display import Display
    from dasksse.loop.logbook import Logbook
    from dasksse.loop.walk import Plan
    from dasksse.records import Json


class Herald:
    """Display and logbook of one driver.

    Parameters
    ----------
    display
        Where the user watches.
    logbook
        Journal and log.
    said
        Names of the milestones that earlier sessions announced.
    """

    def __init__(self, display: Display, logbook: Logbook, said: Iterable[str]) -> None:
        self._display = display
        self._logbook = logbook
        self._said = set(said)

    def say(self, text: str) -> None:
        """Say something of interest."""
        self._display.say(text)
        self._logbook.event(text)

    def warn(self, text: str) -> None:
        """Say something the user should know."""
        self._display.warn(text)
        self._logbook.event(f"warning: {text}")

    def milestones(self, plan: Plan) -> bool:
        """Announce the stages that are done and were not announced; True if there were any."""
        news = [m for m in plan.milestones if m.name not in self._said]
        for milestone in news:
            self._said.add(milestone.name)
            self._display.milestone(milestone.text)
            self._logbook.event(milestone.text)
        if news or plan.is_finished:
            keys = sorted(plan.touched)
            self._logbook.note({"milestones": sorted(self._said), "current": keys})
        return bool(news)

    def note(self, plan: Plan, facts: Mapping[str, Json]) -> None:
        """Keep the facts that `dasksse status` shows beside the units."""
        self._logbook.note(
            {
                "stage": "finished" if plan.is_finished else plan.stage,
                "updated": time.time(),
                "pid": os.getpid(),
                "host": socket.gethostname(),
                **self._display.facts(),
                **facts,
            }
        )
