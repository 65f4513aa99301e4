"""Places for neighbours: kept while they hold, found anew when they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pretender import toy

from dasksse.loop.stages import training
from dasksse.loop.units import dataset_unit, train_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.config.schema import RunConfig

ATTENTION = {"type": "se_atten", "attn_layer": 0, "rcut": 4.0}


def suggest(_: Any, *, margin: float = 1.3, shared: bool, **__: Any) -> list[int]:
    """Forty neighbours of the first type and ten of the second, or fifty together."""
    return [round(margin * n) for n in ([50] if shared else [40, 10])]


def chosen(
    *, previous: Sequence[int] | None, given: Any = None, shared: bool = False
) -> tuple[list[int], bool]:
    payload = {
        "given_sel": given,
        "previous_sel": previous,
        "type_map": ["Li", "Cl"],
        "rcut_A": 4.0,
    } | ({"shared_sel": True} if shared else {})
    return training._neighbour_counts(payload, [], suggest)


@pytest.mark.parametrize(
    ("previous", "shared", "expected"),
    [
        (None, False, ([52, 13], False)),
        (None, True, ([65], False)),
        ([40, 12], False, ([40, 12], False)),
        ([50], True, ([50], False)),
        ([40, 8], False, ([52, 13], True)),
        ([49], True, ([65], True)),
    ],
)
def test_places_are_kept_while_they_hold(
    previous: list[int] | None, shared: bool, expected: tuple[list[int], bool]
) -> None:
    assert chosen(previous=previous, shared=shared) == expected


@pytest.mark.parametrize(
    ("previous", "shared"), [([500], False), ([], False), ([400, 100], True)]
)
def test_models_of_another_kind_of_descriptor_do_not_fit(
    previous: list[int], shared: bool
) -> None:
    _, is_changed = chosen(previous=previous, shared=shared)

    assert is_changed


@pytest.mark.parametrize(
    ("given", "expected"), [([8, 4], [8, 4]), (60, [60]), ("auto:1.2", ["auto:1.2"])]
)
def test_places_that_the_config_gives_are_taken(given: Any, expected: list[Any]) -> None:
    assert chosen(previous=[4, 4], given=given) == (expected, False)


def _units(config: RunConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    dataset = dataset_unit(config, 0, [], structures={}, previous_sel=None)
    training_unit = train_units(config, 0, dataset, initial=None, steps=10)[0]
    return dict(dataset.payload), dict(training_unit.payload)


def test_a_run_without_type_embedding_keeps_the_keys_of_its_units() -> None:
    dataset, train = _units(toy())

    assert "shared_sel" not in dataset
    assert "type_embedding" not in train["section"]


def test_units_of_a_run_with_shared_places_say_so() -> None:
    dataset, _ = _units(toy(train__descriptor=ATTENTION))

    assert dataset["shared_sel"] is True
