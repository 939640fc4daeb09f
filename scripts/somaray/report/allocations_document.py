"""`results/allocations.md`: the notes' document, from our own captures, with the peaks it lacked beside its totals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from somaray.allocations.foreign import ForeignRun
from somaray.allocations.native_record import NativeAllocations
from somaray.allocations.places import Links
from somaray.matrix import DEFAULT, Run
from somaray.records import Allocations, Execution, Place, ProcessAllocations
from somaray.report.allocation_list import allocation_lines, place_label, top_places
from somaray.report.group_table import group_table
from somaray.report.markdown import escape, image, table, video
from somaray.report.measured_with import measured_with
from somaray.report.native_table import native_section
from somaray.report.resident_lines import NEAR_THE_PEAK, resident_lines
from somaray.report.rows import run_of
from somaray.units import Parallelism, format_bytes, format_count, format_seconds

INTRODUCTION = """\
**Allocated in all** counts every byte a source line ever asked for, however soon it was given back: it tells how busy the \
line was, and can exceed the machine's memory many times over. **Held** is what of it was alive at the one moment when the \
process's heap (all bytes asked for and not given back, as memray sees them) was largest: it tells what the heap's peak was \
made of. Neither is RAM: the kernel gives a page only once it is written to, so **resident**, the memory the process really \
had at that moment, and **VmHWM**, the most it ever had, can be far below the heap, or above it by what libraries and \
Python itself take. A line's **resident then** is exact: near the heap's peak the process was stopped for some milliseconds, \
the kernel told which pages were present, and each allocation alive was held against them, byte by byte. What was resident \
besides is told under the processes; `unknown` stands where the kernel did not tell, or nobody asked it in time.

**What was allocated for** puts every byte into exactly one kind of work, by the innermost line of its call stack that tells \
which: reading X inside an HVG call is reading. The rows of a process sum to all it allocated and to its heap's peak. `outside \
Python` is what threads without a Python frame asked for, TileDB's, SOMA's and Arrow's pools, also listed as `<stack trace \
unavailable>`; with `profile: {native_traces: true}` a second capture names it by native function.
"""

TOP = 5
"""Lines a list: so many of the largest totals, of the largest held, and of the largest resident."""


@dataclass(frozen=True)
class _Section:
    """One run's text, and what its heading is sorted and grouped by."""

    run: Run
    n_obs: int | None
    imported: bool
    text: str

    @property
    def heading(self) -> str:
        cells = "cells unknown" if self.n_obs is None else f"{self.n_obs:,} cells"
        chunk = "read whole" if self.run.chunk_size is None else f"{format_count(self.run.chunk_size)} cells a chunk"
        return f"## {escape(self.run.dataset)}, {escape(self.run.method)}: {cells}, {chunk}\n"


def allocations_document(
    captures: Sequence[Execution],
    allocations: Sequence[Allocations],
    imported: Sequence[ForeignRun] = (),
    refs: Mapping[str, str] | None = None,
    natives: Sequence[NativeAllocations] = (),
    plots: str | None = None,
    replays: str | None = None,
) -> str:
    """Write the document: a heading a dataset and chunk size, a section a parallelism, driver and workers apart.

    Parameters
    ----------
    captures
        Every run's profiled execution; a run without allocations is named with its status.
    refs
        Git refs by package, before the versions recorded (imported records have none).
    natives
        What the captures with native traces tell, of the runs that have one.
    plots
        From the document to the folder of figures; None shows none.
    replays
        From the document to the folder of runs whose replays are shown; None shows none.
    """
    named = {native.run: native for native in natives}
    summarised = {run_of(record): record for record in allocations}
    sections = [
        _Section(
            run,
            capture.n_obs,
            False,
            _own(capture, summarised.get(run), refs, plots, replays)
            + (native_section(named[run.path]) if run.path in named else ""),
        )
        for capture in captures
        for run in [run_of(capture)]
    ]
    sections += [_Section(foreign.run, foreign.n_obs, True, _foreign(foreign, refs)) for foreign in imported]
    parts = ["# Top allocations\n", INTRODUCTION]
    if not sections:
        parts.append("No run was captured.\n")
    heading = ""
    for section in sorted(sections, key=lambda each: (*each.run.sort_key, each.imported)):
        if section.heading != heading:
            heading = section.heading
            parts.append(heading)
        parts.append(section.text)
    if captures:
        parts.append(measured_with(captures))
    return "\n".join(parts)


