"""D near 300 K and activation energies that the two papers state in their text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from dasksse.study.material import is_material

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.records import Json

HUANG_2021 = "Huang et al. 2021, doi:10.1063/5.0041849, section E"
HUANG_2020 = "Huang et al. 2020, text to Fig. 7"
ROOM_K = 300.0


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a paper says of one material.

    Attributes
    ----------
    formula
        Of the material.
    kind
        ``simulation``, or ``experiment`` that the paper compares with.
    label
        For legends and tables.
    citation
        Paper and place.
    temperature_K
        Temperature of D [K]; the papers say room temperature.
    D_m2_s, D_err_m2_s
        Diffusion coefficient and the error that is given [m²/s]; None where none is.
    Ea_eV
        Activation energy [eV]; None where none is given.
    """

    formula: str
    kind: Literal["simulation", "experiment"]
    label: str
    citation: str
    temperature_K: float = ROOM_K
    D_m2_s: float | None = None
    D_err_m2_s: float | None = None
    Ea_eV: float | None = None

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return asdict(self)


def _simulated_2021(formula: str, D_m2_s: float) -> Published:
    return Published(
        formula=formula,
        kind="simulation",
        label="Huang et al. 2021",
        citation=HUANG_2021,
        D_m2_s=D_m2_s,
        D_err_m2_s=2.0e-12,
    )


def _measured_2021(formula: str, D_m2_s: float) -> Published:
    return Published(
        formula=formula,
        kind="experiment",
        label="NMR in Huang et al. 2021",
        citation=f"{HUANG_2021}: solid-state NMR, reference 17 there",
        D_m2_s=D_m2_s,
        D_err_m2_s=2.0e-12,
    )


def _simulated_2020(formula: str, Ea_eV: float, D_m2_s: float | None = None) -> Published:
    return Published(
        formula=formula,
        kind="simulation",
        label="Huang et al. 2020",
        citation=HUANG_2020,
        D_m2_s=D_m2_s,
        Ea_eV=Ea_eV,
    )


def _measured_2020(formula: str, Ea_eV: float, D_m2_s: float | None = None) -> Published:
    return Published(
        formula=formula,
        kind="experiment",
        label="NMR in Huang et al. 2020",
        citation=f"{HUANG_2020}: references 53, 55 and 56 there",
        D_m2_s=D_m2_s,
        Ea_eV=Ea_eV,
    )


PUBLISHED: tuple[Published, ...] = (
    _simulated_2021("Li10GeP2S12", 19.0e-12),
    _simulated_2021("Li10SiP2S12", 16.0e-12),
    _simulated_2021("Li10SnP2S12", 9.0e-12),
    _measured_2021("Li10GeP2S12", 4.1e-12),
    _measured_2021("Li10SiP2S12", 5.8e-12),
    _measured_2021("Li10SnP2S12", 3.1e-12),
    _simulated_2020("Li10GeP2S12", 0.23, 4.9e-12),
    _simulated_2020("Li10SiP2S12", 0.18),
    _simulated_2020("Li10SnP2S12", 0.20),
    _measured_2020("Li10GeP2S12", 0.22, 3.8e-12),
    _measured_2020("Li10SiP2S12", 0.20),
    _measured_2020("Li10SnP2S12", 0.27),
)
"""D and Ea as the texts give them; nothing is read off a figure."""


def published_for(numbers: Sequence[int]) -> list[Published]:
    """What the papers say of the material of a crystal.

    Parameters
    ----------
    numbers
        Atomic numbers, shape ``(atom,)``.
    """
    return [one for one in PUBLISHED if is_material(numbers, one.formula)]
