"""From numbers to what is stored and back: rounding, mean positions, checksums."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import zarr
    from numpy.typing import NDArray

LARGEST = 2**31 - 1
_PIECE_BYTES = 4 << 20
"""Work is done in pieces that fit into the caches of a core."""


def precision_of(array: zarr.Array[Any]) -> float:
    """Step [Å] that an array of positions is rounded to; 0 for none."""
    return float(array.attrs.get("scale_factor", 0.0))


def encode_positions(
    positions: NDArray[np.floating],
    *,
    precision_A: float,
    out: NDArray[Any],
    first_frame: int = 0,
    atoms: NDArray[np.int64] | None = None,
) -> None:
    """Round positions and check that they are numbers.

    Parameters
    ----------
    positions
        Positions [Å], shape ``(frame, atom, xyz)``.
    precision_A
        Step [Å]; 0 for no rounding.
    out
        Where they go, of the same shape.
    first_frame
        Number of the first frame, for messages.
    atoms
        Number of each atom, for messages, shape ``(atom,)``; as they come when None.

    Raises
    ------
    StoreError
        When a position is not finite, or too far away for integers of 32 bits.
    """
    per_step = 1.0 / precision_A if precision_A > 0 else 1.0
    largest = LARGEST if precision_A > 0 else np.finfo(np.float64).max
    for frames in _pieces(positions):
        values = np.multiply(positions[frames], per_step, dtype=np.float64)
        if precision_A > 0:
            np.rint(values, out=values)
        if not (values.min() >= -largest and values.max() <= largest):  # false for NaN too
            is_good = np.abs(values) <= largest
            frame, atom, _ = (int(place[0]) for place in np.nonzero(~is_good))
            found = np.asarray(positions[frames.start + frame, atom], dtype=float).tolist()
            frame += first_frame + frames.start
            atom = atom if atoms is None else int(atoms[atom])
            raise StoreError(_describe(frame, atom, found, precision_A))
        out[frames] = values


def _describe(frame: int, atom: int, found: list[float], precision_A: float) -> str:
    where = f"frame {frame}, atom {atom} is at {found} Å"
    if not np.isfinite(found).all():
        return f"{where}: positions must be finite; leave out the frames from there on"
    reach = LARGEST * precision_A
    return (
        f"{where}: a precision of {precision_A:g} Å reaches to {reach:.3g} Å; are the units "
        "right? A coarser precision, or 0 (lossless), stores it"
    )


def decode_positions(
    stored: NDArray[Any], precision_A: float
) -> NDArray[np.float64] | NDArray[np.float32]:
    """Positions [Å] in the memory order of what is stored; float64 where they were rounded."""
    return np.multiply(stored, precision_A) if precision_A > 0 else stored


def elements_of(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Atomic numbers of the elements, ascending: the order of ``element``."""
    return np.unique(numbers)


def element_centres(
    positions: NDArray[np.floating], numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean position of the atoms of each element [Å], shape ``(frame, element, xyz)``."""
    is_element = elements_of(numbers)[:, None] == numbers
    weights = is_element / is_element.sum(axis=1, keepdims=True)
    centres = np.empty((len(positions), len(weights), 3))
    for frames in _pieces(positions):
        centres[frames] = weights @ np.asarray(positions[frames], dtype=np.float64)
    return centres


def _pieces(positions: NDArray[Any]) -> Iterator[slice]:
    """Slices of frames."""
    frame_bytes = 8 * int(np.prod(positions.shape[1:], dtype=int))
    step = max(1, _PIECE_BYTES // max(1, frame_bytes))
    for start in range(0, len(positions), step):
        yield slice(start, min(start + step, len(positions)))


class RunDigest:
    """SHA-256 of a run's arrays as stored, frame by frame, whatever the pieces and padding."""

    def __init__(self, numbers: NDArray[np.integer]) -> None:
        self._parts: dict[str, Any] = {}
        self.update("atomic_number", np.asarray(numbers, dtype=np.int64))

    def update(self, name: str, stored: NDArray[Any]) -> None:
        """Take in the next frames of an array."""
        values = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("<"))
        if values.dtype.kind == "f":
            values = np.where(np.isnan(values), np.nan, values).astype(values.dtype)
        self._parts.setdefault(name, hashlib.sha256()).update(values.data)

    def value(self) -> NDArray[np.uint8]:
        """The 32 bytes."""
        total = hashlib.sha256()
        for name in sorted(self._parts):
            total.update(name.encode() + b"\0" + self._parts[name].digest())
        return np.frombuffer(total.digest(), dtype=np.uint8)
