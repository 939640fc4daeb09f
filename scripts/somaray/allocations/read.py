"""Read a memray capture: what was allocated in all, and what was held at the heap's high-water mark, by charge.

memray's reader is native code that can crash on a damaged file, so it runs in a child process; totals, the high-water mark
and what was resident (`residency`) are three children, side by side. Run as a program this module is one of the first two.
"""

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import msgspec

from somaray.allocations.charges import Charge, Charger, FrameTuple, add_up
from somaray.allocations.child import ALL_PLACES, ALL_SAMPLES, answer, read_in_child
from somaray.allocations.snapshots import pages_dir
from somaray.errors import SomarayError

Part = Literal["totals", "held", "resident"]

NO_SNAPSHOTS = "no snapshots were taken with this capture"


class Charged(msgspec.Struct, frozen=True, array_like=True):
    """Bytes of one charge, and in how many allocations."""

    charge: Charge
    size_bytes: int
    n_allocations: int


class Totals(msgspec.Struct, frozen=True):
    """All allocations of a process; the charges sum exactly to the totals."""

    total_bytes: int
    n_allocations: int
    charges: tuple[Charged, ...]


class Held(msgspec.Struct, frozen=True):
    """What was alive at the heap's high-water mark.

    The charges sum to `heap_peak_bytes`, but for a few bytes whose free memray never saw and noticed when their address came
    again.
    Allocations are recorded without times, so `rss_bytes` is the resident set at the sample with the largest heap
    (`sampled_heap_bytes`, at most the peak; memray takes a sample every 10 ms), and `seconds` that sample's time since the
    capture began. They are None where the process ended before its first sample. `closed` is whether the capture was ended
    in order, as far as its own times tell.
    """

    pid: int
    aggregated: bool
    closed: bool
    heap_peak_bytes: int
    seconds: float | None
    rss_bytes: int | None
    sampled_heap_bytes: int | None
    charges: tuple[Charged, ...]


class Alive(msgspec.Struct, frozen=True, array_like=True):
    """Bytes of one charge alive at a snapshot, and those of them in present pages."""

    charge: Charge
    alive_bytes: int
    resident_bytes: int


class Resident(msgspec.Struct, frozen=True):
    """What was alive at a snapshot and resident: the charges, `other` memory by name, and a remainder sum to `rss_bytes`.

    `seconds` counts from the capture's begin.
    """

    seconds: float
    rss_bytes: int
    alive_bytes: int
    resident_bytes: int
    other: dict[str, int]
    remainder_bytes: int
    n_snapshots: int
    paused_seconds: float
    charges: tuple[Alive, ...]


class Capture(msgspec.Struct, frozen=True):
    """One capture file. `totals` is None for an aggregated capture, which keeps the high-water mark alone.

    `note` says where reading stopped short of the file's end, as it may where the process was killed while writing.
    `resident` is why it is not known, where it is not.
    """

    path: str
    totals: Totals | None
    held: Held
    note: str
    resident: Resident | str


def read_captures(paths: Sequence[Path], n_jobs: int = 2) -> list[Capture | SomarayError]:
    """Read captures, `n_jobs` child processes at a time; a capture that cannot be read gives its error in its place."""
    parts: tuple[Part, ...] = ("held", "totals", "resident")
    with ThreadPoolExecutor(max_workers=max(n_jobs, 1)) as pool:
        answers = {(path, part): pool.submit(_read_part, path, part) for path in paths for part in parts}
    captures: list[Capture | SomarayError] = []
    for path in paths:
        try:
            captures.append(_capture(path, *(answers[path, part].result() for part in parts)))
        except SomarayError as error:
            captures.append(error)
    return captures


def read_capture(path: str | Path, n_jobs: int = 2) -> Capture:
    """Read one capture.

    Raises
    ------
    SomarayError
        If the file is missing, empty, not a memray capture, of another memray's format, or damaged.
    """
    (capture,) = read_captures([Path(path)], n_jobs)
    if isinstance(capture, SomarayError):
        raise capture
    return capture


