"""Values of settings to try: those a calculator declares, or those the user names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from dasksse.config.messages import nearest
from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError
from dasksse.label import CALCULATOR_KINDS, convergence_ladders, resolved_calculator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from dasksse.records import Json


def parse_vary(texts: Sequence[str]) -> dict[str, list[Json]]:
    """Settings to vary from texts such as ``cutoff_Ry=300,400`` or ``cutoff_Ry``.

    Raises
    ------
    ConfigError
        When a text has no name, or a single value.
    """
    vary: dict[str, list[Json]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        vary[name] = [yaml.safe_load(value) for value in values.split(",")] if equals else []
        if not name or (equals and len(vary[name]) < 2):  # noqa: PLR2004
            msg = (
                f"--vary: found {text!r}, allowed: SETTING for the values its calculator "
                "declares, or SETTING=V1,V2,... with two values or more, coarse ones first"
            )
            raise ConfigError(msg)
    return vary


def with_settings(section: RegistrySection, values: Mapping[str, Json]) -> RegistrySection:
    """A resolved calculator with other values of some settings.

    Parameters
    ----------
    section
        The calculator.
    values
        By name; a dot leads into a mapping, as in ``settings.ecut``.

    Raises
    ------
    ConfigError
        When the calculator does not take them.
    """
    changed = resolved_calculator(section).model_dump(mode="json")["settings"]
    for name, value in values.items():
        *parents, last = name.split(".")
        inner = changed
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return resolved_calculator(RegistrySection(kind=section.kind, settings=changed))


def configured_value(section: RegistrySection, name: str) -> Json:
    """Value of a setting in a resolved calculator; None when it has none."""
    value: Any = section.settings
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def choose_ladders(
    section: RegistrySection, vary: Mapping[str, Sequence[Json]], cell: NDArray[np.float64]
) -> dict[str, list[Json]]:
    """Values of each setting, coarse first; the configured value is among them.

    Parameters
    ----------
    section
        Resolved calculator.
    vary
        Settings to vary alone, each with its values; empty for those that are declared. All
        declared settings when there are none.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.

    Raises
    ------
    ConfigError
        When there is nothing to vary, no values are known, or one is not taken.
    """
    declared = convergence_ladders(section, cell)
    if not vary and not declared:
        msg = (
            f"label.calculator.kind: {section.kind!r} declares no settings to converge; kinds "
            f"that do: {', '.join(_kinds_with_ladders(cell))}; or name settings with "
            "--vary SETTING=V1,V2,..."
        )
        raise ConfigError(msg)
    chosen = {}
    for name, values in (vary or declared).items():
        if not values and name not in declared:
            allowed = ", ".join(declared) or "none"
            msg = (
                f"--vary {name}: {section.kind!r} declares no values for it, allowed: {allowed}"
                f"{nearest(name, declared)}; or give values, --vary {name}=V1,V2,..."
            )
            raise ConfigError(msg)
        ladder = list(values or declared[name])
        for value in ladder:
            with_settings(section, {name: value})
        chosen[name] = with_configured(ladder, configured_value(section, name))
    return chosen


def with_configured(values: Sequence[Json], configured: Json) -> list[Json]:
    """A ladder with the configured value in its place; as the coarsest where it has none."""
    if configured in values:
        return list(values)
    if not all(_is_number(value) for value in (*values, configured)):
        return [configured, *values]
    return sorted([*values, configured], reverse=values[0] > values[-1])


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kinds_with_ladders(cell: NDArray[np.float64]) -> list[str]:
    """Kinds that declare ladders with their default settings."""
    known = []
    for name, kind in CALCULATOR_KINDS.items():
        needed = [f for f in kind.settings_model.model_fields.values() if f.is_required()]
        if not needed and kind.convergence(kind.settings_model(), cell):
            known.append(name)
    return known
