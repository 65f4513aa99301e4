"""Displacements, diffusion, conductivity and Arrhenius fits of finished trajectories."""

from __future__ import annotations

from dasksse.analyse.arrhenius import fit_arrhenius
from dasksse.analyse.arrhenius_result import ArrheniusResult
from dasksse.analyse.block_sums import species_msd
from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.convergence import convergence_in_time
from dasksse.analyse.density import ion_density
from dasksse.analyse.diffusion import diffusion_of, estimate_diffusion
from dasksse.analyse.diffusion_result import DiffusionResult
from dasksse.analyse.diffusion_tables import read_diffusion_csv, read_diffusion_json
from dasksse.analyse.displacement import centre_drift, remove_drift, to_displacements
from dasksse.analyse.jumps import JumpResult, analyse_jumps
from dasksse.analyse.msd import (
    collective_msd_per_axis,
    mean_squared_displacement,
    msd_by_species,
    msd_per_axis,
)
from dasksse.analyse.paths import axes_along
from dasksse.analyse.rdf import radial_distributions
from dasksse.analyse.reference_sites import read_reference_sites
from dasksse.analyse.sample import Sample, sample_trajectories
from dasksse.analyse.stays import follow_sites
from dasksse.analyse.transport import Usage, choose_frames, diffuse
from dasksse.analyse.van_hove import distinct_van_hove, self_van_hove
from dasksse.analyse.vibration import framework_motion, melted_elements

__all__ = [
    "ArrheniusResult",
    "DiffusionResult",
    "JumpResult",
    "Sample",
    "Usage",
    "analyse_jumps",
    "axes_along",
    "centre_drift",
    "choose_frames",
    "collective_msd_per_axis",
    "convergence_in_time",
    "diffuse",
    "diffusion_of",
    "distinct_van_hove",
    "estimate_diffusion",
    "fit_arrhenius",
    "follow_sites",
    "framework_motion",
    "ion_density",
    "mean_squared_displacement",
    "melted_elements",
    "msd_by_species",
    "msd_per_axis",
    "nernst_einstein_mS_cm",
    "radial_distributions",
    "read_diffusion_csv",
    "read_diffusion_json",
    "read_reference_sites",
    "remove_drift",
    "sample_trajectories",
    "self_van_hove",
    "species_msd",
    "to_displacements",
]
