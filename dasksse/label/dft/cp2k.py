"""CP2K: Gaussians and plane waves, in a resident cp2k_shell or as one process per frame."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dasksse.errors import ConfigError, LabelError
from dasksse.label.contract import Answer, CalculatorKind
from dasksse.label.dft.base import AS_ASKED, DftCalculator, Rung
from dasksse.label.dft.cp2k_data import family, find_kinds, installation
from dasksse.label.dft.cp2k_input import frame_free_input, with_frame
from dasksse.label.dft.cp2k_output import (
    ABORT,
    NAME,
    check_converged,
    check_ranks,
    explain,
    read_output,
    scf_steps,
)
from dasksse.label.dft.cp2k_sections import parse_input
from dasksse.label.dft.cp2k_settings import Cp2kSettings
from dasksse.label.dft.cp2k_shell import close_shell, evaluate
from dasksse.label.dft.dispersion import missing_dispersion
from dasksse.label.dft.program import LOG, run_dft
from dasksse.label.dft.settings import k_ladder, smearing_ladder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.label.dft.base import Job

INPUT = "label.inp"
_INSTALL = (
    "apt-get install cp2k cp2k-data, conda install -c conda-forge cp2k, or load its module"
)
_CUTOFFS_RY = (300.0, 350.0, 400.0, 450.0, 500.0, 600.0, 700.0)
_REL_CUTOFFS_RY = (300.0, 350.0, 400.0, 450.0, 500.0, 600.0, 700.0)
_BASES = ("SZV", "DZVP", "TZVP", "TZV2P")
_BY_LIBXC = ("SCAN", "r2SCAN")

_SLOW_MIXING = """
&FORCE_EVAL
  &DFT
    &SCF
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA 0.1
        NBROYDEN 16
      &END
    &END
  &END