def _own(
    capture: Execution,
    allocations: Allocations | None,
    refs: Mapping[str, str] | None,
    plots: str | None,
    replays: str | None,
) -> str:
    run = run_of(capture)
    parts = [f"### {_setting(run)}\n", _outcome(capture)]
    if replays is not None:
        replay = f"{replays}/{run.path}/replay"
        parts.append(video(f"Tasks and memory of {run.path} as they came", f"{replay}.webp", f"{replay}.mp4"))
    processes = allocations.processes if allocations else ()
    if not processes:
        return "\n".join([*parts, "Nothing was captured.\n"])
    links = Links(allocations.versions if allocations else {}, refs)
    names = [_name(process, processes) for process in processes]
    if plots is not None:
        parts.append(image(f"Memory of every process over time, {run.path}", f"{plots}/hvg/{run.path}/memory.svg"))
    parts += [_process_table(processes, capture), group_table(processes), resident_lines(processes, names)]
    for process in processes:
        if process.role != "worker" and process.places:
            parts += [
                f"#### {escape(process.name).capitalize()}\n",
                _places(process.places, links),
                _blame(process.blame, links),
            ]
    workers = [process for process in processes if process.role == "worker" and process.places]
    if workers:
        parts.append("#### Workers\n")
        if len(workers) > 1:
            parts.append(
                f"The captures of {len(workers)} worker processes together; held is what each held at its own heap's peak, "
                "summed.\n"
            )
        parts += [
            _places(together(process.places for process in workers), links),
            _blame(together(process.blame for process in workers), links),
        ]
    if len(workers) > 1:
        parts += [_details(_name(process, processes), _places(process.places, links)) for process in workers]
    return "\n".join(part for part in parts if part)


def _foreign(foreign: ForeignRun, refs: Mapping[str, str] | None) -> str:
    lines = [
        f"### {_setting(foreign.run)} (imported)\n",
        f"From {escape(foreign.path.name)}, measured elsewhere: {format_seconds(foreign.wall_seconds)} in all. "
        + (
            "Its heap was not captured.\n"
            if foreign.driver_heap_peak_bytes is None
            else f"The driver's heap peak was {format_bytes(foreign.driver_heap_peak_bytes)}; what was held then, and what was "
            "resident, is not recorded.\n"
        ),
    ]
    if foreign.places:
        entries = allocation_lines(foreign.places, Links({}, refs), len(foreign.places))
        lines += ["#### Driver\n", "Bytes allocated in all:\n", "\n".join(entries) + "\n"]
    return "\n".join(lines)


def _setting(run: Run) -> str:
    variant = "" if run.variant == DEFAULT else f", {escape(run.variant)}"
    if run.parallelism is None:
        return f"One process{variant}"
    layout = run.parallelism
    return (str(layout) if layout.tile_threads else f"{layout.processes}x{layout.threads}") + variant


def _outcome(capture: Execution) -> str:
    layout = run_of(capture).parallelism
    took = "" if capture.wall_seconds is None else f" after {format_seconds(capture.wall_seconds)} under memray"
    outcome = (
        f"Ended well{took}."
        if capture.status == "ok"
        else f"**Failed: {escape(capture.status_text)}**{took}; captured is what came before."
    )
    return (f"{_words(layout)}. " if layout else "") + outcome + "\n"


def _words(layout: Parallelism) -> str:
    where = (
        f"{layout.processes} Dask process{'es' * (layout.processes != 1)} ×" if layout.processes else "In the driver,"
    )
    return f"{where} {layout.threads} thread{'s' * (layout.threads != 1)} × {layout.tile_threads} of TileDB"


