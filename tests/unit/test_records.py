from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse import errors
from dasksse.records import Frames, Labels, content_key, file_digest
from dasksse.units import pressure_from_virial, virial_from_stress

if TYPE_CHECKING:
    from pathlib import Path


def frames(n: int = 3) -> Frames:
    rng = np.random.default_rng(5)
    return Frames(np.array([3, 17]), rng.normal(size=(n, 2, 3)), rng.normal(size=(n, 3, 3)))


def labels() -> Labels:
    rng = np.random.default_rng(6)
    virials = rng.normal(size=(3, 3, 3))
    virials[1] = np.nan
    return Labels(
        frames(),
        np.array([1.0, np.nan, 3.0]),
        rng.normal(size=(3, 2, 3)),
        virials,
        "model",
        "PBE",
        is_surrogate=True,
        reasons=("", "no convergence", ""),
    )


@pytest.mark.parametrize(
    "kind",
    [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)],
)
def test_every_error_survives_the_way_between_workers(kind: type[Exception]) -> None:
    arguments: tuple[object, ...] = ("message",)
    if issubclass(kind, errors.ExternalProgramError):
        arguments = ("dp", 3, "/folder", "last line")

    again = pickle.loads(pickle.dumps(kind(*arguments)))

    assert type(again) is kind
    assert str(again) == str(kind(*arguments))


def test_equal_content_gives_equal_keys_and_any_change_another() -> None:
    key = content_key({"a": 1, "b": [1.5, None]}, np.arange(3))

    assert key == content_key({"b": [1.5, None], "a": 1}, np.arange(3))
    assert key != content_key({"a": 1, "b": [1.5, None]}, np.arange(3) + 1)
    assert key != content_key({"a": 2, "b": [1.5, None]}, np.arange(3))
    assert len(key) == 16


def test_a_key_cannot_be_made_from_just_anything() -> None:
    with pytest.raises(TypeError, match="content key from object"):
        content_key(object())


def test_frames_and_labels_survive_a_file(tmp_path: Path) -> None:
    labels().save(tmp_path / "labels.npz")
    frames().save(tmp_path / "frames.npz")

    again = Labels.load(tmp_path / "labels.npz")

    assert again.reasons == ("", "no convergence", "")
    assert (again.source, again.functional, again.is_surrogate) == ("model", "PBE", True)
    np.testing.assert_array_equal(again.forces, labels().forces)
    np.testing.assert_array_equal(again.is_good, [True, False, True])
    np.testing.assert_array_equal(again.has_virial, [True, False, True])
    np.testing.assert_array_equal(Frames.load(tmp_path / "frames.npz").cells, frames().cells)
    assert file_digest(tmp_path / "frames.npz") == file_digest(tmp_path / "frames.npz")


def test_taking_labels_keeps_all_parts_together() -> None:
    taken = labels().take([2, 1])

    assert taken.reasons == ("", "no convergence")
    np.testing.assert_array_equal(taken.frames.positions, frames().positions[[2, 1]])


def test_frame_keys_tell_configurations_apart_and_nothing_else() -> None:
    one = frames()
    moved = Frames(one.numbers, one.positions + 1e-9, one.cells)
    changed = Frames(one.numbers, one.positions + 1e-3, one.cells)

    assert one.content_keys() == moved.content_keys()
    assert not set(one.content_keys()) & set(changed.content_keys())


def test_the_virial_has_the_sign_of_pressure() -> None:
    stress = np.array([-0.01, -0.01, -0.01, 0.0, 0.0, 0.0])

    virial = virial_from_stress(stress, 100.0)

    np.testing.assert_allclose(virial, np.eye(3))
    assert pressure_from_virial(virial, 100.0) == pytest.approx(0.01 * 160.21766208)
    np.testing.assert_allclose(virial_from_stress(-np.eye(3) * 0.01, 100.0), virial)


def test_the_voigt_order_is_that_of_ase() -> None:
    virial = virial_from_stress(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), 1.0)

    np.testing.assert_array_equal(-virial, [[1, 6, 5], [6, 2, 4], [5, 4, 3]])
