"""ABACUS: plane waves or atomic orbitals, one process per single point."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dasksse.config.schema import Element, Positive, Share
from dasksse.errors import LabelError
from dasksse.label.contract import Answer, CalculatorKind
from dasksse.label.dft.abacus_files import (
    OUTPUT,
    PROGRAM,
    RUNNING_LOG,
    Value,
    explain,
    read_output,
    write_files,
)
from dasksse.label.dft.base import AS_ASKED, DftCalculator, Rung
from dasksse.label.dft.dispersion import missing_dispersion
from dasksse.label.dft.element_files import ElementFiles, FolderPath
from dasksse.label.dft.program import LOG, run_dft
from dasksse.label.dft.settings import k_ladder, smearing_ladder
from dasksse.label.dft.upf import UpfSettings, check_upf, missing_upfs, pseudopotentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.label.dft.base import Job

CUTOFFS_RY = (50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 120.0)
"""Cut-offs of the plane waves to choose from [Ry]."""

_OURS = {
    *("suffix", "calculation", "basis_type", "pseudo_dir", "orbital_dir", "stru_file"),
    *("kpoint_file", "kspacing", "gamma_only", "cal_force", "cal_stress", "dft_functional"),
}
"""Keywords that the rest of dasksse depends on."""


def _check_keywords(keywords: dict[str, Value]) -> dict[str, Value]:
    lowered = {key.lower(): value for key, value in keywords.items()}
    ours = sorted(_OURS & lowered.keys())
    if ours:
        msg = (
            f"{', '.join(ours)}: set by dasksse; use `functional`, `basis_type`, "
            "`kspacing_per_A` and the settings of files instead"
        )
        raise ValueError(msg)
    return lowered


class AbacusSettings(UpfSettings):
    """ABACUS with your own pseudopotentials (UPF) and, for LCAO, orbitals (ORB)."""

    command: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("abacus",),
        description="Command as words, without the MPI launcher, which is the `prefix` of the "
        "pool of workers.",
    )
    basis_type: Literal["pw", "lcao"] = Field(
        default="pw", description="Plane waves, or numerical atomic orbitals."
    )
    ecutwfc_Ry: Positive = Field(
        default=100.0,
        description="Cut-off of the plane waves [Ry]; in LCAO that of the orbital files.",
    )
    scf_thr: Positive | None = Field(
        default=None,
        description="ABACUS's limit of the change of the density; when absent "
        "`energy_tolerance_eV` in Ry for plane waves, and 1e-7 in LCAO, where it is no energy.",
    )
    mixing_beta: Share = Field(default=0.7, description="Share of the new density in mixing.")
    orbital_dir: FolderPath | None = Field(
        default=None,
        description="Folder of the orbitals, absolute or beginning with ~ or $NAME; LCAO only.",
    )
    orbitals: dict[Element, str] = Field(
        default_factory=dict,
        description="Orbital file by element, absolute or in `orbital_dir`. When absent, the "
        "only ORB file there whose name begins with the element's symbol.",
    )
    keywords: Annotated[dict[str, Value], AfterValidator(_check_keywords)] = Field(
        default_factory=dict, description="Keywords of INPUT, merged over those written."
    )

    @model_validator(mode="after")
    def _orbitals_with_lcao(self) -> Self:
        if self.basis_type == "lcao" and self.orbital_dir is None and not self.orbitals:
            msg = "basis_type lcao needs `orbital_dir` or `orbitals`"
            raise ValueError(msg)
        return self


def orbitals(settings: AbacusSettings) -> ElementFiles:
    """The orbital files that settings name."""
    return ElementFiles(
        what="orbital",
        folder_key="orbital_dir",
        named_key="orbitals",
        folder=settings.orbital_dir,
        named=settings.orbitals,
        suffixes=(".orb",),
    )


class AbacusCalculator(DftCalculator[AbacusSettings]):
    """Single points by ABACUS."""

    engine = PROGRAM

    def describe(self) -> str:
        """Basis, cut-off, spacing of k-points, files with digest, the user's keywords."""
        mine = self.settings
        spacing = mine.kspacing_per_A
        parts = [
            f"ABACUS {mine.functional} {mine.basis_type}",
            f"ecutwfc {mine.ecutwfc_Ry:g} Ry",
            "Gamma" if spacing is None else f"k-spacing {spacing:g} 1/Å",
            f"smearing {mine.smearing_eV:g} eV",
            f"UPF {pseudopotentials(mine).fingerprint()}",
        ]
        if mine.basis_type == "lcao":
            parts.append(f"ORB {orbitals(mine).fingerprint()}")
        if mine.keywords:
            parts.append(json.dumps(mine.keywords, sort_keys=True))
        return ", ".join(parts)

    def ladder(self) -> Sequence[Rung[AbacusSettings]]:
        """Less mixing, no Kerker preconditioning, another solver or mixing; more steps."""
        beta = self.settings.mixing_beta
        gentle: dict[str, Value] = {"mixing_beta": min(0.3, beta / 2), "mixing_ndim": 16}
        plain = gentle | {"mixing_beta": min(0.2, beta / 3), "mixing_gg0": 0.0}
        is_lcao = self.settings.basis_type == "lcao"
        other = plain | ({"mixing_type": "pulay"} if is_lcao else {"ks_solver": "dav"})
        return [
            Rung(AS_ASKED, self.settings),
            Rung("gentle-mixing", self._with_keywords(gentle, 2)),
            Rung("no-kerker", self._with_keywords(plain, 2)),
            Rung("pulay" if is_lcao else "davidson", self._with_keywords(other, 3)),
        ]

    def _with_keywords(self, changes: Mapping[str, Value], more: int) -> AbacusSettings:
        """Settings with other keywords, which go before the user's own."""
        steps = {"scf_nmax": more * self.settings.max_scf_steps}
        keywords = {**self.settings.keywords, **changes, **steps}
        return self.settings.model_copy(update={"keywords": keywords})

    def compute(self, atoms: Atoms, settings: AbacusSettings, job: Job) -> Answer:
        """Write the input, run ABACUS, read its log."""
        elements = sorted(set(atoms.get_chemical_symbols()))
        upfs = {element: check_upf(settings, element) for element in elements}
        upf_files = pseudopotentials(settings).link(elements, job.folder)
        orbital_files = {}
        if settings.basis_type == "lcao":
            orbital_files = orbitals(settings).link(elements, job.folder)
        write_files(
            job.folder, atoms, settings, upfs, (upf_files, orbital_files), stress=job.virial
        )
        (job.folder / LOG).unlink(missing_ok=True)  # of an attempt that was broken off
        shutil.rmtree(job.folder / OUTPUT, ignore_errors=True)
        try:
            memory = run_dft(settings.command, job, name=PROGRAM, outputs=[RUNNING_LOG])
        except LabelError as error:
            raise explain(error) from error
        answer = read_output(job.folder, atoms, virial=job.virial)
        return replace(answer, memory_bytes=memory)


