"""Studies on copper: a made-up DFT code whose errors are known, and a session of its own."""

from __future__ import annotations

import time
from io import StringIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import yaml
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from fake_runs import InProcess
from rich.console import Console

from dasksse.config.load import load_config
from dasksse.errors import ConfigError, ScfError
from dasksse.label import Answer, CalculatorKind, LabelCalculator
from dasksse.label.dft.settings import DftSettings
from dasksse.loop.display import Display
from dasksse.study import open_study, run_study
from dasksse.units import virial_from_stress

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms

    from dasksse.label import Place
    from dasksse.records import Unit
    from dasksse.study import Study

CUTOFFS = (100.0, 200.0, 300.0, 400.0, 500.0)
BASES = ("SZV", "DZVP", "TZVP")
SCALES = {"PBE": 1.02, "PBEsol": 1.0}
"""Lattice constants of the functionals over that of effective-medium theory."""

CONFIG = """\
# copper, and nothing but copper
name: copper
type_map: [Cu]
mobile_species: Cu
systems:
  - {name: cu, structure: cu.cif}  # the crystal
label:
  # labels are made up
  calculator:
    kind: made-up
    settings:
      cutoff_Ry: 300.0  # to be tested
explore:
  schedule:
    - {systems: [cu], ensemble: nvt, temperatures_K: [300], lengths_ps: [1.0]}
engine: {kind: serial}
"""


class MadeUpSettings(DftSettings):
    """Two settings with known errors, and the functional."""

    cutoff_Ry: float = 300.0
    basis: Literal["SZV", "DZVP", "TZVP"] = "TZVP"


def force_error_eV_A(settings: MadeUpSettings) -> float:
    """Size of the error of forces: 1 eV/Å at 100 Ry, a tenth of it every 100 Ry."""
    of_basis = {"SZV": 0.3, "DZVP": 0.002, "TZVP": 0.0}
    return 10.0 ** (1.0 - settings.cutoff_Ry / 100.0) + of_basis[settings.basis]


def cost_s(settings: MadeUpSettings) -> float:
    """Time of a single point, as the clock shows it."""
    return settings.cutoff_Ry / 100.0 + BASES.index(settings.basis)


class Clock:
    """Stands before the module time: it goes on when the made-up code computes."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


CLOCK = Clock()


class MadeUpDft(LabelCalculator):
    """Effective-medium theory of scaled lattices, with errors by setting."""

    is_surrogate = False
    gives_virial = True

    def __init__(self, settings: MadeUpSettings) -> None:
        self.settings = settings
        self.functional = settings.functional
        self.source = f"made up, {settings.cutoff_Ry:g} Ry, {settings.basis}"

    def single_point(self, atoms: Atoms, place: Place, *, virial: bool = True) -> Answer:
        CALLS.append(self.settings)
        CLOCK.now_s += cost_s(self.settings)
        if self.settings.basis in MISSING:
            msg = f"no basis {self.settings.basis} for Cu; allowed: SZV"
            raise ConfigError(msg)
        if self.settings in FAILING:
            raise ScfError("made up", 1, "", "not self-consistent, tried all")
        scale = SCALES[self.settings.functional]
        small = atoms.copy()
        small.set_cell(small.cell.array / scale, scale_atoms=True)
        small.calc = EMT()
        error = force_error_eV_A(self.settings)
        pattern = np.zeros((len(atoms), 3))
        pattern[0, 0], pattern[1, 0] = error, -error
        return Answer(
            energy=float(small.get_potential_energy()) + 2.0 * error,  # the same for all frames
            forces=small.get_forces() / scale + pattern,
            virial=virial_from_stress(small.get_stress(), small.get_volume()),
        )


CALLS: list[MadeUpSettings] = []
"""Settings of every single point since the list was cleared."""

FAILING: list[MadeUpSettings] = []
"""Settings that do not become self-consistent."""

MISSING: list[str] = []
"""Basis sets that copper lacks."""

MADE_UP = CalculatorKind(
    MadeUpSettings,
    MadeUpDft,
    "made up",
    convergence=lambda _settings, _cell: {
        "cutoff_Ry": CUTOFFS,
        "basis": BASES,
    },
)


class SlowEMT(EMT):  # type: ignore[misc]
    """Slow enough to be killed in the middle."""

    def calculate(self, *arguments: Any, **options: Any) -> None:
        time.sleep(0.1)
        super().calculate(*arguments, **options)


class SlowPairs(LennardJones):  # type: ignore[misc]
    """Pairs of copper atoms up to a cut-off, slow enough to be killed in the middle."""

    def __init__(self, rc: float) -> None:
        super().__init__(sigma=2.3, epsilon=0.1, rc=rc)

    def calculate(self, *arguments: Any, **options: Any) -> None:
        time.sleep(0.3)
        super().calculate(*arguments, **options)


def write_copper(folder: Path, *, a: float = 3.75, text: str = CONFIG, **changes: Any) -> Path:
    """Write a configuration and its crystal; keys by path, as ``systems__0__name``."""
    bulk("Cu", a=a, cubic=True).write(folder / "cu.cif")
    path = folder / "config.yaml"
    if changes:
        values = yaml.safe_load(text)
        for key, value in changes.items():
            section: Any = values
            *parents, last = key.split("__")
            for parent in parents:
                section = section[int(parent)] if isinstance(section, list) else section[parent]
            section[last] = value
        text = yaml.safe_dump(values)
    path.write_text(text)
    return path


class Counting(InProcess):
    """Counts the units of each kind; the user interrupts after some of them."""

    def __init__(self, run_dir: Path, *, interrupted_after: int | None = None) -> None:
        super().__init__(run_dir, slots=1)
        self._left = interrupted_after

    def kinds(self) -> dict[str, int]:
        names = [unit.kind for unit in self.submitted]
        return {name: names.count(name) for name in names}

    def submit(self, unit: Unit) -> None:
        if self._left is not None:
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
        super().submit(unit)


def session(
    study: Study, config: Path, root: Path, *, interrupted_after: int | None = None
) -> Counting:
    """One session of a study, as the command line runs it; its runner."""
    folder = open_study(root, study.name)
    runner = Counting(root, interrupted_after=interrupted_after)
    console = Console(file=StringIO(), width=200)
    run_study(
        study,
        load_config(config),
        folder,
        start_runner=lambda: runner,
        display=Display(folder, console, estimate=None, slots=1),
    )
    return runner
