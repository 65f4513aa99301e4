"""Displacements, diffusion, conductivity and Arrhenius fits of finished trajectories."""

from __future__ import annotations

from dasksse.analyse.arrhenius import ArrheniusResult, fit_arrhenius, read_arrhenius_csv
from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.diffusion import DiffusionResult, estimate_diffusion
from dasksse.analyse.displacement import centre_drift, remove_drift, to_displacements
from dasksse.analyse.msd import (
    collective_msd_per_axis,
    mean_squared_displacement,
    msd_by_species,
    msd_per_axis,
)

__all__ = [
    "ArrheniusResult",
    "DiffusionResult",
    "centre_drift",
    "collective_msd_per_axis",
    "estimate_diffusion",
    "fit_arrhenius",
    "mean_squared_displacement",
    "msd_by_species",
    "msd_per_axis",
    "nernst_einstein_mS_cm",
    "read_arrhenius_csv",
    "remove_drift",
    "to_displacements",
]
