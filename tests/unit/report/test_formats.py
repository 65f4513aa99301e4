from __future__ import annotations

import math

import numpy as np
import pytest

from dasksse.report.formats import (
    UNKNOWN,
    format_bytes,
    format_core_time,
    format_count,
    format_duration,
    format_interval,
    format_list,
    format_number,
    format_range,
    format_share,
    format_upper_bound,
    format_value_error,
    is_known,
)


@pytest.mark.parametrize(
    ("value", "error", "unit", "expected"),
    [
        (4.1e-10, 0.6e-10, "m²/s", "(4.1 ± 0.6) × 10⁻¹⁰ m²/s"),
        (1.6e-11, 0.2e-11, "m²/s", "(1.60 ± 0.20) × 10⁻¹¹ m²/s"),
        (0.2314, 0.0123, "eV", "0.231 ± 0.012 eV"),
        (82.4, 0.91, "meV/Å", "82.4 ± 0.9 meV/Å"),
        (1234.0, 57.0, "", "1230 ± 60"),
        (99990.0, 12.0, "", "(9.9990 ± 0.0012) × 10⁴"),
        (-0.5, 0.04, "eV", "−0.50 ± 0.04 eV"),
    ],
)
def test_the_error_decides_the_digits_of_the_value(
    value: float, error: float, unit: str, expected: str
) -> None:
    text = format_value_error(value, error, unit)

    assert text == expected


def test_a_value_that_rounds_up_to_the_next_power_keeps_its_digits() -> None:
    text = format_value_error(9.97e-10, 0.06e-9, "m²/s")

    assert text == "(1.00 ± 0.06) × 10⁻⁹ m²/s"


def test_an_error_that_rounds_up_to_the_next_power_keeps_one_digit_there() -> None:
    assert format_value_error(84.2, 0.97) == "84.2 ± 1.0"


def test_an_error_above_the_value_sets_the_power_of_ten() -> None:
    assert format_value_error(1e-13, 6e-12, "m²/s") == "(0 ± 6) × 10⁻¹² m²/s"


@pytest.mark.parametrize("error", [None, math.nan, math.inf, 0.0, -1.0])
def test_an_unknown_error_is_said(error: float | None) -> None:
    assert format_value_error(0.22, error, "eV") == "0.220 eV (error unknown)"


@pytest.mark.parametrize("value", [None, math.nan, -math.inf])
def test_an_unknown_value_is_a_dash_in_every_format(value: float | None) -> None:
    texts = [
        format_value_error(value, 0.1),
        format_interval(value, 0.1, 0.2),
        format_number(value),
        format_share(value),
        format_upper_bound(value),
        format_duration(value),
    ]

    assert texts == [UNKNOWN] * 6


def test_an_interval_shares_the_power_of_ten_of_its_value() -> None:
    text = format_interval(1.9e-11, 1.2e-11, 2.84e-11, "m²/s")

    assert text == "1.9 (1.2 … 2.8) × 10⁻¹¹ m²/s"


def test_a_missing_interval_is_said() -> None:
    assert format_interval(5.0, None, 9.0, "mS/cm") == "5.00 mS/cm (interval unknown)"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0.00"), (1234.5, "1230"), (0.01234, "0.0123"), (2.4e-12, "2.40 × 10⁻¹²")],
)
def test_plain_numbers_keep_three_digits(value: float, expected: str) -> None:
    assert format_number(value) == expected


def test_shares_have_the_two_decimals_of_table_iv() -> None:
    assert format_share(0.9874) == "98.74 %"


def test_upper_bounds_carry_two_digits() -> None:
    assert format_upper_bound(2e-12, "m²/s") == "< 2.0 × 10⁻¹² m²/s"


def test_counts_group_thousands_and_say_when_they_are_unknown() -> None:
    assert (format_count(12345), format_count(None)) == ("12\u202f345", UNKNOWN)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), UNKNOWN),
        ((300.0, 600.0), "300, 600"),
        ((500.0, 300.0, 900.0, 700.0), "300–900 (4)"),
    ],
)
def test_long_lists_become_a_range(values: tuple[float, ...], expected: str) -> None:
    assert format_list(values) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(12.4, "12 s"), (725, "12 min 5 s"), (7980, "2 h 13 min"), (180_000, "2 d 2 h")],
)
def test_durations_show_their_two_largest_units(seconds: float, expected: str) -> None:
    assert format_duration(seconds) == expected


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (1.0, True),
        (3, True),
        (np.float64(2.0), True),
        (None, False),
        ("1", False),
        (math.nan, False),
    ],
)
def test_only_finite_numbers_are_known(value: object, known: bool) -> None:
    assert is_known(value) is known


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.2e-11, 2.84e-11, "(1.2 … 2.8) × 10⁻¹¹ m²/s"),
        (9.0e-13, 1.4e-11, "(0.090 … 1.4) × 10⁻¹¹ m²/s"),
        (0.4, 0.966, "0.40 … 0.97 m²/s"),
        (12.0, 130.0, "12 … 130 m²/s"),
        (None, 0.9, UNKNOWN),
        (0.9, math.nan, UNKNOWN),
    ],
)
def test_both_ends_of_an_interval_share_their_power_of_ten(
    low: float | None, high: float | None, expected: str
) -> None:
    assert format_range(low, high, "m²/s") == expected


@pytest.mark.parametrize(
    ("core_s", "expected"),
    [
        (0.0, "0 core-seconds"),
        (0.3, "< 1 core-second"),
        (36.2, "36 core-seconds"),
        (62.0, "1.03 core-minutes"),
        (3599.0, "60.0 core-minutes"),
        (25_092.0, "6.97 core-hours"),
        (4.5e6, "1\u202f250 core-hours"),
    ],
)
def test_core_time_has_the_unit_that_reads_well(core_s: float, expected: str) -> None:
    assert format_core_time(core_s) == expected


@pytest.mark.parametrize(
    ("n_bytes", "expected"),
    [
        (0.0, "0 B"),
        (12_400.0, "12.4 kB"),
        (2.06e6, "2.06 MB"),
        (3.4e8, "340 MB"),
        (1.2e9, "1.20 GB"),
        (5e15, "5\u202f000 TB"),
    ],
)
def test_sizes_have_the_unit_that_reads_well(n_bytes: float, expected: str) -> None:
    assert format_bytes(n_bytes) == expected
