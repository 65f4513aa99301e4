"""Labels that exist already and a run learns from: checked, kept with the run, put in its plan.

The labels of all stores are brought together, each frame once and one system a composition, and
kept in the run folder: later additions to a store leave the run as it is, and the folder can be
moved.
"""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

from ase.data import chemical_symbols

from dasksse.errors import DasksseError, StoreError
from dasksse.label import load_calculator, resolved_calculator
from dasksse.label.dft import ENGINES
from dasksse.label.importing import UNKNOWN_FUNCTIONAL
from dasksse.label.importing.compositions import Compositions
from dasksse.label.surrogates import SURROGATES
from dasksse.loop.units import LabelSource
from dasksse.loop.walk import make_unit
from dasksse.records import content_key
from dasksse.store.folders import read_json, write_json
from dasksse.store.label_reader import (
    label_origins,
    labels_digest,
    read_stored_labels,
    stored_frames,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.config.load import LoadedConfig
    from dasksse.config.schema import RegistrySection
    from dasksse.records import Json
    from dasksse.store.folders import RunFolder

    Origin = tuple[str, str, bool]
    """Source, functional, and whether it is a surrogate."""

IMPORTED_FOLDER = "imported"
"""Folder of the run with the labels; also the first part of their names among digests."""
_INDEX = "index.json"
_KEY = "start.label_stores"


# --- checks ----------------------------------------------------------------------------------


def check_label_stores(loaded: LoadedConfig) -> None:
    """Refuse stores that cannot be read, or whose labels the run could not learn from.

    Raises
    ------
    ConfigError
        With file and key.
    """
    origins: Counter[Origin] = Counter()
    elements: dict[str, set[str]] = {}
    for index, name in enumerate(loaded.config.start.label_stores):
        try:
            elements[name] = _elements(loaded, index)
            origins += label_origins(loaded.base_dir / name)
        except StoreError as error:
            raise loaded.error(f"{_KEY}.{index}", str(error)) from error
    _require_types(loaded, elements)
    unknown = [source for source, functional, _ in origins if functional == UNKNOWN_FUNCTIONAL]
    if unknown:
        message = (
            f"the functional of the labels from {', '.join(unknown)} is not known; import them "
            "again, into a new store, with --functional"
        )
        raise loaded.error(_KEY, message)
    if origins and loaded.config.label.mixing == "refuse":
        _require_one_origin(loaded, origins)


def _elements(loaded: LoadedConfig, index: int) -> set[str]:
    """Elements of a store; one without labels is refused."""
    name = loaded.config.start.label_stores[index]
    systems = stored_frames(loaded.base_dir / name)
    if not systems:
        raise loaded.error(f"{_KEY}.{index}", f"{name} holds no labels")
    return {chemical_symbols[int(z)] for atoms, _ in systems.values() for z in atoms}


def _require_types(loaded: LoadedConfig, elements: Mapping[str, set[str]]) -> None:
    """Refuse elements that the type map lacks, of all stores at once."""
    known = loaded.config.type_map
    missing = sorted(set().union(*elements.values()).difference(known))
    if missing:
        found = "; ".join(
            f"{name} has labels of {', '.join(sorted(symbols.difference(known)))}"
            for name, symbols in elements.items()
            if not symbols <= set(known)
        )
        message = (
            f"{found}; allowed: {', '.join(known)}. One model can know them all: write "
            f"`type_map: [{', '.join([*known, *missing])}]`"
        )
        raise loaded.error(_KEY, message)


def _require_one_origin(loaded: LoadedConfig, origins: Counter[Origin]) -> None:
    """Refuse labels whose energies need not compare, before anything is computed."""
    found = [
        f"{count} frames of {source}, functional {functional}" + ", surrogate" * is_surrogate
        for (source, functional, is_surrogate), count in origins.items()
    ]
    clash = len({origin[:2] for origin in origins}) > 1
    computes = bool(loaded.config.start.n_frames or loaded.config.explore.schedule)
    for origin in origins if computes else ():
        other = _other_than_calculator(loaded.config.label.calculator, origin)
        if other:
            clash = True
            found.append(f"new labels: {other}")
            break
    if clash:
        message = (
            f"labels of different origin ({'; '.join(found)}): their energies need not compare "
            "and label.mixing is `refuse`. Where they do compare, give the labels one name "
            "when they are imported (--source), that of the calculator if its settings are the "
            "same; else set label.mixing to `align` or `as_is`"
        )
        raise loaded.error(_KEY, message)


def _other_than_calculator(section: RegistrySection, origin: Origin) -> str:
    """What the run's calculator is, where it surely differs from an origin of labels."""
    source, functional, is_surrogate = origin
    if section.kind in SURROGATES and not is_surrogate:
        return f"{section.kind}, a surrogate"
    if section.kind in ENGINES:
        try:
            calculator = load_calculator(section)
        except DasksseError:  # the program is elsewhere; `dasksse doctor` says so
            return ""
        if (calculator.source, calculator.functional) != (source, functional):
            return f"{calculator.source}, functional {calculator.functional}"
        return ""
    own = str(resolved_calculator(section).settings.get("functional", functional))
    return "" if own == functional else f"{section.kind}, functional {own}"


# --- the run's own copy ----------------------------------------------------------------------


def keep_label_stores(loaded: LoadedConfig, folder: RunFolder) -> None:
    """Keep the labels with the run, unless they are there; the rename is the commit."""
    target = folder.root / IMPORTED_FOLDER
    if not loaded.config.start.label_stores or target.is_dir():
        return
    temporary = folder.root / f"{IMPORTED_FOLDER}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    systems = Compositions()
    parts: dict[str, str] = {}
    for name in loaded.config.start.label_stores:
        for _, labels in read_stored_labels(loaded.base_dir / name):
            system, new, _ = systems.add(labels)
            if not len(new):
                continue
            part = f"{len(parts):03d}.{system}"
            new.save(temporary / f"{part}.npz")
            parts[part] = content_key(
                new.frames.content_keys(), new.energies, new.source, new.functional
            )
    write_json(temporary / _INDEX, {"stores": _store_digests(loaded), "parts": parts})
    temporary.rename(target)


def changed_label_stores(loaded: LoadedConfig, folder: RunFolder) -> list[str]:
    """Stores that hold other labels than when the run began."""
    index = _index(folder)
    if not index:
        return []
    return [
        f"{_KEY}: {name} has other labels"
        for name, digest in _store_digests(loaded).items()
        if index["stores"].get(name, digest) != digest
    ]


def label_digests_in(folder: RunFolder) -> dict[str, str]:
    """Digest of each part of the imported labels, by its path without suffix."""
    parts = _index(folder).get("parts", {})
    return {f"{IMPORTED_FOLDER}/{part}": digest for part, digest in parts.items()}


def _store_digests(loaded: LoadedConfig) -> dict[str, str]:
    names = loaded.config.start.label_stores
    return {name: labels_digest(loaded.base_dir / name) for name in names}


def _index(folder: RunFolder) -> dict[str, Any]:
    path = folder.root / IMPORTED_FOLDER / _INDEX
    index: dict[str, Any] = read_json(path) if path.is_file() else {}
    return index


# --- plan ------------------------------------------------------------------------------------


def known_labels(results: Mapping[str, Mapping[str, Json]]) -> dict[str, list[str]]:
    """Files of a run that hold the label of a frame, by the frame's content key.

    Parameters
    ----------
    results
        Record of every finished unit, by key; imported labels are among them.
    """
    files: dict[str, list[str]] = {}
    for record in results.values():
        for key in record.get("labelled", ()):
            files.setdefault(key, []).append(record["labels_file"])
    return files


def imported_labels(digests: Mapping[str, str]) -> list[LabelSource]:
    """Units that bring imported labels into the run, as sources of labels.

    Parameters
    ----------
    digests
        Digests of a run's inputs, see :func:`label_digests_in`; those of structures are passed
        over.
    """
    sources = []
    for name in sorted(digests):
        folder, _, part = name.partition("/")
        if folder == IMPORTED_FOLDER and part:
            payload = {"file": f"{name}.npz"}
            unit = make_unit(
                "imported", "REDUCE", "imported:take", payload, identity=digests[name]
            )
            system = f"imported-{part.partition('.')[2]}"
            sources.append(LabelSource(unit, system, "imported", -1))
    return sources
