"""What `top-allocs` can read: any memray capture, a run's directory or records, a foreign record."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from somaray.allocations.foreign import read_foreign
from somaray.allocations.places import installed_versions
from somaray.allocations.read import read_capture
from somaray.allocations.summarise import process_allocations, summarise_run
from somaray.errors import SomarayError
from somaray.records import Allocations, Execution, Place, ProcessAllocations, read_record


@dataclass(frozen=True)
class ProcessListing:
    """Places of one process. A number is None where the file does not tell it; `resident_bytes` are those of the places."""

    name: str
    total_bytes: int | None
    heap_peak_bytes: int | None
    remark: str
    places: tuple[Place, ...]
    resident_bytes: int | None = None


@dataclass(frozen=True)
class Listing:
    """What a file tells of allocations: `versions` are those of the packages it was captured with."""

    processes: tuple[ProcessListing, ...]
    versions: dict[str, str]


def read_listing(path: str | Path) -> Listing:
    """Read any file that holds allocations.

    Raises
    ------
    SomarayError
        If it holds none, or is none of the kinds known here.
    """
    path = Path(path)
    if path.is_dir():
        return _run_listing(path)
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip()
    except OSError as error:
        raise SomarayError(f"{path}: {error.strerror or error}") from error
    return _json_listing(path) if start.startswith(b"{") else _capture_listing(path)


def _json_listing(path: Path) -> Listing:
    try:
        raw: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    except msgspec.MsgspecError as error:
        raise SomarayError(f"{path}: not JSON ({error})") from error
    if "schema_version" not in raw:
        run = read_foreign(path)
        if not run.places:
            raise SomarayError(
                f"{path}: this record has no top_allocs: its run was timed, its allocations were not kept"
            )
        return Listing(
            (ProcessListing("driver", run.driver_total_bytes, run.driver_heap_peak_bytes, "", run.places),), {}
        )
    if "phases" in raw:
        execution = read_record(path, Execution)
        if execution.profile is None:
            raise SomarayError(f"{path}: an unprofiled execution has no captures; its run's capture.json does")
        return _run_listing(path.parent)
    if "processes" not in raw:
        raise SomarayError(f"{path}: this record holds no allocations; expected allocations.json or capture.json")
    return _allocations_listing(read_record(path, Allocations))


def _run_listing(run_dir: Path) -> Listing:
    summary = run_dir / "allocations.json"
    if summary.is_file():
        return _allocations_listing(read_record(summary, Allocations))
    if not (run_dir / "capture.json").is_file():
        raise SomarayError(f"{run_dir}: not a run's directory: neither allocations.json nor capture.json is in it")
    return _allocations_listing(summarise_run(run_dir))


def _allocations_listing(allocations: Allocations) -> Listing:
    names = [process.name for process in allocations.processes]
    return Listing(
        tuple(
            _process_listing(
                process, process.name if names.count(process.name) == 1 else f"{process.name}-{process.pid}"
            )
            for process in allocations.processes
        ),
        allocations.versions,
    )


def _process_listing(process: ProcessAllocations, name: str) -> ProcessListing:
    remark = {"complete": "", "partial": "partial capture: the process was killed", "unreadable": process.note}
    return ProcessListing(
        name,
        process.total_bytes,
        process.heap_peak_bytes,
        remark[process.capture_status],
        process.places,
        None if process.residency is None else process.residency.resident_bytes,
    )


def _capture_listing(path: Path) -> Listing:
    capture = read_capture(path)
    process = process_allocations(capture, path.stem, "other", 0, complete=capture.held.closed and not capture.note)
    record = path.resolve().parent.parent / "capture.json"
    if path.resolve().parent.name == "capture" and record.is_file():
        provenance = read_record(record, Execution).provenance
        versions = {**provenance.versions, "python": provenance.python}
    else:
        charges = [*capture.held.charges, *(capture.totals.charges if capture.totals else ())]
        frames = {frame for each in charges for frame in (each.charge.leaf, each.charge.blame) if frame}
        versions = installed_versions(frame.file for frame in frames)
    return Listing((_process_listing(process, path.stem),), versions)
