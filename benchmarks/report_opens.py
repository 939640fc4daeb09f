"""How long a browser takes to open a report of few runs and one of many: `uv run --group browser benchmarks/report_opens.py`.

Both reports are made of generated records, with figures, and opened in turns in a new page without a network. A page is open
when its tables can be sorted and filtered. Printed are the medians, their ratio, and the size of what is opened.
Needs a Chromium.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from support.made_report import made, report_of  # noqa: E402


def seconds_to_open(browser: Browser, path: Path) -> float:
    """Open a report and wait until it can be used: seconds since the browser began to load it, by its own clock."""
    page = browser.new_page(viewport={"width": 1280, "height": 800}, offline=True)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    milliseconds = page.evaluate("performance.now()")
    page.close()
    return milliseconds / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs=2, default=(20, 200), metavar=("FEW", "MANY"))
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no Chromium on the path")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        paths = {}
        for n_runs in arguments.runs:
            own = Path(folder) / str(n_runs)
            own.mkdir()
            paths[n_runs] = report_of(made(n_runs), own, figures=True)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        taken: dict[int, list[float]] = {n_runs: [] for n_runs in paths}
        for _ in range(arguments.repeats):
            for n_runs, path in paths.items():
                taken[n_runs].append(seconds_to_open(browser, path))
        browser.close()
        print("| runs | page (MB) | files beside it | seconds, median | lowest | highest |")
        print("| --: | --: | --: | --: | --: | --: |")
        for n_runs, path in paths.items():
            own = taken[n_runs]
            beside = len(list((path.parent / "report").iterdir()))
            print(
                f"| {n_runs} | {path.stat().st_size / 1e6:.2f} | {beside} | {statistics.median(own):.2f} | {min(own):.2f} | "
                f"{max(own):.2f} |"
            )
        few, many = (statistics.median(own) for own in taken.values())
        print(f"\n{arguments.runs[1]} runs ÷ {arguments.runs[0]} runs: {many / few:.2f}")


if __name__ == "__main__":
    main()