def _process_table(processes: Sequence[ProcessAllocations], capture: Execution) -> str:
    peaks = {(process.name, process.pid): process.peak_rss_bytes for process in capture.processes}
    rows = [
        [
            escape(_name(process, processes)),
            process.capture_status if process.capture_status != "unreadable" else escape(f"unreadable: {process.note}"),
            _bytes(process.total_bytes),
            _bytes(process.heap_peak_bytes),
            _resident(process),
            _bytes(peaks.get((process.name, process.pid))),
        ]
        for process in processes
    ]
    return table(["Process", "Capture", "Allocated in all", "Heap peak", "Resident then", "VmHWM"], rows, left=2)


def _resident(process: ProcessAllocations) -> str:
    """Resident memory at the heap's peak; where no sample came near the peak, how near the best one came."""
    text = _bytes(process.rss_at_heap_peak_bytes)
    if process.sampled_heap_bytes is None or not process.heap_peak_bytes:
        return text
    share = process.sampled_heap_bytes / process.heap_peak_bytes
    return text if share >= NEAR_THE_PEAK else f"{text} (at {share:.0%} of the peak)"


def _places(places: Sequence[Place], links: Links) -> str:
    chosen = {place for by in ("total", "held", "resident") for place in top_places(places, TOP, by)}
    rows = [
        [_cell(place, links), *map(_bytes, (place.total_bytes, place.held_bytes, place.resident_bytes))]
        for place in top_places(chosen, len(chosen), "total")
    ]
    return table(["Place", "Allocated in all", "Held at the heap's peak", "Resident then"], rows)


def _blame(places: Sequence[Place], links: Links) -> str:
    chosen = {place for by in ("total", "held", "resident") for place in top_places(places, TOP, by)}
    if not chosen:
        return ""
    rows = [
        [_cell(place, links), *map(_bytes, (place.total_bytes, place.held_bytes, place.resident_bytes))]
        for place in top_places(chosen, len(chosen), "total")
    ]
    line = "Line of Scanpy, AnnData, TileDB-SOMA, Dask or somaray"
    body = table([line, "Allocated in all", "Held at the heap's peak", "Resident then"], rows)
    return _details("Charged to the line that made the libraries below it allocate", body)


def together(processes: Iterable[Sequence[Place]]) -> list[Place]:
    """Sum places over processes, line by line."""
    sums: dict[tuple[str | None, str | None, int | None, str | None], list[Place]] = {}
    for places in processes:
        for place in places:
            sums.setdefault((place.file, place.function, place.line, place.package), []).append(place)
    return [
        Place(
            file=file,
            function=function,
            line=line,
            package=package,
            total_bytes=_sum(place.total_bytes for place in same),
            held_bytes=_sum(place.held_bytes for place in same),
            alive_bytes=_sum_if_all(place.alive_bytes for place in same),
            resident_bytes=_sum_if_all(place.resident_bytes for place in same),
        )
        for (file, function, line, package), same in sums.items()
    ]


def _sum(sizes: Iterable[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _sum_if_all(sizes: Iterable[int | None]) -> int | None:
    """What is not known of one is not known of all together."""
    sizes = list(sizes)
    return None if None in sizes else _sum(sizes)


def _name(process: ProcessAllocations, processes: Sequence[ProcessAllocations]) -> str:
    """The process's name, with its id where another one (the worker it replaced) bears the same."""
    same = sum(each.name == process.name for each in processes)
    return process.name if same == 1 else f"{process.name} (process {process.pid})"


def _details(summary: str, body: str) -> str:
    summary = summary.replace("&", "&amp;").replace("<", "&lt;")
    return f"<details><summary>{summary}</summary>\n\n{body}\n</details>\n"


def _cell(place: Place, links: Links) -> str:
    label = place_label(place, links, number=True)
    # A bar ends a table's cell even inside code.
    return label.replace("|", r"\|") if label.startswith("`") else label


def _bytes(size_bytes: int | None) -> str:
    return "unknown" if size_bytes is None else format_bytes(size_bytes)
