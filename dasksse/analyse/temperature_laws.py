"""Laws of D(T): one line, two segments that meet in a kink, and Vogel-Tammann-Fulcher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

Form = Literal["line", "two-segment", "vtf"]
FORMS: tuple[Form, ...] = get_args(Form)
N_SCANNED = 121
COLDEST_SHARE = 0.9
"""VTF's T0 is searched up to this share of the coldest temperature with a D."""
LEAST_GAP_K = 1.0e-3
"""At and below T0 a VTF law has no diffusion; this gap makes D vanish there."""


def inverse_kT(T_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """``1 / (kB T)`` [1/eV] of temperatures [K]."""
    return np.asarray(1.0 / (BOLTZMANN_EV_K * T_K))


@dataclass(frozen=True)
class Law:
    """A form of ln D(T), linear in its coefficients once one temperature of it is given.

    Attributes
    ----------
    names
        Name of each coefficient and of its error.
    scanned_names
        The same for the scanned temperature; empty if there is none.
    n_temperatures
        Different temperatures it needs.
    scan
        Temperatures to try [K] for points at given temperatures [K]; one NaN if there is none.
    design
        Factors of the coefficients in ln D at given temperatures [K], shape
        ``(temperature, coefficient)``, for one scanned temperature [K].
    slope
        The same for the activation energy ``-d ln D / d(1 / kB T)`` [eV].
    """

    names: tuple[tuple[str, str], ...]
    scanned_names: tuple[str, ...]
    n_temperatures: int
    scan: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    design: Callable[[NDArray[np.float64], float], NDArray[np.float64]]
    slope: Callable[[NDArray[np.float64], float], NDArray[np.float64]]

    @property
    def n_parameters(self) -> int:
        """Free parameters, the scanned temperature included."""
        return len(self.names) + bool(self.scanned_names)


def _no_scan(_: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([np.nan])


def _line(T_K: NDArray[np.float64], _: float) -> NDArray[np.float64]:
    """Coefficients ln D0 and Ea [eV]."""
    return np.column_stack([np.ones_like(T_K), -inverse_kT(T_K)])


def _line_slope(T_K: NDArray[np.float64], _: float) -> NDArray[np.float64]:
    return np.column_stack([np.zeros_like(T_K), np.ones_like(T_K)])


def _kinks(T_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """Even in 1/T, at least two temperatures on either side or at the kink."""
    ordered = np.unique(T_K)
    return np.asarray(1.0 / np.linspace(1.0 / ordered[-2], 1.0 / ordered[1], N_SCANNED))


def _segments(T_K: NDArray[np.float64], kink_K: float) -> NDArray[np.float64]:
    """Coefficients ln D at the kink and Ea of the hot and the cold side [eV]."""
    from_kink = 1.0 / (BOLTZMANN_EV_K * kink_K) - inverse_kT(T_K)
    return np.column_stack(
        [np.ones_like(T_K), np.maximum(from_kink, 0.0), np.minimum(from_kink, 0.0)]
    )


def _segments_slope(T_K: NDArray[np.float64], kink_K: float) -> NDArray[np.float64]:
    is_hot = kink_K <= T_K
    return np.column_stack([np.zeros_like(T_K), is_hot, ~is_hot])


def _vtf_zeros(T_K: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linspace(0.0, COLDEST_SHARE * T_K.min(), N_SCANNED)


def _vtf(T_K: NDArray[np.float64], T0_K: float) -> NDArray[np.float64]:
    """Coefficients ln D0 and B [K]."""
    return np.column_stack([np.ones_like(T_K), -1.0 / np.maximum(T_K - T0_K, LEAST_GAP_K)])


def _vtf_slope(T_K: NDArray[np.float64], T0_K: float) -> NDArray[np.float64]:
    gap = np.maximum(T_K - T0_K, LEAST_GAP_K)
    return np.column_stack([np.zeros_like(T_K), BOLTZMANN_EV_K * (T_K / gap) ** 2])


LAWS: Mapping[Form, Law] = {
    "line": Law(
        names=(("ln_D0", "ln_D0_err"), ("Ea_eV", "Ea_err_eV")),
        scanned_names=(),
        n_temperatures=2,
        scan=_no_scan,
        design=_line,
        slope=_line_slope,
    ),
    "two-segment": Law(
        names=(
            ("ln_D_at_kink", "ln_D_at_kink_err"),
            ("Ea_hot_eV", "Ea_hot_err_eV"),
            ("Ea_cold_eV", "Ea_cold_err_eV"),
        ),
        scanned_names=("kink_K", "kink_err_K"),
        n_temperatures=4,
        scan=_kinks,
        design=_segments,
        slope=_segments_slope,
    ),
    "vtf": Law(
        names=(("ln_D0", "ln_D0_err"), ("B_K", "B_err_K")),
        scanned_names=("T0_K", "T0_err_K"),
        n_temperatures=3,
        scan=_vtf_zeros,
        design=_vtf,
        slope=_vtf_slope,
    ),
}