def _needs(settings: AbacusSettings, elements: tuple[str, ...]) -> list[str]:
    missing = missing_dispersion(settings.functional) + missing_upfs(settings, elements)
    if settings.basis_type == "lcao":
        missing += orbitals(settings).missing(elements)
    program = settings.command[0]
    if shutil.which(program) is None:
        fix = (
            f"{program}: not found in PATH; install ABACUS, load its module in the job script, "
            "or give its path in label.calculator.settings.command"
        )
        return [fix, *missing]
    return missing


def _convergence(
    settings: AbacusSettings, cell: NDArray[np.float64]
) -> dict[str, Sequence[float | None]]:
    """Ladders of k-points, cut-off for plane waves and, where there is one, smearing."""
    ladders: dict[str, Sequence[float | None]] = {
        "kspacing_per_A": k_ladder(cell, settings.kspacing_per_A),
        **smearing_ladder(settings),
    }
    if settings.basis_type == "pw":  # orbitals are made for one cut-off
        ladders["ecutwfc_Ry"] = sorted({*CUTOFFS_RY, settings.ecutwfc_Ry})
    return ladders


ABACUS = CalculatorKind(
    AbacusSettings,
    AbacusCalculator,
    "ABACUS, plane waves or atomic orbitals, with your own UPF and ORB files",
    batch_size=1,
    commands=lambda settings: [list(settings.command)],
    needs=_needs,
    convergence=_convergence,
)
