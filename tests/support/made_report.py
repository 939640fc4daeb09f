"""Reports of generated records: as many runs as wanted, with names that would break a page that took them for more than text."""

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pandas as pd

from somaray.records import Allocations, Place, Retry
from somaray.report.compare.comparison import Comparison, compare_sides
from somaray.report.compare.sides import RunResults, Side
from somaray.report.figures.files import draw_all
from somaray.report.findings import Finding
from somaray.report.gathered import Gathered
from somaray.report.html.document import write_report
from somaray.report.replay.clip import write_replay
from support.made_records import MIB, agreement, allocations, check, execution, manifest

GIB = 1024 * MIB

HOSTILE = "<img src=x onerror=\"document.title='broken'\">'\"&{{7*7}}\n" + "n" * 300

HOSTILE_NAME = HOSTILE[:200]
"""As long as the name of a folder may be, with room to spare."""


def made(n_runs: int, dataset: str = "heart") -> Gathered:
    """Records of runs that differ in their chunk sizes; the larger the faster. The first failed, the last outgrew its job."""
    captures, timings, allocated, agreed = [], [], [], []
    for number in range(1, n_runs + 1):
        key = {"dataset": dataset, "chunk_size": number * 100}
        changes = {"status": "failed", "reason": f"ValueError: {HOSTILE}"} if number == 1 else {}
        if number == n_runs:
            changes = {
                "retried": Retry(reason=HOSTILE, memory_bytes=MIB, seen_bytes=None, retried_memory_bytes=2 * GIB)
            }
        captures.append(execution(20.0, None, **key))
        timings.append(execution(None if "status" in changes else 1000.0 - number, 1, **key, **changes))
        allocated.append(_allocated(**key))
        agreed.append(agreement(check(), check("timing-1", None, note=f"not read: {HOSTILE}"), **key))
    return Gathered((manifest(dataset),), tuple(captures), tuple(timings), tuple(allocated), tuple(agreed))


def _allocated(**key) -> Allocations:
    """Twelve places, each in a hostile file and function."""
    whole = allocations(**key)
    places = tuple(
        Place(
            file=f"/{HOSTILE}/{number}.py",
            function=f"{HOSTILE}{number}",
            line=number,
            package=None,
            total_bytes=number * MIB,
            held_bytes=number * MIB,
            alive_bytes=number * MIB,
            resident_bytes=number,
        )
        for number in range(1, 13)
    )
    return msgspec.structs.replace(whole, processes=(msgspec.structs.replace(whole.processes[0], places=places),))


def compared(gathered: Gathered) -> Comparison:
    """Hold records against the same, of which one run failed more."""
    runs = {
        detail.run.path: RunResults(detail.run, detail.capture, detail.timings, detail.allocations, detail.agreement)
        for detail in gathered.details("")
    }
    last = next(reversed(runs))
    failed = msgspec.structs.replace(runs[last].capture, status="failed", reason=HOSTILE)
    return compare_sides(Side(HOSTILE, runs), Side("b", {**runs, last: replace(runs[last], capture=failed)}))


def report_of(gathered: Gathered, folder: Path, figures: bool = False) -> Path:
    """Write the report of some records; with figures, those of the last run stand for all, and it has a replay."""
    finding = Finding(
        rule="r",
        title="Buffers",
        dataset="heart",
        method="soma-dask",
        evidence=(f"It is `{HOSTILE}`.",),
        remedy="Less.",
        runs=(gathered.rows[0].run.path,),
    )
    runs_dir, plots_dir = folder / "hvg", folder / "plots"
    if figures:
        details = gathered.details(runs_dir)
        last = details[-1]
        (last.folder / "memory").mkdir(parents=True)
        columns = ["seconds", "process", "role", "pid", "pss_bytes", "rss_bytes"]
        samples = pd.DataFrame([(s, "driver", "driver", 1, 2**28, 2**28) for s in (0.0, 5.0)], columns=columns)
        samples.to_parquet(last.folder / "memory" / "1.parquet")
        draw_all(gathered.rows, [last], plots_dir)
        for detail in details[:-1]:
            shutil.copytree(plots_dir / "hvg" / last.run.path, plots_dir / "hvg" / detail.run.path)
        write_replay(last.shown, last.memory(), None, last.folder / "replay.mp4", last.folder / "replay.webp")
    path = folder / "report.html"
    pages_dir, files = folder / "report", ["mine.yaml"]
    write_report(gathered, [finding], plots_dir, runs_dir, path, pages_dir, files, figures, compared(gathered))
    return path
