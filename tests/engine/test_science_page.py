from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from bokeh.client import pull_session
from bokeh.models import Div, Plot
from made_up_run import diffusion_point, evaluate_record, held, make_run_folder, start_units

from dasksse.engine.science_page import SciencePage, head_html, pools_html, read_page
from dasksse.engine.watching import SCIENCE_PAGE
from dasksse.store.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bokeh.models import Model

SERVE = """
import asyncio, sys
from pathlib import Path
from distributed import Scheduler
from dasksse.engine.science_page import add_science_page, link_science_page

async def serve():
    add_science_page(Path(sys.argv[1]))
    where = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
    async with Scheduler(**where) as scheduler:
        link_science_page(scheduler)
        print(scheduler.http_server.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(serve())
"""
PATIENCE_S = 60.0


@contextmanager
def dashboard(run_dir: Path) -> Iterator[str]:
    """Address of the dashboard of a scheduler in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(run_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
        return str(answer.read().decode())


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def plot_of(root: Model, title: str) -> Plot:
    (plot,) = [p for p in root.select({"type": Plot}) if p.title.text.startswith(title)]
    return plot


def columns_of(root: Model, title: str, glyph: int = 0) -> dict[str, list[Any]]:
    """What a figure shows."""
    return dict(plot_of(root, title).renderers[glyph].data_source.data)


def texts_of(root: Model) -> str:
    return "\n".join(div.text for div in root.select({"type": Div}))


@pytest.fixture
def layout(tmp_path: Path) -> Model:
    """The page of a run in its middle."""
    folder = make_run_folder(tmp_path / "lgps")
    page = SciencePage(folder.root)
    with held(start_units(folder)):
        page.show(read_page(folder.root))
    return page.layout


def test_shares_and_errors_are_those_of_each_generation(layout: Model) -> None:
    shares = columns_of(layout, "shares")
    errors = columns_of(layout, "force error")
    deviations = columns_of(layout, "deviation")

    assert shares["generation"] == plot_of(layout, "shares").x_range.factors == list("0123")
    parts = [shares[name] for name in ("accurate", "candidate", "failed")]
    sums = [sum(bar) for bar in zip(*parts, strict=True)]
    assert sums == pytest.approx([1.0] * 4)
    expected = [
        evaluate_record(g)["rmse"]["probe"]["mean"]["force_rmse_meV_A"] for g in range(4)
    ]
    assert errors["value"] == expected
    assert errors["high"] == pytest.approx([value + 6.0 for value in expected])
    assert deviations["value"][0] == pytest.approx(0.322)


def test_d_has_error_bars_and_bounds_are_drawn_apart(layout: Model) -> None:
    known = columns_of(layout, "D(T)", glyph=1)
    bounds = columns_of(layout, "D(T)", glyph=2)

    assert known["x"] == pytest.approx([1000 / t for t in (600, 700, 800, 1000)])
    assert known["high"] == pytest.approx([1.2 * D for D in known["D"]])
    assert bounds["x"] == [2.0]
    assert bounds["D"] == [diffusion_point(500.0)["upper_bound_m2_s"]]
    assert known["text"][2] == "800 K: (9.9 ± 2.0) × 10⁻¹⁰ m²/s, diffusive"


def test_running_units_labels_and_pools_are_shown(layout: Model) -> None:
    running = columns_of(layout, "running units")
    labels = columns_of(layout, "labels")
    text = texts_of(layout)

    assert dict(zip(running["kind"], running["running"], strict=True)) == {"md": 2, "label": 1}
    assert labels["labels"][-1] == 470
    assert "<b style='font-size:17px'>lgps</b>" in text
    assert "at most 2 h 14 min to go" in text
    assert "gpu: sbatch: error: QOSMaxGRESPerUser" in text
    assert "generation 9: 4 models on 615 labels" in text
    assert "at 600 K" in text


def test_a_figure_without_data_is_hidden_until_there_are_some(tmp_path: Path) -> None:
    new = make_run_folder(tmp_path / "new", generations=1)
    Journal(new.journal).write(forgotten=[("diffusion", f"diffusion{0:012d}"[-16:])])
    page = SciencePage(new.root)

    page.show(read_page(new.root))
    hidden = [p.title.text for p in page.layout.select({"type": Plot}) if not p.visible]
    page.show(read_page(make_run_folder(tmp_path / "later").root))

    assert [title.split()[0] for title in sorted(hidden)] == [
        "D(T)",
        "deviation",
        "force",
        "shares",
    ]
    assert all(plot.visible for plot in page.layout.select({"type": Plot}))


def test_an_equal_status_sends_nothing_to_the_browser(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "lgps")
    page = SciencePage(folder.root)
    page.show(read_page(folder.root))
    changes = []

    def note_change(attr: str, old: object, new: object) -> None:
        changes.append(attr)

    for plot in page.layout.select({"type": Plot}):
        for renderer in plot.renderers:
            renderer.data_source.on_change("data", note_change)

    page.show(read_page(folder.root))
    assert changes == []
    Journal(folder.journal).write(forgotten=[("evaluate", f"evaluate{3:012d}"[-16:])])
    page.show(read_page(folder.root))

    assert changes != []


def test_texts_of_the_run_are_escaped(tmp_path: Path) -> None:
    status = read_page(make_run_folder(tmp_path / "run", stage="<script>").root)
    pool = {**status["pools"][0], "name": "<b>", "trouble": "a < b & c"}

    assert "&lt;script&gt;" in head_html(status, "run")
    assert "&lt;b&gt;" in pools_html([pool])
    assert "a &lt; b &amp; c" in pools_html([pool])


def test_a_run_without_a_journal_says_so_and_is_tried_again(tmp_path: Path) -> None:
    page = SciencePage(tmp_path / "lgps")

    asyncio.run(page.refresh())
    before = texts_of(page.layout)
    make_run_folder(tmp_path / "lgps")
    asyncio.run(page.refresh())

    assert "cannot be read" in before
    assert "labels: 470 done" in texts_of(page.layout)


def test_the_dashboard_has_the_page_and_it_follows_the_run(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "lgps")
    with held(start_units(folder)), dashboard(folder.root) as url:
        link = f'<a href="{SCIENCE_PAGE[1:]}">'
        assert link in get(f"{url}/status")
        assert link in get(url + SCIENCE_PAGE)
        visit = pull_session(url=url + SCIENCE_PAGE)

        def seen() -> Model:
            """What the server shows this visitor now."""
            again = pull_session(url=url + SCIENCE_PAGE, session_id=visit.id)
            (root,) = again.document.roots
            again.close()
            return root

        until(lambda: "exploration of generation 4" in texts_of(seen()))
        assert columns_of(seen(), "labels")["labels"][-1] == 470
        assert Journal(folder.journal).write(facts={"stage": "production"})
        until(lambda: "generation 4, production" in texts_of(seen()))
        assert visit.document.title == "dasksse: lgps"
        visit.close()
