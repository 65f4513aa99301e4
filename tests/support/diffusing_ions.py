"""Ions whose diffusion coefficient is known, and how often stated intervals hold it.

    python tests/support/diffusing_ions.py [SEED ...]

prints the table of docs/theory.md.
"""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter

from dasksse.analyse.diffusion import diffusion_of
from dasksse.analyse.sample import sample_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from dasksse.analyse.diffusion_result import DiffusionResult

    Array = NDArray[np.float64]
    Draw = Callable[[np.random.Generator], list[Array]]

N_SAMPLES = 400
INTERVAL_PS = 0.1
TO_M2_S = 1e-8 / INTERVAL_PS
"""From Å² per frame."""


def small_steps(rng: np.random.Generator, n_frames: int, n_ions: int, step_A: float) -> Array:
    """Random walk in Gaussian steps: D = step² / 2 per frame."""
    return np.cumsum(rng.normal(0.0, step_A, (n_frames, n_ions, 3)), axis=0)


def hops(
    rng: np.random.Generator, n_frames: int, n_ions: int, rate: float, jump_A: float = 2.8
) -> Array:
    """Hops on a cubic lattice at random times: D = rate × jump² / 6 per frame."""
    counts = rng.poisson(rate / 6.0, (n_frames, n_ions, 6))
    return np.cumsum((counts[..., :3] - counts[..., 3:]) * jump_A, axis=0)


def rattling(
    rng: np.random.Generator, paths: Array, amplitude_A: float, memory_frames: float = 0.0
) -> Array:
    """The same with a vibration that forgets itself after so many frames."""
    noise = rng.normal(0.0, amplitude_A, paths.shape)
    if memory_frames:
        kept = np.exp(-1.0 / memory_frames)
        noise[1:] *= np.sqrt(1.0 - kept**2)
        noise = lfilter([1.0], [1.0, -kept], noise, axis=0)
    return paths + noise


