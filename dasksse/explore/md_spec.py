"""What determines an MD run, and how one ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from dasksse.errors import ConfigError
from dasksse.explore.lammps_input import ENSEMBLES

if TYPE_CHECKING:
    from collections.abc import Mapping

_TUPLES = ("models", "type_map", "zbl")


@dataclass(frozen=True)
class MdSpec:
    """Everything that determines a run, besides its start configuration.

    Attributes
    ----------
    models
        Model files, absolute; the first drives, all are compared.
    type_map
        Elements in the order of the engine's types.
    ensemble
        ``nvt``, ``nve``, ``npt-iso``, ``npt-aniso`` or ``npt-tri``.
    temperature_K
        Target temperature, also that of the start velocities [K], above 0.
    pressure_GPa
        Target pressure for NpT [GPa].
    timestep_fs
        Time step [fs], above 0.
    n_steps
        Length of the run [steps], at least 1.
    frame_interval_steps
        Frames at steps 0, k, 2k ...
    segment_steps
        A crash loses at most this many steps.
    seed
        Seed of the start velocities, 0 or larger.
    thermostat_damping_fs, barostat_damping_fs
        Nosé-Hoover relaxation times [fs], above 0.
    zbl
        Inner and outer radius [Å] of a ZBL repulsion added to the network, or None.
    min_distance_A
        A frame with closer atoms ends the run [Å].
    max_temperature_ratio
        A run hotter than this times the target plus 1000 K has blown up.
    max_volume_ratio
        A run whose volume grows or shrinks by this factor has blown up, above 1.
    """

    models: tuple[str, ...]
    type_map: tuple[str, ...]
    ensemble: str
    temperature_K: float
    pressure_GPa: float
    timestep_fs: float
    n_steps: int
    frame_interval_steps: int
    segment_steps: int
    seed: int
    thermostat_damping_fs: float
    barostat_damping_fs: float
    zbl: tuple[float, float] | None
    min_distance_A: float
    max_temperature_ratio: float
    max_volume_ratio: float

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises
        ------
        ConfigError
            Naming the value and what is allowed.
        """
        if self.ensemble not in ENSEMBLES:
            msg = f"unknown ensemble {self.ensemble!r}; allowed: {', '.join(ENSEMBLES)}"
            raise ConfigError(msg)
        if not self.models:
            msg = "models is empty: MD needs at least one model file"
            raise ConfigError(msg)
        above_zero = (
            *("temperature_K", "timestep_fs", "n_steps", "frame_interval_steps"),
            *("segment_steps", "thermostat_damping_fs", "barostat_damping_fs"),
        )
        for name in above_zero:
            if not getattr(self, name) > 0:
                msg = f"{name} is {getattr(self, name)!r}; allowed: above 0"
                raise ConfigError(msg)

    def n_frames(self, first_step: int, last_step: int) -> int:
        """Frames behind one step up to another; step 0, the start of a run, has one too."""
        interval = self.frame_interval_steps
        return last_step // interval - first_step // interval + (first_step == 0)

    def to_json(self) -> dict[str, Any]:
        """JSON object with every attribute."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        tuples = {name: tuple(value[name]) for name in _TUPLES if value.get(name) is not None}
        return cls(**{**value, **tuples})


@dataclass(frozen=True)
class MdResult:
    """How a run ended.

    Attributes
    ----------
    n_frames_planned
        Frames the run should have written.
    n_frames
        Frames it wrote; the others count as failed after a blow-up.
    end
        ``complete`` or ``blow-up``.
    reason
        Why it blew up, empty for a complete run.
    steps_done
        Step at which the run ended.
    steps_repeated
        Steps done twice because a crash lost them, as far as they left a frame.
    """

    n_frames_planned: int
    n_frames: int
    end: Literal["complete", "blow-up"]
    reason: str
    steps_done: int
    steps_repeated: int
