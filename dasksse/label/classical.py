"""Classical potentials for tests and tutorials."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dasksse.config.schema import Element, Positive, Section
from dasksse.label.contract import AseCalculator, CalculatorKind


class ToySettings(Section):
    """Screened formal charges with short-range repulsion."""

    charges: dict[Element, float] | None = Field(
        default=None, description="Charge [e] per element, over the built-in formal charges."
    )
    radii_A: dict[Element, Positive] | None = Field(
        default=None, description="Ionic radius [Å] per element, over the built-in ones."
    )
    rc_A: Positive = Field(default=6.0, description="Cut-off [Å].")
    screening_per_A: Annotated[float, Field(ge=0.0)] = Field(
        default=0.3, description="Damping of the Coulomb part [1/Å]."
    )


def _make_toy(settings: ToySettings) -> AseCalculator:
    from dasksse.label.toy import ToyIonicCalculator

    calculator = ToyIonicCalculator(**settings.model_dump())
    return _classical(calculator, "toy screened-Coulomb model")


class EmtSettings(Section):
    """Effective-medium theory of ASE; it has no settings."""


def _make_emt(settings: EmtSettings) -> AseCalculator:  # noqa: ARG001 (one signature for all)
    from ase.calculators.emt import EMT

    return _classical(EMT(), "ASE effective-medium theory")


class LjSettings(Section):
    """Lennard-Jones potential, one kind of atom, smoothed to zero at the cut-off."""

    epsilon_eV: Positive = Field(default=0.0104, description="Well depth [eV]; argon.")
    sigma_A: Positive = Field(default=3.4, description="Distance of zero energy [Å]; argon.")
    rc_A: Positive = Field(default=8.5, description="Cut-off [Å].")


def _make_lj(settings: LjSettings) -> AseCalculator:
    from ase.calculators.lj import LennardJones

    calculator = LennardJones(
        epsilon=settings.epsilon_eV, sigma=settings.sigma_A, rc=settings.rc_A, smooth=True
    )
    return _classical(calculator, "ASE Lennard-Jones")


def _classical(calculator: Any, name: str) -> AseCalculator:  # noqa: ANN401 (ASE is untyped)
    return AseCalculator(
        calculator=calculator,
        source=name,
        functional="none (classical)",
        is_surrogate=True,
        gives_virial=True,
    )


CLASSICAL = {
    "toy": CalculatorKind(
        ToySettings,
        _make_toy,
        "screened formal charges, for tests only",
        lambda _, atoms: 3e-5 * atoms,
        convergence=lambda _settings, _cell: {"rc_A": (4.0, 6.0, 8.0, 10.0, 12.0)},
    ),
    "emt": CalculatorKind(
        EmtSettings,
        _make_emt,
        "effective-medium theory of fcc metals, for tests",
        lambda _, atoms: 5e-4 * atoms,
    ),
    "lj": CalculatorKind(
        LjSettings,
        _make_lj,
        "Lennard-Jones, one kind of atom, for tests",
        lambda _, atoms: 5e-4 * atoms,
    ),
}
