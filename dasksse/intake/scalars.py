"""Numbers of each frame that files give beside positions: K, GPa and eV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dasksse.store.layout import IMPORTED_SCALARS
from dasksse.units import EV_A3_PER_GPA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

STRESS_SIZES = (6, 9)
"""Components of a stress: Voigt order, or the whole tensor."""


def scalar_columns(frames: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    """Columns ``(frame,)`` by name, NaN where a frame lacks the number.

    Parameters
    ----------
    frames
        What each frame has of ``temperature`` [K], static ``pressure`` [GPa] and potential
        ``energy`` [eV].

    Returns
    -------
    dict[str, NDArray[np.float64]]
        Only of names that some frame has.
    """
    columns = {
        name: np.array([frame.get(name, np.nan) for frame in frames])
        for name in IMPORTED_SCALARS
    }
    return {name: column for name, column in columns.items() if np.isfinite(column).any()}


def static_pressure_GPa(stress_eV_A3: ArrayLike) -> float:
    """Pressure without the kinetic part [GPa] of a stress in ASE's sign, as 6 or 9 numbers."""
    values = np.asarray(stress_eV_A3, dtype=np.float64).ravel()
    diagonal = values[:3] if values.size == STRESS_SIZES[0] else values[::4]
    return -float(diagonal.mean()) / EV_A3_PER_GPA
