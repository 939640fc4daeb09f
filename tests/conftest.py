"""What all tests share: where things are, and the rule that continuous integration skips nothing it should run."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
SHARED_RECORDS = ROOT.parent / "shared" / "upstream"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# The same examples every time, and no deadline: a shared machine is slow now and then.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")


# Tests start hundreds of Python processes; none of them need compile what another has.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real count matrices that are too large to be in git (`pbmc3k.h5ad`, …)."""
    return _folder_or_skip(SHARED_DATA)


@pytest.fixture(scope="session")
def shared_records() -> Path:
    """Folder of the original notes' records (`hvg/heart/100k_4x4x4.json`, …)."""
    return _folder_or_skip(SHARED_RECORDS)


def _folder_or_skip(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"no folder {folder.parent.name}/{folder.name} beside the checkout")
    return folder


def _skip_is_allowed(item: pytest.Item) -> bool:
    """Data outside the checkout may be absent; anything else needs the marker `may_skip`."""
    fixtures = getattr(item, "fixturenames", ())
    absent = ("shared_data" in fixtures and not SHARED_DATA.is_dir()) or (
        "shared_records" in fixtures and not SHARED_RECORDS.is_dir()
    )
    return absent or item.get_closest_marker("may_skip") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    expected_failure = hasattr(report, "wasxfail")
    if os.environ.get("SOMARAY_CI") and report.skipped and not expected_failure and not _skip_is_allowed(item):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which continuous integration forbids: {call.excinfo.value}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if os.environ.get("SOMARAY_CI") and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped whole, which continuous integration forbids"
    return report


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """An S3 server on loopback, for the whole session."""
    from support.s3 import serve

    with serve(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, for the whole session."""
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
