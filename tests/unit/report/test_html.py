from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dasksse.errors import StoreError
from dasksse.report import write_report
from dasksse.report.cards import diffusion_cards, learning_cards, state_cards
from dasksse.report.files import FORMATS
from dasksse.report.html import PERFORMANCE, render_page

if TYPE_CHECKING:
    from dasksse.report.data import RunReport

FIGURE_NAMES = {
    "arrhenius", "convergence", "deviations", "learning", "msd", "parity", "progress", "shares",
    "trust_check",
}  # fmt: skip


class _Links(HTMLParser):
    """Collects ids, links and sources, and sees that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values["id"]} if "id" in values else set()
        self.links += [values["href"]] if "href" in values else []
        self.sources += [values["src"]] if "src" in values else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _parsed(page: str) -> _Links:
    parser = _Links()
    parser.feed(page)
    assert not parser.open
    return parser


@pytest.fixture(scope="module")
def written(full_report: RunReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(full_report, tmp_path_factory.mktemp("run") / "report")


def test_the_page_needs_nothing_from_outside(written: Path) -> None:
    page = written.read_text()
    parsed = _parsed(page)

    assert all(source.startswith("data:image/svg+xml;base64,") for source in parsed.sources)
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_every_link_of_the_page_leads_somewhere(written: Path) -> None:
    parsed = _parsed(written.read_text())

    for link in parsed.links:
        if link.startswith("#"):
            assert link[1:] in parsed.ids
        else:
            assert (written.parent / link).is_file()


def test_all_figures_are_on_the_page_and_beside_it(written: Path) -> None:
    parsed = _parsed(written.read_text())

    assert len(parsed.sources) == len(FIGURE_NAMES)
    assert {path.name for path in (written.parent / "figures").iterdir()} == {
        f"{name}.{suffix}" for name in FIGURE_NAMES for suffix in FORMATS
    }


def test_no_scratch_file_stays_behind(written: Path) -> None:
    assert {path.name for path in written.parent.iterdir()} == {
        "figures", "index.html", "summary.json",
    }  # fmt: skip


def test_the_numbers_lie_beside_the_page_without_nan(written: Path) -> None:
    text = (written.parent / "summary.json").read_text()

    assert "NaN" not in text
    assert json.loads(text)["name"] == "lgps-first-run"


def test_the_page_starts_with_ea_d_and_what_to_trust(written: Path) -> None:
    page = written.read_text()

    for expected in (
        "Eₐ = 0.221 ± 0.012 eV",
        "D(300 K) = 4.7 (2.6 … 8.4) × 10⁻¹² m²/s",
        "a surrogate, not DFT",
        "Can be trusted",
        "Use with care",
    ):
        assert expected in page
    assert page.index("Eₐ =") < page.index("Can be trusted") < page.index("<table")


def test_a_run_that_has_just_begun_makes_a_page(new_report: RunReport, tmp_path: Path) -> None:
    page = write_report(new_report, tmp_path / "report").read_text()

    parsed = _parsed(page)
    assert parsed.sources == []
    assert "No production run yet." in page
    assert "no production run yet" in page


def test_a_run_without_anything_makes_a_page(new_report: RunReport) -> None:
    page = render_page(replace(new_report, systems=(), generations=(), versions={}))

    _parsed(page)
    assert "No generation has been trained yet." in page
    assert "No crystal has been built yet." in page


def test_figures_without_data_any_more_are_removed(
    full_report: RunReport, new_report: RunReport, tmp_path: Path
) -> None:
    light = replace(new_report, generations=full_report.generations[:1])
    write_report(light, tmp_path)
    assert (tmp_path / "figures" / "shares.svg").is_file()

    write_report(new_report, tmp_path)

    assert list((tmp_path / "figures").iterdir()) == []


def test_text_of_users_is_escaped(new_report: RunReport) -> None:
    page = render_page(replace(new_report, name="<script>alert(1)</script>", notes=("a < b",)))

    assert "<script>" not in page
    assert "a &lt; b" in page


def test_a_stopped_run_shows_its_reason(new_report: RunReport) -> None:
    report = replace(new_report, status="stopped: failure budget of label")

    (status, _) = state_cards(report)

    assert status.value == "stopped"
    assert "failure budget of label" in status.notes
    assert 'class="chip stopped"' in render_page(report)


def test_a_folder_that_cannot_be_made_is_a_clear_error(
    new_report: RunReport, tmp_path: Path
) -> None:
    (tmp_path / "report").write_text("a file")

    with pytest.raises(StoreError, match=r"cannot write the report to .*report"):
        write_report(new_report, tmp_path / "report")


def test_a_failed_write_leaves_the_earlier_page(
    new_report: RunReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_report(new_report, tmp_path)
    before = page.read_bytes()

    def full_disk(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(StoreError, match="No space left"):
        write_report(new_report, tmp_path)

    assert page.read_bytes() == before


def test_cards_fall_back_to_the_coldest_resolved_d_without_a_fit(
    full_report: RunReport,
) -> None:
    (first, _) = diffusion_cards(replace(full_report, arrhenius={}))

    assert first.value == "D(500 K) = (1.4 ± 0.5) × 10⁻¹⁰ m²/s"
    assert first.notes == ("no Arrhenius fit",)


def test_cards_say_when_no_run_is_diffusive(full_report: RunReport) -> None:
    report = replace(full_report, production=full_report.production[:2], arrhenius={})

    (card,) = diffusion_cards(report)

    assert card.value == "no value yet"


def test_a_production_too_short_to_be_analysed_is_shown_as_one(
    full_report: RunReport,
) -> None:
    row = replace(
        full_report.production[0],
        diffusion={},
        lag_ps=None,
        msd_A2=None,
        length_ps=0.26,
        trouble="not analysed: the longest run has 14 frames",
    )
    report = replace(full_report, production=(row,), arrhenius={})

    (card,) = diffusion_cards(report)
    page = render_page(report)

    assert card.notes == ("production has finished, but was too short to be analysed",)
    assert "1 × 0.26 ps" in page
    assert "not analysed: the longest run has 14 frames" in page
    assert "No production run yet" not in page
    _parsed(page)


def test_axes_and_collective_motion_are_folded_away(written: Path) -> None:
    page = written.read_text()
    details = page[page.index("By axis and collective motion") :]

    assert page.index("D, 95 %") < page.index("<details>")
    assert "D z\u00a0[m²/s]" in details[: details.index("</details>")]


def test_the_page_has_errors_by_material_where_there_are_several(
    full_report: RunReport, tmp_path: Path
) -> None:
    errors = {"force_rmse_meV_A": (84.0, 2.0)}
    last = replace(
        full_report.generations[-1],
        materials={"probe": {"Li10GeP2S12": errors, "Li10SnP2S12": errors}},
    )
    report = replace(full_report, generations=(last,))

    page = write_report(report, tmp_path / "report").read_text()

    section = page[page.index("By material") : page.index("By generation")]
    assert "Li10SnP2S12" in section


def test_the_force_error_card_prefers_the_probe(full_report: RunReport) -> None:
    rows = [
        replace(row, rmse={"held_out": row.rmse["held_out"]}) for row in full_report.generations
    ]

    with_probe = learning_cards(full_report)[1]
    without = learning_cards(replace(full_report, generations=tuple(rows)))[1]

    assert "probe" in with_probe.notes[0]
    assert "held out" in without.notes[0]


def test_numbers_are_set_flush_right_and_keys_are_not(written: Path) -> None:
    page = written.read_text()

    assert '<th class="number">atoms</th>' in page
    assert '<th class="number">D\u00a0[m²/s]</th>' in page
    assert "<th>key</th>" in page


def test_timing_lists_the_costliest_kind_first(written: Path) -> None:
    page = written.read_text()

    times = re.findall(r"<dt>core time, (\w+)</dt><dd>(.*?)</dd>", page)
    assert times == [
        ("train", "7.90 core-hours"),
        ("md", "4.60 core-hours"),
        ("label", "3.10 core-hours"),
        ("select", "12.0 core-minutes"),
    ]
    assert "8 h 23 min" in page


def test_dask_s_own_report_is_linked_when_a_session_left_one(
    new_report: RunReport, tmp_path: Path
) -> None:
    assert PERFORMANCE not in write_report(new_report, tmp_path).read_text()

    (tmp_path / PERFORMANCE).write_text("<html></html>")

    assert f'href="{PERFORMANCE}"' in write_report(new_report, tmp_path).read_text()


def test_notes_on_labels_are_a_list_below_the_table_of_labels(full_report: RunReport) -> None:
    notes = ("energies of VASP were shifted by Li <+0.1> eV", "bond_change did nothing")

    page = render_page(replace(full_report, label_notes=notes))

    section = page[page.index('<section id="labels">') : page.index('<section id="learning">')]
    assert "<li>energies of VASP were shifted by Li &lt;+0.1&gt; eV</li>" in section
    assert "<li>bond_change did nothing</li>" in section
    _parsed(page)
    assert "newest training set" not in render_page(full_report)
