"""Open a run folder: new, or one that was begun with the same configuration."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from dasksse.config.load import (
    LoadedConfig,
    config_differences,
    is_free_to_change,
    resolved_yaml,
)
from dasksse.config.schema import RunConfig
from dasksse.errors import RunFolderError
from dasksse.loop.initial_models import (
    MODELS_FOLDER,
    changed_initial_models,
    keep_initial_models,
    model_digests_in,
)
from dasksse.loop.label_files import FOLDER as LABEL_FILES_FOLDER
from dasksse.loop.label_files import changed_label_files, keep_label_files
from dasksse.loop.label_inputs import (
    IMPORTED_FOLDER,
    changed_label_stores,
    keep_label_stores,
    label_digests_in,
)
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


def digests_in(folder: RunFolder, config: RunConfig) -> dict[str, str]:
    """Digests of structures and of imported labels, from the copies in a run folder."""
    structures = {
        system.name: _digest_in(folder, system) or content_key(system.structure)
        for system in config.systems
    }
    return structures | label_digests_in(folder) | model_digests_in(folder)


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
    if folder.resolved_config.is_file():
        return folder, _changes(loaded, folder)
    if root.is_dir() and not _is_new(root):
        msg = f"{root} is not empty and holds no run; choose another folder with --dir"
        raise RunFolderError(msg)
    folder.work.mkdir(parents=True, exist_ok=True)
    folder.decisions.mkdir(exist_ok=True)
    keep_config(loaded, folder)
    return folder, []


def keep_config(loaded: LoadedConfig, folder: RunFolder) -> None:
    """Keep the configuration and the structure files with the run; the commit comes last."""
    _copy_inputs(loaded, folder)
    if not folder.config.exists() or not folder.config.samefile(loaded.path):
        write_atomically(folder.config, loaded.text)
    write_atomically(folder.resolved_config, resolved_yaml(loaded.config))


def _is_new(root: Path) -> bool:
    """True for a folder with nothing in it but what a run that was killed at once has left."""
    names = {path.name for path in root.iterdir() if not path.name.endswith(".tmp")}
    ours = {
        "config.yaml",
        "structures",
        "work",
        "decisions",
        "inputs",
        IMPORTED_FOLDER,
        MODELS_FOLDER,
        LABEL_FILES_FOLDER,
    }
    is_ours = names <= ours
    return is_ours and not any(root.glob("work/*"))


def _changes(loaded: LoadedConfig, folder: RunFolder) -> list[str]:
    try:
        before = yaml.safe_load(folder.resolved_config.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        msg = f"{folder.resolved_config} is damaged: {error}"
        raise RunFolderError(msg) from error
    with contextlib.suppress(ValidationError):  # keys that did not exist yet get their default
        before = RunConfig.model_validate(before).model_dump(mode="json")
    after = loaded.config.model_dump(mode="json")
    differences = config_differences(before, after)
    digests = {s.name: _digest_in(folder, s) for s in loaded.config.systems}
    for name, digest in structure_digests(loaded).items():
        if digests[name] not in {"", digest}:
            differences.append(f"systems.{name}.structure: the file has another content")
    differences += changed_label_stores(loaded, folder)
    differences += changed_initial_models(loaded, folder)
    differences += changed_label_files(loaded, folder)
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
    """Keep all files that the configuration names with the run: the folder can be moved."""
    keep_label_stores(loaded, folder)
    keep_initial_models(loaded, folder)
    keep_label_files(loaded, folder)
    for system in loaded.config.systems:
        if is_database_id(system.structure):
            continue
        target = _input_path(folder, system)
        target.parent.mkdir(parents=True, exist_ok=True)
        source = loaded.base_dir / system.structure
        if not target.exists() or file_digest(target) != file_digest(source):
            temporary = target.with_name(f".{target.name}.tmp")
            shutil.copyfile(source, temporary)
            temporary.replace(target)


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
