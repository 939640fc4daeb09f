"""From a run's captures to `allocations.json`: each process's places by bytes, in all and at its heap's high-water mark."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from somaray.allocations.places import CPYTHON, locate
from somaray.allocations.read import Capture, Frame, Resident, read_captures
from somaray.errors import SomarayError
from somaray.records import Allocations, Execution, Place, ProcessAllocations, ProcessRecord, read_record
from somaray.residency import Residency

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
    sums = _sums(capture, lambda frames, stack: frames[stack[0]] if stack else None)
    if capture.totals is None:
        return _sorted(_place(frame, None, own) for frame, own in sums.items())
    places = [
        _place(line.frame, line.size_bytes, sums.pop(line.frame, _no_bytes(capture)), line.n_allocations)
        for line in capture.totals.lines
    ]
    if sums:
        missing = next(iter(sums))
        raise SomarayError(f"{capture.path}: damaged; bytes are held by a line that never allocated: {missing}")
    return _sorted(places)


def blamed_places(capture: Capture) -> tuple[Place, ...]:
    """Places of the held bytes by the innermost line that belongs to `LAYERS`, else by the line that allocated."""
    return _sorted(_place(frame, None, own) for frame, own in _sums(capture, _blamed).items())


@dataclass
class _Bytes:
    """Of one line: what it held, and what was alive and resident at the snapshot, if there is one."""

    held: int
    alive: int | None
    resident: int | None


def _no_bytes(capture: Capture) -> _Bytes:
    return _Bytes(0, None, None) if isinstance(capture.resident, str) else _Bytes(0, 0, 0)


def _sums(
    capture: Capture, line_of: Callable[[Sequence[Frame], Sequence[int]], Frame | None]
) -> dict[Frame | None, _Bytes]:
    """Sum what each line held, and had alive and resident; `line_of` gives the line of frames and a stack."""
    sums: dict[Frame | None, _Bytes] = defaultdict(lambda: _no_bytes(capture))
    for held in capture.held.stacks:
        sums[line_of(capture.held.frames, held.stack)].held += held.size_bytes
    if not isinstance(capture.resident, str):
        for each in capture.resident.stacks:
            own = sums[line_of(capture.resident.frames, each.stack)]
            own.alive = (own.alive or 0) + each.alive_bytes
            own.resident = (own.resident or 0) + each.resident_bytes
    return sums


def _blamed(frames: Sequence[Frame], stack: Sequence[int]) -> Frame | None:
    for index in stack:
        if locate(frames[index].file).package in LAYERS:
            return frames[index]
    return frames[stack[0]] if stack else None


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
        residency=None if isinstance(capture.resident, str) else _residency(capture.resident),
        residency_note=capture.resident if isinstance(capture.resident, str) else "",
    )


def _place(frame: Frame | None, total: int | None, own: _Bytes, n_allocations: int | None = None) -> Place:
    source = None if frame is None else locate(frame.file)
    return Place(
        file=None if source is None else source.file,
        function=None if frame is None else frame.function,
        line=None if frame is None else frame.line,
        package=None if source is None else source.package,
        total_bytes=total,
        held_bytes=own.held,
        n_allocations=n_allocations,
        alive_bytes=own.alive,
        resident_bytes=own.resident,
    )


def _residency(resident: Resident) -> Residency:
    return Residency(**{name: getattr(resident, name) for name in Residency.__struct_fields__})


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
