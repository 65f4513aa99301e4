"""Which value is taken: the cheapest of those from which on all are within what is asked."""

from __future__ import annotations

import pytest

from dasksse.report.convergence import Errors, Ladder, Rung
from dasksse.study.picks import with_pick

ASKED = Errors(energy_difference_meV_atom=1.0, force_meV_A=3.0, stress_GPa=0.1)


def ladder(*forces_meV_A: float, seconds: tuple[float, ...] | None = None) -> Ladder:
    """Values 0, 1, 2 ...; finer ones take longer unless their times are given."""
    times = seconds or tuple(10.0 * 2**i for i in range(len(forces_meV_A)))
    rungs = [
        Rung(i, time, Errors(0.1, force, 0.01))
        for i, (force, time) in enumerate(zip(forces_meV_A, times, strict=True))
    ]
    return Ladder("cutoff_Ry", 1, tuple(rungs))


def test_the_cheapest_value_within_the_asked_error_is_taken() -> None:
    judged = with_pick(ladder(50.0, 9.0, 2.0, 0.5, 0.0), ASKED)

    assert judged.picked == 2
    assert judged.why == "40 s a frame, with the finest 160 s"


def test_a_coarse_value_that_is_right_by_accident_is_not_taken() -> None:
    judged = with_pick(ladder(0.1, 9.0, 2.0, 0.5, 0.0), ASKED)

    assert judged.picked == 2


def test_nothing_is_taken_when_the_finest_is_not_converged_itself() -> None:
    judged = with_pick(ladder(50.0, 9.0, 5.0, 0.0), ASKED)

    assert judged.pick is None
    assert judged.why == ("not converged: 2 and 3 still differ by 5 meV/Å in forces (asked: 3)")


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (Errors(2.0, 0.0, 0.0), "2 meV/atom in energy differences (asked: 1)"),
        (Errors(0.0, 0.0, 0.25), "0.25 GPa in stress (asked: 0.1)"),
    ],
)
def test_energies_and_stress_count_too(errors: Errors, words: str) -> None:
    rungs = (Rung("a", 1.0, errors), Rung("b", 1.0, Errors(0.0, 0.0, 0.0)))

    judged = with_pick(Ladder("basis", "b", rungs), ASKED)

    assert judged.pick is None
    assert words in judged.why


def test_an_offset_that_all_frames_share_does_no_harm() -> None:
    rungs = (
        Rung("a", 1.0, Errors(0.0, 0.0, None, energy_meV_atom=900.0)),
        Rung("b", 2.0, Errors(0.0, 0.0, None)),
    )

    assert with_pick(Ladder("basis", "b", rungs), ASKED).picked == "a"


def test_a_finer_value_that_is_cheaper_is_taken() -> None:
    times = (90.0, 80.0, 60.0, 61.0)

    assert with_pick(ladder(9.0, 1.0, 0.5, 0.0, seconds=times), ASKED).picked == 2


def test_of_equally_cheap_values_the_coarser_is_taken() -> None:
    times = (10.0, 10.5, 10.0, 10.2)

    assert with_pick(ladder(9.0, 1.0, 0.5, 0.0, seconds=times), ASKED).picked == 1


def test_one_value_shows_nothing() -> None:
    judged = with_pick(ladder(0.0), ASKED)

    assert judged.pick is None
    assert judged.why == "only 0 was computed; one value shows nothing"


@pytest.mark.parametrize("place", [-1, -2])
def test_nothing_is_taken_when_one_of_the_finest_two_failed(place: int) -> None:
    rungs = list(ladder(9.0, 0.5, 0.0).rungs)
    if place == -1:
        rungs = [Rung(rung.value, rung.seconds) for rung in rungs]
    rungs[place] = Rung(rungs[place].value, reason="SCF failed\nlog")

    judged = with_pick(Ladder("cutoff_Ry", 1, tuple(rungs)), ASKED)

    assert judged.pick is None
    assert judged.why == f"{rungs[place].value} failed: SCF failed; log"


def test_values_below_a_failed_one_are_not_trusted() -> None:
    rungs = list(ladder(1.0, 0.9, 0.5, 0.0).rungs)
    rungs[1] = Rung(1, reason="SCF failed")

    assert with_pick(Ladder("smearing_eV", 1, tuple(rungs)), ASKED).picked == 2