&END
"""
_PULAY = _SLOW_MIXING.replace("BROYDEN_MIXING", "PULAY_MIXING")


class Cp2kCalculator(DftCalculator[Cp2kSettings]):
    """Single points by CP2K, in the shell that all calculators of this process share."""

    engine = NAME

    def describe(self) -> str:
        """Program, and the settings that change energies."""
        mine = self.settings
        spacing = mine.kspacing_per_A
        parts = [
            " ".join(filter(None, (NAME, installation(mine.command).version, mine.functional))),
            f"{mine.basis}-MOLOPT, {family(mine.functional, mine.basis).potential}",
            f"{mine.cutoff_Ry:g} Ry, relative {mine.rel_cutoff_Ry:g} Ry",
            "Gamma" if spacing is None else f"k-spacing {spacing:g} 1/Å",
            f"Fermi-Dirac {mine.smearing_eV:g} eV" if mine.smearing_eV else "fixed occupations",
            f"SCF {mine.energy_tolerance_eV:g} eV",
        ]
        if mine.data_dir is not None:
            parts.append(f"data {mine.data_dir}")
        if mine.input:
            parts.append(" ".join(parse_input(mine.input).text().split()))
        return ", ".join(parts)

    def ladder(self) -> Sequence[Rung[Cp2kSettings]]:
        """As asked, then slow mixing, then another mixing; diagonalisation after OT."""
        solver = {"solver": "diagonalization"}
        return [
            Rung(AS_ASKED, self.settings),
            Rung("slow-mixing", self._with_input(_SLOW_MIXING, 2).model_copy(update=solver)),
            Rung("pulay-mixing", self._with_input(_PULAY, 4).model_copy(update=solver)),
        ]

    def _with_input(self, changes: str, more_steps: int) -> Cp2kSettings:
        update = {
            "input": f"{self.settings.input}\n{changes}",
            "max_scf_steps": more_steps * self.settings.max_scf_steps,
        }
        return self.settings.model_copy(update=update)

    def compute(self, atoms: Atoms, settings: Cp2kSettings, job: Job) -> Answer:
        """Compute one frame the way the settings ask for; see the base class."""
        kinds = find_kinds(settings, atoms.get_chemical_symbols())
        frame_free = frame_free_input(settings, atoms, kinds, virial=job.virial)
        whole = with_frame(frame_free, atoms)
        log = job.folder / LOG
        log.unlink(missing_ok=True)  # of an attempt that was broken off
        (job.folder / INPUT).write_text(whole)
        try:
            if settings.mode == "shell":
                command = (*settings.command, "-s")
                memory, results = evaluate(command, frame_free.text(), whole, atoms, job)
            else:
                memory = _run(settings, job)
                text = log.read_text(errors="replace")
                results = read_output(text, len(atoms), job.folder, virial=job.virial)
        except LabelError:
            _check_log(log, job)  # since 2024, CP2K stops when it does not converge
            raise
        steps = _check_log(log, job)
        return replace(results.answer(atoms.get_volume()), scf_steps=steps, memory_bytes=memory)

    def forget(self) -> None:
        """End the shell: nothing of the last frame is left."""
        close_shell()


def _check_log(log: Path, job: Job) -> int:
    """Steps to self-consistency.

    Raises
    ------
    ScfError
        It was not reached.
    ConfigError
        The ranks of the job do not work together.
    """
    text = log.read_text(errors="replace") if log.exists() else ""
    check_ranks(text, job.workplace.prefix)
    check_converged(text, log.parent)
    return scf_steps(text)


def _run(settings: Cp2kSettings, job: Job) -> float | None:
    """Run CP2K on the input of a frame; its largest memory [bytes].

    Raises
    ------
    LabelError
        With CP2K's own message where it stopped itself.
    """
    try:
        return run_dft((*settings.command, "-i", INPUT), job, name=NAME)
    except LabelError as error:
        text = (job.folder / LOG).read_text(errors="replace")
        if ABORT not in text:  # ended from outside
            raise
        raise LabelError(NAME, error.returncode, str(job.folder), explain(text)) from error


def _missing(settings: Cp2kSettings, elements: tuple[str, ...]) -> list[str]:
    """What CP2K needs and does not find here."""
    program = settings.command[0]
    if shutil.which(program) is None:
        return [f"CP2K: {program}: not found in PATH; {_INSTALL}, or set `command`"]
    missing = missing_dispersion(settings.functional)
    if settings.functional in _BY_LIBXC and "libxc" not in installation(settings.command).flags:
        missing.append(f"CP2K: {program} was built without libxc: no {settings.functional}")
    try:
        find_kinds(settings, elements)
    except ConfigError as error:
        missing.append(str(error))
    return missing


def _convergence(settings: Cp2kSettings, cell: NDArray[np.float64]) -> dict[str, Sequence[Any]]:
    """Ladders of both cut-offs, the basis, k-points and, where there is one, smearing."""
    ladders: dict[str, Sequence[Any]] = {
        "cutoff_Ry": sorted({*_CUTOFFS_RY, settings.cutoff_Ry}),
        "rel_cutoff_Ry": sorted({*_REL_CUTOFFS_RY, settings.rel_cutoff_Ry}),
        "basis": _BASES,
    }
    if settings.solver != "ot":  # which has Gamma alone
        ladders["kspacing_per_A"] = k_ladder(cell, settings.kspacing_per_A)
    return ladders | smearing_ladder(settings)


def _seconds(settings: Cp2kSettings, n_atoms: int) -> float:
    """Rough time of a label, from 16 atoms of Li3PS4 and 50 of Li10GeP2S12 with DZVP.

    The factors of the other basis sets are guesses.
    """
    # most of it is spent on the grids, hardly more for several k-points than for Gamma
    factor = settings.cutoff_Ry / 500.0 * (1.0 if settings.kspacing_per_A is None else 1.4)
    factor *= {"SZV": 0.6, "DZVP": 1.0, "TZVP": 1.5, "TZV2P": 2.5}[settings.basis]
    factor *= 3.0 if settings.functional in _BY_LIBXC else 1.0
    return 4.0 * n_atoms * factor + 50.0 * (n_atoms / 100.0) ** 3


CP2K = CalculatorKind(
    Cp2kSettings,
    Cp2kCalculator,
    "CP2K, Gaussians and plane waves, in a resident cp2k_shell that keeps the wavefunction",
    seconds_per_frame=_seconds,
    batch_size=1,
    commands=lambda settings: [[*settings.command]],
    needs=_missing,
    convergence=_convergence,
)
