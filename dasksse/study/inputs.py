"""What the studies of a run work with: its ensemble and its labels, kept in their folder."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from dasksse.errors import RunFolderError
from dasksse.label.importing.compositions import Compositions
from dasksse.loop.label_inputs import IMPORTED_FOLDER
from dasksse.records import content_key, file_digest
from dasksse.store.label_reader import read_stored_labels
from dasksse.store.layout import store_path

if TYPE_CHECKING:
    from pathlib import Path

MODELS_FOLDER = "ensemble"


def take_ensemble(run: Path, root: Path) -> tuple[str, ...]:
    """Copy the last ensemble of a run; files are named by their content.

    Parameters
    ----------
    run
        Run folder.
    root
        Folder of the studies.

    Returns
    -------
    tuple[str, ...]
        Files below ``root``, in the order of the members.

    Raises
    ------
    RunFolderError
        When the run has no ensemble yet.
    """
    generations = sorted(path for path in (run / "models").glob("*") if path.is_dir())
    members = sorted(generations[-1].glob("model_*")) if generations else []
    if not members:
        msg = f"{run} has no ensemble; `dasksse run` trains one"
        raise RunFolderError(msg)
    names = []
    (root / MODELS_FOLDER).mkdir(parents=True, exist_ok=True)
    for index, path in enumerate(members):
        name = f"{MODELS_FOLDER}/{index}-{file_digest(path)[:16]}{path.suffix}"
        target = root / name
        if not target.is_file():
            temporary = target.with_name(f".{target.name}.tmp")
            shutil.copyfile(path, temporary)
            temporary.replace(target)
        names.append(name)
    return tuple(names)


def take_labels(run: Path, root: Path) -> dict[str, str]:
    """Copy the good labels of a run, each frame once; files are named by their content.

    Returns
    -------
    dict[str, str]
        Digest of each part, by its path below ``root`` without suffix, as
        :func:`dasksse.loop.label_inputs.imported_labels` takes them.
    """
    if not (store_path(run) / "zarr.json").is_file():
        return {}
    folder = root / IMPORTED_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    systems = Compositions()
    digests = {}
    for _, labels in read_stored_labels(run):
        system, new, _ = systems.add(labels)
        if not len(new):
            continue
        digest = content_key(
            new.frames.content_keys(), new.energies, new.source, new.functional
        )
        name = f"{IMPORTED_FOLDER}/{digest}.{system}"
        if not (root / f"{name}.npz").is_file():
            temporary = folder / f".{digest}.tmp.npz"
            new.save(temporary)
            temporary.replace(root / f"{name}.npz")
        digests[name] = digest
    return digests
