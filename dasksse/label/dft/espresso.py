"""Quantum ESPRESSO: pw.x, one process per single point, with the user's pseudopotentials."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from dasksse.config.schema import Positive, Share
from dasksse.errors import LabelError
from dasksse.label.contract import Answer, CalculatorKind
from dasksse.label.dft.base import AS_ASKED, DftCalculator, Rung
from dasksse.label.dft.dispersion import missing_dispersion
from dasksse.label.dft.espresso_files import (
    INPUT,
    PROGRAM,
    SCRATCH,
    Namelist,
    Value,
    explain,
    read_output,
    write_input,
)
from dasksse.label.dft.program import LOG, run_dft
from dasksse.label.dft.settings import k_ladder, smearing_ladder
from dasksse.label.dft.upf import UpfSettings, check_upf, missing_upfs, pseudopotentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.label.dft.base import Job

CUTOFFS_RY = (40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 120.0)
"""Cut-offs of the wavefunctions to choose from [Ry]."""

_OURS = {
    "control": {"calculation", "outdir", "prefix", "pseudo_dir", "tprnfor", "tstress"},
    "system": {"ibrav", "nat", "ntyp", "input_dft"},
}
"""Keys that the rest of dasksse depends on."""


def _check_namelists(namelists: Any) -> Any:  # noqa: ANN401 - checked by its type afterwards
    """Names in lower case, and none that the rest depends on."""
    if not isinstance(namelists, dict):
        return namelists
    lowered = {}
    for name, values in namelists.items():
        if not isinstance(values, dict):
            return namelists
        lowered[str(name).lower()] = {str(key).lower(): x for key, x in values.items()}
    for name, keys in _OURS.items():
        ours = sorted(keys & lowered.get(name, {}).keys())
        if ours:
            msg = (
                f"&{name}: {', '.join(ours)}: set by dasksse; the functional is chosen by "
                "`functional`, the rest must stay as it is for the output to be read"
            )
            raise ValueError(msg)
    return lowered


class EspressoSettings(UpfSettings):
    """Quantum ESPRESSO's pw.x with your own pseudopotentials (UPF)."""

    command: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("pw.x",),
        description="Command as words, without the MPI launcher, which is the `prefix` of the "
        "pool of workers; `-in FILE` is added.",
    )
    ecutwfc_Ry: Positive = Field(
        default=80.0, description="Cut-off of the wavefunctions [Ry]; converge it."
    )
    ecutrho_Ry: Positive | None = Field(
        default=None,
        description="Cut-off of the density [Ry]; when absent 4 times `ecutwfc_Ry`, or 8 times "
        "where a pseudopotential of the frame is not norm-conserving.",
    )
    mixing_beta: Share = Field(default=0.7, description="Share of the new density in mixing.")
    namelists: Annotated[
        dict[Namelist, dict[str, Value]], BeforeValidator(_check_namelists)
    ] = Field(
        default_factory=dict,
        description="pw.x's own keys by namelist, merged over those written; species count in "
        "alphabetical order.",
    )
    cards: str = Field(
        default="", description="Further cards of pw.x, such as HUBBARD, put at the end."
    )


