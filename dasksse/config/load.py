"""From a YAML file to a :class:`RunConfig`; every error names file, key and line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from dasksse.config.messages import describe_validation
from dasksse.config.schema import RunConfig
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

FREE_SECTIONS = (
    "select",
    "stop",
    "probe",
    "production",
    "studies",
    "store",
    "engine",
    "on_end",
)
"""Sections that may change in a run that has begun: they decide what is done next and make no
finished work wrong."""


@dataclass(frozen=True)
class LoadedConfig:
    """A validated configuration and where it came from.

    Attributes
    ----------
    config
        The validated models.
    path
        The YAML file.
    text
        Its text, kept with the run.
    """

    config: RunConfig
    path: Path
    text: str

    @property
    def base_dir(self) -> Path:
        """Folder that relative paths in the file start from."""
        return self.path.parent

    def error(self, key: str, message: str) -> ConfigError:
        """Error that names this file, a key, and the key's line."""
        return ConfigError(_locate(self.path, _line_numbers(self.text), key, message))

    def check(self, key: str, test: Callable[[], Any]) -> Any:  # noqa: ANN401 - the test's value
        """Run a check of a registry; a ConfigError it raises gets file and key."""
        try:
            return test()
        except ConfigError as error:
            raise self.error(key, str(error)) from error


def _line_numbers(text: str) -> dict[str, int]:
    """Line of every key, by dotted path."""
    lines: dict[str, int] = {}

    def walk(node: yaml.Node, path: str) -> None:
        lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = f"{path}.{key.value}" if path else str(key.value)
                lines[inner] = key.start_mark.line + 1
                walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                walk(value, f"{path}.{index}" if path else str(index))

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None:
        walk(root, "")
    return lines


def _repeated_key(text: str) -> tuple[str, int] | None:
    """First key that a mapping holds twice; plain YAML would take the last in silence."""
    stack: list[yaml.Node | None] = [yaml.compose(text, Loader=yaml.SafeLoader)]
    while stack:
        node = stack.pop()
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if str(key.value) in seen:
                    return str(key.value), key.start_mark.line + 1
                seen.add(str(key.value))
                stack.append(value)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)
    return None


def _locate(path: Path, lines: dict[str, int], key: str, message: str) -> str:
    known = key
    while known and known not in lines:
        known = known.rpartition(".")[0]
    line = f" (line {lines[known]})" if known else ""
    return f"{path}:{key}{line}: {message}" if key else f"{path}: {message}"


def read_yaml(path: Path) -> tuple[str, Any]:
    """Text and parsed value of a YAML file.

    Raises
    ------
    ConfigError
        When it is missing, no text, no YAML, or repeats a key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        msg = f"{path}: no such file"
        raise ConfigError(msg) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({error})"
        raise ConfigError(msg) from error
    try:
        value = yaml.safe_load(text)
        repeated = _repeated_key(text)
    except yaml.YAMLError as error:
        msg = f"{path}: not valid YAML: {error}"
        raise ConfigError(msg) from error
    if repeated is not None:
        msg = f"{path}:{repeated[0]} (line {repeated[1]}): this key stands twice"
        raise ConfigError(msg)
    return text, value


def load_config(path: Path) -> LoadedConfig:
    """Read and validate a run's configuration.

    Raises
    ------
    ConfigError
        With one line per problem: file, key, line, what was found, what is allowed.
    """
    text, value = read_yaml(path)
    if not isinstance(value, dict):
        msg = f"{path}: a run config is a mapping of sections, found {type(value).__name__}"
        raise ConfigError(msg)
    try:
        config = RunConfig.model_validate(value)
    except ValidationError as error:
        lines = _line_numbers(text)
        problems = [
            _locate(path, lines, *_split(sentence))
            for sentence in describe_validation(error, model=RunConfig)
        ]
        raise ConfigError("\n".join(problems)) from error
    return LoadedConfig(config, path.resolve(), text)


def _split(sentence: str) -> tuple[str, str]:
    key, _, message = sentence.partition(": ")
    return (key, message) if " " not in key else ("", sentence)


def resolved_yaml(config: RunConfig) -> str:
    """The configuration with every default written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, width=96)


def differing_keys(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Dotted keys in which two nested mappings differ, each with both values."""
    for key in [*old, *(key for key in new if key not in old)]:
        path = f"{prefix}{key}"
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from differing_keys(before, after, f"{path}.")
        elif before != after:
            yield path, before, after


def config_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Dotted keys in which two resolved configurations differ, with both values."""
    return [
        f"{key}: {before!r} in the run folder, {after!r} now"
        for key, before, after in differing_keys(old, new)
    ]


def is_free_to_change(difference: str) -> bool:
    """True for a difference in a section that may change in a run that has begun."""
    return difference.partition(":")[0].partition(".")[0] in FREE_SECTIONS
