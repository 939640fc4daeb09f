"""Findings about memory: buffers that are asked for and hardly touched, budgets, workers that stand out."""

from collections.abc import Iterable
from statistics import median

from somaray.matrix import Run
from somaray.records import Execution, Place, ProcessAllocations
from somaray.report.findings.scope import Case, Finding, RunRecords, Scope, finding_of, percent
from somaray.units import format_bytes, parse_bytes

OBS_READER = "tiledbsoma/_read_iters.py"
"""File in which TileDB-SOMA's readers ask for a buffer for each column."""

BUFFER_KEY = "soma.init_buffer_bytes"
DEFAULT_BUFFER_BYTES = 2**30
"""TileDB-SOMA's own default of `BUFFER_KEY`."""

LEAST_BUFFER_BYTES = 256 * 2**20
HARDLY_TOUCHED = 0.1
"""Share that is resident up to which memory counts as hardly touched."""

FAR_ABOVE = 1.5
LEAST_ABOVE_BYTES = 100 * 2**20
NEAR_THE_BUDGET = 0.9


def over_budget(scope: Scope) -> Finding | None:
    """Runs that were stopped for their memory, or came within a tenth of their budget."""
    cases, least_bytes = [], None
    for each in scope.runs:
        stopped = next((done for done in each.executions if done.status == "out of memory"), None)
        budget_bytes = each.executions[0].limits.memory_bytes
        peak_bytes = each.peak_pss_bytes
        if stopped is not None:
            peak_bytes = stopped.peak_pss_bytes or 0
            cases.append(Case(each.run, peak_bytes, f"stopped, {stopped.status_text}"))
        elif budget_bytes and peak_bytes and peak_bytes >= NEAR_THE_BUDGET * budget_bytes:
            text = f"peak PSS {format_bytes(peak_bytes)} of {format_bytes(budget_bytes)} allowed"
            cases.append(Case(each.run, peak_bytes, text))
        elif peak_bytes is not None:
            least_bytes = min((peak_bytes, each.run.setting), least_bytes or (peak_bytes, each.run.setting))
    more = (
        [f"Least memory of the others: `{least_bytes[1]}` with {format_bytes(least_bytes[0])}."] if least_bytes else []
    )
    remedy = (
        "Peak memory grows with cells a chunk × Dask threads, as each thread holds a chunk: make `chunk_sizes` smaller or "
        "have fewer processes and threads in `parallelism`; or raise `limits.memory` if the machine has more."
    )
    return finding_of(
        scope, "memory-budget", "At the limit of memory", cases, "peak PSS", format_bytes, remedy, more=more
    )


def obs_buffers(scope: Scope) -> Finding | None:
    """Buffers for the columns of obs that the driver asks for and hardly writes to."""
    held = {each.run: found for each in scope.runs if (found := _obs_place(each)) is not None}
    cases = []
    for each in scope.runs:
        place = held.get(each.run)
        if place is None or not hardly_touched(place, each):
            continue
        buffer_bytes, columns = _buffer_bytes(scope, each), _columns(scope, each)
        text = (
            f"the driver held {format_bytes(place.held_bytes or 0)} at `{place.file}:{place.line}` at its heap's peak, "
            f"{_resident_text(place, each)}; buffers for {columns} column{'s' * (columns != 1)} of obs × "
            f"{format_bytes(buffer_bytes)} make {format_bytes(columns * buffer_bytes)}, and columns of text ask for more than "
            "one"
        )
        cases.append(Case(each.run, place.held_bytes or 0, text))
    remedy = (
        f"It is no RAM, but it hides what is: set `tiledb: {{{BUFFER_KEY}: 16MiB}}`, for all runs or as one of `variants`, "
        "and the heap's peak tells what the run is made of. Hosts that refuse to overcommit memory need it."
    )
    return finding_of(
        scope,
        "obs-buffers",
        "Buffers for obs, asked for and hardly touched",
        cases,
        "held by them",
        format_bytes,
        remedy,
        more=_proof(scope, [case.run for case in cases], held),
    )


def _obs_place(each: RunRecords) -> Place | None:
    """The line of the readers at which the driver held most."""
    processes = each.allocations.processes if each.allocations else ()
    places = [
        place
        for process in processes
        if process.role == "driver"
        for place in process.places
        if place.file == OBS_READER and place.held_bytes
    ]
    return max(places, key=lambda place: place.held_bytes or 0, default=None)


def hardly_touched(place: Place, each: RunRecords) -> bool:
    """Whether a large place was mostly never written to; by the process's high-water mark where pages are unknown."""
    if (place.held_bytes or 0) < LEAST_BUFFER_BYTES:
        return False
    if place.resident_bytes is not None and place.alive_bytes:
        return place.resident_bytes <= HARDLY_TOUCHED * place.alive_bytes
    mark_bytes = _driver_mark_bytes(each.capture)
    return place.resident_bytes is None and mark_bytes is not None and mark_bytes < (place.held_bytes or 0) / 2


def _driver_mark_bytes(capture: Execution | None) -> int | None:
    processes = capture.processes if capture else ()
    return next((process.peak_rss_bytes for process in processes if process.role == "driver"), None)


def _resident_text(place: Place, each: RunRecords) -> str:
    if place.resident_bytes is None or not place.alive_bytes:
        mark_bytes = _driver_mark_bytes(each.capture) or 0
        return f"and the whole process never had more than {format_bytes(mark_bytes)} in RAM"
    share = percent(place.resident_bytes / place.alive_bytes)
    return f"of which {format_bytes(place.resident_bytes)} were resident ({share})"


