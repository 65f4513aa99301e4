"""Simulated annealing of species over sites, many replicas at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

QUENCH_SHARE = 0.1
"""Share of the steps at the end that only go downhill."""

COLD = 1e-3
"""Last temperature over the first one."""

NO_CHANGE = 1e-9
"""Energy changes below this are rounding."""

SNAPSHOTS = 100
"""Times the replicas are looked at in the second half of the run."""


@dataclass(frozen=True)
class QuadraticEnergy:
    """Energy ``x . K . x + h . x + constant`` of the values ``x`` that species give to sites.

    Attributes
    ----------
    kernel
        ``K``, symmetric, shape ``(site, site)``.
    field
        ``h``, shape ``(site,)``.
    value_of
        Value of ``x`` for each species, the vacancy included, shape ``(species,)``.
    constant
        Energy of ``x = 0``.
    """

    kernel: NDArray[np.float64]
    field: NDArray[np.float64]
    value_of: NDArray[np.float64]
    constant: float = 0.0

    def of(self, states: NDArray[np.int64]) -> NDArray[np.float64]:
        """Energy of each arrangement, shape ``(replica,)``.

        Parameters
        ----------
        states
            Species of each site, shape ``(replica, site)``.
        """
        x = self.value_of[states]
        return self.constant + np.einsum("ri,ri->r", x @ self.kernel + self.field, x)

    def slope(self, states: NDArray[np.int64]) -> NDArray[np.float64]:
        """Derivative ``2 K x + h``, shape ``(replica, site)``."""
        return np.asarray(2.0 * self.value_of[states] @ self.kernel + self.field)


def scaled(term: QuadraticEnergy, factor: float) -> QuadraticEnergy:
    """Energy times a factor."""
    return QuadraticEnergy(
        factor * term.kernel, factor * term.field, term.value_of, factor * term.constant
    )


def typical_exchange(
    term: QuadraticEnergy,
    states: NDArray[np.int64],
    pairs: NDArray[np.int64],
    *,
    rng: np.random.Generator,
    n_trials: int = 50,
) -> float:
    """Mean energy change, either sign, of random exchanges that change the energy.

    Parameters
    ----------
    term
        The energy.
    states
        Species of each site, shape ``(replica, site)``.
    pairs
        Sites that may exchange their species, shape ``(pair, 2)``.
    rng
        Source of the random exchanges.
    n_trials
        Exchanges of each replica.

    Returns
    -------
    float
        Above 0; 1 when no exchange changes the energy.
    """
    rows = np.arange(len(states))
    before = term.of(states)
    changes = np.zeros((n_trials, len(states)))
    for trial in range(n_trials if len(pairs) else 0):
        i, j = pairs[rng.integers(len(pairs), size=len(states))].T
        exchanged = states.copy()
        exchanged[rows, i], exchanged[rows, j] = states[rows, j], states[rows, i]
        changes[trial] = np.abs(term.of(exchanged) - before)
    seen = changes[changes > NO_CHANGE]
    return float(seen.mean()) if seen.size else 1.0


def anneal(
    terms: Sequence[QuadraticEnergy],
    start: NDArray[np.int64],
    pairs: NDArray[np.int64],
    *,
    temperature: float,
    n_steps: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Arrangements of low energy that the replicas went through.

    Parameters
    ----------
    terms
        Parts of the energy.
    start
        First species of each site, shape ``(replica, site)``.
    pairs
        Sites that may exchange their species, shape ``(pair, 2)``.
    temperature
        First temperature, in units of the energy; it falls geometrically by 1000, and the
        last tenth of the run only goes downhill.
    n_steps
        Exchanges tried by each replica; none when there are no pairs.
    rng
        Source of all random choices.

    Returns
    -------
    NDArray[np.int64]
        Distinct arrangements seen in the colder half, shape ``(arrangement, site)``.

    Notes
    -----
    Metropolis exchanges; a step costs O(replicas × sites), as the slope of the energy is kept
    up to date.
    """
    states = start.copy()
    slopes = [term.slope(states) for term in terms]
    self_energies = [np.diagonal(term.kernel) for term in terms]
    rows = np.arange(len(states))
    cooling = np.linspace(0.0, 1.0 / (1.0 - QUENCH_SHARE), n_steps if len(pairs) else 0)
    temperatures = np.where(cooling < 1.0, temperature * COLD**cooling, 0.0)
    snapshot_interval = max(1, n_steps // (2 * SNAPSHOTS))
    seen = []
    for step, kT in enumerate(temperatures):
        i, j = pairs[rng.integers(len(pairs), size=len(states))].T
        old_i, old_j = states[rows, i], states[rows, j]
        gains = [term.value_of[old_j] - term.value_of[old_i] for term in terms]
        change = np.zeros(len(states))
        for term, slope, own, gain in zip(terms, slopes, self_energies, gains, strict=True):
            change += gain * (slope[rows, i] - slope[rows, j])
            change += gain**2 * (own[i] + own[j] - 2.0 * term.kernel[i, j])
        accepted = np.flatnonzero(change <= kT * rng.exponential(size=len(states)))
        states[accepted, i[accepted]] = old_j[accepted]
        states[accepted, j[accepted]] = old_i[accepted]
        for term, slope, gain in zip(terms, slopes, gains, strict=True):
            moved = accepted[gain[accepted] != 0.0]
            slope[moved] += (
                2.0 * gain[moved, None] * (term.kernel[i[moved]] - term.kernel[j[moved]])
            )
        if step >= n_steps // 2 and step % snapshot_interval == 0:
            seen.append(states.copy())
    return np.unique(np.concatenate([*seen, states]), axis=0)
