"""Tables of D(T): CSV files, and the JSON values of ``dasksse diffusion`` and of runs."""

from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING, Any

from ase.data import atomic_numbers

from dasksse.analyse.diffusion_points import DiffusionPoint
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

COLUMNS = ("T_K", "D_m2_s", "D_err_m2_s")
UNITS: Mapping[str, float] = {"m2/s": 1.0, "cm2/s": 1.0e-4}
"""Units of D by name, in m²/s."""
_MEANINGS: Mapping[str, tuple[str, float]] = {
    "T_K": ("temperature_K", 1.0),
    "D_m2_s": ("D_m2_s", 1.0),
    "D_cm2_s": ("D_m2_s", UNITS["cm2/s"]),
    "D_err_m2_s": ("D_err_m2_s", 1.0),
    "D_err_cm2_s": ("D_err_m2_s", UNITS["cm2/s"]),
    "upper_bound_m2_s": ("upper_bound_m2_s", 1.0),
    "upper_bound_cm2_s": ("upper_bound_m2_s", UNITS["cm2/s"]),
    "framework_broken": ("framework_broken", 1.0),
    "framework_melted": ("framework_melted", 1.0),
    "L_A": ("length_A", 1.0),
    "n_atoms": ("n_atoms", 1.0),
    "sigma_mS_cm": ("sigma_mS_cm", 1.0),
}
"""Columns of a table: what each means, and its factor."""
_NEEDED = ("temperature_K", "D_m2_s", "D_err_m2_s")
_SHARES = ("framework_broken",)
_ELEMENTS = "framework_melted"
_CHOSEN = (*_NEEDED, "upper_bound_m2_s")
"""Meanings of columns named by hand, in this order."""

Row = tuple[int, list[str]]
"""Number of a line and its cells."""


def read_diffusion_csv(
    path: Path, *, columns: Sequence[str] = (), unit: str = "m2/s"
) -> list[DiffusionPoint]:
    """Read D at several temperatures from a CSV file with a header.

    Parameters
    ----------
    path
        File with the columns ``T_K, D_m2_s, D_err_m2_s`` (or ``D_cm2_s, D_err_cm2_s``) and, if
        wanted, ``upper_bound_m2_s``, ``framework_broken``, ``framework_melted`` (elements,
        such as ``P S``), ``L_A``, ``n_atoms`` and ``sigma_mS_cm``, in any order; others are
        ignored. An empty cell stands for unknown.
        Empty lines and those that begin with ``#`` are skipped.
    columns
        Names of the columns of temperature [K], D, its error and, if wanted, the upper bound,
        for files with other names.
    unit
        Unit of those three: ``m2/s`` or ``cm2/s``.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a column or a number is missing or wrong.
    """
    header, rows = read_rows(path)
    meanings = _chosen(columns, unit) if columns else _MEANINGS
    place_of = _places(path, header, meanings)
    missing = [name for name in _NEEDED if name not in {meanings[n][0] for n in place_of}]
    if missing:
        raise ConfigError(_missing_text(path, header, columns, missing))
    points = []
    for line, cells in rows:
        values: dict[str, Any] = {}
        for name, place in place_of.items():
            meaning, factor = meanings[name]
            where = f"{path}:{line}: {name}"
            if meaning == _ELEMENTS:
                values[meaning] = _elements(cells[place].split(), where) or None
                continue
            number = read_number(cells[place], where, is_share=meaning in _SHARES)
            values[meaning] = None if number is None else factor * number
        points.append(_point(values, f"{path}:{line}"))
    return points


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """Header and rows of a CSV file, each row as long as the header.

    Raises
    ------
    ConfigError
        If the file cannot be read, has no row, or a row or the header is malformed.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, skipinitialspace=True)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: cannot be read as a CSV table: {error}"
        raise ConfigError(msg) from error
    filled = [(n, row) for n, row in lines if any(row) and not row[0].startswith("#")]
    header = filled[0][1] if filled else []
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        msg = f"{path}: column {', '.join(twice)} occurs more than once; allowed: once"
        raise ConfigError(msg)
    if not filled[1:] and header:
        msg = f"{path}: no row below the header, need one for each temperature"
        raise ConfigError(msg)
    for number, row in filled[1:]:
        if len(row) != len(header):
            msg = f"{path}:{number}: found {len(row)} cells, the header has {len(header)}"
            raise ConfigError(msg)
    return header, filled[1:]


def read_number(text: str, place: str, *, is_share: bool = False) -> float | None:
    """Number above 0, or share from 0 to 1, in a cell; None if the cell is empty.

    Raises
    ------
    ConfigError
        If it is no number, not finite, or out of range.
    """
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return _checked(value, text, place, is_share=is_share)


def read_diffusion_json(path: Path) -> dict[str, list[DiffusionPoint]]:
    """Read what ``dasksse diffusion --json`` wrote: one object or ``{"results": [...]}``.

    Returns
    -------
    dict
        Points by name of what diffuses, such as ``Li`` or ``lgps Li``, with the pressure where
        there are several.

    Raises
    ------
    ConfigError
        If the file cannot be read or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read as JSON: {error}"
        raise ConfigError(msg) from error
    results = values.get("results", [values]) if isinstance(values, dict) else None
    if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
        msg = f"{path}: not what `dasksse diffusion --json` writes: no object with D in it"
        raise ConfigError(msg)
    return group_results((result, f"{path}:results.{i}") for i, result in enumerate(results))


