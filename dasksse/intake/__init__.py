"""Trajectories from anywhere: read, checked, unwrapped and put into a store."""

from __future__ import annotations

from dasksse.intake.formats import FORMATS, TrajectoryFormat
from dasksse.intake.importing import RunReport, import_trajectories, read_trajectory
from dasksse.intake.lattice import LENGTH_UNITS_A, parse_cell
from dasksse.intake.selection import Selection, parse_frames
from dasksse.intake.source import Hints
from dasksse.intake.species import parse_species_map

__all__ = [
    "FORMATS",
    "LENGTH_UNITS_A",
    "Hints",
    "RunReport",
    "Selection",
    "TrajectoryFormat",
    "import_trajectories",
    "parse_cell",
    "parse_frames",
    "parse_species_map",
    "read_trajectory",
]
