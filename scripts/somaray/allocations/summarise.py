"""From a run's captures to `allocations.json`: each process's places by bytes, in all and at its heap's high-water mark."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from somaray.allocations.charges import Charge, Frame
from somaray.allocations.groups import GROUPS, UNSEEN
from somaray.allocations.places import CPYTHON, locate
from somaray.allocations.read import Capture, Resident, read_captures
from somaray.errors import SomarayError
from somaray.grouped import GroupBytes
from somaray.records import Allocations, Execution, Place, ProcessAllocations, ProcessRecord, read_record
from somaray.residency import Residency

Role = Literal["driver", "worker", "other"]

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
    files = capture_files(execution, capture_dir)
    captures = read_captures([capture_dir / file for file in files], n_jobs)
    processes = tuple(
        _process(capture_dir / file, record, capture)
        for (file, record), capture in zip(files.items(), captures, strict=True)
    )
    return Allocations(
        dataset=execution.dataset,
        method=execution.method,
        chunk_size=execution.chunk_size,
        parallelism=execution.parallelism,
        variant=execution.variant,
        n_obs=execution.n_obs,
        status=execution.status,
        profile=execution.profile,
        versions={**execution.provenance.versions, CPYTHON: execution.provenance.python},
        processes=processes,
    )


def capture_files(execution: Execution, capture_dir: Path) -> dict[str, ProcessRecord | None]:
    """Files of a run's captures, in the order they are shown, with the process each is of, where the execution lists it."""
    known = {process.capture: process for process in execution.processes if process.capture}
    files = sorted({*known, *(path.name for path in capture_dir.glob("*.bin"))}, key=_capture_order)
    return {file: known.get(file) for file in files}


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
    return _places(capture, lambda charge: charge.leaf)


def blamed_places(capture: Capture) -> tuple[Place, ...]:
    """Places by the innermost line that belongs to the workflow's layers, else by the line that allocated."""
    return _places(capture, lambda charge: charge.blame)


def group_bytes(capture: Capture) -> tuple[GroupBytes, ...]:
    """What each kind of work asked for, in the groups' own order, none left out but `UNSEEN` where it is nothing."""
    sums = _sums(capture, lambda charge: charge.group)
    unseen_bytes = capture.held.heap_peak_bytes - sum(own.held for own in sums.values())
    if unseen_bytes:
        sums[UNSEEN].held = unseen_bytes
    return tuple(
        GroupBytes(
            name=name,
            total_bytes=own.total,
            held_bytes=own.held,
            n_allocations=own.n_allocations,
            alive_bytes=own.alive,
            resident_bytes=own.resident,
        )
        for name in GROUPS
        if name != UNSEEN or unseen_bytes
        for own in [sums[name]]
    )


@dataclass
class _Bytes:
    """Of one line or group; None is what the capture does not tell."""

    total: int | None
    n_allocations: int | None
    held: int
    alive: int | None
    resident: int | None


def _sums[K](capture: Capture, key_of: Callable[[Charge], K]) -> dict[K, _Bytes]:
    """Sum a capture's numbers by what `key_of` makes of a charge."""
    total = None if capture.totals is None else 0
    alive = None if isinstance(capture.resident, str) else 0
    sums: dict[K, _Bytes] = defaultdict(lambda: _Bytes(total, total, 0, alive, alive))
    for each in () if capture.totals is None else capture.totals.charges:
        own = sums[key_of(each.charge)]
        own.total = (own.total or 0) + each.size_bytes
        own.n_allocations = (own.n_allocations or 0) + each.n_allocations
    for held in capture.held.charges:
        sums[key_of(held.charge)].held += held.size_bytes
    for resident in () if isinstance(capture.resident, str) else capture.resident.charges:
        own = sums[key_of(resident.charge)]
        own.alive = (own.alive or 0) + resident.alive_bytes
        own.resident = (own.resident or 0) + resident.resident_bytes
    return sums


def _places(capture: Capture, line_of: Callable[[Charge], Frame | None]) -> tuple[Place, ...]:
    sums = _sums(capture, line_of)
    for frame, own in sums.items():
        if capture.totals is not None and not own.n_allocations:
            raise SomarayError(f"{capture.path}: damaged; bytes are held by a line that never allocated: {frame}")
    return _sorted(_place(frame, own) for frame, own in sums.items())


def identity(path: Path, record: ProcessRecord | None) -> tuple[str, Role, int]:
    """Name, role and process id of a capture's process, by its record or else by the file's name."""
    if record is not None:
        return record.name, record.role, record.pid
    stem = _CAPTURE_STEM.fullmatch(path.stem)
    assert stem is not None, "the pattern takes any name"
    return stem["name"], "worker" if stem["name"].startswith("worker") else "other", int(stem["pid"] or 0)


def _process(path: Path, record: ProcessRecord | None, capture: Capture | SomarayError) -> ProcessAllocations:
    name, role, pid = identity(path, record)
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


def process_allocations(capture: Capture, name: str, role: Role, pid: int, *, complete: bool) -> ProcessAllocations:
    """One process's record from its capture."""
    return ProcessAllocations(
        name=name,
        role=role,
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
        groups=group_bytes(capture),
        residency=None if isinstance(capture.resident, str) else _residency(capture.resident),
        residency_note=capture.resident if isinstance(capture.resident, str) else "",
    )


def _place(frame: Frame | None, own: _Bytes) -> Place:
    source = None if frame is None else locate(frame.file)
    return Place(
        file=None if source is None else source.file,
        function=None if frame is None else frame.function,
        line=None if frame is None else frame.line,
        package=None if source is None else source.package,
        total_bytes=own.total,
        held_bytes=own.held,
        n_allocations=own.n_allocations,
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
