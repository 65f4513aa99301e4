"""Where commands print."""

from __future__ import annotations

import sys

from rich.console import Console

TABLE_WIDTH = 120
"""Width of tables where there is no terminal to fit into."""


def wide_console() -> Console:
    """Console whose tables are not folded where there is no terminal to fit into."""
    width = None if sys.stdout.isatty() else TABLE_WIDTH
    return Console(soft_wrap=True, highlight=False, width=width)
