"""The report in a real browser, without a network: of generated records, hostile names among them."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from somaray.report.figures.files import draw_all
from somaray.report.findings import Finding
from somaray.report.gathered import Gathered
from somaray.report.html.document import write_report
from somaray.report.replay.clip import write_replay
from support.made_records import agreement, allocations, check, execution, manifest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

HOSTILE = "<img src=x onerror=\"document.title='broken'\">'\"&{{7*7}}\n" + "n" * 300

HOSTILE_NAME = HOSTILE[:200]
"""As long as the name of a folder may be, with room to spare."""


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on the path (on Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="no Playwright: uv sync --group browser")
    with api.sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=[*sandbox, "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture
def visit(browser):
    """Open a file in a page of its own; what it complains of or asks the network for fails the test."""
    complaints, pages = [], []

    def open_page(path: Path, width: int = 1280, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
        page.set_default_timeout(120_000)  # a shared machine is slow now and then
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else complaints.append(request.url),
        )
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


def made(n_runs: int, dataset: str = "heart") -> Gathered:
    """Records of runs that differ in their chunk sizes; the larger the chunks the faster, and the first failed."""
    captures, timings, allocated, agreed = [], [], [], []
    for number in range(1, n_runs + 1):
        key = {"dataset": dataset, "chunk_size": number * 100}
        failed = {"status": "failed", "reason": f"ValueError: {HOSTILE}"} if number == 1 else {}
        captures.append(execution(20.0, None, **key))
        timings.append(execution(None if failed else 1000.0 - number, 1, **key, **failed))
        allocated.append(allocations(**key))
        agreed.append(agreement(check(), **key))
    return Gathered((manifest(dataset),), tuple(captures), tuple(timings), tuple(allocated), tuple(agreed))


def report_of(gathered: Gathered, folder: Path, figures: bool = False) -> Path:
    finding = Finding(
        rule="r",
        title="Buffers",
        dataset="heart",
        method="soma-dask",
        evidence=(f"It is `{HOSTILE}`.",),
        remedy="Less.",
        runs=(gathered.rows[0].run.path,),
    )
    if figures:
        runs_dir = folder / "hvg"
        for detail in gathered.details(runs_dir):
            (detail.folder / "memory").mkdir(parents=True)
            columns = ["seconds", "process", "role", "pid", "pss_bytes", "rss_bytes"]
            samples = pd.DataFrame([(s, "driver", "driver", 1, 2**28, 2**28) for s in (0.0, 5.0)], columns=columns)
            samples.to_parquet(detail.folder / "memory" / "1.parquet")
        draw_all(gathered.rows, gathered.details(runs_dir), folder / "plots")
        last = gathered.details(runs_dir)[-1]
        write_replay(last.shown, last.memory(), None, last.folder / "replay.mp4", last.folder / "replay.webp")
    path = folder / "report.html"
    write_report(gathered, [finding], folder / "plots", folder / "hvg", path, folder / "report", ["mine.yaml"], figures)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Three runs of a dataset with a hostile name, with figures."""
    return report_of(made(3, HOSTILE_NAME), tmp_path_factory.mktemp("small"), figures=True)


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    return report_of(made(200), tmp_path_factory.mktemp("large"))


def test_hostile_names_stay_text(visit, small) -> None:
    page = visit(small)
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.title() == "somaray report"
    assert page.locator("img").count() == 0
    assert "<img src=x" in page.locator("#answer").inner_text()
    assert small.stat().st_size < 5_000_000


def test_two_figures_share_no_id(small) -> None:
    import re

    ids = re.findall(r'\bid="([^"]+)"', small.read_text())
    assert len(ids) == len(set(ids))


def test_columns_sort_and_rows_are_filtered(visit, large) -> None:
    page = visit(large)
    page.wait_for_selector("html[data-ready]", state="attached")
    rows = page.locator("#runs tbody tr")
    assert rows.count() == 200
    page.locator("#runs th", has_text="time (s)").click()
    # The table sorts and filters some moments after a click or a key: wait for what will be shown.
    rows.first.locator("td:nth-child(3)", has_text="20k_2x1x1").wait_for()
    page.locator("#runs input").fill("5k_2x1x1")
    rows.nth(2).wait_for(state="detached")
    assert {text.split()[2] for text in rows.all_inner_texts()} == {"5k_2x1x1", "15k_2x1x1"}


def test_runs_of_a_large_matrix_have_pages_of_their_own(visit, large) -> None:
    page = visit(large)
    page.locator("#runs tbody a", has_text="300_2x1x1").first.click()
    page.wait_for_selector("h1:has-text('300_2x1x1')")
    assert "snakemake --cores all --configfile mine.yaml --force" in page.inner_text("pre")
    page.locator("main a", has_text="All runs").click()
    page.wait_for_selector("#answer")


def test_a_link_opens_its_run_in_a_small_report(visit, small) -> None:
    page = visit(small)
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.locator("details[open]").count() == 0
    page.locator("#runs tbody a").last.click()
    page.wait_for_selector("details[open]")
    assert page.locator("details[open] svg[role=img]").count() == 3


def test_a_replay_plays_from_beside_the_page(visit, small) -> None:
    page = visit(small)
    page.wait_for_selector("html[data-ready]", state="attached")
    page.locator("#runs tbody a").last.click()
    page.locator("details[open] details.video summary").click()
    video = page.locator("details[open] video")
    assert video.get_attribute("preload") == "none"
    assert video.evaluate("(each) => each.readyState") == 0, "nothing is fetched before it is asked for"
    size = video.evaluate(
        """(each) => new Promise((done, fail) => {
            each.addEventListener("loadeddata", () => done([each.videoWidth, each.videoHeight]));
            each.addEventListener("error", () => fail(each.error.message));
            each.muted = true;
            each.play();
        })"""
    )
    assert size == [1280, 720]


@pytest.mark.parametrize("which", ["small", "large"])
def test_no_sideways_scrolling_on_a_phone(visit, which, request) -> None:
    page = visit(request.getfixturevalue(which), width=400)
    page.wait_for_selector("html[data-ready]", state="attached")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_dark_follows_the_system_and_the_button(visit, small) -> None:
    page = visit(small, scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(13, 17, 23)"
    page.locator("#theme").click()
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert page.locator("#theme").get_attribute("aria-pressed") == "false"
