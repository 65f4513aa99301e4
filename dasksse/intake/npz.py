"""Arrays of numpy in one file, read frame by frame."""

from __future__ import annotations

import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from dasksse.errors import TrajectoryError
from dasksse.intake.source import Hints, Piece, Source, frames_per_piece
from dasksse.intake.species import element_numbers
from dasksse.store.layout import IMPORTED_SCALARS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

TITLE = "numpy arrays"
NEEDED = (
    "positions (frame, atom, xyz) [Å], cell (xyz, xyz) or (frame, xyz, xyz) [Å], species (atom)"
)
OPTIONAL = (
    "dt_fs, wrapped (bool), temperature_K; temperature [K], pressure [GPa], energy [eV] (frame)"
)


def open_npz(path: Path, hints: Hints) -> Source:
    """Open a file with ``positions``, ``cell``, ``species`` and what else is known.

    ``species`` are symbols or atomic numbers; ``dt_fs``, ``wrapped`` and ``temperature_K`` are
    numbers of the whole run; ``temperature`` [K], ``pressure`` [GPa] and ``energy`` [eV] are
    numbers of each frame.

    Raises
    ------
    TrajectoryError
        When an array is missing or has another shape, or a species is unknown.
    """
    try:
        archive = zipfile.ZipFile(path)
        stream = archive.open("positions.npy")
        shape, dtype = _header(stream)
        with np.load(path, allow_pickle=False) as arrays:
            small = {name: arrays[name] for name in arrays.files if name != "positions"}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path}: cannot be read: {error}; needed are {NEEDED}; allowed too: {OPTIONAL}"
        raise TrajectoryError(msg) from error
    n_frames, n_atoms = _check_shapes(path, shape, small)
    kinds = small["species"]
    names = {str(number): int(number) for number in kinds} if kinds.dtype.kind in "iu" else {}
    numbers = element_numbers(
        [str(kind) for kind in kinds], path, {**names, **(hints.species or {})}
    )
    return Source(
        path,
        TITLE,
        numbers,
        _pieces(path, stream, dtype, (n_frames, n_atoms), small),
        lambda: archive.fp.tell() if archive.fp else path.stat().st_size,
        unwrapped_by="wrapped = False" if not small.get("wrapped", True) else "",
        is_wrapped=bool(small.get("wrapped", False)),
        interval_fs=_number(small, "dt_fs"),
        temperature_K=_number(small, "temperature_K"),
    )


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = read(stream)
    if is_fortran or dtype.kind not in "fiu":
        order = "Fortran" if is_fortran else "C"
        msg = f"positions are {dtype} in {order} order, not real numbers in C order"
        raise ValueError(msg)
    return shape, dtype


def _check_shapes(
    path: Path, shape: tuple[int, ...], small: dict[str, NDArray[Any]]
) -> tuple[int, int]:
    """Numbers of frames and atoms."""
    missing = [name for name in ("species",) if name not in small]
    if missing or len(shape) != 3 or shape[2] != 3:  # noqa: PLR2004 - (frame, atom, xyz)
        found = {"positions": shape} | {name: array.shape for name, array in small.items()}
        msg = f"{path}: found arrays {found}; needed are {NEEDED}; allowed too: {OPTIONAL}"
        raise TrajectoryError(msg)
    n_frames, n_atoms, _ = shape
    allowed: dict[str, list[tuple[int, ...]]] = {
        "species": [(n_atoms,)],
        "cell": [(3, 3), (n_frames, 3, 3)],
        **{name: [(n_frames,)] for name in IMPORTED_SCALARS},
    }
    for name, shapes in allowed.items():
        if name in small and small[name].shape not in shapes:
            msg = f"{path}: {name} has shape {small[name].shape}, needed is {shapes[-1]}"
            raise TrajectoryError(msg)
    for name in ("cell", *IMPORTED_SCALARS):
        if name in small and small[name].dtype.kind not in "fiu":
            msg = f"{path}: {name} is an array of {small[name].dtype}, needed are real numbers"
            raise TrajectoryError(msg)
    return n_frames, n_atoms


def _number(small: dict[str, NDArray[Any]], name: str) -> float | None:
    return float(small[name]) if name in small else None


def _pieces(
    path: Path,
    stream: IO[bytes],
    dtype: np.dtype[Any],
    shape: tuple[int, int],
    small: dict[str, NDArray[Any]],
) -> Iterator[Piece]:
    n_frames, n_atoms = shape
    cell = small.get("cell")
    scalars = {
        name: small[name].astype(np.float64) for name in IMPORTED_SCALARS if name in small
    }
    size = frames_per_piece(n_atoms)
    frame_bytes = n_atoms * 3 * dtype.itemsize
    for start in range(0, n_frames, size):
        count = min(size, n_frames - start)
        try:
            data = stream.read(count * frame_bytes)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            msg = f"{path}: positions cannot be unpacked: {error}"
            raise TrajectoryError(msg) from error
        positions = np.frombuffer(data, dtype=dtype).reshape(count, n_atoms, 3)
        cells = None
        if cell is not None:
            own = cell if cell.ndim == 2 else cell[start : start + count]  # noqa: PLR2004 - one for all
            cells = np.broadcast_to(np.asarray(own, dtype=np.float64), (count, 3, 3))
        yield Piece(
            positions.astype(np.float64),
            cells,
            scalars={name: column[start : start + count] for name, column in scalars.items()},
        )
