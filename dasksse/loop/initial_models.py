"""Models that exist already and a run begins with: checked, kept with it, put in its plan."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from dasksse.loop.walk import make_unit
from dasksse.records import file_digest
from dasksse.train.backends import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dasksse.config.load import LoadedConfig
    from dasksse.config.schema import RunConfig
    from dasksse.records import Unit
    from dasksse.store.folders import RunFolder

MODELS_FOLDER = "initial_models"
"""Folder of the run with the models; also the first part of their names among digests."""
_KEY = "train.initial_models"


def check_initial_models(loaded: LoadedConfig) -> None:
    """Refuse models that are not there, or are none of the backend of the run.

    Raises
    ------
    ConfigError
        With file and key.
    """
    suffix = BACKENDS[loaded.config.train.backend].model_suffix
    for index, name in enumerate(loaded.config.train.initial_models):
        path = loaded.base_dir / name
        if not path.exists():
            raise loaded.error(f"{_KEY}.{index}", f"found {name!r}, but there is no {path}")
        if path.suffix != suffix:
            message = (
                f"found {name!r}, allowed: frozen models of the backend "
                f"{loaded.config.train.backend} (*{suffix})"
            )
            raise loaded.error(f"{_KEY}.{index}", message)


def keep_initial_models(loaded: LoadedConfig, folder: RunFolder) -> None:
    """Keep the models with the run, so that the folder can be moved."""
    for name, target in _targets(loaded, folder):
        if target.exists():
            continue
        target.parent.mkdir(exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        shutil.copyfile(loaded.base_dir / name, temporary)
        temporary.replace(target)


def changed_initial_models(loaded: LoadedConfig, folder: RunFolder) -> list[str]:
    """Models that are not those the run began with."""
    return [
        f"{_KEY}: {name} has another content"
        for name, target in _targets(loaded, folder)
        if target.exists() and file_digest(target) != file_digest(loaded.base_dir / name)
    ]


def _targets(loaded: LoadedConfig, folder: RunFolder) -> list[tuple[str, Path]]:
    suffix = BACKENDS[loaded.config.train.backend].model_suffix
    place = folder.root / MODELS_FOLDER
    names = loaded.config.train.initial_models
    return [(name, place / f"{index:03d}{suffix}") for index, name in enumerate(names)]


def model_digests_in(folder: RunFolder) -> dict[str, str]:
    """Digest of each model, by its path in the run."""
    files = sorted((folder.root / MODELS_FOLDER).glob("[!.]*"))
    return {f"{MODELS_FOLDER}/{path.name}": file_digest(path) for path in files}


def initial_model_units(config: RunConfig, digests: Mapping[str, str]) -> list[Unit]:
    """Units that look at the models and compress them where asked.

    Parameters
    ----------
    config
        The run's configuration.
    digests
        Digests of a run's inputs, those of :func:`model_digests_in` among them.
    """
    units = []
    for name in sorted(digests):
        if name.partition("/")[0] != MODELS_FOLDER:
            continue
        about = {
            "type_map": list(config.type_map),
            "compress": config.train.compress and config.train.takes_models_as_they_are,
        }
        units.append(
            make_unit(
                "initial",
                "TRAIN",
                "training:take_model",
                {"file": name, **about},
                identity={"digest": digests[name], **about},
            )
        )
    return units
