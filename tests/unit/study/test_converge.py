"""The convergence test as units: errors against an oracle, sessions that end in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import studies
from studies import CALLS, CUTOFFS, MadeUpSettings, force_error_eV_A, session, write_copper

from dasksse.errors import ConfigError, RunFolderError
from dasksse.records import Frames, Labels
from dasksse.report.convergence import Errors
from dasksse.study import Converge, open_study

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.report.convergence import Convergence, Ladder

N_FRAMES = 2
N_ATOMS = 4
N_POINTS = N_FRAMES * (len(CUTOFFS) + 2)  # the configured point is on both ladders


def converge(root: Path, **changes: Any) -> Converge:
    options = {
        "system": "cu",
        "n_frames": N_FRAMES,
        "asked": Errors(1.0, 3.0, 0.1),
        "vary": {},
    }
    return Converge(root, **(options | changes))


def found_by(tmp_path: Path, **changes: Any) -> Convergence:
    study = converge(tmp_path / "study", **changes)
    session(study, write_copper(tmp_path), tmp_path / "study")
    assert study.outcome is not None
    return study.outcome


def ladder_of(found: Convergence, setting: str) -> Ladder:
    return next(ladder for ladder in found.ladders if ladder.setting == setting)


def rms_meV_A(cutoff_Ry: float, **settings: Any) -> float:
    """Two components of twelve are wrong by the same amount, against the finest cut-off."""
    coarse = force_error_eV_A(MadeUpSettings(cutoff_Ry=cutoff_Ry, **settings))
    finest = force_error_eV_A(MadeUpSettings(cutoff_Ry=CUTOFFS[-1]))
    return 1000.0 * (coarse - finest) * (2.0 / (3 * N_ATOMS)) ** 0.5


def test_errors_are_those_of_the_settings(tmp_path: Path) -> None:
    rungs = ladder_of(found_by(tmp_path), "cutoff_Ry").rungs

    assert [rung.value for rung in rungs] == list(CUTOFFS)
    for rung in rungs:
        error_meV = 1000.0 * (
            force_error_eV_A(MadeUpSettings(cutoff_Ry=rung.value))
            - force_error_eV_A(MadeUpSettings(cutoff_Ry=CUTOFFS[-1]))
        )
        assert rung.errors is not None
        assert rung.errors.force_meV_A == pytest.approx(rms_meV_A(rung.value), abs=1e-6)
        assert rung.errors.force_largest_meV_A == pytest.approx(error_meV, abs=1e-6)
        # the energy is wrong by as much in each frame: no difference is
        assert rung.errors.energy_meV_atom == pytest.approx(2.0 * error_meV / N_ATOMS, abs=1e-6)
        assert rung.errors.energy_difference_meV_atom == pytest.approx(0.0, abs=1e-6)
        assert rung.errors.stress_GPa == pytest.approx(0.0, abs=1e-9)
        assert rung.seconds is not None


def test_the_cheapest_values_within_the_error_are_picked_and_confirmed(tmp_path: Path) -> None:
    assert rms_meV_A(300.0) > 3.0 > rms_meV_A(400.0)

    found = found_by(tmp_path)

    assert {ladder.setting: ladder.picked for ladder in found.ladders} == {
        "cutoff_Ry": 400.0,
        "basis": "DZVP",
    }
    confirmed = found.confirmation
    assert confirmed is not None
    assert confirmed.picks == {"cutoff_Ry": 400.0, "basis": "DZVP"}
    assert confirmed.finest == {"cutoff_Ry": 500.0, "basis": "TZVP"}
    assert confirmed.rung.errors is not None
    assert confirmed.rung.errors.force_meV_A == pytest.approx(rms_meV_A(400.0, basis="DZVP"))
    assert (confirmed.rung.seconds, confirmed.finest_seconds) == (5.0, 7.0)
    assert found.is_converged
    assert found.source == "made up, 300 Ry, TZVP"  # as configured
    # of the points to confirm, the finest is on the ladder of cut-offs already
    assert len(CALLS) == N_POINTS + N_FRAMES


def test_frames_are_rattled_copies_without_the_crystal_itself(tmp_path: Path) -> None:
    found_by(tmp_path)

    units = (tmp_path / "study/work/converge").glob("*/labels.npz")
    frames = {Labels.load(path).frames.content_keys()[0] for path in units}
    (start,) = (tmp_path / "study/work/start").glob("*/frames.npz")
    crystal, *rattled = Frames.load(start).content_keys()
    assert frames == set(rattled)
    assert crystal not in frames


def test_a_study_that_is_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    config, root = write_copper(tmp_path), tmp_path / "study"
    with pytest.raises(KeyboardInterrupt):
        session(converge(root), config, root, interrupted_after=7)
    n_before = len(CALLS)

    runner = session(converge(root), config, root)

    assert n_before == 5  # structure and frames come first
    assert len(CALLS) == len(list((root / "work/converge").iterdir()))
    assert runner.kinds()["converge"] == len(CALLS) - n_before
    assert set(runner.kinds()) == {"converge", "errors"}


def test_a_finished_study_computes_nothing_again(tmp_path: Path) -> None:
    config, root = write_copper(tmp_path), tmp_path / "study"
    first, second = converge(root), converge(root)
    session(first, config, root)
    CALLS.clear()

    runner = session(second, config, root)

    assert (CALLS, runner.submitted) == ([], [])
    assert second.outcome == first.outcome


def test_another_asked_error_computes_the_new_picks_together_and_no_more(
    tmp_path: Path,
) -> None:
    config, root = write_copper(tmp_path), tmp_path / "study"
    session(converge(root), config, root)
    CALLS.clear()
    looser = converge(root, asked=Errors(1.0, 100.0, 0.1))

    session(looser, config, root)

    assert [(s.cutoff_Ry, s.basis) for s in CALLS] == [(200.0, "DZVP")] * N_FRAMES


def test_more_frames_and_values_use_those_that_are_there(tmp_path: Path) -> None:
    config, root = write_copper(tmp_path), tmp_path / "study"
    session(converge(root, vary={"cutoff_Ry": [300, 400, 500]}), config, root)
    CALLS.clear()

    session(converge(root, vary={"cutoff_Ry": [300, 400, 500, 600]}, n_frames=3), config, root)

    cutoffs = [settings.cutoff_Ry for settings in CALLS]
    assert sorted(cutoffs) == [300.0, 400.0, 500.0, 600.0, 600.0, 600.0]


def test_the_config_may_change_between_sessions(tmp_path: Path) -> None:
    root = tmp_path / "study"
    session(converge(root), write_copper(tmp_path), root)
    CALLS.clear()
    changed = write_copper(tmp_path, label__calculator__settings__cutoff_Ry=400.0)

    session(converge(root), changed, root)

    # the ladder of cut-offs is done, and so are the picks; bases are tried at 400 Ry now
    assert [(s.cutoff_Ry, s.basis) for s in CALLS] == [(400.0, "SZV")] * N_FRAMES


def test_a_value_that_does_not_become_self_consistent_stops_no_other(tmp_path: Path) -> None:
    studies.FAILING.append(MadeUpSettings(cutoff_Ry=100.0))

    found = found_by(tmp_path)

    first, *others = ladder_of(found, "cutoff_Ry").rungs
    assert first.errors is None
    assert "not self-consistent, tried all" in first.reason
    assert all(rung.errors is not None for rung in others)
    assert found.is_converged


def test_nothing_is_picked_where_the_finest_failed(tmp_path: Path) -> None:
    studies.FAILING.append(MadeUpSettings(cutoff_Ry=500.0))

    found = found_by(tmp_path)

    ladder = ladder_of(found, "cutoff_Ry")
    assert ladder.pick is None
    assert ladder.why.startswith("500.0 failed: made up, 500 Ry, TZVP exited with 1 in ")
    assert ladder.why.endswith("not self-consistent, tried all")
    assert ladder_of(found, "basis").pick is not None
    assert found.confirmation is not None
    assert set(found.confirmation.picks) == {"basis"}
    assert not found.is_converged


def test_a_value_that_the_elements_lack_is_left_out(tmp_path: Path) -> None:
    studies.MISSING.append("TZVP")
    config = write_copper(tmp_path, label__calculator__settings__basis="DZVP")
    study = converge(tmp_path / "study")

    session(study, config, tmp_path / "study")

    assert study.outcome is not None
    ladder = ladder_of(study.outcome, "basis")
    assert [rung.value for rung in ladder.rungs] == ["SZV", "DZVP"]
    assert ladder.left_out == (("TZVP", "no basis TZVP for Cu; allowed: SZV"),)
    assert ladder.why.startswith("not converged: SZV and DZVP still differ")
    assert ladder_of(study.outcome, "cutoff_Ry").picked == 400.0


def test_a_configured_value_that_the_elements_lack_is_an_error(tmp_path: Path) -> None:
    studies.MISSING.append("TZVP")

    with pytest.raises(ConfigError, match="no basis TZVP for Cu; allowed: SZV"):
        found_by(tmp_path)


def test_a_failed_single_point_is_tried_again_when_its_folder_is_removed(
    tmp_path: Path,
) -> None:
    import shutil

    studies.FAILING.append(MadeUpSettings(cutoff_Ry=500.0))
    found_by(tmp_path)
    studies.FAILING.clear()
    shutil.rmtree(tmp_path / "study/failed")

    found = found_by(tmp_path)

    assert found.is_converged


def test_picks_that_are_too_coarse_together_are_doubted(tmp_path: Path) -> None:
    asked = 1.05 * max(rms_meV_A(400.0), rms_meV_A(500.0, basis="DZVP"))

    found = found_by(tmp_path, asked=Errors(1.0, asked, 0.1))

    assert [ladder.picked for ladder in found.ladders] == [400.0, "DZVP"]
    assert found.doubts == [
        f"{rms_meV_A(400.0, basis='DZVP'):.3g} meV/Å in forces (asked: {asked:g})"
    ]
    assert not found.is_converged


def test_what_cannot_be_varied_is_refused_before_anything_starts(tmp_path: Path) -> None:
    from dasksse.config.load import load_config

    config = load_config(write_copper(tmp_path)).config

    with pytest.raises(ConfigError, match="allowed: cutoff_Ry, basis"):
        converge(tmp_path, vary={"cutoff": []}).check(config)


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(RunFolderError, match="holds something else; choose another"):
        open_study(tmp_path, "converge")


def test_a_folder_of_another_study_is_refused(tmp_path: Path) -> None:
    open_study(tmp_path, "relax")

    with pytest.raises(RunFolderError, match="holds the results of `dasksse relax`"):
        open_study(tmp_path, "converge")
