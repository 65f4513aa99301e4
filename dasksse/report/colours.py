"""Colours that text and figures share, where no drawing library is at hand."""

from __future__ import annotations

SHARE_COLOURS = {"accurate": "#3B7DB8", "candidate": "#F0B23C", "failed": "#B5432A"}
"""Differ in lightness too, so they hold in grey and for colour-blind readers."""
