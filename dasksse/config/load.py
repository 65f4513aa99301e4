"""From YAML files to a :class:`RunConfig`; every error names file, key and line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from dasksse.config.messages import describe_validation
from dasksse.config.schema import RunConfig
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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


EXTENDS = "extends"
"""Key that names the file whose keys a configuration takes over."""

_OWN_SETTINGS = ("kind", "type")
"""A mapping with another one of these brings its own settings, and takes over none."""

_OPEN_MAPPINGS = (
    "label.filters.min_distance_A",
    "studies.functional.runs",
    "train.descriptor",
    "train.type_embedding",
    "train.fitting_net",
    "train.loss",
    "train.deepmd",
)
"""Mappings with any keys: null takes an inherited one away, as no default stands in for it."""


@dataclass(frozen=True)
class ConfigFile:
    """A YAML file with a configuration, or with a part of one.

    Attributes
    ----------
    path
        The file.
    text
        Its text.
    values
        What it says.
    """

    path: Path
    text: str
    values: dict[str, Any]


@dataclass(frozen=True)
class LoadedConfig:
    """A validated configuration and where it came from.

    Attributes
    ----------
    config
        The validated models.
    files
        The YAML file, and those it extends, the nearest first.
    """

    config: RunConfig
    files: tuple[ConfigFile, ...]

    @property
    def path(self) -> Path:
        """The YAML file."""
        return self.files[0].path

    @property
    def text(self) -> str:
        """Its text, kept with the run."""
        return self.files[0].text

    @property
    def base_dir(self) -> Path:
        """Folder that relative paths in the file start from."""
        return self.path.parent

    def error(self, key: str, message: str) -> ConfigError:
        """Error that names this file, a key, and the key's line."""
        return ConfigError(_locate(self.files, key, message))

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


def _locate(files: Sequence[ConfigFile], key: str, message: str) -> str:
    """The message with the file and line of a key, or of the nearest key above it."""
    lines = {file.path: _line_numbers(file.text) for file in files}
    known = key
    while known:
        for path, numbers in lines.items():
            if known in numbers:
                return f"{path}:{key} (line {numbers[known]}): {message}"
        known = known.rpartition(".")[0]
    return f"{files[0].path}:{key}: {message}" if key else f"{files[0].path}: {message}"


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


def read_files(path: Path) -> tuple[ConfigFile, ...]:
    """A configuration file and those it extends, the nearest first.

    Raises
    ------
    ConfigError
        When a file cannot be read, is no mapping, or extends what it must not.
    """
    files: list[ConfigFile] = []
    following: Path | None = path
    while following is not None:
        text, values = read_yaml(following)
        if not isinstance(values, dict):
            found = type(values).__name__
            msg = f"{following}: a run config is a mapping of sections, found {found}"
            raise ConfigError(msg)
        files.append(ConfigFile(following.resolve(), text, values))
        following = _extended(files)
    return tuple(files)


def _extended(files: Sequence[ConfigFile]) -> Path | None:
    """File that the last one extends."""
    last = files[-1]
    name = last.values.get(EXTENDS)
    if name is None:
        return None
    if not isinstance(name, str) or Path(name).name != name:
        message = (
            f"found {name!r}, allowed: the name of a file in the same folder, so that relative "
            "paths in both mean the same"
        )
        raise ConfigError(_locate([last], EXTENDS, message))
    path = last.path.with_name(name)
    if not path.is_file():
        raise ConfigError(_locate([last], EXTENDS, f"found {name!r}, but there is no {path}"))
    if path.resolve() in {file.path for file in files}:
        message = f"found {name!r}, which extends this file in turn"
        raise ConfigError(_locate([last], EXTENDS, message))
    return path


def combine(files: Sequence[ConfigFile]) -> dict[str, Any]:
    """What a file and those it extends say together: the nearest file wins."""
    values: dict[str, Any] = reduce(_over, (file.values for file in reversed(files)))
    return {key: value for key, value in values.items() if key != EXTENDS}


def _is_open(path: str) -> bool:
    """True for a mapping with any keys, and for all that are in it."""
    return f"{path}.".startswith(tuple(f"{name}." for name in _OPEN_MAPPINGS))


def _over(below: Any, above: Any, path: str = "") -> Any:  # noqa: ANN401 - any YAML value
    """Mappings key by key, of all else the upper value."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    if any(key in above and above[key] != below.get(key) for key in _OWN_SETTINGS):
        return above
    values = dict(below)
    for key, value in above.items():
        if value is None and key in below and _is_open(path):
            del values[key]
        else:
            values[key] = _over(below.get(key), value, f"{path}.{key}" if path else str(key))
    return values


def load_config(path: Path) -> LoadedConfig:
    """Read and validate a run's configuration.

    Raises
    ------
    ConfigError
        With one line per problem: file, key, line, what was found, what is allowed.
    """
    files = read_files(path)
    try:
        config = RunConfig.model_validate(combine(files))
    except ValidationError as error:
        problems = [
            _locate(files, *_split(sentence))
            for sentence in describe_validation(error, model=RunConfig)
        ]
        raise ConfigError("\n".join(problems)) from error
    return LoadedConfig(config, files)


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