def exclusion(
    rng: np.random.Generator, n_systems: int, n_frames: int, size: int, n_tries: int
) -> Array:
    """Lattices half full of ions that hop to empty neighbours, ``(system, frame, ion, xyz)``.

    The summed displacement is a random walk whatever is occupied: D_sigma = tries per ion and
    frame × share of empty sites × jump² / 6. The tracer is slower, as ions hop back.
    """
    jumps = np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
    n_sites, systems = size**3, np.arange(n_systems)
    order = np.argsort(rng.random((n_systems, n_sites)), axis=1)[:, : n_sites // 2]
    ions = np.stack(np.unravel_index(order, (size,) * 3), axis=-1)
    is_full = np.zeros((n_systems, size, size, size), dtype=bool)
    is_full[systems[:, None], *np.moveaxis(ions, -1, 0)] = True
    paths = np.empty((n_systems, n_frames, ions.shape[1], 3))
    for frame in range(n_frames):
        for _ in range(n_tries):
            ion = rng.integers(ions.shape[1], size=n_systems)
            old = ions[systems, ion]
            new = old + jumps[rng.integers(6, size=n_systems)]
            goes = ~is_full[systems, *(new % size).T]
            moved = systems[goes]
            is_full[moved, *(old[goes] % size).T] = False
            is_full[moved, *(new[goes] % size).T] = True
            ions[moved, ion[goes]] = new[goes]
        paths[:, frame] = ions
    return 2.8 * paths


@dataclass(frozen=True)
class Case:
    """Motion with a known D.

    Attributes
    ----------
    text
        What it is.
    draw
        One set of runs.
    D
        Tracer D [Å²/frame].
    haven_ratio
        Tracer D over collective D.
    band68, band95
        Allowed share of intervals that hold the tracer D.
    """

    text: str
    draw: Draw
    D: float
    haven_ratio: float = 1.0
    band68: tuple[float, float] = (0.63, 0.73)
    band95: tuple[float, float] = (0.92, 0.98)


SHORT = {"band68": (0.63, 0.83), "band95": (0.92, 1.0)}
CASES = {
    "walk": Case(
        "random walk, 12 ions, 500 frames",
        lambda rng: [small_steps(rng, 500, 12, 0.3)],
        D=0.045,
    ),
    "few": Case(
        "random walk in steps of 1 Å, 6 ions, 900 frames",
        lambda rng: [small_steps(rng, 900, 6, 1.0)],
        D=0.5,
    ),
    "runs": Case(
        "random walk, 4 runs of 8 ions, 200 frames",
        lambda rng: [small_steps(rng, 200, 8, 0.5) for _ in range(4)],
        D=0.125,
    ),
    "sub-sampled": Case(
        "lattice walk, 1.5 hops a frame, 12 ions, 500 frames",
        lambda rng: [hops(rng, 500, 12, 1.5)],
        D=1.5 * 2.8**2 / 6.0,
    ),
    "rare": Case(
        "lattice walk, 1 hop in 10 frames, 16 ions, 600 frames",
        lambda rng: [hops(rng, 600, 16, 0.1)],
        D=0.1 * 2.8**2 / 6.0,
    ),
    "vibration": Case(
        "random walk with vibration of 0.5 Å, 12 ions, 600 frames",
        lambda rng: [rattling(rng, small_steps(rng, 600, 12, 0.3), 0.5)],
        D=0.045,
    ),
    "slow vibration": Case(
        "the same, and the vibration remembers 3 frames",
        lambda rng: [rattling(rng, small_steps(rng, 600, 12, 0.4), 0.5, 3.0)],
        D=0.08,
    ),
    "cage": Case(
        "cages left once in 40 frames, 20 ions, 800 frames",
        lambda rng: [rattling(rng, hops(rng, 800, 20, 0.025), 0.4)],
        D=0.025 * 2.8**2 / 6.0,
    ),
    "pairs": Case(
        "10 pairs that hop together, 600 frames",
        lambda rng: [rattling(rng, np.repeat(hops(rng, 600, 10, 0.2), 2, axis=1), 0.3)],
        D=0.2 * 2.8**2 / 6.0,
        haven_ratio=0.5,
    ),
    "strings": Case(
        "4 strings of 5 that hop together, 800 frames",
        lambda rng: [rattling(rng, np.repeat(hops(rng, 800, 4, 0.3), 5, axis=1), 0.3)],
        D=0.3 * 2.8**2 / 6.0,
        haven_ratio=0.2,
    ),
    "short": Case(
        "short: 60 frames of 8 ions",
        lambda rng: [small_steps(rng, 60, 8, 0.6)],
        D=0.18,
        **SHORT,
    ),
    "short cage": Case(
        "short: cages left once in 50 frames, 20 ions, 250 frames",
        lambda rng: [rattling(rng, hops(rng, 250, 20, 0.02), 0.4)],
        D=0.02 * 2.8**2 / 6.0,
        **SHORT,
    ),
}


def estimate(runs: list[Array]) -> DiffusionResult:
    """Diffusion of ions in a box of 1000 Å³."""
    return diffusion_of(
        sample_runs(runs),
        species="Li",
        frame_interval_ps=INTERVAL_PS,
        volume_A3=1000.0,
        temperature_K=700.0,
        charge=1.0,
    )


def estimates(name: str, *, seed: int = 0, n_samples: int = N_SAMPLES) -> list[DiffusionResult]:
    """Diffusion of many samples of a case."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return [estimate(CASES[name].draw(rng)) for _ in range(n_samples)]


def share_covered(
    results: Iterable[DiffusionResult], quantity: str, truth: float, percent: int
) -> float:
    """Share of the stated intervals of a quantity that hold the truth.

    Parameters
    ----------
    results
        Results, of which only those with the quantity count.
    quantity
        ``D``, ``D_collective`` or ``haven_ratio``.
    truth
        True value [m²/s] or ratio.
    percent
        68 or 95.
    """
    unit = "" if quantity == "haven_ratio" else "_m2_s"
    ends = [
        [getattr(result, f"{quantity}_{end}{percent}{unit}") for end in ("low", "high")]
        for result in results
    ]
    known = [low < truth < high for low, high in ends if low is not None]
    return float(np.mean(known))


def main() -> None:
    """Print the table."""
    seeds = [int(seed) for seed in sys.argv[1:]] or [0]
    out = sys.stdout
    out.write("| Motion | diffusive | error of D | D 68 / 95 % | D_σ 68 / 95 % ")
    out.write("| H_R 68 / 95 % |\n|---|---|---|---|---|---|\n")
    for name, case in CASES.items():
        results = [result for seed in seeds for result in estimates(name, seed=seed)]
        known = [result for result in results if result.regime == "diffusive"]
        D = case.D * TO_M2_S
        error = np.mean([result.D_err_m2_s for result in known]) / D
        row = [case.text, f"{100 * len(known) / len(results):.0f} %", f"{100 * error:.1f} %"]
        truths = {"D": D, "D_collective": D / case.haven_ratio, "haven_ratio": case.haven_ratio}
        for quantity, truth in truths.items():
            shares = [share_covered(known, quantity, truth, percent) for percent in (68, 95)]
            row.append(" / ".join(f"{100 * share:.0f}" for share in shares))
        out.write("| " + " | ".join(row) + " |\n")
        out.flush()


if __name__ == "__main__":
    main()
