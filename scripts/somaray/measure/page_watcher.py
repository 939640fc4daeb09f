"""Takes snapshots of the processes of a capture when they reach a new height; a small process of its own.

Allocation records carry no times and addresses are used again, so a snapshot must be tied to a place in the records. The
watcher stops the process, notes how many bytes of its capture file are written (memray writes through a shared mapping, so
all of it is there at once), reads which pages are present, and lets it go on. What stands still cannot change: pages and
records are of the same moment, up to one allocation a thread that was under way. Nothing runs inside the process, nothing
waits for Python's lock, and its own records stay as they were. Stopping is for captures alone: timings are never touched.
"""

import argparse
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from somaray.allocations.snapshots import Snapshot, SnapshotSummary, pages_dir, write_summary
from somaray.measure.captures import complete_marker, read_accounts
from somaray.measure.heights import Heights
from somaray.measure.page_map import PAGE_BYTES, present_pages, read_pages
from somaray.measure.process_tree import session_pids
from somaray.measure.standstill import stopped

POLL_SECONDS = 0.005
"""A peak may be over in tens of milliseconds; reading /proc/PID/statm takes microseconds."""

SLOW_POLL_SECONDS = 0.2
PAUSE_SHARE, PAUSE_SECONDS = 0.05, 0.5
"""Of the time a process runs it is paused for no more than this share, and this much to start with; leaps come on top."""

KEPT = 2
"""Snapshots kept of each cause, the highest ones, beside the first."""

STOP_SECONDS = 1.0


@dataclass
class _Watched:
    pid: int
    capture: Path
    statm: int
    began_at: float = field(default_factory=time.monotonic)
    heights: Heights = field(default_factory=Heights)
    kept: dict[str, list[int]] = field(default_factory=dict)
    n_snapshots: int = 0
    paused_seconds: float = 0.0
    over: bool = False

    def causes(self) -> list[str]:
        """Why a snapshot should be taken now; none while the process was paused too much."""
        now = time.monotonic()
        virtual_bytes, resident_bytes = (int(pages) * PAGE_BYTES for pages in os.pread(self.statm, 256, 0).split()[:2])
        causes = self.heights.causes(now, virtual_bytes, resident_bytes)
        paused_enough = self.paused_seconds > PAUSE_SECONDS + PAUSE_SHARE * (now - self.began_at)
        if not causes or (paused_enough and not self.heights.is_leap(virtual_bytes, resident_bytes)):
            return []
        self.heights.taken(now, causes, virtual_bytes, resident_bytes)
        return causes

    def keep(self, snapshot: Snapshot, causes: list[str]) -> None:
        """Write a snapshot and drop those it stands above; the first stays, for what was there before."""
        folder = pages_dir(self.capture)
        number = self.n_snapshots
        self.n_snapshots += 1
        snapshot.write(folder / f"{number}.npz")
        before = {kept for numbers in self.kept.values() for kept in numbers}
        for cause in causes:
            self.kept[cause] = [*self.kept.get(cause, ()), number][-KEPT:]
        for dropped in before - {kept for numbers in self.kept.values() for kept in numbers} - {0}:
            (folder / f"{dropped}.npz").unlink()
        self.tell()

    def tell(self, refusal: str = "") -> None:
        """Write the summary."""
        summary = SnapshotSummary(n_snapshots=self.n_snapshots, paused_seconds=self.paused_seconds, refusal=refusal)
        write_summary(pages_dir(self.capture), summary)


def run(session: int, work_dir: Path, capture_dir: Path) -> None:
    """Watch until the session has no process left or the parent is gone."""
    parent = os.getppid()
    # What is slow the first time shall not be so while a process stands still.
    present_pages(read_pages(os.getpid()), capture_dir)
    watched: dict[int, _Watched] = {}
    slow_due = 0.0
    while os.getppid() == parent:
        now = time.monotonic()
        if now >= slow_due:
            if not session_pids(session):
                return
            slow_due = now + SLOW_POLL_SECONDS
            _find_new(work_dir, capture_dir, watched)
        for process in watched.values():
            if not process.over:
                _look(process)
        time.sleep(POLL_SECONDS)


def _find_new(work_dir: Path, capture_dir: Path, watched: dict[int, _Watched]) -> None:
    for own in read_accounts(work_dir):
        # One elsewhere is on another host, or not ours to stop.
        if own["pid"] in watched or own["capture"] is None or own["lives"] != "here":
            continue
        capture = capture_dir.resolve() / own["capture"]
        # The account comes first, then the tracker.
        if capture.exists() and capture.stat().st_size:
            try:
                statm = os.open(f"/proc/{own['pid']}/statm", os.O_RDONLY)
            except OSError:
                continue
            pages_dir(capture).mkdir(exist_ok=True)
            watched[own["pid"]] = _Watched(own["pid"], capture, statm)


def _look(process: _Watched) -> None:
    snapshot = None
    try:
        causes = process.causes()
        if not causes:
            return
        process.over = complete_marker(process.capture).exists()
        if not process.over:
            snapshot, paused_seconds = take(process.pid, process.capture)
            process.paused_seconds += paused_seconds
    except PermissionError as error:
        process.over = True
        process.tell(f"the kernel does not tell which pages are present ({error.strerror})")
    except (OSError, ValueError):
        # It ended: its files in /proc are gone, or empty.
        process.over = True
    if process.over:
        os.close(process.statm)
    elif snapshot is not None:
        process.keep(snapshot, causes)


def take(pid: int, capture: Path) -> tuple[Snapshot | None, float]:
    """Take a snapshot of a process that is captured, None if it did not come to a stop in time; how long it was paused.

    Raises
    ------
    OSError
        If it is gone; PermissionError if the kernel does not tell.
    """
    began = time.monotonic()
    with stopped(pid, STOP_SECONDS) as stands:
        # Only what must be read now is read now.
        at_seconds = time.time()
        capture_bytes = written_bytes(capture)
        raw = read_pages(pid) if stands else None
        rss_bytes = _rss_bytes(pid)
        virtual_bytes = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * PAGE_BYTES
    paused_seconds = time.monotonic() - began
    if raw is None:
        return None, paused_seconds
    starts, ends, kinds = present_pages(raw, capture)
    if rss_bytes and not len(starts):
        raise PermissionError(0, "it shows none, though memory is resident")
    return Snapshot(at_seconds, capture_bytes, rss_bytes, virtual_bytes, starts, ends, kinds), paused_seconds


def written_bytes(capture: Path, block_bytes: int = 1 << 20) -> int:
    """Bytes up to the last that is not zero: memray lets its file grow before it writes."""
    with capture.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end:
            start = max(end - block_bytes, 0)
            stream.seek(start)
            filled = len(stream.read(end - start).rstrip(b"\0"))
            if filled:
                return start + filled
            end = start
    return 0


def _rss_bytes(pid: int) -> int:
    """Rss of smaps_rollup, summed over page tables; the count in `statm` lags behind by some pages a processor."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--session", type=int, required=True)
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--capture-dir", type=Path, required=True)
    arguments = parser.parse_args()
    run(arguments.session, arguments.work_dir, arguments.capture_dir)