def _buffer_bytes(scope: Scope, each: RunRecords) -> int:
    settings = {**(scope.manifest.tiledb if scope.manifest else {}), **each.executions[0].tiledb}
    return parse_bytes(settings.get(BUFFER_KEY, DEFAULT_BUFFER_BYTES))


def _proof(scope: Scope, seen: Iterable[Run], held: dict[Run, Place]) -> list[str]:
    """A run that differs from one of those seen in its variant, and what became of the heap and of RAM."""
    by_run = {each.run: each for each in scope.runs}
    for run in seen:
        large, held_bytes = by_run[run], held[run].held_bytes or 0
        for small in scope.runs:
            place = held.get(small.run)
            line_bytes = 0 if place is None else place.held_bytes or 0
            same = (small.run.chunk_size, small.run.parallelism) == (run.chunk_size, run.parallelism)
            if not same or not small.allocations or line_bytes > held_bytes / 2:
                continue
            parts = [f"the line holds {format_bytes(line_bytes)} instead of {format_bytes(held_bytes)}"]
            for name, before, after in (
                ("heap peak of the driver", _driver_heap_bytes(large), _driver_heap_bytes(small)),
                ("peak PSS of the run", large.peak_pss_bytes, small.peak_pss_bytes),
            ):
                if before is not None and after is not None:
                    parts.append(f"{name} {format_bytes(before)} → {format_bytes(after)}")
            buffers, columns = format_bytes(_buffer_bytes(scope, small)), _columns(scope, small)
            return [
                f"`{small.run.setting}`, the same with {columns} column{'s' * (columns != 1)} × {buffers}: {'; '.join(parts)}."
            ]
    return []


def _columns(scope: Scope, each: RunRecords) -> int:
    """Columns of obs that a run reads."""
    chosen = each.executions[0].obs_columns
    if chosen is None:
        chosen = scope.manifest.obs_columns if scope.manifest else ()
    return len(chosen)


def _driver_heap_bytes(each: RunRecords) -> int | None:
    processes = each.allocations.processes if each.allocations else ()
    return next((process.heap_peak_bytes for process in processes if process.role == "driver"), None)


def untouched(scope: Scope) -> Finding | None:
    """Other places that held much and had little of it in RAM."""
    cases = []
    for each in scope.runs:
        known = [
            (place, process)
            for process in (each.allocations.processes if each.allocations else ())
            for place in process.places
            if place.alive_bytes
            and place.resident_bytes is not None
            and hardly_touched(place, each)
            # Those have a finding of their own.
            and not (process.role == "driver" and place.file == OBS_READER)
        ]
        if known:
            place, process = max(known, key=lambda pair: pair[0].held_bytes or 0)
            share = percent((place.resident_bytes or 0) / (place.alive_bytes or 1))
            text = (
                f"{process.name} held {format_bytes(place.held_bytes or 0)} at {_place_name(place)}, of which "
                f"{format_bytes(place.resident_bytes or 0)} were resident ({share})"
            )
            cases.append(Case(each.run, place.held_bytes or 0, text))
    remedy = (
        "It is no RAM: do not size a machine by heap peaks. An arena that pyarrow sets aside at once goes with "
        "`ARROW_DEFAULT_MEMORY_POOL=system` in the environment, buffers of TileDB-SOMA shrink with `soma.init_buffer_bytes`."
    )
    return finding_of(
        scope,
        "untouched",
        "Other memory, asked for and hardly touched",
        cases,
        "held at one line",
        format_bytes,
        remedy,
    )


def _place_name(place: Place) -> str:
    if place.file is None:
        return f"`{place.function}`" if place.function else "a place that memray cannot name"
    return f"`{place.file}:{place.line}`" if place.line else f"`{place.file}`"


def worker_above_others(scope: Scope) -> Finding | None:
    """A worker whose memory was far above that of the others."""
    cases = []
    for each in scope.runs:
        found = [case for done in each.good or each.executions if (case := _above(each.run, _resident(done), "VmHWM"))]
        if not found and each.allocations:
            case = _above(each.run, _heaps(each.allocations.processes), "heap peak")
            found = [case] if case else []
        if found:
            cases.append(max(found, key=lambda case: case.figure))
    remedy = (
        "Chunks, or what Dask keeps on a worker, are spread unevenly: smaller chunks even them out. What that worker held is "
        "listed in `results/allocations.md`."
    )
    return finding_of(
        scope,
        "worker-above",
        "A worker far above the others",
        cases,
        "times the median of the other workers:",
        lambda ratio: f"{ratio:.1f}",
        remedy,
    )


def _resident(execution: Execution) -> list[tuple[str, int]]:
    return [(process.name, process.peak_rss_bytes) for process in execution.processes if process.role == "worker"]


def _heaps(processes: Iterable[ProcessAllocations]) -> list[tuple[str, int]]:
    return [
        (process.name, process.heap_peak_bytes)
        for process in processes
        if process.role == "worker" and process.heap_peak_bytes and process.capture_status == "complete"
    ]


def _above(run: Run, workers: list[tuple[str, int]], what: str) -> Case | None:
    if len(workers) < 2:
        return None
    name, most_bytes = max(workers, key=lambda worker: worker[1])
    middle_bytes = median(size for other, size in workers if other != name) if len({w for w, _ in workers}) > 1 else 0
    if not middle_bytes or most_bytes < max(FAR_ABOVE * middle_bytes, middle_bytes + LEAST_ABOVE_BYTES):
        return None
    text = f"{name} had a {what} of {format_bytes(most_bytes)}, the others {format_bytes(middle_bytes)} (median)"
    return Case(run, most_bytes / middle_bytes, text)
