"""The command line: ``dasksse`` and ``python -m dasksse.run``."""

from __future__ import annotations

from dasksse.cli.main import main

__all__ = ["main"]
