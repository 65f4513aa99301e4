"""What CP2K is told: our input, with the user's template merged over it, and the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase.units import Bohr

from dasksse.label.dft.cp2k_sections import InputSection, merged, parse_input
from dasksse.label.dft.settings import k_mesh
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ase import Atoms

    from dasksse.label.dft.cp2k_data import Kind
    from dasksse.label.dft.cp2k_settings import Cp2kSettings

PROJECT = "label"

_FRAME_FREE = """
&GLOBAL
  PROJECT {project}
  RUN_TYPE ENERGY_FORCE
  PRINT_LEVEL MEDIUM
&END
&FORCE_EVAL
  METHOD QUICKSTEP
  STRESS_TENSOR {stress}
  &PRINT
    &FORCES
      NDIGITS 14
    &END
    &STRESS_TENSOR
    &END
  &END
  &DFT
    {files}
    &MGRID
      CUTOFF {cutoff}
      REL_CUTOFF {rel_cutoff}
      NGRIDS 5
    &END
    &QS
      EPS_DEFAULT 1.0E-10
      EXTRAPOLATION {extrapolation}
    &END
    &SCF
      EPS_SCF {eps_scf}
      MAX_SCF {max_scf}
      SCF_GUESS ATOMIC
      {solver}
      {smearing}
      &PRINT
        &RESTART OFF
        &END
      &END
    &END
    {kpoints}
    &PRINT
      &MULLIKEN OFF
      &END
      &HIRSHFELD OFF
      &END
    &END
    &XC
      &XC_FUNCTIONAL
        {functional}
      &END
    &END
  &END
  &SUBSYS
    {kinds}
  &END
&END
"""
_SOLVERS = {
    "diagonalization": """
&DIAGONALIZATION
&END
&MIXING
  METHOD BROYDEN_MIXING
  ALPHA 0.3
  NBROYDEN 8
&END""",
    "ot": """
&OT
  PRECONDITIONER FULL_ALL
  MINIMIZER DIIS
&END""",
}
_FUNCTIONALS = {
    "PBE": "&PBE\n&END",
    "PBE+D3": "&PBE\n&END",
    "PBEsol": "&PBE\nPARAMETRIZATION PBESOL\n&END",
    "LDA": "&PADE\n&END",
    "SCAN": "&MGGA_X_SCAN\n&END\n&MGGA_C_SCAN\n&END",
    "r2SCAN": "&MGGA_X_R2SCAN\n&END\n&MGGA_C_R2SCAN\n&END",
}
_SMEARING = """
ADDED_MOS {added}
&SMEAR
  METHOD FERMI_DIRAC
  ELECTRONIC_TEMPERATURE [K] {kelvin:.8f}
&END"""
_KPOINTS = """
&KPOINTS
  SCHEME MACDONALD {mesh}
  SYMMETRY F
&END"""


def _centred_at_gamma(mesh: tuple[int, int, int]) -> str:
    """Divisions and shifts of a mesh that holds Gamma, as all engines here use it.

    The mesh of Monkhorst and Pack leaves Gamma out where a division is even; MacDonald's shift
    of half a step brings it back.
    """
    shifts = (0.0 if n % 2 else 0.5 / n for n in mesh)
    return " ".join([*map(str, mesh), *(f"{shift:.15g}" for shift in shifts)])


def frame_free_input(
    settings: Cp2kSettings, atoms: Atoms, kinds: Mapping[str, Kind], *, virial: bool
) -> InputSection:
    """Input without cell and positions, with the user's template merged over it.

    Parameters
    ----------
    settings
        Checked settings.
    atoms
        Frame, whose cell decides the k-mesh.
    kinds
        Basis and potential by element.
    virial
        The stress is wanted.
    """
    mesh = k_mesh(atoms.cell.array, settings.kspacing_per_A)
    is_gamma = mesh == (1, 1, 1)
    n_electrons = sum(kinds[symbol].n_electrons for symbol in atoms.symbols)
    ours = _FRAME_FREE.format(
        project=PROJECT,
        stress="ANALYTICAL" if virial else "NONE",
        files=_files(kinds.values()),
        cutoff=settings.cutoff_Ry,
        rel_cutoff=settings.rel_cutoff_Ry,
        # frames are not consecutive steps of MD: the last one is taken, never a series
        extrapolation="USE_PREV_WF" if is_gamma else "USE_PREV_P",
        # the energy is variational: its error is of the order of this one squared
        eps_scf=settings.energy_tolerance_eV,
        max_scf=settings.max_scf_steps,
        solver=_SOLVERS[settings.solver],
        smearing=_smearing(settings.smearing_eV, n_electrons),
        kpoints="" if is_gamma else _KPOINTS.format(mesh=_centred_at_gamma(mesh)),
        functional=_FUNCTIONALS[settings.functional],
        kinds="\n".join(
            f"&KIND {element}\nBASIS_SET {kind.basis}\nPOTENTIAL {kind.potential}\n&END"
            for element, kind in kinds.items()
        ),
    )
    return merged(parse_input(ours), parse_input(settings.input))


def _files(kinds: Iterable[Kind]) -> str:
    kinds = list(kinds)
    bases = [f"BASIS_SET_FILE_NAME {kind.basis_file}" for kind in kinds if kind.basis_file]
    potentials = [
        f"POTENTIAL_FILE_NAME {kind.potential_file}" for kind in kinds if kind.potential_file
    ]
    return "\n".join(dict.fromkeys(bases + potentials))


def _smearing(width_eV: float, n_electrons: int) -> str:
    if width_eV == 0.0:
        return ""
    added = max(10, n_electrons // 10)
    return _SMEARING.format(added=added, kelvin=width_eV / BOLTZMANN_EV_K)


def with_frame(frame_free: InputSection, atoms: Atoms) -> str:
    """Whole input of a frame; lengths are in Bohr, so that CP2K converts none."""
    cell = [
        f"{axis} [bohr] {_numbers(row)}"
        for axis, row in zip("ABC", atoms.cell.array / Bohr, strict=True)
    ]
    symbols = atoms.get_chemical_symbols()
    positions = [
        f"{symbol} {_numbers(row)}"
        for symbol, row in zip(symbols, atoms.positions / Bohr, strict=True)
    ]
    subsys = InputSection(
        "SUBSYS",
        sections=[
            InputSection("CELL", keywords=cell),
            InputSection("COORD", keywords=["UNIT BOHR", *positions]),
        ],
    )
    frame = InputSection(sections=[InputSection("FORCE_EVAL", sections=[subsys])])
    return merged(frame_free, frame).text()


def _numbers(row: Sequence[float]) -> str:
    return " ".join(f"{x:.17e}" for x in row)
