"""What the commands that work by units, but are no run, have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dasksse.cli.run_command import heed_signals
from dasksse.config.messages import nearest
from dasksse.engine.cluster import Start, make_runner, slots
from dasksse.errors import ConfigError
from dasksse.loop.display import Display
from dasksse.study import open_study, run_study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from dasksse.config.load import LoadedConfig
    from dasksse.config.schema import RegistrySection
    from dasksse.loop.estimate import Estimate
    from dasksse.study import Study


def study_root(loaded: LoadedConfig, chosen: Path | None, name: str) -> Path:
    """Folder of a study: as asked, or beside the runs."""
    return (chosen or Path("runs") / f"{loaded.config.name}-{name}").absolute()


def work(
    console: Console,
    study: Study,
    loaded: LoadedConfig,
    engine: RegistrySection,
    root: Path,
    *,
    reproducible: bool,
    estimate: Estimate | None = None,
) -> int:
    """Do the units of a study, or those that are left of it; how many were done."""
    config = loaded.config
    folder = open_study(root, study.name)
    console.print(f"folder {root}", highlight=False)
    heed_signals()
    start = Start(root, reproducible=reproducible, hung_after_s=config.stop.hung_after_s)
    return run_study(
        study,
        loaded,
        folder,
        start_runner=lambda: make_runner(engine, start),
        display=Display(folder, console, estimate=estimate, slots=slots(engine)),
    )


def tell_failed(console: Console, root: Path) -> None:
    """Say where failed units are and how to try them again."""
    failed = root / "failed"
    if failed.is_dir() and any(failed.iterdir()):
        console.print(
            f"what failed is kept with its logs in {failed}; after `dasksse retry {root}` the "
            "same command tries it again",
            highlight=False,
        )


def check_systems(names: Sequence[str], loaded: LoadedConfig) -> tuple[str, ...]:
    """Names of systems that the configuration has; all of them when none are asked for.

    Raises
    ------
    ConfigError
        When there is no such system.
    """
    known = [system.name for system in loaded.config.systems]
    for name in names:
        if name not in known:
            msg = f"--system: found {name!r}, allowed: {', '.join(known)}{nearest(name, known)}"
            raise ConfigError(msg)
    return tuple(names or known)


def check_positive(**options: float) -> None:
    """Refuse numbers that are not above 0.

    Raises
    ------
    ConfigError
        With the option and what was found.
    """
    for name, value in options.items():
        if not value > 0.0:
            msg = f"--{name.replace('_', '-')}: found {value:g}, allowed: more than 0"
            raise ConfigError(msg)
