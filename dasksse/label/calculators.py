"""Calculators by name: check a choice, load it once per process, describe what is allowed."""

from __future__ import annotations

import difflib
import functools
import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dasksse.errors import ConfigError
from dasksse.label.kinds import CALCULATOR_KINDS, CalculatorKind, LabelCalculator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.config.schema import RegistrySection, Section

__all__ = [
    "CALCULATOR_KINDS",
    "CalculatorKind",
    "LabelCalculator",
    "calculator_schema",
    "check_calculator",
    "load_calculator",
    "seconds_per_frame",
]

_WHERE = "label.calculator"
_LOADED_AT_ONCE = 4
"""Models kept in memory by one process; runs use one, comparisons a few."""


def load_calculator(section: RegistrySection) -> LabelCalculator:
    """The calculator a section asks for; the same object on every call in one process.

    Parameters
    ----------
    section
        Kind and settings. ``kind: "python:package.module.name"`` is short for kind ``python``
        with that ``factory``.

    Raises
    ------
    ConfigError
        Unknown kind, settings it does not take, or a factory that cannot be used.
    ProgramMissingError
        The package behind the kind is not installed.
    """
    kind, settings = _resolve(section.kind, section.settings)
    return _load(kind, json.dumps(settings.model_dump(mode="json"), sort_keys=True))


@functools.lru_cache(maxsize=_LOADED_AT_ONCE)
def _load(kind: str, settings_json: str) -> LabelCalculator:
    entry = CALCULATOR_KINDS[kind]
    return entry.make(entry.settings_model.model_validate_json(settings_json))


def check_calculator(section: RegistrySection) -> None:
    """Check kind and settings without loading anything.

    Parameters
    ----------
    section
        Kind and settings.

    Raises
    ------
    ConfigError
        Unknown kind, or settings it does not take.
    """
    _resolve(section.kind, section.settings)


def calculator_schema() -> dict[str, Any]:
    """JSON schema of the settings of every kind, by kind."""
    return {
        name: kind.settings_model.model_json_schema() | {"description": kind.summary}
        for name, kind in CALCULATOR_KINDS.items()
    }


def seconds_per_frame(kind: str, settings: Mapping[str, Any], n_atoms: int) -> float | None:
    """Rough time of one label [s] on one core whose neighbours are busy too.

    Parameters
    ----------
    kind
        Name in the registry.
    settings
        Its settings; missing ones take their defaults.
    n_atoms
        Atoms in a frame; the cost of the calculators here grows linearly with it.

    Returns
    -------
    float | None
        Seconds, or None where the cost cannot be known (calculators of the user's own). An idle
        core with a large cache needs about a third.

    Raises
    ------
    ConfigError
        Unknown kind, or settings it does not take.
    """
    name, checked = _resolve(kind, settings)
    per_atom = CALCULATOR_KINDS[name].seconds_per_atom(checked)
    return None if per_atom is None else per_atom * n_atoms


def _resolve(kind: str, settings: Mapping[str, Any]) -> tuple[str, Section]:
    """Registered kind and checked settings."""
    name, _, factory = kind.partition(":")
    if factory and name == "python":
        settings = {**settings, "factory": factory}
    elif kind not in CALCULATOR_KINDS:
        msg = (
            f"{_WHERE}.kind: found {kind!r}, allowed: {', '.join(CALCULATOR_KINDS)}, or "
            f"python:package.module.name{_suggestion(kind, CALCULATOR_KINDS)}"
        )
        raise ConfigError(msg)
    model = CALCULATOR_KINDS[name].settings_model
    try:
        return name, model.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigError(_explain(name, model, error)) from error


def _explain(kind: str, model: type[Section], error: ValidationError) -> str:
    """Each wrong setting on its own line: key, value found, what is allowed."""
    lines = []
    for problem in error.errors():
        key = ".".join([f"{_WHERE}.settings", *map(str, problem["loc"])])
        if problem["type"] == "extra_forbidden":
            allowed = ", ".join(model.model_fields) or "none"
            hint = _suggestion(str(problem["loc"][-1]), model.model_fields)
            lines.append(f"{key}: unknown key for kind {kind!r}; allowed: {allowed}{hint}")
        elif problem["type"] == "missing":
            lines.append(f"{key}: missing; kind {kind!r} needs it")
        elif problem["loc"]:
            lines.append(f"{key}: found {problem['input']!r}; {problem['msg']}")
        else:
            lines.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)


def _suggestion(word: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
