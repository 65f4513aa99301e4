"""Numbers as text: value with error, shares, durations, with sensible digits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN = "–"
"""Stands for a value that is not known."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PLAIN_EXPONENTS = range(-2, 4)
"""Values from 0.01 up to 9999 are written without a power of ten."""

_ONE_DIGIT_FROM = 3.55
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
SECONDS_PER_HOUR = 3600.0


def is_known(value: object) -> TypeGuard[float]:
    """Whether a number is there and finite."""
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))


def _exponent(value: float) -> int:
    """Power of ten of the leading digit; 0 for 0."""
    return math.floor(math.log10(abs(value))) if value else 0


def _rounded(value: float, digits: int) -> float:
    """Value with so many significant digits."""
    return round(value, digits - 1 - _exponent(value))


def _scaled(text: str, exponent: int, unit: str) -> str:
    """Append the power of ten and the unit."""
    power = f" × 10{str(exponent).translate(_SUPERSCRIPTS)}" if exponent else ""
    return f"{text}{power}{' ' if unit else ''}{unit}"


def _fixed(value: float, decimals: int) -> str:
    """Fixed-point text with a true minus sign; negative decimals round before the point."""
    text = f"{round(value, decimals) + 0.0:.{max(decimals, 0)}f}"
    return text.replace("-", "−")


def format_number(value: float | None, unit: str = "", *, digits: int = 3) -> str:
    """Number with so many significant digits, ``2.40 × 10⁻¹² m²/s``; a dash if unknown."""
    if not is_known(value):
        return UNKNOWN
    rounded = _rounded(value, digits)
    exponent = _exponent(rounded)
    scale = 0 if exponent in _PLAIN_EXPONENTS else exponent
    text = _fixed(rounded / 10.0**scale, digits - 1 - exponent + scale)
    return _scaled(text, scale, unit)


def format_value_error(value: float | None, error: float | None, unit: str = "") -> str:
    """Value with its error, such as ``(4.1 ± 0.6) × 10⁻¹⁰ m²/s``.

    The error keeps one significant digit, or two when it starts with 1.0 to 3.5; it decides the
    digits of the value. An unknown error is said, never left out.

    Parameters
    ----------
    value, error
        In the same unit; None or NaN if unknown.
    unit
        Appended once.
    """
    if not is_known(value):
        return UNKNOWN
    if not is_known(error) or error <= 0:
        return f"{format_number(value, unit)} (error unknown)"
    exponent = _exponent(error)
    last = exponent if error / 10.0**exponent >= _ONE_DIGIT_FROM else exponent - 1
    error = round(error, -last)
    value = round(value, -last)
    exponent = _exponent(max(abs(value), error))
    scale = 0 if exponent in _PLAIN_EXPONENTS else exponent
    decimals = scale - last
    text = f"{_fixed(value / 10.0**scale, decimals)} ± {_fixed(error / 10.0**scale, decimals)}"
    return _scaled(f"({text})" if scale else text, scale, unit)


def format_interval(
    value: float | None, low: float | None, high: float | None, unit: str = ""
) -> str:
    """Value with an asymmetric interval, such as ``1.9 (1.2 … 2.8) × 10⁻¹¹ m²/s``."""
    if not is_known(value):
        return UNKNOWN
    if not is_known(low) or not is_known(high):
        return f"{format_number(value, unit)} (interval unknown)"
    exponent = _exponent(_rounded(value, 2))
    scale = 0 if exponent in _PLAIN_EXPONENTS else exponent
    parts = (
        _fixed(x / 10.0**scale, 1 - exponent + scale if abs(x) < 10.0 ** (exponent + 2) else 0)
        for x in (value, low, high)
    )
    return _scaled("{} ({} … {})".format(*parts), scale, unit)


def format_range(low: float | None, high: float | None, unit: str = "") -> str:
    """Both ends of an interval, such as ``(1.2 … 2.8) × 10⁻¹¹ m²/s``; a dash if unknown."""
    if not is_known(low) or not is_known(high):
        return UNKNOWN
    low, high = _rounded(low, 2), _rounded(high, 2)
    exponent = _exponent(high)
    scale = 0 if exponent in _PLAIN_EXPONENTS else exponent
    text = " … ".join(
        _fixed(end / 10.0**scale, 1 - _exponent(end) + scale) for end in (low, high)
    )
    return _scaled(f"({text})" if scale else text, scale, unit)


def format_upper_bound(value: float | None, unit: str = "") -> str:
    """Bound such as ``< 2.0 × 10⁻¹² m²/s``; a dash if unknown."""
    return f"< {format_number(value, unit, digits=2)}" if is_known(value) else UNKNOWN


def format_share(value: float | None) -> str:
    """Fraction as a percentage with two decimals, as in Table IV of Huang et al. (2021)."""
    if not is_known(value):
        return UNKNOWN
    return f"{100 * value:.2f} %"


def format_count(value: int | None) -> str:
    """Whole number with thin spaces between thousands; a dash if unknown."""
    return UNKNOWN if value is None else f"{value:,}".replace(",", "\u202f")


def format_counts(counts: Mapping[str, int]) -> str:
    """What was counted and how often, such as ``SCF not converged (5), hung (1)``."""
    return ", ".join(f"{name} ({count})" for name, count in counts.items()) or UNKNOWN


def format_list(values: tuple[float, ...]) -> str:
    """Numbers as a range when there are more than three, else one by one."""
    listed_up_to = 3
    if len(values) > listed_up_to:
        return f"{min(values):g}–{max(values):g} ({len(values)})"
    return ", ".join(f"{value:g}" for value in values) or UNKNOWN


def format_core_time(core_s: float) -> str:
    """Time of one busy core, such as ``36 core-seconds`` or ``4.2 core-hours``."""
    if 0.0 < core_s < 1.0:
        return "< 1 core-second"
    if core_s < _MINUTE_S:
        return f"{core_s:.0f} core-seconds"
    name, value = "core-minutes", core_s / _MINUTE_S
    if core_s >= SECONDS_PER_HOUR:
        name, value = "core-hours", core_s / SECONDS_PER_HOUR
    return f"{_three_digits(value)} {name}"


def format_bytes(n_bytes: float) -> str:
    """Size in decimal units, such as ``340 kB`` or ``1.20 GB``."""
    thousand = 1000.0
    for name in ("B", "kB", "MB", "GB"):
        if n_bytes < thousand:
            return f"{n_bytes:.0f} B" if name == "B" else f"{_three_digits(n_bytes)} {name}"
        n_bytes /= thousand
    return f"{_three_digits(n_bytes)} TB"


def _three_digits(value: float) -> str:
    """Value from 1 with three significant digits, larger ones whole."""
    decimals = max(0, 2 - _exponent(value))
    return f"{value:,.{decimals}f}".replace(",", "\u202f")


def format_duration(seconds: float | None) -> str:
    """Wall time in its two largest units, such as ``2 h 13 min``."""
    if not is_known(seconds):
        return UNKNOWN
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"
