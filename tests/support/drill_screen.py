"""A drill's screen for tests: pytest shows what was said when a drill fails."""

from __future__ import annotations


class PrintingScreen:
    def say(self, text: str) -> None:
        print(text)  # noqa: T201 - captured by pytest

    def show(self, text: str) -> None:
        pass
