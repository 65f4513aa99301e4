"""Labels from density-functional theory: one file per engine, everything common beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.label.dft.abacus import ABACUS
from dasksse.label.dft.cp2k import CP2K
from dasksse.label.dft.espresso import ESPRESSO
from dasksse.label.dft.gpaw import GPAW
from dasksse.label.dft.vasp import VASP

if TYPE_CHECKING:
    from dasksse.label.contract import CalculatorKind

ENGINES: dict[str, CalculatorKind] = {
    "cp2k": CP2K,
    "gpaw": GPAW,
    "vasp": VASP,
    "espresso": ESPRESSO,
    "abacus": ABACUS,
}
"""The DFT engines: adding one is adding its entry here."""
