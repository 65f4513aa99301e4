"""Displacements, diffusion, conductivity and Arrhenius fits of finished trajectories."""

from __future__ import annotations

from dasksse.analyse.arrhenius import fit_arrhenius
from dasksse.analyse.arrhenius_result import ArrheniusResult
from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.density import ion_density
from dasksse.analyse.diffusion import diffusion_of, estimate_diffusion
from dasksse.analyse.diffusion_result import DiffusionResult
from dasksse.analyse.diffusion_tables import read_diffusion_csv, read_diffusion_json
from dasksse.analyse.displacement import centre_drift, remove_drift, to_displacements
from dasksse.analyse.msd import (
    collective_msd_per_axis,
    mean_squared_displacement,
    msd_by_species,
    msd_per_axis,
)
from dasksse.analyse.rdf import radial_distributions
from dasksse.analyse.van_hove import distinct_van_hove, self_van_hove
from dasksse.analyse.vibration import framework_motion

__all__ = [
    "ArrheniusResult",
    "DiffusionResult",
    "centre_drift",
    "collective_msd_per_axis",
    "diffusion_of",
    "distinct_van_hove",
    "estimate_diffusion",
    "fit_arrhenius",
    "framework_motion",
    "ion_density",
    "mean_squared_displacement",
    "msd_by_species",
    "msd_per_axis",
    "nernst_einstein_mS_cm",
    "radial_distributions",
    "read_diffusion_csv",
    "read_diffusion_json",
    "remove_drift",
    "self_van_hove",
    "to_displacements",
]
