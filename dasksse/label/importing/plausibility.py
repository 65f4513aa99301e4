"""Units and signs of labels, checked by physics: energies must follow forces and virials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.records import Labels

    Array = NDArray[np.float64]

MAX_MOVE_A = 0.5
MAX_STRAIN = 0.05
"""Frames further apart tell nothing: between them the energy is no parabola."""
MIN_PAIRS = 4
MAX_ERROR = 0.15
"""A slope is worth a look when its standard error is not above this."""
FAR_FROM_ONE = 0.3
"""Units or signs that are wrong miss by far more, anharmonic frames by less."""
MIN_FRAMES = 20
MIN_VOLUME_SPREAD = 0.005
MIN_CORRELATION = 0.5


def check_response(labels: Labels) -> list[str]:
    """Compare energy differences of successive frames with the work of forces and virial.

    Parameters
    ----------
    labels
        Good labels in the order of the file.

    Returns
    -------
    list[str]
        What is wrong; empty when all is well, or when no two successive frames are close
        enough to tell, as the frames of a well-chosen training set never are.

    Notes
    -----
    Between close frames ``dE = -F dx - W : strain``, with means of both frames and ``dx``
    without the part that follows the cell. Both terms get a factor by least squares; it is 1
    where units and signs are right.
    """
    with_virial = labels.take(np.flatnonzero(labels.has_virial))
    is_whole = len(with_virial) == len(labels)
    terms = _work(with_virial if is_whole else labels, with_virial=is_whole)
    if len(terms) < MIN_PAIRS:
        return []
    names = (("forces do", "F"), ("virial does", "W"))
    used = [i for i in (0, 1) if np.abs(terms[:, i]).max() > 0.0]
    if not used:
        return []
    factors, errors = _fit(terms[:, used], terms[:, 2])
    return [
        f"the {names[i][0]} not fit the energies: {names[i][1]} times {factor:.2g} +- "
        f"{error:.1g} would explain how the energy changes from frame to frame; check unit "
        "and sign"
        for i, factor, error in zip(used, factors, errors, strict=True)
        if error <= MAX_ERROR * max(1.0, abs(factor))
        and abs(factor - 1.0) > max(FAR_FROM_ONE, 4.0 * error)
    ]


def _work(labels: Labels, *, with_virial: bool) -> Array:
    """Work of forces and virial and change of energy [eV] of close pairs, ``(pair, 3)``."""
    cells = labels.frames.cells
    fractional = labels.frames.positions @ np.linalg.inv(cells)
    steps = np.diff(fractional, axis=0)
    steps -= np.round(steps)
    moves = steps @ ((cells[1:] + cells[:-1]) / 2.0)
    gradient = np.linalg.solve(cells[:-1], cells[1:]) - np.eye(3)
    strain = (gradient + gradient.transpose(0, 2, 1)) / 2.0
    is_close = (np.abs(moves).max(axis=(1, 2)) < MAX_MOVE_A) & (
        np.abs(gradient).max(axis=(1, 2)) < MAX_STRAIN
    )
    forces = (labels.forces[1:] + labels.forces[:-1]) / 2.0
    columns = [-(forces * moves).sum(axis=(1, 2)), np.zeros(len(moves))]
    if with_virial:
        virials = (labels.virials[1:] + labels.virials[:-1]) / 2.0
        columns[1] = -(virials * strain).sum(axis=(1, 2))
    return np.stack([*columns, np.diff(labels.energies)], axis=1)[is_close]


def _fit(terms: Array, change: Array) -> tuple[Array, Array]:
    """Factor of each term by least squares, and its standard error."""
    factors, *_ = np.linalg.lstsq(terms, change, rcond=None)
    rest = change - terms @ factors
    variance = float(rest @ rest) / max(1, len(change) - len(factors))
    errors = np.sqrt(variance * np.diag(np.linalg.pinv(terms.T @ terms)))
    return np.asarray(factors), np.asarray(errors)


def check_pressure(volumes_A3: Array, traces_eV: Array) -> list[str]:
    """Compare pressures with volumes of one composition: what is squeezed pushes back.

    Parameters
    ----------
    volumes_A3
        Volume of the cell [Å³], shape ``(frame,)``.
    traces_eV
        Trace of the virial [eV], shape ``(frame,)``.

    Returns
    -------
    list[str]
        What is wrong; empty when all is well, or when volumes differ too little to tell.
    """
    n_frames = len(volumes_A3)
    if n_frames < MIN_FRAMES or volumes_A3.std() < MIN_VOLUME_SPREAD * volumes_A3.mean():
        return []
    correlation = float(np.corrcoef(volumes_A3, traces_eV / volumes_A3)[0, 1])
    text = (
        f"the pressure rises with the volume (correlation {correlation:+.2f}, {n_frames} "
        "frames): the virial may have the wrong sign; it must be -dE/d(strain), positive "
        "under compression"
    )
    return [text] if correlation >= MIN_CORRELATION else []
