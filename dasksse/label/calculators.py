"""Calculators by name: check a choice, load it once per process, describe what is allowed."""

from __future__ import annotations

import difflib
import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError
from dasksse.label.classical import CLASSICAL
from dasksse.label.contract import CalculatorKind, LabelCalculator
from dasksse.label.custom import CUSTOM
from dasksse.label.deepmd import DEEPMD
from dasksse.label.dft import ENGINES
from dasksse.label.surrogates import SURROGATES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from dasksse.config.schema import Section

__all__ = [
    "CALCULATOR_KINDS",
    "CalculatorKind",
    "LabelCalculator",
    "LabelCosts",
    "calculator_commands",
    "calculator_files",
    "calculator_schema",
    "check_calculator",
    "convergence_ladders",
    "label_costs",
    "load_calculator",
    "located_calculator",
    "missing_for_labels",
    "resolved_calculator",
    "with_files",
]

CALCULATOR_KINDS: dict[str, CalculatorKind] = {
    **SURROGATES,
    **DEEPMD,
    **ENGINES,
    **CLASSICAL,
    **CUSTOM,
}
"""The registry: adding a calculator is adding an entry."""

_WHERE = "label.calculator"
_LOADED_AT_ONCE = 4
"""Models kept in memory by one process; runs use one, comparisons a few."""


def load_calculator(
    section: RegistrySection, *, base_dir: Path | None = None
) -> LabelCalculator:
    """The calculator a section asks for; the same object on every call in one process.

    Parameters
    ----------
    section
        Kind and settings. ``kind: "python:package.module.name"`` is short for kind ``python``
        with that ``factory``.
    base_dir
        Folder that relative paths of its files start from; the current one when None.

    Raises
    ------
    ConfigError
        Unknown kind, settings it does not take, or a factory or file that cannot be used.
    ProgramMissingError
        The package behind the kind is not installed.
    """
    if base_dir is not None:
        section = located_calculator(section, base_dir)
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


def label_costs(section: RegistrySection) -> LabelCosts:
    """What labelling with a calculator takes, as far as it is known beforehand.

    Parameters
    ----------
    section
        Kind and settings.

    Raises
    ------
    ConfigError
        Unknown kind, or settings it does not take.
    """
    name, checked = _resolve(section.kind, section.settings)
    kind = CALCULATOR_KINDS[name]
    return LabelCosts(kind.batch_size, lambda n_atoms: kind.seconds_per_frame(checked, n_atoms))


@dataclass(frozen=True)
class LabelCosts:
    """Cost of labels.

    Attributes
    ----------
    batch_size
        Frames that one unit of work labels.
    seconds_per_frame
        Rough time of one label [s] on one core whose neighbours are busy too, by the number of
        atoms; None where the cost cannot be known (calculators of the user's own). An idle core
        with a large cache needs about a third.
    """

    batch_size: int
    seconds_per_frame: Callable[[int], float | None]


def calculator_commands(section: RegistrySection) -> list[list[str]]:
    """Every command that labelling can run, as words.

    Parameters
    ----------
    section
        Kind and settings.

    Raises
    ------
    ConfigError
        Unknown kind, or settings it does not take.
    """
    name, checked = _resolve(section.kind, section.settings)
    return CALCULATOR_KINDS[name].commands(checked)


def missing_for_labels(section: RegistrySection, elements: Sequence[str]) -> list[str]:
    """What is missing on this machine for labels of some elements, with the fix, one text each.

    Parameters
    ----------
    section
        Kind and settings.
    elements
        Symbols of the chemical elements.

    Raises
    ------
    ConfigError
        Unknown kind, or settings it does not take.
    """
    name, checked = _resolve(section.kind, section.settings)
    return CALCULATOR_KINDS[name].needs(checked, tuple(elements))


def resolved_calculator(section: RegistrySection) -> RegistrySection:
    """The same calculator with every default written out.

    Parameters
    ----------
    section
        Kind and settings.

    Raises
    ------
    ConfigError
        Unknown kind, or settings it does not take.
    """
    kind, checked = _resolve(section.kind, section.settings)
    return RegistrySection(kind=kind, settings=checked.model_dump(mode="json"))


def calculator_files(section: RegistrySection) -> tuple[str, ...]:
    """Files of the user's that a calculator reads, as its settings name them.

    Parameters
    ----------
    section
        Kind and settings.

    Raises
    ------
    ConfigError
        Unknown kind, or settings it does not take.
    """
    name, checked = _resolve(section.kind, section.settings)
    key = CALCULATOR_KINDS[name].files
    return tuple(getattr(checked, key)) if key else ()


def with_files(section: RegistrySection, files: Sequence[str]) -> RegistrySection:
    """The same calculator with its files elsewhere.

    Parameters
    ----------
    section
        Kind and settings of a calculator that has files.
    files
        As many as :func:`calculator_files` gives, in its order.
    """
    key = CALCULATOR_KINDS[section.kind].files
    return RegistrySection(kind=section.kind, settings={**section.settings, key: list(files)})


def located_calculator(section: RegistrySection, base_dir: Path) -> RegistrySection:
    """The same calculator with the paths of its files starting from a folder.

    Parameters
    ----------
    section
        Kind and settings.
    base_dir
        The folder.

    Raises
    ------
    ConfigError
        Unknown kind, or settings it does not take.
    """
    files = calculator_files(section)
    return with_files(section, [str(base_dir / file) for file in files]) if files else section


def convergence_ladders(
    section: RegistrySection, cell: NDArray[np.float64]
) -> dict[str, list[Any]]:
    """Values of each setting that labels must not depend on, coarse and cheap ones first.

    Parameters
    ----------
    section
        Kind and settings.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.

    Raises
    ------
    ConfigError
        Unknown kind, or settings it does not take.
    """
    name, checked = _resolve(section.kind, section.settings)
    ladders = CALCULATOR_KINDS[name].convergence(checked, cell)
    return {setting: list(values) for setting, values in ladders.items()}


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
