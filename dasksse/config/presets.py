"""Presets: commented YAML files that ship with the package, one per published scheme."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from dasksse.config.messages import nearest
from dasksse.errors import ConfigError


def presets_dir() -> Path:
    """Folder of the presets: inside the installed package, or beside it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_configs"
    return installed if installed.is_dir() else package.parent / "configs"


def list_presets() -> dict[str, str]:
    """Preset names and the first comment line of each."""
    presets = {}
    for path in sorted(presets_dir().glob("*.yaml")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        presets[path.stem] = first.lstrip("# ").strip()
    return presets


def write_preset(name: str, folder: Path) -> Path:
    """Write a commented ``config.yaml`` and the structures it names into a folder.

    Raises
    ------
    ConfigError
        When there is no such preset, or the folder holds a config already.
    """
    presets = list_presets()
    if name not in presets:
        msg = f"no preset {name!r}; there are {', '.join(presets)}{nearest(name, presets)}"
        raise ConfigError(msg)
    target = folder / "config.yaml"
    if target.exists():
        msg = f"{target} exists already; choose another folder"
        raise ConfigError(msg)
    source = presets_dir() / f"{name}.yaml"
    text = source.read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for system in yaml.safe_load(text)["systems"]:
        structure = Path(system["structure"])
        if (presets_dir() / structure).is_file():
            (folder / structure).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(presets_dir() / structure, folder / structure)
    target.write_text(text, encoding="utf-8")
    return target
