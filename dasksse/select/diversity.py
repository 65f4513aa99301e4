"""Orders of candidates, the most wanted first: a registry of pickers."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dasksse.errors import ConfigError, StructureError
from dasksse.select.descriptor import descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dasksse.records import Frames

DUPLICATE_DISTANCE = 1e-5
"""Descriptors closer than this are of one configuration; frames 2 fs apart differ by more."""
_BLOCK_VALUES = 2**24
"""Distances held at once when candidates are compared with labelled frames (128 MiB)."""


class Picker(Protocol):
    """Orders frames; one entry of :data:`PICKERS`."""

    def __call__(
        self,
        frames: Frames,
        rng: np.random.Generator,
        n: int,
        *,
        labelled: Sequence[Frames],
        deviation: NDArray[np.float64] | None,
    ) -> list[int]:
        """Indices of at most ``n`` frames, no two of them equal."""


def pick_order(
    frames: Frames,
    *,
    method: str,
    seed: int,
    n: int | None,
    labelled: Sequence[Frames] = (),
    deviation: NDArray[np.float64] | None = None,
) -> list[int]:
    """Order in which to take frames, the most wanted first.

    Parameters
    ----------
    frames
        Candidates of one system.
    method
        Name in :data:`PICKERS`: ``farthest_point`` takes the frame least like those taken
        before, ``random`` takes any, ``deviation`` the one with the largest deviation.
    seed
        Seed of the order, at least 0; equal input and seed give an equal order. That of
        ``deviation`` does not depend on it.
    n
        Length wanted; all frames when None. It comes out shorter when frames run out.
    labelled
        Frames that have a label already; ``farthest_point`` keeps away from them, the others
        do not look.
    deviation
        Force deviation of the ensemble, shape ``(frame,)``; ``deviation`` alone needs it.

    Returns
    -------
    list[int]
        Indices into ``frames``: no index twice, equal frames once, frames that are not finite
        never.

    Raises
    ------
    ConfigError
        If there is no such method.
    StructureError
        If labelled frames are of another set of species.
    ValueError
        If ``deviation`` is asked for and not given.

    Notes
    -----
    Farthest-point sampling (Gonzalez 1985, doi:10.1016/0304-3975(85)90224-5) costs one pass
    over the candidates for each pick, plus one over the labelled frames for each candidate.
    """
    if method not in PICKERS:
        near = get_close_matches(method, PICKERS, n=1, cutoff=0.0)
        msg = (
            f"select.diversity: no method named {method!r}; there are {sorted(PICKERS)}, "
            f"the nearest is {near[0]!r}"
        )
        raise ConfigError(msg)
    wanted = len(frames) if n is None else min(n, len(frames))
    rng = np.random.default_rng(seed)
    return PICKERS[method](frames, rng, wanted, labelled=labelled, deviation=deviation)


def _random(
    frames: Frames,
    rng: np.random.Generator,
    n: int,
    **_: object,
) -> list[int]:
    return _first_of_equals(frames, rng.permutation(_finite(frames)), n)


def _largest_deviation(
    frames: Frames,
    rng: np.random.Generator,  # noqa: ARG001 - part of the Picker protocol
    n: int,
    *,
    deviation: NDArray[np.float64] | None,
    **_: object,
) -> list[int]:
    if deviation is None:
        msg = "method `deviation`: give the deviation of the frames"
        raise ValueError(msg)
    finite = _finite(frames)
    return _first_of_equals(frames, finite[np.argsort(-deviation[finite], kind="stable")], n)


def _finite(frames: Frames) -> NDArray[np.int64]:
    """Frames with finite positions and cell, ascending."""
    finite = np.asarray(np.isfinite(frames.positions).all(axis=(1, 2)))
    finite &= np.isfinite(frames.cells).all(axis=(1, 2))
    return np.flatnonzero(finite)


def _first_of_equals(frames: Frames, order: NDArray[np.int64], n: int) -> list[int]:
    """Beginning of an order with ``n`` frames, equal ones once."""
    first_of: dict[str, int] = {}
    for i in order:
        if len(first_of) >= n:
            break
        first_of.setdefault(frames.take([i]).content_keys()[0], int(i))
    return list(first_of.values())


def _farthest_point(
    frames: Frames,
    rng: np.random.Generator,
    n: int,
    *,
    labelled: Sequence[Frames],
    **_: object,
) -> list[int]:
    features = descriptor(frames)
    usable = np.asarray(np.isfinite(features).all(axis=1))
    if n == 0 or not usable.any():
        return []
    centre = features[usable].mean(axis=0)  # differences of small numbers keep their digits
    features = np.where(usable[:, None], features - centre, 0.0)
    # squared distance to the nearest frame taken so far; -1 is out of the game
    nearest = np.where(usable, np.inf, -1.0)
    for part in labelled:
        nearest = np.minimum(nearest, _nearest_squared(features, descriptor(part), centre))
    if np.isinf(nearest).any():
        pick = int(rng.choice(np.flatnonzero(usable)))
    else:
        pick = int(np.argmax(nearest))
    norms = np.sum(features**2, axis=1)
    order: list[int] = []
    while len(order) < n and nearest[pick] > DUPLICATE_DISTANCE**2:
        order.append(pick)
        squared = norms + norms[pick] - 2.0 * (features @ features[pick])
        nearest = np.minimum(nearest, squared)
        nearest[pick] = -1.0
        pick = int(np.argmax(nearest))
    return order


def _nearest_squared(
    features: NDArray[np.float64], known: NDArray[np.float64], centre: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared distance of each row to the nearest labelled one, shape ``(frame,)``."""
    if known.shape[1] != features.shape[1]:
        msg = (
            f"labelled frames have {known.shape[1]} descriptor features and candidates "
            f"{features.shape[1]}: they are of other species; give the frames of one system"
        )
        raise StructureError(msg)
    known = known[np.isfinite(known).all(axis=1)] - centre
    if not len(known):
        return np.full(len(features), np.inf)
    rows = max(1, _BLOCK_VALUES // len(known))
    known_norms = np.sum(known**2, axis=1)
    blocks = [
        np.min(known_norms - 2.0 * (features[i : i + rows] @ known.T), axis=1)
        for i in range(0, len(features), rows)
    ]
    return np.asarray(np.concatenate(blocks) + np.sum(features**2, axis=1))


PICKERS: Mapping[str, Picker] = {
    "farthest_point": _farthest_point,
    "deviation": _largest_deviation,
    "random": _random,
}
