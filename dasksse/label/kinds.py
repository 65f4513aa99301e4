"""Which calculators there are: settings, how each is made, and what its labels are worth."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import os
import threading
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from dasksse.config.schema import Element, Positive, Section
from dasksse.errors import ConfigError, ProgramMissingError
from dasksse.process import NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Device = Annotated[str, Field(pattern=r"^(cpu|auto|cuda(:\d+)?)$")]
FactoryPath = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*[:.][A-Za-z_]\w*$")]


@dataclass(frozen=True)
class LabelCalculator:
    """A loaded calculator and the provenance its labels carry.

    Attributes
    ----------
    calculator
        ASE calculator. It holds state, so use it under ``lock``.
    source
        Name, model and version, as labels record it.
    functional
        Exchange-correlation functional it computes or was trained on.
    is_surrogate
        True when it is a model of DFT and not DFT itself.
    gives_virial
        True when it gives a stress that can be trusted.
    lock
        Held while the calculator runs: one calculator serves all threads of a process.
    """

    calculator: Any
    source: str
    functional: str
    is_surrogate: bool
    gives_virial: bool
    lock: contextlib.AbstractContextManager[Any] = field(
        default_factory=threading.RLock, repr=False, compare=False
    )


@dataclass(frozen=True)
class CalculatorKind:
    """An entry of the registry.

    Attributes
    ----------
    settings_model
        Section that checks the settings of this kind.
    make
        Builds the calculator from checked settings; slow imports happen here.
    summary
        One line for the user.
    seconds_per_atom
        Rough cost of a single point on one busy core [s per atom] from checked settings; None
        where it cannot be known.
    """

    settings_model: type[Section]
    make: Callable[[Any], LabelCalculator]
    summary: str
    seconds_per_atom: Callable[[Any], float | None] = lambda _: None


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep warnings and greetings of machine-learning packages off the screen."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _from_extra(name: str) -> Iterator[None]:
    """Say which optional dependency to install when what it brings cannot be imported."""
    try:
        yield
    except ImportError as error:
        fix = f'pip install "dasksse[{name}]" ({error})'
        raise ProgramMissingError(name, NOT_FOUND, "", fix) from error


def _limit_torch_threads() -> None:
    import torch

    # torch would otherwise take every core of the machine in every worker
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1").split(",")[0]))


def _usable_device(asked: str) -> str:
    """Torch device to run on; ``auto`` takes a GPU when there is one."""
    import torch

    has_gpu = torch.cuda.is_available()
    if asked == "auto":
        return "cuda" if has_gpu else "cpu"
    if asked.startswith("cuda") and not has_gpu:
        msg = (
            f"label.calculator.settings.device: found {asked!r}, but torch sees no GPU on this "
            "machine; use 'cpu', or 'auto' to take a GPU where there is one"
        )
        raise ConfigError(msg)
    return asked


# --- surrogates of DFT -----------------------------------------------------------------------


class SevenNetSettings(Section):
    """SevenNet models whose weights come in the wheel."""

    model: Literal["7net-l3i5", "7net-0", "7net-mf-0"] = Field(
        default="7net-l3i5",
        description="`7net-l3i5`: most accurate; `7net-0`: a third of its time; `7net-mf-0`: "
        "as fast, two functionals.",
    )
    modal: Literal["PBE", "R2SCAN"] | None = Field(
        default=None,
        description="Functional of `7net-mf-0`, PBE when absent; the other models have none.",
    )
    device: Device = Field(default="cpu", description="`cpu`, `cuda`, `cuda:N` or `auto`.")

    @model_validator(mode="after")
    def _modal_only_where_known(self) -> Self:
        if self.modal is not None and self.model != "7net-mf-0":
            msg = (
                f"modal {self.modal!r} is only for model 7net-mf-0, not for {self.model} "
                "(trained on PBE); remove modal or change model"
            )
            raise ValueError(msg)
        return self


def _make_sevennet(settings: SevenNetSettings) -> LabelCalculator:
    with _without_chatter():
        with _from_extra("sevennet"):
            from sevenn.calculator import SevenNetCalculator
        _limit_torch_threads()
        modal = (settings.modal or "PBE") if settings.model == "7net-mf-0" else None
        calculator = SevenNetCalculator(
            settings.model, device=_usable_device(settings.device), modal=modal
        )
    version = importlib.metadata.version("sevenn")
    name = f"{settings.model} {modal}" if modal else settings.model
    return LabelCalculator(
        calculator=calculator,
        source=f"SevenNet {name} (sevenn {version})",
        functional="r2SCAN" if modal == "R2SCAN" else "PBE",
        is_surrogate=True,
        gives_virial=True,
    )


_SEVENNET_SECONDS_50_ATOMS = {"7net-l3i5": 2.8, "7net-0": 1.2, "7net-mf-0": 1.0}


class ChgnetSettings(Section):
    """CHGNet models whose weights come in the wheel."""

    model: Literal["0.3.0", "0.2.0", "r2scan"] = Field(
        default="0.3.0", description="Version of the pretrained model."
    )
    device: Device = Field(default="cpu", description="`cpu`, `cuda`, `cuda:N` or `auto`.")


def _make_chgnet(settings: ChgnetSettings) -> LabelCalculator:
    with _without_chatter():
        with _from_extra("chgnet"):
            from chgnet.model.dynamics import CHGNetCalculator
            from chgnet.model.model import CHGNet
        _limit_torch_threads()
        device = _usable_device(settings.device)
        model = CHGNet.load(model_name=settings.model, use_device=device)
        # a far-off configuration has isolated atoms: no reason to print, its forces tell
        calculator = CHGNetCalculator(model, use_device=device, on_isolated_atoms="ignore")
    version = importlib.metadata.version("chgnet")
    return LabelCalculator(
        calculator=calculator,
        source=f"CHGNet {settings.model} (chgnet {version})",
        functional="r2SCAN" if settings.model == "r2scan" else "PBE",
        is_surrogate=True,
        gives_virial=True,
    )


# --- classical potentials for tests and tutorials --------------------------------------------


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


def _make_toy(settings: ToySettings) -> LabelCalculator:
    from dasksse.label.toy import ToyIonicCalculator

    calculator = ToyIonicCalculator(**settings.model_dump())
    return _classical(calculator, "toy screened-Coulomb model")


class EmtSettings(Section):
    """Effective-medium theory of ASE; it has no settings."""


def _make_emt(settings: EmtSettings) -> LabelCalculator:  # noqa: ARG001 (one signature for all)
    from ase.calculators.emt import EMT

    return _classical(EMT(), "ASE effective-medium theory")


class LjSettings(Section):
    """Lennard-Jones potential, one kind of atom, smoothed to zero at the cut-off."""

    epsilon_eV: Positive = Field(default=0.0104, description="Well depth [eV]; argon.")
    sigma_A: Positive = Field(default=3.4, description="Distance of zero energy [Å]; argon.")
    rc_A: Positive = Field(default=8.5, description="Cut-off [Å].")


def _make_lj(settings: LjSettings) -> LabelCalculator:
    from ase.calculators.lj import LennardJones

    calculator = LennardJones(
        epsilon=settings.epsilon_eV, sigma=settings.sigma_A, rc=settings.rc_A, smooth=True
    )
    return _classical(calculator, "ASE Lennard-Jones")


def _classical(calculator: Any, name: str) -> LabelCalculator:  # noqa: ANN401 (ASE is untyped)
    return LabelCalculator(
        calculator=calculator,
        source=name,
        functional="none (classical)",
        is_surrogate=True,
        gives_virial=True,
    )


# --- anything else ---------------------------------------------------------------------------


class PythonSettings(Section):
    """Any ASE calculator: a DFT code, or a model of one's own."""

    factory: FactoryPath = Field(
        description="`package.module:name` of a callable that returns an ASE calculator."
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments of the factory."
    )
    functional: str = Field(
        default="unknown", description="Functional, as the labels shall state it."
    )
    is_surrogate: bool = Field(
        default=True, description="False only when this computes DFT itself."
    )


