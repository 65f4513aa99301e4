"""``run.log``: one line for every event of a run, for people and for grep."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class RunLog:
    """Appends to a file, line by line; nothing is ever rewritten."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str) -> None:
        """Append an event with the local time and its offset; line breaks become bars."""
        stamp = datetime.now().astimezone().isoformat(timespec="seconds")
        line = " | ".join(part.strip() for part in text.splitlines() if part.strip())
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as stream:
            stream.write(f"{stamp}  {line}\n")  # a full disk shows where it matters
