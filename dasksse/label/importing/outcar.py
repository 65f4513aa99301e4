"""Labels from VASP's ``OUTCAR``, plain or gzipped: single points, relaxations and MD."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import numpy as np

from dasksse.errors import StoreError
from dasksse.label.importing.labelled_frames import (
    LabelledFrame,
    Reading,
    element_numbers,
    group_frames,
)
from dasksse.label.importing.vasp_settings import functional_of, source_of
from dasksse.label.importing.vasprun import KBAR_EV_A3

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_TAG = re.compile(
    r"^\s*(NELM|EDIFF|LEXCH|GGA|METAGGA|LHFCALC|LUSE_VDW|IVDW|ENCUT)\s*=\s*([^\s;]+)"
)
_LEXCH = {"2": "CA", "8": "PE", "14": "PS"}
_NUMBER = re.compile(r"[-+]?\d+\.\d+(?:[Ee][-+]?\d+)?|\*{4,}")
COLUMNS = 6
"""Position and force of an atom."""
_ENERGY_LINE = "  free  energy   TOTEN  ="
"""The two blanks tell the energy of an ionic step from those of electronic steps."""


@dataclass
class _Outcar:
    """What was read so far."""

    version: str = ""
    elements: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    cell: Array | None = None
    virial: Array | None = None
    table: Array | None = None
    n_scf: int = 0
    change_eV: float = 0.0
    said_unconverged: bool = False
    is_complete: bool = False

    @property
    def symbols(self) -> list[str]:
        """Element of each type of atom."""
        if self.elements:
            return self.elements
        # every title is printed twice, first all of them, then each with its potential
        halves = self.titles[: len(self.titles) // 2]
        return [title.split()[1].partition("_")[0] for title in halves]


def read_outcar(path: Path, type_map: Sequence[str] | None = None) -> Reading:
    """Labels of every ionic step that reached self-consistency.

    Parameters
    ----------
    path
        The file; ``.gz`` is unpacked.
    type_map
        Not used: the file names its elements.

    Raises
    ------
    StoreError
        When it cannot be read, or was ended before its first step was done.

    Notes
    -----
    The energy is TOTEN, without ``P V``. The line *in kB* is positive under compression: the
    virial is ``V`` times it. Positions are printed with five digits; ``vasprun.xml`` has more.
    """
    del type_map
    state = _Outcar()
    try:
        with _opened(path) as stream:
            frames = list(_frames(stream, state, path))
    except (OSError, EOFError, ValueError, IndexError) as error:
        msg = f"{path}: cannot be read as OUTCAR: {type(error).__name__} {error}"
        raise StoreError(msg) from error
    if not frames:
        msg = f"{path}: unfinished or no OUTCAR: it holds no finished ionic step"
        raise StoreError(msg)
    tags = dict(state.tags)
    if tags.get("GGA", "--") == "--":
        tags["GGA"] = _LEXCH.get(tags.get("LEXCH", ""), "")
    labels = group_frames(
        frames,
        source=source_of(state.version, state.tags.get("ENCUT", "nan")),
        functional=functional_of(tags, state.titles),
    )
    unfinished = f"the job did not end by itself; {len(frames)} finished steps"
    return Reading(labels, () if state.is_complete else (unfinished,))


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", errors="replace")
    return path.open(errors="replace")


def _frames(stream: IO[str], state: _Outcar, path: Path) -> Iterator[LabelledFrame]:
    lines = iter(stream)
    state.version = next(lines, "").strip().removeprefix("vasp.").partition(" ")[0]
    for line in lines:
        if line.startswith(_ENERGY_LINE):
            yield _finished_step(line, state, path)
        elif "TOTAL-FORCE (eV/Angst)" in line and "ML" not in line:
            next(lines, "")
            rows = [_numbers(next(lines, "")) for _ in range(sum(state.counts))]
            is_whole = all(len(row) == COLUMNS for row in rows)
            state.table = np.array(rows) if is_whole else None
        elif line.rstrip().endswith("reciprocal lattice vectors"):
            state.cell = np.array([_numbers(next(lines, ""))[:3] for _ in range(3)])
        elif not _read_scf(line, state):
            _read_header(line, state)


def _read_scf(line: str, state: _Outcar) -> bool:
    """Take in a line on self-consistency or stress; False for any other line."""
    if "Iteration" in line and line.startswith("-----"):
        state.n_scf += 1
    elif "total energy-change (2. order) :" in line:
        state.change_eV = abs(_numbers(line.partition(":")[2])[0])
    elif "EDIFF was not reached" in line:
        state.said_unconverged = True
    elif line.startswith("  in kB"):
        xx, yy, zz, xy, yz, zx = _numbers(line)
        state.virial = np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
    elif "General timing and accounting" in line:
        state.is_complete = True
    else:
        return False
    return True


def _read_header(line: str, state: _Outcar) -> None:
    if "VRHFIN" in line:
        state.elements.append(line.partition("=")[2].partition(":")[0].strip())
    elif line.startswith(" POTCAR:"):
        state.titles.append(line.partition(":")[2].strip())
    elif "ions per type" in line:
        state.counts = [int(word) for word in line.partition("=")[2].split()]
    else:
        match = _TAG.match(line)
        if match:
            state.tags[match[1]] = match[2]


def _finished_step(line: str, state: _Outcar, path: Path) -> LabelledFrame:
    symbols = [
        symbol
        for symbol, count in zip(state.symbols, state.counts, strict=True)
        for _ in range(count)
    ]
    if state.cell is None or state.table is None or len(state.table) != len(symbols):
        msg = "an ionic step without cell, or without positions and forces of all atoms"
        raise ValueError(msg)
    frame = LabelledFrame(
        element_numbers(symbols, path),
        state.table[:, :3],
        state.cell,
        _numbers(line)[0],
        state.table[:, 3:],
        _virial(state),
        _trouble(state),
    )
    state.n_scf, state.said_unconverged, state.virial, state.table = 0, False, None, None
    return frame


def _virial(state: _Outcar) -> Array | None:
    if state.virial is None or state.cell is None:
        return None
    return float(abs(np.linalg.det(state.cell))) * KBAR_EV_A3 * state.virial


def _trouble(state: _Outcar) -> str:
    """Why the step is no label; VASP 5 does not say itself that it came to NELM."""
    is_last = state.n_scf >= int(state.tags.get("NELM", "60"))
    is_off = state.change_eV > float(state.tags.get("EDIFF", "1e-4"))
    if state.said_unconverged or (is_last and is_off):
        return f"SCF not converged: {state.n_scf} steps, last change {state.change_eV:.1e} eV"
    return ""


def _numbers(line: str) -> list[float]:
    """Numbers with a point; columns of stars are not finite."""
    return [np.nan if "*" in word else float(word) for word in _NUMBER.findall(line)]