def _make_python(settings: PythonSettings) -> LabelCalculator:
    where = "label.calculator.settings.factory"
    module_name, _, name = settings.factory.replace(":", ".").rpartition(".")
    try:
        factory = getattr(importlib.import_module(module_name), name)
    except ImportError as error:
        msg = (
            f"{where}: cannot import {module_name!r} of {settings.factory!r} ({error}); "
            "install it or set PYTHONPATH on the machines that label"
        )
        raise ConfigError(msg) from error
    except AttributeError as error:
        msg = f"{where}: {module_name!r} has no {name!r}"
        raise ConfigError(msg) from error
    try:
        calculator = factory(**settings.settings)
    except TypeError as error:
        msg = f"{where}: {settings.factory!r} refuses settings {settings.settings}: {error}"
        raise ConfigError(msg) from error
    if not hasattr(calculator, "get_forces"):
        msg = (
            f"{where}: {settings.factory!r} returned a {type(calculator).__name__}, "
            "not an ASE calculator"
        )
        raise ConfigError(msg)
    return LabelCalculator(
        calculator=calculator,
        source=settings.factory,
        functional=settings.functional,
        is_surrogate=settings.is_surrogate,
        gives_virial="stress" in getattr(calculator, "implemented_properties", ()),
    )


CALCULATOR_KINDS: dict[str, CalculatorKind] = {
    "sevennet": CalculatorKind(
        SevenNetSettings,
        _make_sevennet,
        "SevenNet graph network, a surrogate trained on PBE",
        lambda settings: _SEVENNET_SECONDS_50_ATOMS[settings.model] / 50,
    ),
    "chgnet": CalculatorKind(
        ChgnetSettings,
        _make_chgnet,
        "CHGNet graph network, a faster surrogate whose forces are too soft",
        lambda _: 0.2 / 50,
    ),
    "toy": CalculatorKind(
        ToySettings, _make_toy, "screened formal charges, for tests only", lambda _: 3e-5
    ),
    "emt": CalculatorKind(
        EmtSettings,
        _make_emt,
        "effective-medium theory of fcc metals, for tests",
        lambda _: 5e-4,
    ),
    "lj": CalculatorKind(
        LjSettings, _make_lj, "Lennard-Jones, one kind of atom, for tests", lambda _: 5e-4
    ),
    "python": CalculatorKind(
        PythonSettings, _make_python, "an ASE calculator made by your own function, such as DFT"
    ),
}
"""The registry: adding a calculator is adding an entry."""
