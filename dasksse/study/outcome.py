"""What a study found: a table, a verdict, and the numbers its figure is drawn from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.report.data import Verdict
    from dasksse.study.bench import Bench
    from dasksse.study.case import Case

Row = dict[str, str]
"""One line of a table, as text, by column."""


@dataclass(frozen=True)
class Table:
    """A table of an outcome.

    Attributes
    ----------
    title
        What it shows.
    rows
        Its lines; all have the same columns. Values of the paper stand in columns of their own.
    """

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Answer of a study.

    Attributes
    ----------
    verdict
        Whether it holds, in a sentence with numbers and errors.
    tables
        The numbers to read, the main table first.
    values
        The numbers as JSON, everything the figure is drawn from among them.
    notes
        What was left out and why, a sentence each.
    """

    verdict: Verdict
    tables: tuple[Table, ...]
    values: Mapping[str, Json]
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Json]:
        """Everything, ready for :func:`json.dumps`."""
        return {
            "verdict": asdict(self.verdict),
            "tables": [asdict(table) for table in self.tables],
            "values": dict(self.values),
            "notes": list(self.notes),
        }


class StudyKind(Protocol):
    """One study of the protocol.

    Attributes
    ----------
    name
        As the command line has it, such as ``cell-size``.
    title
        For people.
    question
        What it answers, one sentence.
    source
        Where it comes from: paper, figure or table, DOI.
    caption
        What the figure shows: one or two sentences, below it.
    """

    name: str
    title: str
    question: str
    source: str
    caption: str

    def lacks(self, config: RunConfig) -> str:
        """Why this configuration does not allow the study; empty when it does."""

    def cases(self, config: RunConfig) -> Sequence[Case]:
        """MD that it needs, for the estimate; other work is small beside it."""

    def n_labels(self, config: RunConfig) -> int:
        """Single points that it needs."""

    def conclude(self, bench: Bench) -> Outcome | None:
        """Ask for what is needed; the outcome when all is there.

        A pure function of the configuration and of what is done, called again whenever
        something is: it must ask for the same units in the same order.
        """

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """Figure of the values of an outcome.

        Raises
        ------
        AnalysisError
            When there is nothing to draw.
        """
