"""A small ionic crystal, frames of it, and calculators that misbehave on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes

from dasksse.config.schema import RegistrySection
from dasksse.label import AseCalculator, LabelCalculator, load_calculator
from dasksse.records import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from ase import Atoms


class ScriptedCalculator(Calculator):
    """Gives what its script says for each call in turn, and counts the calls."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, script: list[Any]) -> None:
        super().__init__()
        self.script = script
        self.asked: list[list[str]] = []

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        step = self.script[len(self.asked) % len(self.script)]
        self.asked.append(list(properties))
        if isinstance(step, BaseException):
            raise step
        # like a code that is started anew, it gives what it was asked for and no more
        known = {"energy": -1.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}
        self.results = {name: (known | step)[name] for name in properties}
        self.results |= {name: step[name] for name in step if name == "free_energy"}


@pytest.fixture
def scripted() -> Callable[..., LabelCalculator]:
    """Builds a label calculator from a script of results and exceptions."""

    def build(*script: Any, gives_virial: bool = True) -> LabelCalculator:
        return AseCalculator(
            calculator=ScriptedCalculator(list(script)),
            source="scripted",
            functional="PBE",
            is_surrogate=False,
            gives_virial=gives_virial,
        )

    return build


@pytest.fixture
def toy() -> LabelCalculator:
    return load_calculator(RegistrySection(kind="toy"))


@pytest.fixture
def rock_salt() -> Atoms:
    return bulk("LiCl", "rocksalt", a=5.3, cubic=True)


@pytest.fixture
def frames(rock_salt: Atoms) -> Frames:
    """Four rattled rock salts."""
    rng = np.random.default_rng(7)
    noise = rng.normal(scale=0.05, size=(4, len(rock_salt), 3))
    return Frames(
        rock_salt.numbers, rock_salt.positions + noise, np.stack([rock_salt.cell.array] * 4)
    )
