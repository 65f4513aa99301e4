"""Settings of the CP2K engine, and what a user's own input may not set."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dasksse.config.schema import Positive
from dasksse.label.dft.cp2k_sections import parse_input
from dasksse.label.dft.settings import DftSettings

_REFUSED = {
    "GLOBAL/PROJECT": "the folder of the frame names it",
    "GLOBAL/RUN_TYPE": "a label is a single point",
    "MOTION": "a label is a single point",
    "FORCE_EVAL/METHOD": "labels are by Quickstep",
    "FORCE_EVAL/STRESS_TENSOR": "set `label.virial`",
    "FORCE_EVAL/DFT/MGRID/CUTOFF": "set `cutoff_Ry`",
    "FORCE_EVAL/DFT/MGRID/REL_CUTOFF": "set `rel_cutoff_Ry`",
    "FORCE_EVAL/DFT/KPOINTS": "set `kspacing_per_A`",
    "FORCE_EVAL/DFT/SCF/MAX_SCF": "set `max_scf_steps`",
    "FORCE_EVAL/DFT/SCF/EPS_SCF": "set `energy_tolerance_eV`",
    "FORCE_EVAL/DFT/SCF/IGNORE_CONVERGENCE_FAILURE": "labels must be self-consistent",
    "FORCE_EVAL/DFT/SCF/OT": "set `solver: ot`",
    "FORCE_EVAL/DFT/SCF/SMEAR": "set `smearing_eV`",
    "FORCE_EVAL/DFT/XC/XC_FUNCTIONAL": "set `functional`",
    "FORCE_EVAL/SUBSYS/CELL": "the cell is that of the frame",
    "FORCE_EVAL/SUBSYS/COORD": "the atoms are those of the frame",
}
"""Keywords and sections that a template may not set, with the reason or the setting to use."""


def _check_template(text: str) -> str:
    given = set(parse_input(text).paths())
    refused = [f"{path}: {reason}" for path, reason in _REFUSED.items() if path in given]
    if refused:
        msg = f"CP2K input that cannot be set here: {'; '.join(refused)}"
        raise ValueError(msg)
    return text


class Cp2kSettings(DftSettings):
    """CP2K's Quickstep with GTH pseudopotentials and MOLOPT basis sets."""

    mode: Literal["shell", "file"] = Field(
        default="shell",
        description="`shell`: one resident process per worker, which keeps the wavefunction of "
        "the last frame; `file`: one process per frame. The labels are the same.",
    )
    command: tuple[str, ...] = Field(
        default=("cp2k.psmp",),
        min_length=1,
        description="Program and its arguments; the pool's prefix goes before it.",
    )
    cutoff_Ry: Positive = Field(
        default=500.0,
        description="Cut-off of the finest grid [Ry]. In Li3PS4, forces are off by up to "
        "0.1 eV/Å at 300 Ry, which the net force shows, and by 1 meV/Å at 500 Ry.",
    )
    rel_cutoff_Ry: Positive = Field(
        default=40.0, description="Cut-off that decides which grid a Gaussian is put on [Ry]."
    )
    basis: Literal["SZV", "DZVP", "TZVP", "TZV2P"] = Field(
        default="DZVP", description="Size of the MOLOPT basis; the short-ranged ones are taken."
    )
    solver: Literal["diagonalization", "ot"] = Field(
        default="diagonalization",
        description="`ot`: orbital transformation, for large cells of insulators at Gamma "
        "alone. It can end in a state that is not the ground state.",
    )
    data_dir: str | None = Field(
        default=None,
        description="Folder of basis sets and potentials; by CP2K_DATA_DIR, or where the "
        "program was built to look for them, when absent (null).",
    )
    input: Annotated[str, AfterValidator(_check_template)] = Field(
        default="",
        description="CP2K input merged over the one written, such as another &KIND or &MIXING.",
    )

    @model_validator(mode="after")
    def _ot_only_for_insulators_at_gamma(self) -> Self:
        if self.solver == "ot" and (self.kspacing_per_A is not None or self.smearing_eV > 0.0):
            msg = (
                "solver 'ot' needs fixed occupations and Gamma alone: set kspacing_per_A to "
                "null and smearing_eV to 0, or take solver 'diagonalization'"
            )
            raise ValueError(msg)
        return self
