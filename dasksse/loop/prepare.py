"""Open a run folder: new, or one that was begun with the same configuration."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from dasksse.config.load import (
    LoadedConfig,
    config_differences,
    is_free_to_change,
    resolved_yaml,
)
from dasksse.errors import RunFolderError
from dasksse.records import content_key, file_digest
from dasksse.store.folders import RunFolder, write_atomically

if TYPE_CHECKING:
    from dasksse.config.schema import SystemSection


def is_database_id(source: str) -> bool:
    """True for a Materials Project id, which names no file."""
    head, _, tail = source.partition("-")
    return head in {"mp", "mvc"} and tail.isdigit()


def structure_digests(loaded: LoadedConfig) -> dict[str, str]:
    """Digest of each system's structure file, by system name.

    Raises
    ------
    ConfigError
        When a file is missing.
    """
    digests = {}
    for index, system in enumerate(loaded.config.systems):
        if is_database_id(system.structure):
            digests[system.name] = content_key(system.structure)
            continue
        path = loaded.base_dir / system.structure
        if not path.is_file():
            key = f"systems.{index}.structure"
            raise loaded.error(key, f"found {system.structure!r}, but there is no file {path}")
        digests[system.name] = file_digest(path)
    return digests


def open_run_folder(loaded: LoadedConfig, root: Path) -> tuple[RunFolder, list[str]]:
    """Make a run folder, or check that it belongs to this configuration.

    Parameters
    ----------
    loaded
        The configuration.
    root
        Folder of the run.

    Returns
    -------
    tuple[RunFolder, list[str]]
        The folder, and the allowed changes since the run began.

    Raises
    ------
    RunFolderError
        When the folder holds something else, or a run of another configuration.
    """
    folder = RunFolder(root)
    changes: list[str] = []
    if folder.resolved_config.is_file():
        changes = _changes(loaded, folder)
    elif root.is_dir() and any(
        path for path in root.iterdir() if path.name not in {"config.yaml", "structures"}
    ):
        msg = f"{root} is not empty and holds no run; choose another folder with --dir"
        raise RunFolderError(msg)
    (root / "work").mkdir(parents=True, exist_ok=True)
    (root / "decisions").mkdir(exist_ok=True)
    _copy_inputs(loaded, folder)
    if not folder.config.exists() or not folder.config.samefile(loaded.path):
        write_atomically(folder.config, loaded.text)
    write_atomically(folder.resolved_config, resolved_yaml(loaded.config))
    return folder, changes


def _changes(loaded: LoadedConfig, folder: RunFolder) -> list[str]:
    try:
        before = yaml.safe_load(folder.resolved_config.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        msg = f"{folder.resolved_config} is damaged: {error}"
        raise RunFolderError(msg) from error
    after = yaml.safe_load(resolved_yaml(loaded.config))
    differences = config_differences(before, after)
    digests = {s.name: _digest_in(folder, s) for s in loaded.config.systems}
    for name, digest in structure_digests(loaded).items():
        if digests[name] not in {"", digest}:
            differences.append(f"systems.{name}.structure: the file has another content")
    refused = [line for line in differences if not is_free_to_change(line)]
    if refused:
        listed = "\n  ".join(refused)
        msg = (
            f"{folder.root} belongs to another configuration:\n  {listed}\n"
            "take another folder with --dir, or undo these changes"
        )
        raise RunFolderError(msg)
    return differences


def _digest_in(folder: RunFolder, system: SystemSection) -> str:
    path = _input_path(folder, system)
    if is_database_id(system.structure) or not path.is_file():
        return ""
    return file_digest(path)


def _input_path(folder: RunFolder, system: SystemSection) -> Path:
    return folder.root / "inputs" / system.name / Path(system.structure).name


def _copy_inputs(loaded: LoadedConfig, folder: RunFolder) -> None:
    """Keep each structure file with the run, so that the folder can be moved."""
    for system in loaded.config.systems:
        if is_database_id(system.structure):
            continue
        target = _input_path(folder, system)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(loaded.base_dir / system.structure, target)


def check_framework(loaded: LoadedConfig) -> None:
    """Refuse framework units of elements that the type map lacks.

    Raises
    ------
    ConfigError
        With file and key.
    """
    known = set(loaded.config.type_map)
    for index, unit in enumerate(loaded.config.explore.framework or ()):
        for key, element in (("centre", unit.centre), ("ligand", unit.ligand)):
            if element not in known:
                where = f"explore.framework.{index}.{key}"
                allowed = ", ".join(loaded.config.type_map)
                raise loaded.error(where, f"found {element!r}, allowed: {allowed}")
