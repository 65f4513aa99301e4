"""The protocol report: one page with the question, answer, table and figure of each study."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dasksse import __version__
from dasksse.errors import AnalysisError, StoreError
from dasksse.report.files import remove_figure, write_figure, write_whole
from dasksse.report.html import ShownTable, shown_table
from dasksse.report.verdicts import LEVEL_TITLES, by_level

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.records import Json
    from dasksse.report.data import Verdict

TEMPLATE = "protocol.html.j2"
_DOI = re.compile(r"doi:(10\.\d{4,9}/[^\s,;()]+)")


@dataclass(frozen=True, kw_only=True)
class StudyPart:
    """One study as the page shows it.

    Attributes
    ----------
    name, title, question, source, caption
        See :class:`dasksse.study.outcome.StudyKind`.
    verdict
        Its answer.
    tables
        Title and rows of each table; all rows of a table have the same columns.
    values
        Its numbers, written to ``results/<name>.json``.
    notes
        What was left out.
    draw
        Draws its figure; raises :class:`~dasksse.errors.AnalysisError` when there is none.
    """

    name: str
    title: str
    question: str
    source: str
    caption: str
    verdict: Verdict
    tables: Sequence[tuple[str, Sequence[Mapping[str, str]]]]
    values: Mapping[str, Json]
    notes: Sequence[str]
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class ShownPart:
    """A study with its figure and tables ready for the page."""

    part: StudyPart
    figure: str
    width_px: int
    tables: Sequence[tuple[str, ShownTable]]

    @property
    def doi(self) -> str:
        """DOI of the source; empty without one."""
        found = _DOI.search(self.part.source)
        return found[1].rstrip(".") if found else ""


@dataclass(frozen=True, kw_only=True)
class ProtocolFacts:
    """What the page says about the run.

    Attributes
    ----------
    name
        Of the run.
    system, formula, n_atoms
        Crystal that is studied.
    labels
        Source and functional of the labels; a surrogate is called one.
    ensemble
        Number of models.
    left_out
        Title of each study that was not done, and why.
    """

    name: str
    system: str
    formula: str
    n_atoms: int
    labels: str
    ensemble: int
    left_out: Mapping[str, str]


def write_protocol(facts: ProtocolFacts, parts: Sequence[StudyPart], folder: Path) -> Path:
    """Write ``index.html``, ``figures/`` and ``results/<study>.json``; give the page's path.

    Parameters
    ----------
    facts
        About the run.
    parts
        The studies, in the order of the page.
    folder
        Made if it is not there.

    Raises
    ------
    StoreError
        When the folder cannot be written.
    """
    try:
        for name in ("figures", "results"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        shown = [_shown(part, folder / "figures") for part in parts]
        for part in parts:
            text = json.dumps(_as_json(part), indent=1, allow_nan=False, ensure_ascii=False)
            write_whole(folder / "results" / f"{part.name}.json", text.encode())
        page = folder / "index.html"
        write_whole(page, _page(facts, shown).encode())
    except OSError as error:
        msg = f"cannot write the report to {folder}: {error}; free space or choose a folder"
        raise StoreError(msg) from error
    return page


def _shown(part: StudyPart, folder: Path) -> ShownPart:
    tables = [(title, shown_table([dict(row) for row in rows])) for title, rows in part.tables]
    try:
        figure = part.draw()
    except AnalysisError:
        remove_figure(folder, part.name)
        return ShownPart(part, "", 0, tables)
    return ShownPart(part, *write_figure(figure, folder, part.name), tables)


def _as_json(part: StudyPart) -> dict[str, Json]:
    return {
        "study": part.name,
        "title": part.title,
        "question": part.question,
        "source": part.source,
        "caption": part.caption,
        "verdict": {"level": part.verdict.level, "text": part.verdict.text},
        "notes": list(part.notes),
        "tables": [
            {"title": title, "rows": [dict(row) for row in rows]} for title, rows in part.tables
        ],
        **part.values,
    }


def _page(facts: ProtocolFacts, shown: Sequence[ShownPart]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        facts=facts,
        shown=shown,
        verdicts=by_level([one.part.verdict for one in shown]),
        level_titles=LEVEL_TITLES,
        version=__version__,
        created=time.strftime("%Y-%m-%d %H:%M"),
    )
