"""LAMMPS commands as text: loading an ensemble, starting a run, writing its output.

Units are LAMMPS' ``metal``: Å, ps, eV, K, bar. Everything here is pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase.data import atomic_masses, atomic_numbers

from dasksse.units import BAR_PER_GPA, FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dasksse.explore.md_spec import MdSpec

HALT_CHECK_STEPS = 10
"""Temperature and volume are checked at least this often [steps]."""

HALT_EXTRA_K = 1000.0
"""Added to the temperature limit, so that cold runs may still start from a warm lattice [K]."""

THERMO_COLUMNS = "step temp press pe xlo xhi ylo yhi zlo zhi xy xz yz"
DUMP_COLUMNS = "id xs ys zs ix iy iz"


def load_commands(
    models: Sequence[str],
    type_map: Sequence[str],
    *,
    deviation_file: str,
    deviation_interval_steps: int,
    zbl: tuple[float, float] | None,
) -> list[str]:
    """Commands that create an empty triclinic box and load the ensemble, once per process.

    Parameters
    ----------
    models
        Model files; the first drives, all are compared.
    type_map
        Elements in the order of the LAMMPS types. The models are told the names, so their own
        type map may have another order.
    deviation_file
        File that the plugin writes per-atom force deviations to (two or more models).
    deviation_interval_steps
        Interval of those rows [steps].
    zbl
        Inner and outer radius [Å] of a Ziegler-Biersack-Littmark repulsion added to the
        network, or None.
    """
    quoted = " ".join(f'"{model}"' for model in models)
    deepmd = f"deepmd {quoted}"
    if len(models) > 1:
        deepmd += f' out_freq {deviation_interval_steps} out_file "{deviation_file}" atomic'
    elements = " ".join(type_map)
    commands = [
        "units metal",
        "atom_style atomic",
        "atom_modify map yes sort 0 0",  # a sort would depend on what ran before
        "boundary p p p",
        "box tilt large",
        "region start prism 0 10 0 10 0 10 0 0 0",
        f"create_box {len(type_map)} start",
    ]
    commands += [
        f"mass {i} {atomic_masses[atomic_numbers[element]]:.10g}"
        for i, element in enumerate(type_map, start=1)
    ]
    if zbl is None:
        commands += [f"pair_style {deepmd}", f"pair_coeff * * {elements}"]
    else:
        inner_A, outer_A = zbl
        commands += [
            f"pair_style hybrid/overlay {deepmd} zbl {inner_A:.10g} {outer_A:.10g}",
            f"pair_coeff * * deepmd {elements}",
        ]
        charges = [atomic_numbers[element] for element in type_map]
        commands += [
            f"pair_coeff {i + 1} {j + 1} zbl {charges[i]} {charges[j]}"
            for i in range(len(charges))
            for j in range(i, len(charges))
        ]
    return [*commands, "neighbor 1.0 bin", "neigh_modify every 1 delay 0 check yes"]


def _nve(spec: MdSpec) -> str:
    del spec
    return "nve"


def _thermostat(spec: MdSpec) -> str:
    target = f"{spec.temperature_K:.10g}"
    return f"temp {target} {target} {spec.thermostat_damping_fs / FS_PER_PS:.10g}"


def _nvt(spec: MdSpec) -> str:
    return f"nvt {_thermostat(spec)}"


def _npt(kind: str) -> Callable[[MdSpec], str]:
    def integrator(spec: MdSpec) -> str:
        target = f"{spec.pressure_GPa * BAR_PER_GPA:.10g}"
        damping = f"{spec.barostat_damping_fs / FS_PER_PS:.10g}"
        # A flipped cell would jump; the unflipped one stays continuous (`box tilt large`).
        return f"npt {_thermostat(spec)} {kind} {target} {target} {damping} flip no"

    return integrator


_INTEGRATORS: dict[str, Callable[[MdSpec], str]] = {
    "nve": _nve,
    "nvt": _nvt,
    "npt-iso": _npt("iso"),
    "npt-aniso": _npt("aniso"),
    "npt-tri": _npt("tri"),
}

ENSEMBLES = tuple(_INTEGRATORS)
"""Names of the ensembles that can be run."""


def temperature_limit_K(spec: MdSpec) -> float:
    """Temperature [K] above which a run has blown up."""
    return spec.max_temperature_ratio * spec.temperature_K + HALT_EXTRA_K


def start_commands(spec: MdSpec, *, volume_A3: float) -> list[str]:
    """Commands that start a run once its atoms are in place.

    Parameters
    ----------
    spec
        What to run.
    volume_A3
        Cell volume of the start configuration [Å³], the reference of the volume limits.
    """
    ratio = spec.max_volume_ratio
    # Negated, so that a NaN counts as out of bounds.
    in_bounds = (
        f"(temp<{temperature_limit_K(spec):.10g})&&(vol<{volume_A3 * ratio:.10g})"
        f"&&(vol>{volume_A3 / ratio:.10g})"
    )
    check_steps = min(spec.frame_interval_steps, HALT_CHECK_STEPS)
    return [
        f"timestep {spec.timestep_fs / FS_PER_PS:.10g}",
        f"fix integrate all {_INTEGRATORS[spec.ensemble](spec)}",
        f'variable out_of_bounds equal "!({in_bounds})"',
        f"fix bounds all halt {check_steps} v_out_of_bounds != 0 error continue message no",
        f"thermo {spec.frame_interval_steps}",
        f"thermo_style custom {THERMO_COLUMNS}",
        "thermo_modify format float %.17g lost error flush yes",
    ]


def output_commands(interval_steps: int, *, dump_file: Path, log_file: Path) -> list[str]:
    """Commands that send frames and thermodynamic rows to files, readable after a crash.

    Parameters
    ----------
    interval_steps
        Frame interval [steps].
    dump_file
        Fractional coordinates (relative to the frame's cell) and image counts, by atom id.
    log_file
        Temperature, pressure, potential energy and box of each frame.
    """
    return [
        f'log "{log_file}"',
        f'dump frames all custom {interval_steps} "{dump_file}" {DUMP_COLUMNS}',
        "dump_modify frames sort id format float %.17g",
    ]
