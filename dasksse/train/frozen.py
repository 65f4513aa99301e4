"""Frozen models: what they are made for, and their compressed form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasksse.config.descriptors import has_shared_places
from dasksse.records import Workplace
from dasksse.train.backends import BACKENDS
from dasksse.train.deepmd_run import run_child
from dasksse.train.evaluate import backends_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ABOUT = "about.json"
HERE = Workplace()


@dataclass(frozen=True)
class FrozenModel:
    """A frozen model.

    Attributes
    ----------
    backend
        Of DeePMD-kit, by its name in the configuration.
    type_map
        Elements in the order of the model's types.
    sel
        Places for neighbours of each type, or one number where all types share them; empty
        where the descriptor has neither.
    network
        Section ``model`` of the DeePMD-kit input that it was trained with, seeds included.
    """

    backend: str
    type_map: tuple[str, ...]
    sel: tuple[int, ...]
    network: Mapping[str, Any]


def describe_model(model: Path, *, workdir: Path, workplace: Workplace = HERE) -> FrozenModel:
    """Load a model and ask what it is made for.

    Parameters
    ----------
    model
        Frozen model.
    workdir
        Folder for the child's files; made if it is not there.
    workplace
        Threads and command prefix of the child.

    Raises
    ------
    ConfigError
        When the model is missing, or no frozen model by its suffix.
    TrainingError
        When it cannot be loaded.
    """
    backends = backends_of([model])
    job = {
        "task": "describe",
        "backends": backends,
        "model": str(model.resolve()),
        "output": _ABOUT,
    }
    run_child(job, workdir=workdir, workplace=workplace)
    about = json.loads((workdir / _ABOUT).read_text())
    counts = _places(about["model"].get("descriptor", {}))
    return FrozenModel(backends[0], tuple(about["type_map"]), counts, about["model"])


def _places(descriptor: Mapping[str, Any]) -> tuple[int, ...]:
    sel = descriptor.get("sel", ())
    if isinstance(sel, int):
        return (sel,)
    counts = tuple(int(n) for n in sel) if isinstance(sel, list) else ()
    return (sum(counts),) if has_shared_places(descriptor) else counts


def compress_model(model: Path, *, workdir: Path, workplace: Workplace = HERE) -> Path:
    """Tabulate the embedding network of a frozen model, which makes it fast and large.

    Parameters
    ----------
    model
        Frozen model.
    workdir
        Folder for the child's files; made if it is not there.
    workplace
        Threads and command prefix of the child.

    Returns
    -------
    Path
        The compressed model, in ``workdir``.

    Raises
    ------
    TrainingError
        When it cannot be compressed: it is already, or was frozen without the distance of the
        nearest neighbours.
    """
    backends = backends_of([model])
    compressed = f"compressed_model{BACKENDS[backends[0]].model_suffix}"
    job = {
        "task": "compress",
        "backends": backends,
        "model": str(model.resolve()),
        "compressed": compressed,
    }
    run_child(job, workdir=workdir, workplace=workplace)
    return workdir / compressed
