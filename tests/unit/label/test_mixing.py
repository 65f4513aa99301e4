"""Labels of different origin: refused, aligned by common frames, or taken as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasksse.errors import ConfigError
from dasksse.label import LabelPart, unmixed
from dasksse.records import Frames, Labels

LI, P, S = 3, 15, 16
PS4 = (P, S, S, S, S)
LI2S = (LI, LI, S)
LI3PS4 = (*3 * (LI,), *PS4)
LI7PS6 = (*7 * (LI,), *PS4, S, S)


def part(
    numbers: tuple[int, ...],
    n_frames: int = 3,
    *,
    seed: int = 0,
    source: str = "VASP",
    functional: str = "PBE",
) -> LabelPart:
    rng = np.random.default_rng([seed, *numbers])
    shape = (n_frames, len(numbers), 3)
    frames = Frames(
        np.array(numbers), rng.uniform(0, 9, shape), np.tile(9 * np.eye(3), (n_frames, 1, 1))
    )
    labels = Labels(
        frames,
        rng.normal(size=n_frames),
        rng.normal(size=shape),
        rng.normal(size=(n_frames, 3, 3)),
        source,
        functional,
        is_surrogate=False,
    )
    return LabelPart(
        "-".join(map(str, numbers)), labels, np.full(n_frames, 600.0), is_sampled=True
    )


def by_other_code(one: LabelPart, offsets: dict[int, float], noise: float = 0.0) -> LabelPart:
    """The same frames from a program whose energies are off by so much for each atom [eV]."""
    labels = one.labels
    total = sum(offsets[int(z)] for z in labels.frames.numbers)
    rng = np.random.default_rng(4)
    energies = labels.energies + total + noise * rng.normal(size=len(labels))
    forces = labels.forces + 1e-3
    return replace(one, labels=replace(labels, energies=energies, forces=forces, source="CP2K"))


OFFSETS = {LI: -203.1, P: 178.25, S: -12.5}


@pytest.mark.parametrize("mixing", ["refuse", "align", "as_is"])
def test_labels_of_one_origin_stay_as_they_are(mixing: str) -> None:
    parts = (part(PS4), part(LI2S))

    assert unmixed(parts, mixing) == (parts, ())


@pytest.mark.parametrize("change", [{"source": "CP2K"}, {"functional": "PBEsol"}])
def test_another_source_or_functional_is_refused_and_all_is_listed(
    change: dict[str, str],
) -> None:
    parts = (part(PS4, 3), part(PS4, 5, seed=1), part(LI2S, 2, **change))

    with pytest.raises(ConfigError, match="whose energies do not compare") as caught:
        unmixed(parts, "refuse")

    assert "8 frames of 15-16-16-16-16: VASP, functional PBE\n" in str(caught.value)
    assert f"2 frames of 3-3-16: {change.get('source', 'VASP')}, functional" in str(
        caught.value
    )
    assert "label.mixing" in str(caught.value)


def test_as_is_changes_nothing_and_notes_what_was_mixed() -> None:
    parts = (part(PS4), part(PS4, source="CP2K"))

    kept, (note,) = unmixed(parts, "as_is")

    assert kept == parts
    assert "VASP" in note
    assert "CP2K" in note


def test_offsets_of_elements_are_found_from_common_frames() -> None:
    """The oracle: energies made with known offsets come back as the reference has them."""
    truth = [part(LI3PS4, 2), part(LI2S, 2), part(LI7PS6, 4)]
    others = [by_other_code(one, OFFSETS) for one in truth]
    common = truth[:2]  # Li7PS6 = Li3PS4 + 2 Li2S is labelled by the other code alone

    kept, (note,) = unmixed((*others, *common), "align")

    aligned = kept[0].labels
    np.testing.assert_allclose(aligned.energies, truth[2].labels.energies, atol=1e-9)
    np.testing.assert_array_equal(aligned.forces, others[2].labels.forces)
    np.testing.assert_array_equal(aligned.virials, others[2].labels.virials)
    assert "4 frames in common" in note
    assert "0.0 meV/atom" in note


def test_one_composition_needs_no_single_offsets() -> None:
    """Within one composition only the sum of the offsets counts, and that is found."""
    truth = part(LI3PS4, 6)
    other = by_other_code(truth, OFFSETS)

    kept, _ = unmixed((other, truth.take([0, 1])), "align")

    np.testing.assert_allclose(kept[0].labels.energies, truth.labels.energies[2:], atol=1e-9)


def test_common_frames_are_kept_once_with_the_label_of_the_reference() -> None:
    truth = part(PS4, 5)
    other = by_other_code(truth, OFFSETS)

    kept, _ = unmixed((other, truth.take([1, 3])), "align")

    keys = [key for one in kept for key in one.labels.frames.content_keys()]
    assert sorted(keys) == sorted(truth.labels.frames.content_keys())
    assert [one.labels.source for one in kept] == ["CP2K", "VASP"]
    assert kept[0].temperatures_K.shape == (3,)


def test_the_note_says_how_well_the_shift_fits() -> None:
    truth = part(PS4, 400)
    other = by_other_code(truth, OFFSETS, noise=0.05)

    _, (note,) = unmixed((other, truth), "align")

    rest = float(note.split("what remains there is ")[1].split()[0])
    assert rest == pytest.approx(50.0 / len(PS4), rel=0.1)


@pytest.mark.parametrize("common", [(), (PS4,)], ids=["none", "another composition"])
def test_energies_that_common_frames_do_not_fix_are_not_guessed(
    common: tuple[tuple[int, ...], ...],
) -> None:
    truth = [part(numbers) for numbers in (*common, LI2S)]
    others = [by_other_code(one, OFFSETS) for one in truth]
    reference = truth[:-1] or [part(PS4)]

    with pytest.raises(ConfigError, match=r"3-3-16 \(Li2S\) from CP2K.*cannot be shifted"):
        unmixed((*others, *reference), "align")
