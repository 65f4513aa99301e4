"""VASP: one process per single point, input and output in files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any
from xml.etree.ElementTree import ParseError

import numpy as np
from pydantic import Field, field_validator

from dasksse.config.schema import Element, Positive
from dasksse.errors import LabelError, ScfError
from dasksse.label.contract import Answer, CalculatorKind
from dasksse.label.dft.base import AS_ASKED, DftCalculator, Rung
from dasksse.label.dft.dispersion import missing_dispersion
from dasksse.label.dft.element_files import FolderPath
from dasksse.label.dft.program import LOG, run_dft
from dasksse.label.dft.settings import (
    DISPERSION,
    DftSettings,
    k_ladder,
    k_mesh,
    smearing_ladder,
)
from dasksse.label.dft.vasp_files import (
    IncarValue,
    elements_of,
    find_trouble,
    incar_text,
    kpoints_text,
    poscar_text,
    read_scf,
    read_vasprun,
)
from dasksse.label.dft.vasp_potcar import PotcarLibrary, Release, family_of
from dasksse.label.dft.vasp_wavefunction import WAVECAR, Wavefunction
from dasksse.process import read_log_tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.label.dft.base import Job

NARROW_EV = 0.01
"""SIGMA where no smearing is asked for: VASP cannot simply fix the occupations, and in an
insulator so narrow a smearing leaves them whole."""

_FUNCTIONALS: dict[str, dict[str, IncarValue]] = {
    "PBE": {"GGA": "PE"},
    "PBEsol": {"GGA": "PS"},
    "LDA": {"GGA": "CA"},
    "SCAN": {"METAGGA": "SCAN", "LASPH": True, "ALGO": "All"},
    "r2SCAN": {"METAGGA": "R2SCAN", "LASPH": True, "ALGO": "All"},
}
_BY_FUNCTIONAL = "`functional` sets it (other functionals: kind python with ASE's Vasp)"
_BY_ORDER = "it depends on the order of atoms in POSCAR, which is ours"
_REFUSED = {
    **dict.fromkeys(("GGA", "METAGGA", "XC", "LHFCALC", "LUSE_VDW"), _BY_FUNCTIONAL),
    **dict.fromkeys(("IVDW", "LVDW", "LDAU", "LDAUTYPE"), _BY_FUNCTIONAL),
    **dict.fromkeys(("MAGMOM", "LDAUL", "LDAUU", "LDAUJ", "RWIGS", "ROPT"), _BY_ORDER),
    **dict.fromkeys(
        ("NSW", "IBRION", "ISIF", "PSTRESS", "ML_LMLFF"), "a label is a single point"
    ),
    **dict.fromkeys(("ISTART", "LWAVE"), "set `reuse_wavefunction`"),
    **dict.fromkeys(("KSPACING", "KGAMMA"), "set `kspacing_per_A`"),
    "ENCUT": "set `encut_eV`",
    "EDIFF": "set `energy_tolerance_eV`",
    "NELM": "set `max_scf_steps`",
    "SIGMA": "set `smearing_eV`",
}
"""Keys that a template may not set, with the reason or the setting to use."""
_OUTPUTS = ("OSZICAR", "OUTCAR", "vasprun.xml")
_ENCUTS_EV = (400.0, 500.0, 600.0, 700.0, 800.0, 900.0)
_PARALLEL = ("NCORE", "NPAR", "KPAR", "NSIM", "LPLANE", "LSCALU", "LSCALAPACK")
"""Keys that leave energies as they are."""


class VaspSettings(DftSettings):
    """VASP 5.4 or later with your own licence and POTCAR files."""

    command: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("vasp_std",),
        description="Command as words, without the MPI launcher, which is the `prefix` of the "
        "pool of workers. `vasp_gam` is faster where `kspacing_per_A` is null.",
    )
    encut_eV: Positive = Field(
        default=650.0, description="Cut-off of the plane waves [eV] (Huang et al. 2021)."
    )
    potcar_dir: FolderPath | None = Field(
        default=None,
        description="Folder that holds the POTCAR files, as VASP's archives unpack or pymatgen "
        "stores them; VASP_PP_PATH or PMG_VASP_PSP_DIR of the environment when absent.",
    )
    potcar_release: Release = Field(
        default="54",
        description="Release of the POTCAR files: picks the folder, such as potpaw_PBE.54, and "
        "goes into the source of the labels. `LDA` needs LDA files, such as potpaw_LDA.54.",
    )
    potcars: dict[Element, str] = Field(
        default_factory=dict,
        description="Name of the POTCAR by element, such as `Li: Li`; those of the Materials "
        "Project when absent (Li_sv, Na_pv, Ge_d, P, S ...).",
    )
    incar: dict[str, IncarValue] = Field(
        default_factory=dict,
        description="Keys of INCAR over those written, such as `NCORE: 4` or `KPAR: 2`.",
    )
    reuse_wavefunction: bool = Field(
        default=True,
        description="Start from the wavefunction of the last frame of the same composition. It "
        "waits in the worker's folder for temporary files, up to some GB.",
    )

    @field_validator("incar")
    @classmethod
    def _only_free_keys(cls, incar: dict[str, IncarValue]) -> dict[str, IncarValue]:
        upper = {key.upper(): value for key, value in incar.items()}
        refused = [f"{key}: {_REFUSED[key]}" for key in upper if key in _REFUSED]
        if refused:
            msg = f"INCAR keys that cannot be set here: {'; '.join(refused)}"
            raise ValueError(msg)
        return upper


class VaspCalculator(DftCalculator[VaspSettings]):
    """Single points by VASP."""

    engine = "VASP"

    def __init__(self, settings: VaspSettings) -> None:
        super().__init__(settings)
        self._wavefunction = Wavefunction()

    def describe(self) -> str:
        """Settings that change energies; VASP's version is known only to VASP."""
        mine = self.settings
        spacing = mine.kspacing_per_A
        potcars = f"POTCAR {family_of(mine.functional)}.{mine.potcar_release}"
        own = ", ".join(mine.potcars[element] for element in sorted(mine.potcars))
        parts = [
            f"VASP {mine.functional}",
            f"ENCUT {mine.encut_eV:g} eV",
            "Gamma" if spacing is None else f"KSPACING {spacing:g} 1/Å",
            f"EDIFF {mine.energy_tolerance_eV:g} eV",
            f"SIGMA {mine.smearing_eV or NARROW_EV:g} eV",
            f"{potcars} with {own}" if own else potcars,
        ]
        kept = {key: mine.incar[key] for key in sorted(mine.incar) if key not in _PARALLEL}
        return ", ".join([*parts, *incar_text(kept).splitlines()])

    def ladder(self) -> Sequence[Rung[VaspSettings]]:
        """As asked, then nearly linear mixing, then two solvers that need no mixing."""
        return [
            Rung(AS_ASKED, self.settings),
            self._rung("slow-mixing", 2, ALGO="Normal", AMIX=0.1, BMIX=0.0001, NELMDL=-10),
            self._rung("all", 2, ALGO="All", TIME=0.2),
            self._rung("damped", 4, ALGO="Damped", TIME=0.1),
        ]

    def _rung(self, name: str, more_steps: int, **incar: IncarValue) -> Rung[VaspSettings]:
        changes = {
            "max_scf_steps": more_steps * self.settings.max_scf_steps,
            "incar": self.settings.incar | incar,
        }
        return Rung(name, self.settings.model_copy(update=changes))

    def compute(self, atoms: Atoms, settings: VaspSettings, job: Job) -> Answer:
        """Write, run and read one single point; see the base class."""
        by_element = np.argsort(atoms.numbers, kind="stable")
        grouped = atoms[by_element]
        mesh = k_mesh(atoms.cell.array, settings.kspacing_per_A)
        reuse = job.reuse and settings.reuse_wavefunction
        likeness = (grouped.numbers.tobytes(), mesh)
        has_start = reuse and self._wavefunction.take(likeness, job.folder)
        wavefunction: dict[str, IncarValue] = {"ISTART": int(has_start), "LWAVE": reuse}
        for name in (LOG, *_OUTPUTS):  # of an attempt that was broken off
            (job.folder / name).unlink(missing_ok=True)
        (job.folder / "POTCAR").write_text(
            potcars_of(settings).read(elements_of(grouped)), encoding="latin-1"
        )
        (job.folder / "INCAR").write_text(incar_text(incar_of(settings) | wavefunction))
        (job.folder / "KPOINTS").write_text(kpoints_text(mesh))
        (job.folder / "POSCAR").write_text(poscar_text(grouped))
        try:
            answer = self._run(grouped, settings, job)
            if reuse:
                self._wavefunction.keep(likeness, job.folder)
        finally:
            (job.folder / WAVECAR).unlink(missing_ok=True)
        forces = np.empty_like(answer.forces)
        forces[by_element] = answer.forces
        return replace(answer, forces=forces, virial=answer.virial if job.virial else None)

    def _run(self, grouped: Atoms, settings: VaspSettings, job: Job) -> Answer:
        """Answer in POSCAR's order."""
        folder, log = job.folder, job.folder / LOG
        try:
            memory = run_dft(settings.command, job, name=self.engine, outputs=_OUTPUTS)
        except LabelError as error:
            _check_log(log, error.returncode, error.log_tail)
            raise
        _check_log(log, 0, read_log_tail(log))  # VASP 5 ends with 0 whatever happened
        try:
            scf = read_scf(
                folder,
                max_steps=settings.max_scf_steps,
                tolerance_eV=settings.energy_tolerance_eV,
            )
            if not scf.is_converged:
                change = max(scf.changes_eV, key=abs)
                tail = f"{scf.steps} steps, the last one changed the energy by {change:.2g} eV"
                raise ScfError(self.engine, 0, str(folder), tail)
            energy, forces, virial = read_vasprun(
                folder / "vasprun.xml", len(grouped), grouped.get_volume()
            )
        except (OSError, ValueError, ParseError) as error:
            tail = f"its output cannot be read: {error}\n{read_log_tail(log)}"
            raise LabelError(self.engine, 0, str(folder), tail) from error
        return Answer(energy, forces, virial, scf_steps=scf.steps, memory_bytes=memory)

    def forget(self) -> None:
        """Drop the wavefunction of the last frame."""
        self._wavefunction.drop()


