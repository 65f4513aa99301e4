"""Settings that all DFT engines share, with defaults for insulating solids."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from dasksse.config.schema import Count, Positive, Section

if TYPE_CHECKING:
    from numpy.typing import NDArray

Functional = Literal["PBE", "PBEsol", "LDA", "SCAN", "r2SCAN", "PBE+D3"]
DISPERSION = "+D3"
"""Ends the name of a functional to which the D3 correction of Grimme is added."""


class DftSettings(Section):
    """What every DFT engine understands."""

    functional: Functional = Field(
        default="PBE",
        description="Exchange-correlation functional; `PBE+D3` adds Grimme's D3 with "
        "Becke-Johnson damping (package dftd3).",
    )
    kspacing_per_A: Positive | None = Field(
        default=0.26,
        description="Largest distance of k-points [1/Å], 2 pi included (VASP's KSPACING); "
        "absent (null) for Gamma alone.",
    )
    energy_tolerance_eV: Positive = Field(
        default=1e-6, description="Self-consistent when the energy changes by less [eV]."
    )
    smearing_eV: Annotated[float, Field(ge=0.0)] = Field(
        default=0.0, description="Width of the smearing [eV]; 0 for fixed occupations."
    )
    max_scf_steps: Count = Field(
        default=100, description="Most steps to self-consistency before a fallback is tried."
    )
    fallbacks: bool = Field(
        default=True,
        description="Try other mixing, another solver and more steps when self-consistency is "
        "not reached.",
    )
    time_limit_s: Positive | None = Field(
        default=None, description="Longest time of one label [s], all fallbacks included."
    )


def k_mesh(cell: NDArray[np.float64], spacing_per_A: float | None) -> tuple[int, int, int]:
    """Divisions of the reciprocal cell for a largest distance of k-points.

    Parameters
    ----------
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.
    spacing_per_A
        Largest distance [1/Å], 2 pi included; None for Gamma alone.

    Returns
    -------
    tuple[int, int, int]
        ``max(1, ceil(|b| / spacing))`` for each reciprocal vector ``b``, as VASP does with
        KSPACING.
    """
    if spacing_per_A is None:
        return 1, 1, 1
    lengths = 2.0 * math.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
    first, second, third = (max(1, math.ceil(x / spacing_per_A - 1e-9)) for x in lengths)
    return first, second, third


SMEARINGS_EV = (0.2, 0.1, 0.05, 0.02)
"""Widths of the smearing to choose from [eV], coarse to fine."""


def smearing_ladder(settings: DftSettings) -> dict[str, list[float]]:
    """Widths of the smearing [eV], by its key; nothing where occupations are fixed.

    Parameters
    ----------
    settings
        Checked settings; their width is among those to try.
    """
    if settings.smearing_eV == 0.0:
        return {}
    return {"smearing_eV": sorted({*SMEARINGS_EV, settings.smearing_eV}, reverse=True)}


K_SPACINGS_PER_A = (0.6, 0.5, 0.4, 0.3, 0.26, 0.2, 0.15)
"""Distances of k-points to choose from [1/Å], coarse to fine."""


def k_ladder(
    cell: NDArray[np.float64], configured_per_A: float | None
) -> tuple[float | None, ...]:
    """Distances of k-points of which each gives a finer mesh than the one before.

    Parameters
    ----------
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.
    configured_per_A
        A distance [1/Å] that shall be among them, or None for Gamma alone.

    Returns
    -------
    tuple[float | None, ...]
        Distances [1/Å], coarse first.
    """
    of_mesh: dict[tuple[int, int, int], float | None] = {
        k_mesh(cell, configured_per_A): configured_per_A
    }
    for spacing in K_SPACINGS_PER_A:
        of_mesh.setdefault(k_mesh(cell, spacing), spacing)
    return tuple(of_mesh[mesh] for mesh in sorted(of_mesh))
