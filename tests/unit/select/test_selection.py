from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import dasksse.select.selection as selection_module
from dasksse.config.schema import SelectSection
from dasksse.errors import AnalysisError
from dasksse.records import Frames
from dasksse.select.descriptor import descriptor
from dasksse.select.diversity import PICKERS
from dasksse.select.selection import REASONS, Reason, Selection, draw_probe, select_frames
from dasksse.select.trust import ACCURATE, CANDIDATE, FAILED, Shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.select.selection import CandidateSet

METHODS = sorted(PICKERS)
DEFECTS = {
    "min_distance_A": (0.7, Reason.TOO_CLOSE),
    "framework_intact": (False, Reason.BROKEN_FRAMEWORK),
    "volume_ratio": (1.3, Reason.VOLUME),
}


def select(
    candidates: CandidateSet, *, seed: int = 1, max_labels: int = 4, **settings: object
) -> Selection:
    section = SelectSection.model_validate(
        {"accurate_checks": 0, "intact_framework": True} | settings
    )
    return select_frames(
        candidates, section, max_labels=max_labels, low=0.3, high=0.6, seed=seed
    )


def test_every_frame_has_a_verdict_and_a_reason(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    deviation = np.array([0.1, 0.4, 0.7, np.nan, 0.4, 0.4, 0.1])
    candidates = make_candidates(
        7, deviation=deviation, volume_ratio=np.array([1, 1, 1, 1, 1, 0.7, 1])
    )

    chosen = select(candidates, max_labels=1, accurate_checks=1)

    assert chosen.verdict.tolist() == [
        ACCURATE, CANDIDATE, FAILED, FAILED, CANDIDATE, CANDIDATE, ACCURATE,
    ]  # fmt: skip
    assert sorted(chosen.reason[[1, 4]]) == [Reason.PICKED, Reason.NOT_NEEDED]
    assert sorted(chosen.reason[[0, 6]]) == [Reason.NONE, Reason.CHECK]
    assert chosen.reason[[2, 3, 5]].tolist() == [
        Reason.ABOVE_HIGH,
        Reason.NOT_FINITE,
        Reason.VOLUME,
    ]
    assert chosen.reason[chosen.picks].tolist() == [Reason.PICKED]
    assert chosen.reason[chosen.checks].tolist() == [Reason.CHECK]


def test_every_reason_has_a_text() -> None:
    assert set(REASONS) == set(Reason)


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_an_unsound_candidate_is_refused_and_replaced(
    make_candidates: Callable[..., CandidateSet], name: str
) -> None:
    value, expected = DEFECTS[name]
    sound = make_candidates(10)
    first = select(sound).picks[0]
    changed = getattr(sound, name).copy()
    changed[first] = value

    chosen = select(make_candidates(10, **{name: changed}))

    assert chosen.reason[first] == expected
    assert len(chosen.picks) == 4
    assert first not in chosen.picks


def test_a_broken_framework_is_let_through_unless_it_is_asked_for(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    candidates = make_candidates(3, framework_intact=np.zeros(3, dtype=bool))

    chosen = select(candidates, intact_framework=False)

    assert sorted(chosen.picks) == [0, 1, 2]


def test_limits_themselves_are_allowed(make_candidates: Callable[..., CandidateSet]) -> None:
    candidates = make_candidates(
        2, min_distance_A=np.full(2, 1.0), volume_ratio=np.array([1.25, 0.8])
    )

    chosen = select(candidates, min_distance_A=1.0, max_volume_ratio=1.25)

    assert sorted(chosen.picks) == [0, 1]


@pytest.mark.parametrize("name", ["min_distance_A", "volume_ratio"])
def test_a_candidate_with_a_number_missing_is_refused(
    make_candidates: Callable[..., CandidateSet], name: str
) -> None:
    chosen = select(make_candidates(2, **{name: np.array([np.nan, 1.0])}))

    assert chosen.reason.tolist() == [Reason.NOT_FINITE, Reason.PICKED]


def test_a_candidate_with_coordinates_missing_is_refused(
    make_candidates: Callable[..., CandidateSet], make_frames: Callable[..., Frames]
) -> None:
    frames = make_frames(2)
    frames.positions[0, 0, 0] = np.nan

    chosen = select(make_candidates(2, frames=frames))

    assert chosen.reason.tolist() == [Reason.NOT_FINITE, Reason.PICKED]


def test_equilibration_counts_in_the_shares_but_is_never_chosen(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    early = np.array([True, True, False, False])
    candidates = make_candidates(
        4, deviation=np.array([0.1, 0.4, 0.1, 0.4]), is_equilibration=early
    )

    chosen = select(candidates, accurate_checks=4)

    assert chosen.reason[early].tolist() == [Reason.EQUILIBRATION] * 2
    assert (chosen.picks, chosen.checks) == ([3], [2])
    assert chosen.shares.accurate == 0.5


def test_equal_candidates_are_labelled_once(
    make_candidates: Callable[..., CandidateSet], make_frames: Callable[..., Frames]
) -> None:
    frames = make_frames(2).take([0, 0, 1])

    chosen = select(make_candidates(3, frames=frames), max_labels=3)

    assert sorted(chosen.reason) == [Reason.PICKED, Reason.PICKED, Reason.DUPLICATE]
    assert chosen.reason[2] == Reason.PICKED


@pytest.mark.parametrize("method", METHODS)
def test_a_candidate_that_is_labelled_already_is_a_duplicate(
    make_candidates: Callable[..., CandidateSet], method: str
) -> None:
    candidates = make_candidates(3)  # MD of every generation begins with the same frame
    section = SelectSection(accurate_checks=0, diversity=method)

    chosen = select_frames(
        candidates,
        section,
        max_labels=5,
        low=0.3,
        high=0.6,
        seed=1,
        labelled=[candidates.frames.take([1])],
    )

    assert chosen.reason[1] == Reason.DUPLICATE
    assert sorted(chosen.picks) == [0, 2]


def test_a_frame_with_a_label_is_no_check(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    candidates = make_candidates(3, deviation=np.full(3, 0.1))

    chosen = select_frames(
        candidates,
        SelectSection(accurate_checks=3),
        max_labels=5,
        low=0.3,
        high=0.6,
        seed=1,
        labelled=[candidates.frames.take([1])],
    )

    assert sorted(chosen.checks) == [0, 2]
    assert chosen.reason[1] == Reason.NONE


def test_picks_keep_away_from_labels_whose_atoms_are_in_another_order(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    candidates = make_candidates(20)
    frames = candidates.frames
    order = [3, 1, 0, 2]
    labelled = Frames(frames.numbers[order], frames.positions[:5, order], frames.cells[:5])

    chosen = select_frames(
        candidates,
        SelectSection(accurate_checks=0),
        max_labels=20,
        low=0.3,
        high=0.6,
        seed=1,
        labelled=[labelled],
    )

    features = descriptor(frames)
    distances = np.linalg.norm(features[:, None] - features[:5], axis=2).min(axis=1)
    assert chosen.picks[0] == np.argmax(distances)
    assert sorted(chosen.picks) == list(range(5, 20))


def test_frames_of_the_probe_are_never_chosen(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    candidates = make_candidates(4, deviation=np.array([0.1, 0.4, 0.1, 0.4]))
    section = SelectSection(accurate_checks=5)

    chosen = select_frames(
        candidates, section, max_labels=5, low=0.3, high=0.6, seed=1, excluded={0, 1}
    )

    assert (chosen.picks, chosen.checks) == ([3], [2])
    assert chosen.reason[:2].tolist() == [Reason.PROBE] * 2


def test_checks_are_sound_accurate_frames_without_repetition(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    distance = np.full(30, 2.0)
    distance[::2] = 0.5
    candidates = make_candidates(30, deviation=np.full(30, 0.1), min_distance_A=distance)

    chosen = select(candidates, accurate_checks=6)

    assert len(set(chosen.checks)) == 6
    assert all(i % 2 for i in chosen.checks)
    assert chosen.picks == []


@pytest.mark.parametrize("method", METHODS)
def test_equal_seeds_give_equal_choices(
    make_candidates: Callable[..., CandidateSet], method: str
) -> None:
    deviation = np.where(np.arange(40) % 2, 0.1, 0.4)
    candidates = make_candidates(40, deviation=deviation)

    one, again, other = (
        select(candidates, diversity=method, accurate_checks=3, seed=seed) for seed in (5, 5, 6)
    )

    assert (one.picks, one.checks) == (again.picks, again.checks)
    assert (one.picks == other.picks) is (method == "deviation")
    assert one.checks != other.checks


def test_the_number_of_labels_does_not_change_the_checks(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    deviation = np.where(np.arange(40) % 2, 0.1, 0.4)
    candidates = make_candidates(40, deviation=deviation)

    few, many = (select(candidates, max_labels=n, accurate_checks=3) for n in (1, 9))

    assert few.checks == many.checks


def test_no_labels_wanted_leaves_all_candidates_not_needed(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    chosen = select(make_candidates(3), max_labels=0)

    assert chosen.reason.tolist() == [Reason.NOT_NEEDED] * 3


def test_too_many_candidates_are_thinned_and_it_is_said(
    make_candidates: Callable[..., CandidateSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection_module, "MAX_DESCRIBED", 8)

    chosen = select(make_candidates(30), max_labels=8)

    assert chosen.n_thinned == 22
    assert np.count_nonzero(chosen.reason == Reason.NOT_NEEDED) == 22
    assert len(chosen.picks) == 8


def test_thinning_leaves_enough_for_the_labels_wanted(
    make_candidates: Callable[..., CandidateSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection_module, "MAX_DESCRIBED", 8)

    chosen = select(make_candidates(30), max_labels=12)

    assert len(chosen.picks) == 12


def test_shares_are_given_overall_and_at_each_temperature(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    candidates = make_candidates(
        6,
        deviation=np.array([0.1, 0.1, 0.1, 0.4, 0.1, 0.7]),
        temperature_K=np.array([300.0] * 4 + [900.0] * 2),
        n_planned=8,
    )

    chosen = select(candidates)

    assert chosen.shares == Shares(0.5, 0.125, 0.375, n_frames=6, n_planned=8)
    assert chosen.shares_by_temperature == {
        300.0: Shares(0.75, 0.25, 0.0, n_frames=4, n_planned=4),
        900.0: Shares(0.25, 0.0, 0.75, n_frames=2, n_planned=4),
    }


def test_a_temperature_whose_runs_were_all_lost_has_failed(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    candidates = make_candidates(2, n_planned=6, planned_by_temperature={300.0: 2, 1200.0: 4})

    chosen = select(candidates)

    assert chosen.shares_by_temperature[1200.0] == Shares(0.0, 0.0, 1.0, 0, 4)


def test_no_frames_at_all_make_an_empty_selection(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    chosen = select(make_candidates(0, n_planned=10), accurate_checks=4)

    assert (chosen.picks, chosen.checks, len(chosen.reason)) == ([], [], 0)
    assert chosen.shares.failed == 1.0


def test_arrays_of_other_lengths_are_refused(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    with pytest.raises(AnalysisError, match=r"volume_ratio has shape \(2,\) but there are 3"):
        make_candidates(3, volume_ratio=np.ones(2))


def test_the_probe_has_equal_numbers_from_all_temperatures(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    temperature = np.repeat([300.0, 600.0, 900.0], 20)
    candidates = make_candidates(60, temperature_K=temperature)

    probe = draw_probe(candidates, 12, seed=3, section=SelectSection())

    assert np.unique(temperature[probe], return_counts=True)[1].tolist() == [4, 4, 4]
    assert len(set(probe)) == 12
    assert probe == draw_probe(candidates, 12, seed=3, section=SelectSection())
    assert probe != draw_probe(candidates, 12, seed=4, section=SelectSection())


def test_the_probe_makes_up_for_a_temperature_with_too_few_sound_frames(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    temperature = np.repeat([300.0, 1200.0], 10)
    distance = np.full(20, 2.0)
    distance[12:] = 0.5
    candidates = make_candidates(20, temperature_K=temperature, min_distance_A=distance)

    probe = draw_probe(candidates, 8, seed=3, section=SelectSection())

    assert np.unique(temperature[probe], return_counts=True)[1].tolist() == [6, 2]
    assert distance[probe].min() == 2.0


def test_the_probe_takes_the_common_start_of_all_runs_once(
    make_candidates: Callable[..., CandidateSet], make_frames: Callable[..., Frames]
) -> None:
    frames = make_frames(5).take([0, 1, 2, 0, 3, 4])
    temperature = np.repeat([300.0, 600.0], 3)
    candidates = make_candidates(6, frames=frames, temperature_K=temperature)

    probe = draw_probe(candidates, 6, seed=3, section=SelectSection())

    assert len(probe) == 5
    assert len({0, 3} & set(probe)) == 1


@pytest.mark.parametrize(("n_frames", "n"), [(0, 5), (5, 0)])
def test_a_probe_of_nothing_is_empty(
    make_candidates: Callable[..., CandidateSet], n_frames: int, n: int
) -> None:
    candidates = make_candidates(n_frames, n_planned=9)

    assert draw_probe(candidates, n, seed=0, section=SelectSection()) == []


def test_excluded_frames_stay_out_of_the_probe(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    probe = draw_probe(make_candidates(4), 4, seed=0, section=SelectSection(), excluded=[1, 2])

    assert sorted(probe) == [0, 3]


def test_among_all_frames_accurate_and_failed_ones_may_be_picked_and_unsound_ones_not(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    deviation = np.array([0.1, 0.4, 0.7, np.nan, 0.9, 0.1])
    min_distance_A = np.array([2.0, 2.0, 2.0, 2.0, 0.5, 2.0])
    candidates = make_candidates(6, deviation=deviation, min_distance_A=min_distance_A)

    chosen = select(candidates, max_labels=6, among="all", diversity="random")

    assert sorted(chosen.picks) == [0, 1, 2, 5]
    assert chosen.reason[[3, 4]].tolist() == [Reason.NOT_FINITE, Reason.TOO_CLOSE]
    assert chosen.verdict.tolist() == select(candidates).verdict.tolist()


def test_among_all_frames_checks_are_not_picks(
    make_candidates: Callable[..., CandidateSet],
) -> None:
    candidates = make_candidates(6, deviation=np.full(6, 0.1))

    chosen = select(candidates, max_labels=4, accurate_checks=6, among="all")

    assert len(chosen.picks) == 4
    assert not set(chosen.picks) & set(chosen.checks)
    assert len(chosen.checks) == 2
