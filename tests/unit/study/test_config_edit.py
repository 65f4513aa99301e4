"""One value of a YAML text changes; comments, order and all the rest stay."""

from __future__ import annotations

import pytest
import yaml

from dasksse.errors import ConfigError
from dasksse.study import set_value

BLOCK = """\
# a run
label:  # labels
  calculator:
    kind: cp2k
    # how fine
    settings:
      cutoff_Ry: 300   # see the figure
      basis: SZV
  virial: true
seed: 1
"""
FLOW = "label: {calculator: {kind: cp2k, settings: {cutoff_Ry: 300}}}  # labels\nseed: 1\n"
PATH = ("label", "calculator", "settings")


def test_a_value_is_replaced_and_its_comment_stays() -> None:
    changed = set_value(BLOCK, [*PATH, "cutoff_Ry"], 450)

    assert changed == BLOCK.replace("300 ", "450 ")


def test_a_value_between_braces_is_replaced() -> None:
    assert set_value(FLOW, [*PATH, "cutoff_Ry"], 450) == FLOW.replace("300", "450")


def test_a_missing_key_is_added_between_braces() -> None:
    changed = set_value(FLOW, [*PATH, "basis"], "DZVP")

    assert changed == FLOW.replace("300}", '300, basis: "DZVP"}')


def test_a_missing_key_is_added_to_a_block() -> None:
    changed = set_value(BLOCK, [*PATH, "kspacing_per_A"], None)

    added = "      kspacing_per_A: null\n      cutoff_Ry"
    assert changed == BLOCK.replace("      cutoff_Ry", added)


@pytest.mark.parametrize(
    "text",
    [
        "seed: 1  # the seed\n",
        "label:\n  virial: true  # yes\n",
        "label:\n  calculator: {kind: toy}  # toy\n",
        "label:\n  calculator: {kind: toy, settings: {}}\n",
        "label:\n  calculator:\n    kind: toy\n",
    ],
)
def test_keys_above_that_are_missing_are_made(text: str) -> None:
    changed = set_value(text, [*PATH, "smearing_eV"], 0.05)

    comment = text.partition("#")[2]
    assert yaml.safe_load(changed)["label"]["calculator"]["settings"] == {"smearing_eV": 0.05}
    assert comment in changed
    assert all(line in changed for line in text.splitlines() if "{" not in line)


@pytest.mark.parametrize(
    "value", [1, 0.05, 1e-8, None, True, "DZVP-MOLOPT-SR-GTH", "1e-8", "no"]
)
def test_every_value_comes_back_as_it_was(value: object) -> None:
    changed = set_value(BLOCK, [*PATH, "cutoff_Ry"], value)

    found = yaml.safe_load(changed)["label"]["calculator"]["settings"]["cutoff_Ry"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "base: &b {cutoff_Ry: 300}\nlabel: {calculator: {kind: a, settings: *b}}\n",
        "label: {calculator: {kind: a, settings: none}}\n",
    ],
)
def test_what_cannot_be_changed_alone_is_left_to_the_user(text: str) -> None:
    with pytest.raises(ConfigError, match=r"settings.cutoff_Ry cannot be set to 450 by itself"):
        set_value(text, [*PATH, "cutoff_Ry"], 450)