def _capture(
    path: Path, held_answer: tuple[bytes, str], totals_answer: tuple[bytes, str], resident_answer: tuple[bytes, str]
) -> Capture:
    held = msgspec.msgpack.decode(held_answer[0], type=Held)
    note = held_answer[1] or totals_answer[1]
    if note and held.closed:
        raise SomarayError(f"{path}: damaged or cut short: its process ended it in order, but {note}")
    totals = msgspec.msgpack.decode(totals_answer[0], type=Totals | None)
    resident = msgspec.msgpack.decode(resident_answer[0], type=Resident | str)
    return Capture(path=str(path), totals=totals, held=held, note=note, resident=resident)


def _read_part(path: Path, part: Part) -> tuple[bytes, str]:
    if part != "resident":
        return read_in_child(path, ["somaray.allocations.read", part])
    if not pages_dir(path).is_dir():
        return msgspec.msgpack.encode(NO_SNAPSHOTS), ""
    try:
        return read_in_child(path, ["somaray.allocations.residency"])[0], ""
    except SomarayError as error:
        reason = f"the join of its snapshots failed: {str(error).removeprefix(f'{path}: ')}"
        return msgspec.msgpack.encode(reason), ""


class _ByCharge:
    """Stands in for the resolver that `memray stats` asks for the module of each distinct call stack.

    memray sums what it answers, so that bytes by charge come out of the one fast read that gives the totals.
    """

    def __init__(self, _paths: object) -> None:
        self._charger = Charger()

    def get_module_for_stack(self, stack: Sequence[FrameTuple]) -> Charge:
        return self._charger.charge(stack)


def _totals(path: str) -> Totals | None:
    from memray._memray import compute_statistics
    from memray.reporters import module_tools

    # This process reads one capture and ends: nobody else meets the replaced resolver.
    module_tools.ModuleResolver = _ByCharge  # type: ignore[misc, assignment]
    try:
        statistics = compute_statistics(path, num_largest=ALL_PLACES)
    except NotImplementedError:
        # memray's word for an aggregated capture, which has no totals.
        return None
    by_charge: Iterable[tuple[Any, int, int]] = statistics.top_modules_by_allocation_size
    charges = tuple(Charged(charge, size_bytes, count) for charge, count, size_bytes in by_charge)
    return Totals(statistics.total_memory_allocated, statistics.total_num_allocations, charges)


def _held(path: str) -> Held:
    from memray import FileFormat, FileReader

    with FileReader(path, max_memory_records=ALL_SAMPLES) as reader:
        samples = list(reader.get_memory_snapshots())
        sample = max(samples, key=lambda each: each.heap, default=None)
        aggregated = reader.metadata.file_format == FileFormat.AGGREGATED_ALLOCATIONS
        charger = Charger()
        # Without a limit memray drops outer frames of all threads that only the main thread has.
        sums = add_up(
            (charger.charge(record.stack_trace(max_stacks=ALL_PLACES)), (record.size, record.n_allocations))
            for record in reader.get_high_watermark_allocation_records(merge_threads=True)
            if record.size
        )
        metadata = reader.metadata
    # The header holds the end only once the capture was closed; until then, a moment just after the start.
    start_ms = metadata.start_time.timestamp() * 1000
    end_ms = metadata.end_time.timestamp() * 1000
    return Held(
        pid=metadata.pid,
        aggregated=aggregated,
        closed=not samples or end_ms - start_ms >= (samples[-1].time - start_ms) / 2,
        heap_peak_bytes=metadata.peak_memory,
        seconds=None if sample is None else max(sample.time - start_ms, 0) / 1000,
        rss_bytes=None if sample is None else sample.rss,
        sampled_heap_bytes=None if sample is None else sample.heap,
        charges=tuple(Charged(charge, *own) for charge, own in sums.items()),
    )


def _main(arguments: Sequence[str]) -> int:
    part, path = arguments
    return answer(_totals if part == "totals" else _held, path)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