def _check_log(log: Path, returncode: int, tail: str) -> None:
    """Raise what VASP printed about trouble, its message first."""
    trouble = find_trouble(log)
    if trouble is not None:
        kind = ScfError if trouble.is_scf else LabelError
        text = f"{trouble.message}\n{tail}"
        raise kind(VaspCalculator.engine, returncode, str(log.parent), text)


def incar_of(settings: VaspSettings) -> dict[str, IncarValue]:
    """INCAR of a single point, without what concerns the wavefunction's file."""
    return {
        "PREC": "Accurate",
        "ENCUT": settings.encut_eV,
        "EDIFF": settings.energy_tolerance_eV,
        "NELM": settings.max_scf_steps,
        "ALGO": "Normal",
        "ISMEAR": 0,
        "SIGMA": settings.smearing_eV or NARROW_EV,
        "ISPIN": 1,
        "ISYM": 0,
        "LREAL": False,
        "NSW": 0,
        "IBRION": -1,
        "ISIF": 2,
        "LCHARG": False,
        **_FUNCTIONALS[settings.functional.removesuffix(DISPERSION)],
        **settings.incar,
    }


def potcars_of(settings: VaspSettings) -> PotcarLibrary:
    """POTCAR files that the settings choose."""
    return PotcarLibrary(
        settings.potcar_dir,
        settings.potcar_release,
        settings.functional.removesuffix(DISPERSION),
        settings.potcars,
    )


def _convergence(settings: VaspSettings, cell: NDArray[np.float64]) -> dict[str, Sequence[Any]]:
    """Ladders of cut-off, k-points and, where there is one, smearing."""
    ladders: dict[str, Sequence[Any]] = {
        "encut_eV": sorted({*_ENCUTS_EV, settings.encut_eV}),
        "kspacing_per_A": k_ladder(cell, settings.kspacing_per_A),
    }
    return ladders | smearing_ladder(settings)


def _missing(settings: VaspSettings, elements: tuple[str, ...]) -> list[str]:
    """What VASP needs and does not find here."""
    program = settings.command[0]
    found = missing_dispersion(settings.functional)
    if shutil.which(program) is None:
        found.append(
            f"VASP: command {program!r} is not on the PATH; load its module in the `setup` of "
            "the pool of workers, or set label.calculator.settings.command"
        )
    return found + potcars_of(settings).problems(elements)


VASP = CalculatorKind(
    VaspSettings,
    VaspCalculator,
    "VASP, plane waves and PAW (your own licence and POTCAR files)",
    batch_size=1,
    commands=lambda settings: [list(settings.command)],
    needs=_missing,
    convergence=_convergence,
)
