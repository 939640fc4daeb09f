"""Every process of a run, a row each: heap and resident memory at their largest, and how far its capture goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from somaray.records import Allocations, Execution, ProcessRecord
from somaray.report.markdown import escape, table
from somaray.report.measured_with import measured_with
from somaray.report.rows import run_of
from somaray.settings import LOCAL
from somaray.units import format_bytes, format_bytes_short

INTRODUCTION = """\
A row a process of the profiled execution. **Heap peak** is the most it had asked for and not given back at once, **allocated \
in all** every byte it ever asked for. **VmHWM** is the kernel's own high-water mark of its resident memory, exact, but with \
shared libraries in full; **peak PSS** is its largest sample, shared pages divided among their users. Both are of unprofiled \
executions, the median over those with a process of that name; *in the capture* they hold what memray itself takes. The driver \
holds Dask's client and scheduler. A process that was killed left a **partial** capture: all it did until then; its \
replacement bears the same name.
"""


@dataclass(frozen=True)
class ProcessRow:
    """One process of a run's capture; None is what is not known. `timed_*` are medians over the timings.

    `host` is empty where all processes are on the driver's host, below it.
    """

    name: str
    role: str
    pid: int
    replaced: bool
    capture: str
    heap_peak_bytes: int | None
    total_bytes: int | None
    captured_rss_bytes: int
    captured_pss_bytes: int | None
    timed_rss_bytes: float | None
    timed_pss_bytes: float | None
    host: str = ""


def process_rows(
    capture: Execution, timings: Sequence[Execution], allocations: Allocations | None
) -> tuple[ProcessRow, ...]:
    """Join what the records of one run say of its processes: the driver first, workers by number, replaced ones first.

    Processes that measure or that libraries start beside the run are left out.
    """
    known = {(own.name, own.pid): own for own in (allocations.processes if allocations else ())}
    timed: dict[str, list[ProcessRecord]] = {}
    for timing in timings:
        for process in timing.processes:
            if timing.status == "ok":
                timed.setdefault(process.name, []).append(process)
    own = [process for process in capture.processes if process.role != "other"]
    rows = []
    tell_host = capture.dask.cluster != LOCAL or len({process.host for process in own}) > 1
    for process in own:
        found, same = known.get((process.name, process.pid)), timed.get(process.name, [])
        several = sum(other.name == process.name for other in own) > 1
        status = found.capture_status if found else process.capture_status
        rows.append(
            ProcessRow(
                name=process.name,
                role=process.role,
                pid=process.pid,
                replaced=several and process.capture_status != "complete",
                capture=f"unreadable: {found.note}" if found and status == "unreadable" else status or "none",
                heap_peak_bytes=found.heap_peak_bytes if found else None,
                total_bytes=found.total_bytes if found else None,
                captured_rss_bytes=process.peak_rss_bytes,
                captured_pss_bytes=process.peak_pss_bytes,
                timed_rss_bytes=_median([each.peak_rss_bytes for each in same]),
                timed_pss_bytes=_median([each.peak_pss_bytes for each in same]),
                host=process.host if tell_host else "",
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.role != "driver", _number(row.name), not row.replaced, row.pid)))


def _median(sizes: Sequence[int | None]) -> float | None:
    known = [size for size in sizes if size is not None]
    return median(known) if known else None


def _number(name: str) -> tuple[int, str]:
    number = name.rpartition("-")[2]
    return (int(number), "") if number.isdigit() else (-1, name)


def process_table(rows: Sequence[ProcessRow]) -> str:
    """Write the rows of one run as a Markdown table."""
    header = ["capture", "heap peak", "allocated in all", "VmHWM", "peak PSS"]
    header += ["VmHWM in the capture", "peak PSS in the capture"]
    if any(row.host for row in rows):
        return table(["process", "host", *header], (_cells(row, [escape(row.host)]) for row in rows), left=3)
    return table(["process", *header], (_cells(row, []) for row in rows), left=2)


def _cells(row: ProcessRow, host: list[str]) -> list[str]:
    sizes = (row.heap_peak_bytes, row.total_bytes, row.timed_rss_bytes, row.timed_pss_bytes)
    name = f"{row.name} (process {row.pid}, killed)" if row.replaced else row.name
    return [
        escape(name),
        *host,
        escape(row.capture),
        *(_bytes(size) for size in (*sizes, row.captured_rss_bytes, row.captured_pss_bytes)),
    ]


def _bytes(size_bytes: float | None) -> str:
    return "unknown" if size_bytes is None else format_bytes(size_bytes)


def short_lines(rows: Sequence[ProcessRow]) -> str:
    """Write heap peaks as the notes do: `scheduler: 39G`, `worker_0: 7.0G`; the driver of workers is where the scheduler is."""
    has_workers = any(row.role == "worker" for row in rows)
    lines = []
    for row in rows:
        name = "scheduler" if row.role == "driver" and has_workers else row.name.replace("-", "_")
        size = "unknown" if row.heap_peak_bytes is None else format_bytes_short(row.heap_peak_bytes)
        lines.append(f"{name}: {size}" + ("" if row.capture == "complete" else f" ({row.capture})"))
    return "\n".join(lines)


def processes_markdown(
    captures: Sequence[Execution], timings: Sequence[Execution], allocations: Sequence[Allocations]
) -> str:
    """Write the processes of all runs, a section a run."""
    summarised = {run_of(record): record for record in allocations}
    parts = ["# Processes\n", INTRODUCTION]
    for capture in sorted(captures, key=lambda record: run_of(record).sort_key):
        run = run_of(capture)
        own = [timing for timing in timings if run_of(timing) == run]
        rows = process_rows(capture, own, summarised.get(run))
        parts.append(f"## {escape(run.path)}\n")
        if capture.status != "ok":
            parts.append(f"**{escape(capture.status_text)}**\n")
        parts.append(process_table(rows) if rows else "No process left a record.\n")
    parts.append(measured_with([*captures, *timings]))
    return "\n".join(parts)
