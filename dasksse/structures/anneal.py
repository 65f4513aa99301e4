"""Simulated annealing of species over sites, many replicas at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FROZEN = 1e-6
"""Temperature of the last steps over the first one: downhill only, yet equal energies are
drawn at random."""

QUENCH_SHARE = 0.1
"""Share of the steps at the end that only go downhill."""

COLD = 5e-3
"""Last temperature over the first one."""

SAME_ENERGY_eV = 1e-4
SAME_FINGERPRINT = 1e-7
"""Arrangements are copies by symmetry when energies agree within the first and fingerprints,
relatively, within the second."""

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


def exchange_energies(
    terms: Sequence[QuadraticEnergy],
    slopes: Sequence[NDArray[np.float64]],
    states: NDArray[np.int64],
    site: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Energy change of exchanging one site of each replica with every other site.

    Parameters
    ----------
    terms
        Parts of the energy.
    slopes
        Their slopes at the states, each of shape ``(replica, site)``.
    states
        Species of each site, shape ``(replica, site)``.
    site
        The site to exchange, shape ``(replica,)``.

    Returns
    -------
    NDArray[np.float64]
        Change with each partner, shape ``(replica, site)``.
    """
    rows = np.arange(len(states))
    own = states[rows, site]
    change = np.zeros(states.shape)
    for term, slope in zip(terms, slopes, strict=True):
        gain = term.value_of[states] - term.value_of[own][:, None]
        diagonal = np.diagonal(term.kernel)
        curvature = diagonal[site][:, None] + diagonal - 2.0 * term.kernel[site]
        change += gain * (slope[rows, site][:, None] - slope + gain * curvature)
    return change


def typical_exchange(
    term: QuadraticEnergy,
    states: NDArray[np.int64],
    group: NDArray[np.int64],
    *,
    rng: np.random.Generator,
) -> float:
    """Mean size of the energy change of exchanges within groups.

    Parameters
    ----------
    term
        The energy.
    states
        Species of each site, shape ``(replica, site)``.
    group
        Number of each site's group, shape ``(site,)``.
    rng
        Source of the random sites.

    Returns
    -------
    float
        Above 0; 1 when no exchange changes the energy.
    """
    site = rng.integers(states.shape[1], size=len(states))
    changes = np.abs(exchange_energies([term], [term.slope(states)], states, site))
    seen = changes[(group[site][:, None] == group) & (changes > NO_CHANGE)]
    return float(seen.mean()) if seen.size else 1.0


def anneal(
    terms: Sequence[QuadraticEnergy],
    start: NDArray[np.int64],
    group: NDArray[np.int64],
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
    group
        Number of each site's group, shape ``(site,)``: species are exchanged within groups.
    temperature
        First temperature, in units of the energy; it falls geometrically by ``COLD``, and the
        last tenth of the run only goes downhill.
    n_steps
        Exchanges made by each replica.
    rng
        Source of all random choices.

    Returns
    -------
    NDArray[np.int64]
        Distinct arrangements seen in the colder half, shape ``(arrangement, site)``.

    Notes
    -----
    Each step draws one site a replica and its partner with Boltzmann weights among all sites
    of the group, itself included: at low temperature, where nearly all random pairs would be
    refused, this is some hundred times faster than the Metropolis rule. It searches; it does
    not sample a canonical ensemble. A step costs O(replicas × sites), as slopes are kept up
    to date.
    """
    states = start.copy()
    slopes = [term.slope(states) for term in terms]
    rows = np.arange(len(states))
    cooling = np.linspace(0.0, 1.0 / (1.0 - QUENCH_SHARE), n_steps)
    temperatures = temperature * np.where(cooling < 1.0, COLD**cooling, FROZEN)
    snapshot_interval = max(1, n_steps // (2 * SNAPSHOTS))
    seen = []
    for step, kT in enumerate(temperatures):
        i = rng.integers(states.shape[1], size=len(states))
        change = exchange_energies(terms, slopes, states, i)
        # The smallest of energies with Gumbel noise is a Boltzmann draw.
        noisy = np.where(group[i][:, None] == group, change, np.inf)
        j = np.argmin(noisy - kT * rng.gumbel(size=states.shape), axis=1)
        old_i, old_j = states[rows, i], states[rows, j]
        states[rows, i], states[rows, j] = old_j, old_i
        for number, term in enumerate(terms):
            gain = term.value_of[old_j] - term.value_of[old_i]
            slopes[number] += 2.0 * gain[:, None] * (term.kernel[i] - term.kernel[j])
        if step >= n_steps // 2 and step % snapshot_interval == 0:
            seen.append(states.copy())
    return np.unique(np.concatenate([*seen, states]), axis=0)


def distinct_minima(
    energies: NDArray[np.float64], fingerprints: NDArray[np.float64], *, n_wanted: int
) -> list[int]:
    """Arrangements in order of energy, copies by symmetry counted once.

    Parameters
    ----------
    energies
        Energy [eV] of each arrangement, shape ``(arrangement,)``.
    fingerprints
        Another number that is equal for copies, shape ``(arrangement,)``.
    n_wanted
        How many to look for.

    Returns
    -------
    list[int]
        Indices, the lowest energy first; fewer than wanted when there are no more.
    """
    distinct: list[int] = []
    for index in np.argsort(np.round(energies, 6), kind="stable"):
        if len(distinct) == n_wanted:
            break
        is_copy = np.isclose(energies[index], energies[distinct], rtol=0.0, atol=SAME_ENERGY_eV)
        is_copy &= np.isclose(
            fingerprints[index], fingerprints[distinct], rtol=SAME_FINGERPRINT
        )
        if not is_copy.any():
            distinct.append(int(index))
    return distinct
