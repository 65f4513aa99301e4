"""GPAW with plane waves, in a child that stays alive and keeps the last wavefunction."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, field_validator

from dasksse.config.schema import Positive
from dasksse.errors import ExternalProgramError, LabelError, ProgramMissingError, ScfError
from dasksse.label.contract import Answer, CalculatorKind
from dasksse.label.dft.base import AS_ASKED, DftCalculator, Rung
from dasksse.label.dft.dispersion import missing_dispersion
from dasksse.label.dft.gpaw_child import LOG
from dasksse.label.dft.gpaw_client import COMMAND, NAME, ask, close_child
from dasksse.label.dft.settings import (
    DftSettings,
    Functional,
    k_ladder,
    k_mesh,
    smearing_ladder,
)
from dasksse.process import NOT_FOUND, read_log_tail
from dasksse.units import virial_from_stress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.label.dft.base import Job

INSTALL = 'pip install "dasksse[gpaw]" (it compiles: see docs/guide/labels.md)'

_XC = {
    "PBE": "PBE",
    "LDA": "LDA",
    "SCAN": "MGGA_X_SCAN+MGGA_C_SCAN",
    "r2SCAN": "MGGA_X_R2SCAN+MGGA_C_R2SCAN",
    "PBE+D3": "PBE",
}
_REFUSED = {
    "mode": "set `ecut_eV`; other modes give no stress",
    "xc": "set `functional`",
    "kpts": "set `kspacing_per_A`",
    "maxiter": "set `max_scf_steps`",
    "symmetry": "frames have none",
    "txt": f"the log is {LOG} in the folder of the frame",
    "communicator": "one process labels a frame",
    "parallel": "one process labels a frame",
}
"""Keywords that a template may not set, with the reason or the setting to use."""
_ECUTS_EV = (300.0, 350.0, 400.0, 500.0, 600.0, 700.0)


class GpawSettings(DftSettings):
    """GPAW 26.7 or later with its own PAW data sets, one process and plane waves."""

    ecut_eV: Positive = Field(default=400.0, description="Cut-off of the plane waves [eV].")
    force_tolerance_eV_A: Positive = Field(
        default=1e-3,
        description="Self-consistent when no force changes by more either [eV/Å].",
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="GPAW's own keywords over those written, such as `mixer: {name: pulay, "
        "beta: 0.05}` or `setups: {Na: '1'}`; mappings are merged key by key.",
    )

    @field_validator("functional")
    @classmethod
    def _has_data_sets(cls, functional: Functional) -> Functional:
        if functional not in _XC:
            msg = (
                f"GPAW has no PAW data sets for it, and those of PBE would change forces by as "
                f"much as the functional does; allowed: {', '.join(_XC)}"
            )
            raise ValueError(msg)
        return functional

    @field_validator("parameters")
    @classmethod
    def _only_free_keywords(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        refused = [f"{key}: {_REFUSED[key]}" for key in parameters if key in _REFUSED]
        if refused:
            msg = f"keywords of GPAW that cannot be set here: {'; '.join(refused)}"
            raise ValueError(msg)
        return parameters


class GpawCalculator(DftCalculator[GpawSettings]):
    """Single points by GPAW in the child that all calculators of this process share."""

    engine = NAME

    def describe(self) -> str:
        """Program, data sets, and the settings that change energies."""
        mine = self.settings
        spacing = mine.kspacing_per_A
        parts = [
            f"GPAW {_version('gpaw')} {mine.functional}",
            f"data sets {_version('gpaw-data')}",
            f"plane waves to {mine.ecut_eV:g} eV",
            "Gamma" if spacing is None else f"k-spacing {spacing:g} 1/Å",
            f"Fermi-Dirac {mine.smearing_eV:g} eV" if mine.smearing_eV else "fixed occupations",
            f"SCF {mine.energy_tolerance_eV:g} eV, {mine.force_tolerance_eV_A:g} eV/Å",
        ]
        if mine.parameters:
            parts.append(json.dumps(mine.parameters, sort_keys=True))
        return ", ".join(parts)

    def ladder(self) -> Sequence[Rung[GpawSettings]]:
        """As asked, then slower mixing, then slow mixing and another eigensolver."""
        slow = {
            "mixer": {"name": "pulay", "beta": 0.02, "nmaxold": 5, "weight": 100.0},
            "convergence": {"density": 1e-5},  # small steps look like convergence
        }
        solver = {"eigensolver": {"name": "rmm-diis"}}
        return [
            Rung(AS_ASKED, self.settings),
            self._rung("slow-mixing", 2, slow),
            self._rung("rmm-diis", 4, slow | solver),
        ]

    def _rung(
        self, name: str, more_steps: int, parameters: dict[str, Any]
    ) -> Rung[GpawSettings]:
        changes = {
            "max_scf_steps": more_steps * self.settings.max_scf_steps,
            "parameters": _merged(self.settings.parameters, parameters),
        }
        return Rung(name, self.settings.model_copy(update=changes))

    def compute(self, atoms: Atoms, settings: GpawSettings, job: Job) -> Answer:
        """Ask the child for one single point; see the base class."""
        request = {
            "numbers": atoms.numbers.tolist(),
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell.array.tolist(),
            "parameters": parameters_of(settings, atoms.cell.array),
            "folder": str(job.folder),
            "virial": job.virial,
            "reuse": job.reuse,
        }
        reply = ask(request, job)
        if not reply["ok"]:
            raise _error_of(reply, job)
        stress = reply["stress"]
        return Answer(
            energy=reply["energy"],
            forces=np.array(reply["forces"]),
            virial=None if stress is None else _virial(stress, atoms),
            scf_steps=reply["steps"],
            memory_bytes=reply["memory_bytes"],
        )

    def forget(self) -> None:
        """End the child: nothing of the last frame is left."""
        close_child()


def _virial(stress: list[float], atoms: Atoms) -> NDArray[np.float64]:
    return virial_from_stress(np.array(stress), atoms.get_volume())


def _error_of(reply: Mapping[str, Any], job: Job) -> ExternalProgramError:
    """Error for a reply that says what failed."""
    text = reply["text"]
    if reply["failure"] == "missing":
        return ProgramMissingError(NAME, NOT_FOUND, "", f"{INSTALL} ({text})")
    kind = ScfError if reply["failure"] == "scf" else LabelError
    tail = f"{text}\n{read_log_tail(job.folder / LOG)}"
    return kind(NAME, 1, str(job.folder), tail)


def parameters_of(settings: GpawSettings, cell: NDArray[np.float64]) -> dict[str, Any]:
    """Keywords of GPAW for a cell, all of them plain data.

    Parameters
    ----------
    settings
        Checked settings.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.
    """
    width = settings.smearing_eV
    ours = {
        "mode": {"name": "pw", "ecut": settings.ecut_eV},
        "xc": _XC[settings.functional],
        "kpts": {"size": list(k_mesh(cell, settings.kspacing_per_A)), "gamma": True},
        "symmetry": {"point_group": False},  # frames have none; k and -k stay equal
        "occupations": (
            {"name": "fermi-dirac", "width": width} if width else {"name": "fixed-uniform"}
        ),
        "convergence": {
            "energy": {
                "name": "energy",
                "tol": settings.energy_tolerance_eV,
                "relative": False,  # GPAW's own is per electron
            },
            "forces": settings.force_tolerance_eV_A,
        },
        "maxiter": settings.max_scf_steps,
    }
    return _merged(ours, settings.parameters)


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Second mapping over the first; a mapping with another name replaces the whole."""
    merged = dict(ours)
    for key, value in theirs.items():
        mine = ours.get(key)
        if (
            isinstance(mine, dict)
            and isinstance(value, dict)
            and value.get("name", mine.get("name")) == mine.get("name")
        ):
            merged[key] = _merged(mine, value)
        else:
            merged[key] = value
    return merged


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise ProgramMissingError(NAME, NOT_FOUND, "", f"{INSTALL} ({error})") from error


