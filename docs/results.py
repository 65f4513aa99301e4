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
    """Markdown of every study whose ``NAME.json`` is in the folder, with ``NAME.png``."""
    files = {path.stem: path for path in folder.glob("*.json")}
    return "\n".join(_section(files[name]) for name in ORDER if name in files)


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
