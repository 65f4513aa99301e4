"""The run folder on disk: units, journal, trajectories, labels."""

from __future__ import annotations
