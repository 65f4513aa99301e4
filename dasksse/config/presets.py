"""Presets: commented YAML files that ship with the package, one per published scheme."""

from __future__ import annotations

import shutil
from pathlib import Path

from dasksse.config.load import combine, read_files
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
    for path in sorted(presets_dir().glob("*.yaml"), key=lambda path: path.stem):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        presets[path.stem] = first.lstrip("# ").strip()
    return presets


def write_preset(name: str, folder: Path) -> Path:
    """Write a commented ``config.yaml`` into a folder, with all files it names.

    These are the structures, and the presets that it extends, under their own names.

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
    files = read_files(presets_dir() / f"{name}.yaml")
    used = [system["structure"] for system in combine(files)["systems"]]
    folder.mkdir(parents=True, exist_ok=True)
    for file in [*used, *(base.path.name for base in files[1:])]:
        if (presets_dir() / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(presets_dir() / file, folder / file)
    target.write_text(files[0].text, encoding="utf-8")
    return target
