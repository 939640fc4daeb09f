"""Runs that fail or are cut off, and two invocations at once: rows that say so, and the next invocation mends it."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from support.workflow import TINY, Checkout

MEASURED = "results/hvg/tiny/in-memory/whole/timing/1.json"
ONE = {**TINY, "parallelism": ["0x1x1"], "datasets": ["tiny"]}


def drivers_of(folder: Path) -> list[int]:
    """Measured programs whose captures or results go below `folder`."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            command = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace").split("\0")
            if "somaray.measure.execute" not in command:
                continue
            if str(folder) in Path(command[command.index("somaray.measure.execute") + 1]).read_text():
                found.append(int(entry))
        except OSError:
            continue
    return found


def wait_for_driver(folder: Path, of: str, seconds: float = 180) -> int:
    """Wait until a run's program has begun to measure."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for pid in drivers_of(folder / "results/hvg" / of):
            return pid
        time.sleep(0.02)
    raise AssertionError(f"no program for {of} was started")


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout.make(tmp_path / "somaray", ONE)


def test_failed_run_is_a_row_and_is_tried_again_alone(checkout) -> None:
    running = checkout.start("--cores", "2")
    os.kill(wait_for_driver(checkout.folder, "tiny/soma-dask/100_0x1x1/capture"), signal.SIGKILL)
    output, _ = running.communicate()
    assert running.returncode != 0, output
    rows = (checkout.folder / "results/tables/runs.csv").read_text().splitlines()
    assert len(rows) == 1 + 2
    failed = next(row for row in rows if "soma-dask" in row)
    assert "killed (signal 9" in failed
    assert ",ok," in next(row for row in rows if "in-memory" in row)
    assert "killed (signal 9" in (checkout.folder / "results/allocations.md").read_text()
    assert "1 failed" in output
    assert re.search(r"tiny/soma-dask/100_0x1x1 capture: killed", output)

    planned = checkout.planned()
    measured = [job for job in planned if job.rule in ("capture_run", "time_run", "make_reference", "ingest_dataset")]
    assert [job.output for job in measured] == ["results/hvg/tiny/soma-dask/100_0x1x1/capture.json"]
    checkout.run("--cores", "2")
    assert "killed (signal 9" not in (checkout.folder / "results/tables/runs.csv").read_text()
    assert "none failed" in (checkout.folder / "results/verdict.txt").read_text()
    assert checkout.planned() == []


def test_killed_invocation_leaves_no_process_and_resumes_that_run(checkout) -> None:
    checkout.configure({**ONE, "methods": ["soma-dask"]})
    measured = [
        f"results/hvg/tiny/soma-dask/100_0x1x1/{record}.json" for record in ("capture", "timing/1", "agreement")
    ]
    running = checkout.start("--cores", "2", *measured)
    driver = wait_for_driver(checkout.folder, "tiny/soma-dask/100_0x1x1")
    done = sorted(str(path) for path in (checkout.folder / "results/hvg").rglob("*.json"))
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{driver}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{driver}").exists(), "the measured program outlived its supervisor"

    checkout.run("--unlock", "--cores", "1")
    planned = checkout.planned(*measured)
    again = {job.output for job in planned}
    finished = {path for path in done if path.endswith(("capture.json", "manifest.json")) or "/timing/" in path}
    assert not again & {str(Path(path).relative_to(checkout.folder)) for path in finished}
    checkout.run("--cores", "2", *measured)
    assert checkout.planned(*measured) == []


def test_budget_exceeded_is_a_row_with_its_figures(checkout) -> None:
    checkout.configure({**ONE, "methods": ["soma-dask"]})
    done = checkout.run("--cores", "2", "--config", "limits={'memory': '120MiB'}", check=False)
    assert done.returncode != 0
    table = (checkout.folder / "results/tables/runs.md").read_text()
    assert re.search(r"out of memory \(\d+ MiB of 120 MiB\)", table)
    assert "not checked" in (checkout.folder / "results/tables/agreement.md").read_text()
    assert {job.rule for job in checkout.planned()} >= {"capture_run", "time_run"}


def test_two_invocations_at_once_measure_one_after_the_other(tmp_path) -> None:
    first = Checkout.make(tmp_path / "first", {**ONE, "methods": ["in-memory"]})
    second = Checkout.make(tmp_path / "second", {**ONE, "methods": ["in-memory"]})
    running = [each.start("--cores", "1", MEASURED) for each in (first, second)]
    seen_together = 0
    while any(process.poll() is None for process in running):
        seen_together += bool(drivers_of(first.folder)) and bool(drivers_of(second.folder))
        time.sleep(0.05)
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert seen_together == 0