def _missing(settings: GpawSettings, elements: tuple[str, ...]) -> list[str]:
    """What GPAW needs and does not find here."""
    if importlib.util.find_spec("gpaw") is None:
        return [f"GPAW: package gpaw is not installed; {INSTALL}"]
    from gpaw import setup_paths

    family = "LDA" if settings.functional == "LDA" else "PBE"
    chosen = settings.parameters.get("setups", {})  # data sets of the user's choice
    if isinstance(chosen, str) or "default" in chosen:
        elements = ()
    return missing_dispersion(settings.functional) + [
        f"GPAW: no PAW data set {element}.{family} in {', '.join(map(str, setup_paths))}; "
        "pip install gpaw-data, or set GPAW_SETUP_PATH"
        for element in elements
        if element not in chosen and not _has_file(setup_paths, f"{element}.{family}")
    ]


def _has_file(folders: Sequence[str | Path], name: str) -> bool:
    return any(Path(folder, name + end).is_file() for folder in folders for end in ("", ".gz"))


def _convergence(settings: GpawSettings, cell: NDArray[np.float64]) -> dict[str, Sequence[Any]]:
    """Ladders of cut-off, k-points and, where there is one, smearing."""
    ladders: dict[str, Sequence[Any]] = {
        "ecut_eV": sorted({*_ECUTS_EV, settings.ecut_eV}),
        "kspacing_per_A": k_ladder(cell, settings.kspacing_per_A),
    }
    return ladders | smearing_ladder(settings)


def _seconds(settings: GpawSettings, n_atoms: int) -> float:
    """Rough time of a label; a crystal of 18 Å³ an atom in a cubic cell is assumed."""
    cell = np.eye(3) * (18.0 * n_atoms) ** (1.0 / 3.0)
    n_kpoints = np.prod(k_mesh(cell, settings.kspacing_per_A))
    # k and -k are one, and the wavefunctions of all but Gamma are complex
    effort = max(1.0, float(n_kpoints))
    return 100.0 * effort * (n_atoms / 50.0) ** 2 * (settings.ecut_eV / 400.0) ** 1.5


GPAW = CalculatorKind(
    GpawSettings,
    GpawCalculator,
    "GPAW, plane waves and PAW, in one process that keeps the last wavefunction",
    seconds_per_frame=_seconds,
    batch_size=1,
    commands=lambda _settings: [list(COMMAND)],
    needs=_missing,
    convergence=_convergence,
)
