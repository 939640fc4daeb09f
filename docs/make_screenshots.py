"""Make the README's pictures anew: `uv run --group browser python docs/make_screenshots.py`.

They show the report and a figure of what lies in `results/`, so run the workflow first. It needs Chromium on the path.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
REPORT = ROOT / "results" / "report.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def answer(page: Page) -> None:
    """Show the first screen."""
    page.screenshot(path=IMAGES / "report.png")


def last_run(page: Page) -> None:
    """Show the figures of the last run of the table that has workers."""
    run = page.locator("details.run", has=page.locator("figure", has_text="Task stream")).last
    run.evaluate("(each) => { each.open = true; document.querySelector('nav').style.position = 'static'; }")
    first, last = (run.locator("figure").nth(index).bounding_box() for index in (0, 1))
    assert first is not None
    assert last is not None
    page.screenshot(
        path=IMAGES / "run.png",
        full_page=True,
        clip={
            "x": first["x"],
            "y": first["y"] + page.evaluate("scrollY"),
            "width": 920,
            "height": last["y"] + last["height"] - first["y"],
        },
    )


def main() -> None:
    """Take every picture."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None or not REPORT.exists():
        sys.exit(f"expected one of {', '.join(BROWSERS)} on the path, and {REPORT.relative_to(ROOT)}")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1200, "height": 760}, color_scheme="light", offline=True)
        page.goto(REPORT.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        answer(page)
        last_run(page)
        chromium.close()


if __name__ == "__main__":
    main()
