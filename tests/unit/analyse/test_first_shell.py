from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.first_shell import first_shell

R = 0.025 + 0.05 * np.arange(160)
NONE = np.zeros_like(R)


def bump(centre: float, height: float, width: float) -> np.ndarray:
    return height * np.exp(-0.5 * ((R - centre) / width) ** 2)


def test_peak_and_minimum_are_found_between_bins() -> None:
    g = bump(3.312, 2.0, 0.3) + bump(5.512, 2.0, 0.3)

    shell = first_shell(R, g, NONE)

    assert shell.peak_A == pytest.approx(3.312, abs=0.005)
    assert shell.peak_g == pytest.approx(2.0, abs=0.02)
    assert shell.minimum_A == pytest.approx(4.412, abs=0.01)


def test_the_minimum_of_a_gap_is_its_middle() -> None:
    shell = first_shell(R, bump(2.0, 12.0, 0.08) + bump(5.0, 2.0, 0.08), NONE)

    assert shell.minimum_A == pytest.approx(3.5, abs=0.1)


def test_a_shoulder_and_noise_are_no_shell_of_their_own() -> None:
    rng = np.random.default_rng(0)
    g_err = np.full_like(R, 0.05)
    g = bump(3.0, 2.0, 0.3) + bump(3.7, 0.9, 0.35) + bump(6.0, 1.5, 0.5)

    shells = [first_shell(R, g + rng.normal(0.0, g_err), g_err) for _ in range(50)]

    assert [shell.peak_A for shell in shells] == pytest.approx([3.05] * 50, abs=0.15)
    assert [shell.minimum_A for shell in shells] == pytest.approx([4.7] * 50, abs=0.25)


def test_without_a_rise_behind_the_peak_there_is_no_minimum() -> None:
    shell = first_shell(R, bump(5.0, 2.0, 0.5), NONE)

    assert shell.peak_A == pytest.approx(5.0, abs=0.01)
    assert np.isnan(shell.minimum_A)


def test_a_trace_at_the_end_of_the_range_is_no_rise() -> None:
    shell = first_shell(R, bump(4.0, 6.0, 0.1) + bump(8.5, 2.0, 0.15), NONE)

    assert np.isnan(shell.minimum_A)


def test_a_second_peak_far_below_the_first_ends_its_shell() -> None:
    shell = first_shell(R, bump(2.0, 300.0, 0.08) + bump(5.0, 2.0, 0.08), NONE)

    assert 2.3 < shell.minimum_A < 4.8


def test_an_ideal_gas_has_no_shell() -> None:
    rng = np.random.default_rng(1)
    g_err = 0.3 / np.maximum(R, 0.2)

    shells = [first_shell(R, 1.0 + rng.normal(0.0, g_err), g_err) for _ in range(50)]

    assert sum(np.isfinite(shell.peak_A) for shell in shells) <= 2