def group_results(
    results: Iterable[tuple[Mapping[str, Any], str]],
) -> dict[str, list[DiffusionPoint]]:
    """Points by system, species and pressure, of results of ``diffusion``, with their places.

    Raises
    ------
    ConfigError
        If a result has no temperature or D, or a number is out of range.
    """
    groups: dict[str, dict[float | None, list[DiffusionPoint]]] = {}
    for result, place in results:
        missing = [name for name in _NEEDED if name not in result]
        if missing:
            msg = (
                f"{place}: no {', '.join(missing)}; found {', '.join(result) or 'nothing'}; "
                f"needed: {', '.join(_NEEDED)}"
            )
            raise ConfigError(msg)
        if result["temperature_K"] is None:
            msg = f"{place}: temperature_K is null, must be a number above 0"
            raise ConfigError(msg)
        words = [result.get(key) for key in ("system", "group", "species")]
        parts = [str(word).rpartition("/")[2] for word in words if word]
        name = " ".join(dict.fromkeys(parts))
        values = {
            meaning: _elements(value, f"{place}: {meaning}")
            if meaning == _ELEMENTS
            else _checked(value, value, f"{place}: {meaning}", is_share=meaning in _SHARES)
            for meaning in {meaning for meaning, _ in _MEANINGS.values()}
            if (value := result.get(meaning)) is not None
        }
        points = groups.setdefault(name, {}).setdefault(result.get("pressure_GPa"), [])
        points.append(_point(values, place))
    return {
        name if len(by_pressure) == 1 else f"{name} {_pressure(pressure_GPa)}": points
        for name, by_pressure in groups.items()
        for pressure_GPa, points in by_pressure.items()
    }


def _pressure(pressure_GPa: float | None) -> str:
    return "at unknown pressure" if pressure_GPa is None else f"at {pressure_GPa:g} GPa"


def _elements(found: object, place: str) -> tuple[str, ...]:
    if isinstance(found, list) and all(symbol in atomic_numbers for symbol in found):
        return tuple(found)
    msg = f"{place} is {found!r}, must be elements such as P S, or empty if unknown"
    raise ConfigError(msg)


def _checked(value: object, found: object, place: str, *, is_share: bool) -> float:
    if isinstance(value, int | float) and math.isfinite(value):
        number = float(value)
        if 0.0 <= number <= 1.0 if is_share else number > 0.0:
            return number
    allowed = "a share from 0 to 1" if is_share else "a number above 0"
    msg = f"{place} is {found!r}, must be {allowed}, or empty if unknown"
    raise ConfigError(msg)


def _point(values: dict[str, Any], place: str) -> DiffusionPoint:
    if values.get("temperature_K") is None:
        msg = f"{place}: T_K is '', must be a number above 0"
        raise ConfigError(msg)
    return DiffusionPoint(**values)


def _chosen(columns: Sequence[str], unit: str) -> dict[str, tuple[str, float]]:
    """Meanings of columns named by hand."""
    if unit not in UNITS:
        msg = f"--unit: found {unit!r}, allowed: {', '.join(UNITS)}"
        raise ConfigError(msg)
    if not len(_NEEDED) <= len(columns) <= len(_CHOSEN) or len(set(columns)) < len(columns):
        msg = (
            f"--columns: found {','.join(columns)!r}, allowed: the names of the columns of "
            "temperature, D, its error and, if wanted, the upper bound"
        )
        raise ConfigError(msg)
    factors = (1.0, *[UNITS[unit]] * len(_CHOSEN))
    return dict(zip(columns, zip(_CHOSEN, factors, strict=False), strict=False))


def _places(
    path: Path, header: Sequence[str], meanings: Mapping[str, tuple[str, float]]
) -> dict[str, int]:
    """Place of each known column; two of one meaning are refused."""
    known = {name: i for i, name in enumerate(header) if name in meanings}
    first: dict[str, str] = {}
    for name in known:
        meaning = meanings[name][0]
        if meaning in first:
            msg = f"{path}: columns {first[meaning]} and {name} say the same; allowed: one"
            raise ConfigError(msg)
        first[meaning] = name
    return known


def _missing_text(
    path: Path, header: Sequence[str], columns: Sequence[str], missing: Sequence[str]
) -> str:
    wanted = columns or COLUMNS
    names = dict(zip(_CHOSEN, wanted, strict=False))
    text = (
        f"{path}: no column {', '.join(names[name] for name in missing)}; "
        f"found {', '.join(header) or 'none'}. Needed: {', '.join(wanted)}"
    )
    if columns:
        return text
    text += " (or D_cm2_s, D_err_cm2_s)"
    if len(header) >= len(COLUMNS):
        example = ",".join(header[: len(COLUMNS)])
        text += (
            f". For other names say what they are and the unit of D: --columns {example} "
            "--unit cm2/s"
        )
    return text
