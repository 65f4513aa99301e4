"""Results of studies as a page: tables, figures and verdicts from the JSON that they wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dasksse.report.formats import format_number, format_value_error
from dasksse.study.accuracy import TABLE_V
from dasksse.study.published import HUANG_2020, HUANG_2021, PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ORDER = (
    "accuracy",
    "locality",
    "time-step",
    "simulation-time",
    "cell-size",
    "diffusion",
    "comparison",
    "members",
    "thermal-expansion",
    "lattice-scaling",
    "disorder",
    "rdf",
    "speed",
)
"""Studies as the page has them; those without a file are left out."""
ARRHENIUS = "arrhenius-400"
KEPT_OUT = "errors-2-kept-out-400"
COMPARED_K = 600.0
VERDICTS = {"trust": "holds", "care": "holds with care", "doubt": "does not hold"}


def study_sections(folder: Path) -> str:
    """Markdown of every study whose ``NAME.json`` is in the folder, with ``NAME.png``.

    Before them a summary, the errors of the models from ``errors-*.json``, what
    ``dasksse evaluate --json`` writes with ``frames``, the name of the set, and the fit of
    ``dasksse arrhenius --json``.
    """
    files = {path.stem: path for path in folder.glob("*.json")}
    errors = [files[name] for name in sorted(files) if name.startswith("errors-")]
    parts = [_summary(files), _errors(errors)]
    parts += [_arrhenius(files[ARRHENIUS])] if ARRHENIUS in files else []
    return "\n".join([*parts, *(_section(files[name]) for name in ORDER if name in files)])


def _summary(files: Mapping[str, Path]) -> str:
    """The main numbers beside those of the paper, of what is there."""
    rows = [*_accuracy_rows(files), *_diffusion_rows(files), *_expansion_rows(files)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    head = ["| | here | paper |", "|---|---|---|"]
    return "\n".join(["## In short", "", *head, *lines, ""])


def _accuracy_rows(files: Mapping[str, Path]) -> Iterator[tuple[str, str, str]]:
    energy, energy_std, force, force_std = TABLE_V["PBE"]["Li10GeP2S12"]
    if (path := files.get(KEPT_OUT)) is None:
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    mean, std = found["mean"], found["std"]
    own = "on labels it has learned from"
    key = "force_rmse_meV_A"
    here = format_value_error(mean[key], std[key], "meV/Å")
    yield "force error, 400 atoms, kept out", here, f"{force} ± {force_std} {own}"
    key = "energy_rmse_meV_atom"
    here = format_value_error(mean[key], std[key], "meV/atom")
    yield "energy error, the same frames", here, f"{energy} ± {energy_std} {own}"


def _diffusion_rows(files: Mapping[str, Path]) -> Iterator[tuple[str, str, str]]:
    if (path := files.get(ARRHENIUS)) is None:
        return
    fit = json.loads(path.read_text(encoding="utf-8"))
    simulated = [p for p in PUBLISHED if p.kind == "simulation" and p.formula == "Li10GeP2S12"]
    by_source = {p.citation: p for p in simulated}
    new, old = by_source[HUANG_2021], by_source[HUANG_2020]
    size = f"{fit['points'][0]['n_atoms']:.0f} atoms"
    for point in fit["points"]:
        if point["temperature_K"] == COMPARED_K and point["D_m2_s"] is not None:
            here = format_value_error(point["D_m2_s"], point["D_err_m2_s"], "m²/s")
            yield f"D at {COMPARED_K:g} K, {size}", here, "in a figure only"
    Ea = format_value_error(fit["Ea_eV"], fit["Ea_err_eV"], "eV")
    yield f"activation energy, {size}", Ea, f"{old.Ea_eV} eV (2020)"
    low, high = (format_number(fit[f"D_{side}95_m2_s"], digits=2) for side in ("low", "high"))
    here = f"{format_number(fit['D_m2_s'], digits=2)} m²/s, 95 %: {low} to {high}"
    published = format_value_error(new.D_m2_s, new.D_err_m2_s, "m²/s")
    there = f"{published}, {format_number(old.D_m2_s, 'm²/s', digits=2)} (2020)"
    yield f"D at {fit['at_K']:g} K, by that line", here, there


def _expansion_rows(files: Mapping[str, Path]) -> Iterator[tuple[str, str, str]]:
    if (path := files.get("thermal-expansion")) is None:
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    here = format_value_error(found["alpha_per_K"], found["alpha_err_per_K"], "1/K")
    there = [
        f"{format_number(x, digits=2)} ({who})" for who, x in found["published_per_K"].items()
    ]
    yield "thermal expansion", here, ", ".join(there)


def _arrhenius(path: Path) -> str:
    """What ``dasksse arrhenius --json --plot`` wrote."""
    fit = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "## D(T) at the measured lattice",
        "",
        (
            f"{fit['points'][0]['n_atoms']:.0f} atoms, ordered crystal, no thermal expansion: "
            f"activation energy {format_value_error(fit['Ea_eV'], fit['Ea_err_eV'], 'eV')}, "
            f"χ² {fit['chi2_reduced']:.2f} per degree of freedom."
        ),
        "",
        "| T (K) | D (m²/s) | σ of independent ions (mS/cm) |",
        "|---|---|---|",
    ]
    for point in fit["points"]:
        D = format_value_error(point["D_m2_s"], point["D_err_m2_s"])
        if point["D_m2_s"] is None:
            D = f"below {format_number(point['upper_bound_m2_s'], digits=2)}: not diffusive"
        sigma = format_number(point["sigma_mS_cm"], digits=2)
        lines.append(f"| {point['temperature_K']:g} | {D} | {sigma} |")
    lines += ["", f"![D of Li against temperature]({path.parent.name}/{path.stem}.png)", ""]
    return "\n".join([*lines, *(f"- {note}" for note in fit["notes"]), ""])


def _errors(paths: Sequence[Path]) -> str:
    """Errors of the ensemble on each data set, mean and standard deviation over its models."""
    lines = [
        "## Errors of the models",
        "",
        "Root mean square, mean ± standard deviation over the models.",
        "",
        "| frames | number | mean atoms | E (meV/atom) | F (meV/Å) | virial (meV/atom) |",
        "|---|---|---|---|---|---|",
    ]
    for path in paths:
        found = json.loads(path.read_text(encoding="utf-8"))
        cells = [
            f"{found['mean'][key]:.{digits}f} ± {found['std'][key]:.{digits}f}"
            for key, digits in (
                ("energy_rmse_meV_atom", 2),
                ("force_rmse_meV_A", 1),
                ("virial_rmse_meV_atom", 1),
            )
        ]
        n_frames = found["n_frames"]
        each = f"{found['n_atoms'] / n_frames:.0f}"
        lines.append(f"| {found['frames']} | {n_frames} | {each} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_elements(paths)])


def _elements(paths: Sequence[Path]) -> list[str]:
    """Errors of the forces on each element, of the sets that have them."""
    lines = []
    for path in paths:
        found = json.loads(path.read_text(encoding="utf-8"))
        for symbol, errors in found.get("elements", {}).items():
            mean, std = errors["mean"], errors["std"]
            cells = (
                found["frames"],
                symbol,
                f"{mean['force_rmse_meV_A']:.1f} ± {std['force_rmse_meV_A']:.1f}",
                f"{errors['force_rms_meV_A']:.0f}",
                f"{mean['force_slope']:.3f} ± {std['force_slope']:.3f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    if not lines:
        return []
    return [
        (
            "Forces by element, and the slope of predicted against labelled components: below "
            "one a potential is too soft (Deng et al. 2025, doi:10.1038/s41524-024-01500-6)."
        ),
        "",
        "| frames | element | F (meV/Å) | RMS of the labels (meV/Å) | slope |",
        "|---|---|---|---|---|",
        *lines,
        "",
    ]


def _section(path: Path) -> str:
    study = json.loads(path.read_text(encoding="utf-8"))
    verdict = study["verdict"]
    lines = [
        f"## {study['title']}",
        "",
        study["question"],
        "",
        f"**Verdict: {VERDICTS[verdict['level']]}.** {verdict['text']}",
        "",
        *(line for table in study["tables"] for line in _table(table)),
    ]
    if path.with_suffix(".png").exists():
        lines += [
            f"![{study['title']}]({path.parent.name}/{path.stem}.png)",
            "",
            f"*{study['caption']}*",
            "",
        ]
    lines += [f"- {note}" for note in study["notes"]]
    return "\n".join([*lines, "", f"Source of the study: {study['source']}.", ""])


def _table(table: Mapping[str, Any]) -> Iterator[str]:
    rows: Sequence[Mapping[str, str]] = table["rows"]
    if not rows:
        return
    yield f"{table['title']}:"
    yield ""
    yield f"| {' | '.join(rows[0])} |"
    yield f"|{'---|' * len(rows[0])}"
    for row in rows:
        yield f"| {' | '.join(str(value) for value in row.values())} |"
    yield ""
