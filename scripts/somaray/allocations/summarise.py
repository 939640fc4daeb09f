"""From a run's captures to `allocations.json`: each process's places by bytes, in all and at its heap's high-water mark."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from somaray.allocations.places import CPYTHON, locate
from somaray.allocations.read import Capture, Frame, HeldStack, read_captures
from somaray.errors import SomarayError
from somaray.records import Allocations, Execution, Place, ProcessAllocations, ProcessRecord, read_record

LAYERS = frozenset({"anndata", "dask", "distributed", "scanpy", "somacore", "somaray", "tiledbsoma"})
"""Packages a held byte can be blamed on: the workflow's own layers, which decide what the libraries below them do."""

_CAPTURE_STEM = re.compile(r"(?P<name>.+?)(?:-(?P<pid>\d+))?")


def summarise(execution: Execution, capture_dir: Path, n_jobs: int = 2) -> Allocations:
    """Read every capture of a run.

    A capture that cannot be read stays in the result, as `unreadable` with the reason; so does one in `capture_dir` that the
    execution does not list, as a killed worker leaves it.

    Parameters
    ----------
    n_jobs
        Child processes reading at a time.
    """
    if execution.profile is None:
        raise SomarayError(f"{capture_dir.parent}: this execution was not profiled, so it has no captures")
    known = {process.capture: process for process in execution.processes if process.capture}
    files = sorted({*known, *(path.name for path in capture_dir.glob("*.bin"))}, key=_capture_order)
    captures = read_captures([capture_dir / file for file in files], n_jobs)
    processes = tuple(
        _process(capture_dir / file, known.get(file), capture) for file, capture in zip(files, captures, strict=True)
    )
    return Allocations(
        dataset=execution.dataset,
        method=execution.method,
        chunk_size=execution.chunk_size,
        parallelism=execution.parallelism,
        n_obs=execution.n_obs,
        status=execution.status,
        profile=execution.profile,
        versions={**execution.provenance.versions, CPYTHON: execution.provenance.python},
        processes=processes,
    )


def summarise_run(run_dir: str | Path, n_jobs: int = 2) -> Allocations:
    """Summarise a run's directory: its `capture.json` and `capture/`.

    Raises
    ------
    SomarayError
        If there is no `capture.json`, or it is not a profiled execution.
    """
    run_dir = Path(run_dir)
    return summarise(read_record(run_dir / "capture.json", Execution), run_dir / "capture", n_jobs)


def leaf_places(capture: Capture) -> tuple[Place, ...]:
    """Places of a capture by the line that called the allocator, the largest total (or held) first."""
    held: dict[Frame | None, int] = {}
    for stack in capture.held.stacks:
        frame = capture.held.frames[stack.stack[0]] if stack.stack else None
        held[frame] = held.get(frame, 0) + stack.size_bytes
    if capture.totals is None:
        return _sorted(_place(frame, None, size) for frame, size in held.items())
    places = [
        _place(line.frame, line.size_bytes, held.pop(line.frame, 0), line.n_allocations)
        for line in capture.totals.lines
    ]
    if held:
        missing = next(iter(held))
        raise SomarayError(f"{capture.path}: damaged; bytes are held by a line that never allocated: {missing}")
    return _sorted(places)


def blamed_places(capture: Capture) -> tuple[Place, ...]:
    """Places of the held bytes by the innermost line that belongs to `LAYERS`, else by the line that allocated."""
    held: dict[Frame | None, int] = {}
    for stack in capture.held.stacks:
        frame = _blamed(capture.held.frames, stack)
        held[frame] = held.get(frame, 0) + stack.size_bytes
    return _sorted(_place(frame, None, size) for frame, size in held.items())


def _blamed(frames: Sequence[Frame], stack: HeldStack) -> Frame | None:
    for index in stack.stack:
        if locate(frames[index].file).package in LAYERS:
            return frames[index]
    return frames[stack.stack[0]] if stack.stack else None


def _process(path: Path, record: ProcessRecord | None, capture: Capture | SomarayError) -> ProcessAllocations:
    stem = _CAPTURE_STEM.fullmatch(path.stem)
    assert stem is not None, "the pattern takes any name"
    name = record.name if record else stem["name"]
    role = record.role if record else ("worker" if name.startswith("worker") else "other")
    pid = record.pid if record else int(stem["pid"] or 0)
    if isinstance(capture, SomarayError):
        return ProcessAllocations(
            name=name,
            role=role,
            pid=pid,
            capture=path.name,
            capture_status="unreadable",
            note=str(capture).removeprefix(f"{path}: "),
            total_bytes=None,
            n_allocations=None,
            heap_peak_bytes=None,
            heap_peak_seconds=None,
            rss_at_heap_peak_bytes=None,
            places=(),
        )
    complete = path.with_name(f"{path.name}.ok").exists() and not capture.note
    return process_allocations(capture, name, role, pid, complete=complete)


def process_allocations(capture: Capture, name: str, role: str, pid: int, *, complete: bool) -> ProcessAllocations:
    """One process's record from its capture."""
    return ProcessAllocations(
        name=name,
        role=role,  # type: ignore[arg-type]
        pid=pid or capture.held.pid,
        capture=Path(capture.path).name,
        capture_status="complete" if complete else "partial",
        note=capture.note,
        total_bytes=None if capture.totals is None else capture.totals.total_bytes,
        n_allocations=None if capture.totals is None else capture.totals.n_allocations,
        heap_peak_bytes=capture.held.heap_peak_bytes,
        heap_peak_seconds=capture.held.seconds,
        rss_at_heap_peak_bytes=capture.held.rss_bytes,
        sampled_heap_bytes=capture.held.sampled_heap_bytes,
        places=leaf_places(capture),
        blame=blamed_places(capture),
    )


def _place(frame: Frame | None, total: int | None, held: int, n_allocations: int | None = None) -> Place:
    if frame is None:
        return Place(
            file=None,
            function=None,
            line=None,
            package=None,
            total_bytes=total,
            held_bytes=held,
            n_allocations=n_allocations,
        )
    source = locate(frame.file)
    return Place(
        file=source.file,
        function=frame.function,
        line=frame.line,
        package=source.package,
        total_bytes=total,
        held_bytes=held,
        n_allocations=n_allocations,
    )


def _sorted(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(
        sorted(
            places,
            key=lambda place: (
                -(place.total_bytes or 0),
                -(place.held_bytes or 0),
                place.file or "",
                place.line or 0,
                place.function or "",
            ),
        )
    )


def _capture_order(file: str) -> tuple[bool, list[int], str]:
    # The driver first, then workers by number: worker-2 before worker-10.
    return not file.startswith("driver"), [int(number) for number in re.findall(r"\d+", file)], file
