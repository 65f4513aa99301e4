"""``dasksse density``: where the mobile ions are, on a grid for VESTA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from dasksse.analyse.density import density_format, ion_density
from dasksse.cli.stored_runs import check_folder, chosen_sets
from dasksse.errors import AnalysisError, ConfigError

if TYPE_CHECKING:
    import argparse


def command(arguments: argparse.Namespace) -> int:
    """Write the density and say what is in the file.

    Raises
    ------
    ConfigError
        When the store has no such runs or element, runs of more than one system, temperature
        or pressure are left, or an option does not fit.
    """
    try:
        density_format(arguments.out)
        check_folder(arguments.out, "--out")
        sets = chosen_sets(arguments)
        if len(sets) > 1:
            there = "; ".join(one.title for one in sets)
            msg = (
                f"{arguments.store}: one file holds one density, found: {there}; choose with "
                "--system, --temperature-K and --pressure-GPa"
            )
            raise ConfigError(msg)
        density = ion_density(
            sets[0].runs,
            arguments.species,
            spacing_A=arguments.spacing_A,
            supercell=_supercell(arguments.supercell),
        )
    except AnalysisError as error:
        raise ConfigError(str(error)) from error
    density.write(arguments.out)
    points = " × ".join(map(str, density.values_A3.shape))
    spacings = " × ".join(f"{spacing:.3f}" for spacing in density.spacing_A)
    runs = "1 run" if density.n_runs == 1 else f"{density.n_runs} runs"
    Console(soft_wrap=True, highlight=False, markup=False).print(
        f"{sets[0].title}: {runs}, {density.n_frames} frames\n"
        f"{points} points, {spacings} Å apart\n"
        f"{density.n_ions:g} {density.mobile} in the cell, density up to "
        f"{density.values_A3.max():.3g} 1/Å³\n"
        f"written to {arguments.out}"
    )
    return 0


def _supercell(text: str) -> tuple[int, int, int]:
    try:
        a, b, c = map(int, text.split(","))
    except ValueError as error:
        msg = f"--supercell: found {text!r}; allowed: three whole numbers such as 2,2,1"
        raise ConfigError(msg) from error
    return a, b, c
