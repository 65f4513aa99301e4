"""Results of studies as a page: tables, figures and verdicts from the JSON that they wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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
VERDICTS = {"trust": "holds", "care": "holds with care", "doubt": "does not hold"}


def study_sections(folder: Path) -> str:
    """Markdown of every study whose ``NAME.json`` is in the folder, with ``NAME.png``.

    Before them the errors of the models, from ``errors-*.json``: what
    ``dasksse evaluate --json`` writes, with ``frames``, the name of the set.
    """
    files = {path.stem: path for path in folder.glob("*.json")}
    errors = [files[name] for name in sorted(files) if name.startswith("errors-")]
    return "\n".join([_errors(errors), *(_section(files[n]) for n in ORDER if n in files)])


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
