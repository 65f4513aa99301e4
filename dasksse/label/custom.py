"""Any other ASE calculator, made by a function of the user's."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

from pydantic import Field

from dasksse.config.schema import Section
from dasksse.errors import ConfigError
from dasksse.label.contract import AseCalculator, CalculatorKind
from dasksse.records import content_key

FactoryPath = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*[:.][A-Za-z_]\w*$")]


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


def _make_python(settings: PythonSettings) -> AseCalculator:
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
    return AseCalculator(
        calculator=calculator,
        source=_source(settings),
        functional=settings.functional,
        is_surrogate=settings.is_surrogate,
        gives_virial="stress" in getattr(calculator, "implemented_properties", ()),
    )


def _source(settings: PythonSettings) -> str:
    """Name of the factory, and of its settings: with other settings, labels differ."""
    if not settings.settings:
        return settings.factory
    return f"{settings.factory} (settings {content_key(settings.settings)[:8]})"


CUSTOM = {
    "python": CalculatorKind(
        PythonSettings, _make_python, "an ASE calculator made by your own function, such as DFT"
    ),
}
