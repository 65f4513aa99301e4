"""dasksse: from a crystal to a checked potential and D(T) with error bars."""

from __future__ import annotations

from dasksse._version import __version__

__all__ = ["__version__"]