class EspressoCalculator(DftCalculator[EspressoSettings]):
    """Single points by pw.x."""

    engine = PROGRAM

    def describe(self) -> str:
        """Cut-offs, spacing of k-points, pseudopotentials with digest, the user's keys."""
        mine = self.settings
        rho, spacing = mine.ecutrho_Ry, mine.kspacing_per_A
        parts = [
            f"Quantum ESPRESSO {mine.functional}",
            f"ecutwfc {mine.ecutwfc_Ry:g} Ry",
            "ecutrho by pseudopotential" if rho is None else f"ecutrho {rho:g} Ry",
            "Gamma" if spacing is None else f"k-spacing {spacing:g} 1/Å",
            f"smearing {mine.smearing_eV:g} eV",
            f"UPF {pseudopotentials(mine).fingerprint()}",
        ]
        if mine.namelists:
            parts.append(json.dumps(mine.namelists, sort_keys=True))
        if mine.cards:
            parts.append(" ".join(mine.cards.split()))
        return ", ".join(parts)

    def ladder(self) -> Sequence[Rung[EspressoSettings]]:
        """Less mixing, local Thomas-Fermi screening, conjugate gradients; always more steps."""
        beta = self.settings.mixing_beta
        gentle: dict[str, Value] = {"mixing_beta": min(0.3, beta / 2), "mixing_ndim": 12}
        screened = gentle | {"mixing_mode": "local-TF"}
        other = screened | {"mixing_beta": min(0.1, beta / 4), "diagonalization": "cg"}
        return [
            Rung(AS_ASKED, self.settings),
            Rung("gentle-mixing", self._with_electrons(gentle, 2)),
            Rung("local-TF", self._with_electrons(screened, 2)),
            Rung("conjugate-gradients", self._with_electrons(other, 3)),
        ]

    def _with_electrons(self, changes: Mapping[str, Value], more: int) -> EspressoSettings:
        """Settings with other keys of &ELECTRONS, which go before the user's own."""
        electrons = {
            **self.settings.namelists.get("electrons", {}),
            **changes,
            "electron_maxstep": more * self.settings.max_scf_steps,
        }
        namelists = {**self.settings.namelists, "electrons": electrons}
        return self.settings.model_copy(update={"namelists": namelists})

    def compute(self, atoms: Atoms, settings: EspressoSettings, job: Job) -> Answer:
        """Write the input, run pw.x, read what it printed."""
        elements = sorted(set(atoms.get_chemical_symbols()))
        upfs = {element: check_upf(settings, element) for element in elements}
        files = pseudopotentials(settings).link(elements, job.folder)
        (job.folder / INPUT).write_text(
            write_input(atoms, settings, upfs, files, stress=job.virial)
        )
        (job.folder / LOG).unlink(missing_ok=True)  # of an attempt that was broken off
        try:
            memory = run_dft([*settings.command, "-in", INPUT], job, name=PROGRAM)
        except LabelError as error:
            raise explain(error) from error
        finally:
            shutil.rmtree(job.folder / SCRATCH, ignore_errors=True)
        answer = read_output(job.folder, atoms, virial=job.virial)
        return replace(answer, memory_bytes=memory)


def _needs(settings: EspressoSettings, elements: tuple[str, ...]) -> list[str]:
    missing = missing_dispersion(settings.functional) + missing_upfs(settings, elements)
    program = settings.command[0]
    if shutil.which(program) is None:
        fix = (
            f"{program}: not found in PATH; install Quantum ESPRESSO, load its module in the "
            "job script, or give its path in label.calculator.settings.command"
        )
        return [fix, *missing]
    return missing


def _convergence(
    settings: EspressoSettings, cell: NDArray[np.float64]
) -> dict[str, Sequence[float | None]]:
    """Ladders of cut-off, k-points and, where there is one, smearing."""
    cutoffs = {*CUTOFFS_RY, settings.ecutwfc_Ry}
    if settings.ecutrho_Ry is not None:  # pw.x needs four times the cut-off at least
        cutoffs = {cutoff for cutoff in cutoffs if 4.0 * cutoff <= settings.ecutrho_Ry}
    return {
        "ecutwfc_Ry": sorted(cutoffs),
        "kspacing_per_A": k_ladder(cell, settings.kspacing_per_A),
        **smearing_ladder(settings),
    }


ESPRESSO = CalculatorKind(
    EspressoSettings,
    EspressoCalculator,
    "Quantum ESPRESSO (pw.x) with your own UPF pseudopotentials",
    batch_size=1,
    commands=lambda settings: [[*settings.command, "-in", INPUT]],
    needs=_needs,
    convergence=_convergence,
)
