"""Files that the calculator of labels reads, such as models: checked, and kept with a run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from dasksse.label import calculator_files, with_files
from dasksse.records import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.config.load import LoadedConfig
    from dasksse.config.schema import RunConfig
    from dasksse.store.folders import RunFolder

FOLDER = "label_files"
"""Folder of the run with the files; their names tell order and content."""
_KEY = "label.calculator.settings"


def check_label_files(loaded: LoadedConfig) -> None:
    """Refuse files that are not there.

    Raises
    ------
    ConfigError
        With file and key.
    """
    for name in calculator_files(loaded.config.label.calculator):
        path = loaded.base_dir / name
        if not path.is_file():
            raise loaded.error(_KEY, f"found {name!r}, but there is no file {path}")


def keep_label_files(loaded: LoadedConfig, folder: RunFolder) -> None:
    """Keep the files with the run, so that the folder can be moved; others go."""
    targets = _targets(loaded, folder)
    for name, target in targets:
        if target.exists():
            continue
        target.parent.mkdir(exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        shutil.copyfile(loaded.base_dir / name, temporary)
        temporary.replace(target)
    for path in set(_kept(folder)) - {target for _, target in targets}:
        path.unlink()


def changed_label_files(loaded: LoadedConfig, folder: RunFolder) -> list[str]:
    """Files that are not those the run began with."""
    kept = _kept(folder)
    return [
        f"{_KEY}: {name} has another content"
        for name, target in _targets(loaded, folder)
        if kept and target not in kept
    ]


def with_kept_files(config: RunConfig, folder: RunFolder) -> RunConfig:
    """The configuration with the files that are kept in a folder, relative to it.

    The names hold digests, so that keys of labels depend on what is in the files.
    """
    if not calculator_files(config.label.calculator):
        return config
    names = [path.relative_to(folder.root).as_posix() for path in _kept(folder)]
    label = config.label.model_copy(
        update={"calculator": with_files(config.label.calculator, names)}
    )
    return config.model_copy(update={"label": label})


def _kept(folder: RunFolder) -> list[Path]:
    return sorted((folder.root / FOLDER).glob("[!.]*"))


def _targets(loaded: LoadedConfig, folder: RunFolder) -> list[tuple[str, Path]]:
    place = folder.root / FOLDER
    sources = [
        (name, loaded.base_dir / name)
        for name in calculator_files(loaded.config.label.calculator)
    ]
    return [
        (name, place / f"{index:03d}-{file_digest(path)}{path.suffix}")
        for index, (name, path) in enumerate(sources)
    ]
