"""The report in a real browser, without a network: of generated records, hostile names among them."""

from pathlib import Path

import pytest

from support.made_report import HOSTILE, HOSTILE_NAME, made, report_of


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Three runs of a dataset with a hostile name, with figures."""
    return report_of(made(3, HOSTILE_NAME), tmp_path_factory.mktemp("small"), figures=True)


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """Two hundred runs with figures."""
    return report_of(made(200), tmp_path_factory.mktemp("large"), figures=True)


def as_shown(text: str) -> str:
    """Text as a browser shows it, a space for any white space."""
    return " ".join(text.split())


def test_hostile_names_stay_text(visit, small) -> None:
    page = visit(small)
    page.wait_for_selector("html[data-ready]", state="attached")
    for summary in page.locator("details.run > summary").all():
        summary.click()
    # A dataset, the status of a run, a note on its result, and a file and a function of its top places.
    failed = page.locator("details.run").first
    for where, what in (
        (page.locator("#answer h3").first, HOSTILE_NAME),
        (page.locator("#runs tbody tr").first, f"failed (ValueError: {HOSTILE}"),
        (page.locator("#agreement tbody tr").nth(1), f"not checked: not read: {HOSTILE}"),
        (failed, f"/{HOSTILE}/12.py:12"),
        (failed, f"{HOSTILE}12"),
        (page.locator("#findings"), HOSTILE),
        (page.locator("#comparison"), f"A: {HOSTILE}"),
        (page.get_by_role("region", name="How runs ended"), f"failed ({HOSTILE}"),
    ):
        assert as_shown(what) in as_shown(where.inner_text())
    page.locator("#runs th", has_text="status").locator("button").click()
    assert page.locator(".dtcc-dropdown").inner_text().count("\u2039img src=x") == 1
    assert page.title() == "somaray report"
    assert page.locator("img").count() == 0
    assert small.stat().st_size < 5_000_000


def test_of_a_large_matrix_only_what_is_of_all_runs_is_on_the_first_page(visit, large) -> None:
    page = visit(large)
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.locator("details.run").count() == 0
    # The matrix's own figures; those of runs, three each, are on their pages.
    assert page.locator("svg[role=img]").count() < 10
    assert page.locator("*").count() < 30_000
    assert large.stat().st_size < 5_000_000
    assert len(list((large.parent / "report").glob("run-*.html"))) == 200


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


def test_values_of_a_column_are_picked(visit, large) -> None:
    page = visit(large)
    page.wait_for_selector("html[data-ready]", state="attached")
    rows = page.locator("#runs tbody tr")
    # One dataset, one method: nothing to pick there.
    assert page.locator("#runs th button").count() == 2
    page.get_by_role("button", name="Pick values of status").press("Enter")
    page.get_by_role("button", name="failed (ValueError").click()
    rows.nth(1).wait_for(state="detached")
    assert rows.inner_text().split()[2] == "100_2x1x1"
    page.get_by_role("button", name="ok", exact=True).click()
    # All but the last, which is told to have been measured again.
    rows.nth(198).wait_for()


def test_runs_of_a_large_matrix_have_pages_of_their_own(visit, large) -> None:
    page = visit(large)
    page.locator("#runs tbody a", has_text="300_2x1x1").first.click()
    page.wait_for_selector("h1:has-text('300_2x1x1')")
    assert "snakemake --cores all --configfile mine.yaml --force" in page.inner_text("pre")
    assert page.locator("svg[role=img]").count() == 3
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


def test_what_is_recommended_is_copied(visit, small) -> None:
    page = visit(small)
    page.wait_for_selector("html[data-ready]", state="attached")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    program = page.locator("#answer details.program").first
    program.locator("summary").click()
    program.get_by_role("button", name="Copy").click()
    program.get_by_role("button", name="Copied").wait_for()
    code = page.evaluate("navigator.clipboard.readText()")
    assert code == program.locator("code").text_content()
    assert "LocalCluster(" in code


def test_a_run_that_outgrew_its_job_says_so_in_three_places(visit, small) -> None:
    page = visit(small)
    page.locator("#answer summary", has_text="outgrew").click()
    told = f"timing-1 measured again in a job of 2 GiB: {HOSTILE}"
    for where in (page.locator("#answer"), page.locator("details.run").last):
        assert as_shown(told) in as_shown(where.text_content())
    # Of statuses one is picked, so it is the same for all such runs.
    assert page.locator("#runs tbody tr").last.locator("td").last.text_content().strip() == "ok, measured again"


def test_on_paper_every_run_is_told_and_nothing_to_click_is_left(visit, small) -> None:
    page = visit(small, width=720)
    page.wait_for_selector("html[data-ready]", state="attached")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.run:not([open])").count() == 0
    for each in ("nav", "button", "video", ".dt-search", ".program"):
        assert page.locator(f"{each}:visible").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


@pytest.mark.parametrize("which", ["small", "large", "run of large"])
def test_no_sideways_scrolling_on_a_phone(visit, which, request) -> None:
    path = request.getfixturevalue(which.split()[-1])
    if which.startswith("run"):
        page = visit(next((path.parent / "report").glob("run-*-300-2x1x1-*.html")), width=400)
    else:
        page = visit(path, width=400)
        page.wait_for_selector("html[data-ready]", state="attached")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_dark_follows_the_system_and_the_button(visit, small) -> None:
    page = visit(small, scheme="dark")
    page.wait_for_selector("html[data-ready]", state="attached")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(13, 17, 23)"
    of_table = page.locator("#runs .dt-container").evaluate("(each) => getComputedStyle(each).backgroundColor")
    assert of_table == "rgb(13, 17, 23)"
    page.locator("#theme").click()
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert page.locator("#theme").get_attribute("aria-pressed") == "false"
