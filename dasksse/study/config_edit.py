"""Set one value in a YAML text and leave everything else, comments included, as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.records import Json


def set_value(text: str, path: Sequence[str], value: Json) -> str:
    """Set the value of a key; keys above it that are missing are made.

    Parameters
    ----------
    text
        YAML with a mapping at its top.
    path
        Keys from the top down.
    value
        Number, text, truth value or None.

    Returns
    -------
    str
        The text, in which that value alone is new.

    Raises
    ------
    ConfigError
        When the text is written in a way that does not allow it, such as with an anchor.
    """
    expected = _with(yaml.safe_load(text), path, value)
    changed = _edited(text, path, value)
    try:
        is_right = changed is not None and yaml.safe_load(changed) == expected
    except yaml.YAMLError:
        is_right = False
    if changed is None or not is_right:
        msg = f"{'.'.join(path)} cannot be set to {value!r} by itself; set it by hand"
        raise ConfigError(msg)
    return changed


def _with(values: Json, path: Sequence[str], value: Json) -> dict[str, Json]:
    """Copy of parsed YAML with one value in it; what an anchor shares is not changed twice."""
    known = values if isinstance(values, dict) else {}
    inner = value if len(path) == 1 else _with(known.get(path[0]), path[1:], value)
    return {**known, path[0]: inner}


def _edited(text: str, path: Sequence[str], value: Json) -> str | None:
    """The text with the value in it; None where there is no mapping to put it into."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    left = list(path)
    while isinstance(node, yaml.MappingNode):
        inner = {key.value: child for key, child in node.value}
        if left[0] not in inner:
            return _with_entry(text, node, f"{left[0]}: {_flow(left[1:], value)}")
        node = inner[left.pop(0)]
        if not left:
            start, end = node.start_mark.index, node.end_mark.index
            return text[:start] + _flow([], value) + text[end:]
    return None


def _with_entry(text: str, node: yaml.MappingNode, entry: str) -> str:
    """A mapping with one more entry: the last one between braces, else the first line."""
    if node.flow_style:
        end = node.end_mark.index - 1
        return f"{text[:end].rstrip()}{', ' if node.value else ''}{entry}{text[end:]}"
    start, indent = node.start_mark.index, " " * node.start_mark.column
    return f"{text[:start]}{entry}\n{indent}{text[start:]}"


def _flow(path: Sequence[str], value: Json) -> str:
    """A value, below the keys of a path, on one line."""
    for key in reversed(path):
        value = {key: value}
    if isinstance(value, dict):
        return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
    return (
        json.dumps(value) if isinstance(value, str) else yaml.safe_dump(value).splitlines()[0]
    )
