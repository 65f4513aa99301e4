"""Crystals: reading, ordering, variants, and distances in periodic cells."""

from __future__ import annotations

from dasksse.structures.build import BuiltSystem, build_system
from dasksse.structures.charges import check_neutral, guess_charges
from dasksse.structures.disorder import Ordered, order_structure
from dasksse.structures.ewald import ewald_energy
from dasksse.structures.periodic import (
    closest_pair,
    minimum_distance,
    minimum_distances,
    minimum_image,
    neighbour_pairs,
    unwrap_minimum_image,
    wrap,
)
from dasksse.structures.read import read_structure, to_atoms
from dasksse.structures.variants import (
    make_supercell,
    permute_cations,
    scale_volume,
    start_set,
)

__all__ = [
    "BuiltSystem",
    "Ordered",
    "build_system",
    "check_neutral",
    "closest_pair",
    "ewald_energy",
    "guess_charges",
    "make_supercell",
    "minimum_distance",
    "minimum_distances",
    "minimum_image",
    "neighbour_pairs",
    "order_structure",
    "permute_cations",
    "read_structure",
    "scale_volume",
    "start_set",
    "to_atoms",
    "unwrap_minimum_image",
    "wrap",
]
