"""Names what memray knows no Python frame of, from a capture with native traces.

Symbols are resolved on the host that captured, with the libraries it captured with, once for each distinct native stack of
nameless allocations. memray tells those of a capture's total only record by record, so that this is the slowest of the readers.
Run as a program this module is the child process that reads one capture.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from somaray.allocations.child import ALL_PLACES, ALL_SAMPLES, answer, read_in_child
from somaray.allocations.native_names import GROUPS, NativeName, name_stack
from somaray.allocations.native_record import NativeAllocations, NativePlace, NativeProcess
from somaray.allocations.summarise import capture_files, identity
from somaray.errors import SomarayError
from somaray.grouped import GroupBytes
from somaray.records import Execution, ProcessRecord


class _Answer(msgspec.Struct, frozen=True):
    """What the child tells: sums of all allocations, and the places of the nameless ones."""

    total_bytes: int
    heap_peak_bytes: int
    places: tuple[NativePlace, ...]


def name_nameless(execution: Execution, capture_dir: Path, run: str, n_jobs: int = 2) -> NativeAllocations:
    """Name the nameless allocations of every capture of a run.

    Parameters
    ----------
    execution
        The profiled execution with native traces.
    run
        Path of the run.
    n_jobs
        Child processes reading at a time.

    Raises
    ------
    SomarayError
        If the execution was not captured with native traces.
    """
    if execution.profile is None or not execution.profile.native_traces:
        raise SomarayError(f"{capture_dir.parent}: this execution was not captured with native traces")
    files = capture_files(execution, capture_dir)
    with ThreadPoolExecutor(max_workers=max(n_jobs, 1)) as pool:
        processes = tuple(pool.map(lambda item: _process(capture_dir / item[0], item[1]), files.items()))
    return NativeAllocations(
        run=run,
        status=execution.status,
        reason=execution.reason,
        wall_seconds=execution.wall_seconds,
        processes=processes,
    )


def _process(path: Path, record: ProcessRecord | None) -> NativeProcess:
    name, role, pid = identity(path, record)
    try:
        output, note = read_in_child(path, ["somaray.allocations.native"])
    except SomarayError as error:
        return NativeProcess(
            name=name,
            role=role,
            pid=pid,
            capture=path.name,
            capture_status="unreadable",
            note=str(error).removeprefix(f"{path}: "),
        )
    answer = msgspec.msgpack.decode(output, type=_Answer)
    named = [place for place in answer.places if place.symbol is not None]
    return NativeProcess(
        name=name,
        role=role,
        pid=pid,
        capture=path.name,
        capture_status="complete" if path.with_name(f"{path.name}.ok").exists() and not note else "partial",
        note=note,
        total_bytes=answer.total_bytes,
        heap_peak_bytes=answer.heap_peak_bytes,
        nameless_total_bytes=sum(place.total_bytes for place in answer.places),
        nameless_held_bytes=sum(place.held_bytes for place in answer.places),
        named_total_bytes=sum(place.total_bytes for place in named),
        named_held_bytes=sum(place.held_bytes for place in named),
        places=answer.places,
        groups=_groups(answer.places),
    )


def _groups(places: Iterable[NativePlace]) -> tuple[GroupBytes, ...]:
    by_group: dict[str, list[NativePlace]] = defaultdict(list)
    for place in places:
        by_group[place.group].append(place)
    return tuple(
        GroupBytes(
            name=name,
            total_bytes=sum(place.total_bytes for place in by_group[name]),
            held_bytes=sum(place.held_bytes for place in by_group[name]),
            n_allocations=sum(place.n_allocations for place in by_group[name]),
        )
        for name in GROUPS
    )


class _Names:
    """Names of native stacks, each resolved once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], NativeName] = {}

    def name(self, record: Any) -> NativeName:
        key = (record.native_stack_id, record.native_segment_generation)
        if key not in self._known:
            self._known[key] = name_stack(record.native_stack_trace(max_stacks=ALL_PLACES))
        return self._known[key]


def read_native(path: str) -> _Answer:
    """Sum one capture's nameless allocations by name.

    Raises
    ------
    ValueError
        If the capture has no native traces.
    """
    from memray import AllocatorType, FileReader

    frees = {int(AllocatorType.FREE), int(AllocatorType.PYMALLOC_FREE), int(AllocatorType.MUNMAP)}
    # Of each native stack: its bytes, its allocations, and one record to resolve it by.
    stacks: dict[tuple[int, int], list[Any]] = {}
    total_bytes = 0
    with FileReader(path, max_memory_records=ALL_SAMPLES) as reader:
        if not reader.metadata.has_native_traces:
            raise ValueError("it has no native traces")
        heap_peak_bytes = reader.metadata.peak_memory
        for record in reader.get_allocation_records():
            if record.allocator in frees:
                continue
            total_bytes += record.size
            if record.stack_id:
                continue
            key = (record.native_stack_id, record.native_segment_generation)
            own = stacks.get(key)
            if own is None:
                stacks[key] = [record.size, 1, record]
            else:
                own[0] += record.size
                own[1] += 1
        names = _Names()
        sums: dict[NativeName, list[int]] = defaultdict(lambda: [0, 0, 0])
        for size_bytes, count, record in stacks.values():
            own_sums = sums[names.name(record)]
            own_sums[0] += size_bytes
            own_sums[1] += count
        for record in reader.get_high_watermark_allocation_records(merge_threads=True):
            if record.size and not record.stack_id:
                sums[names.name(record)][2] += record.size
    places = [
        NativePlace(
            symbol=name.symbol,
            library=name.library,
            group=name.group,
            total_bytes=own[0],
            n_allocations=own[1],
            held_bytes=own[2],
        )
        for name, own in sums.items()
    ]
    places.sort(key=lambda place: (-place.total_bytes, -place.held_bytes, place.symbol or "", place.group))
    return _Answer(total_bytes, heap_peak_bytes, tuple(places))


if __name__ == "__main__":
    sys.exit(answer(read_native, sys.argv[1]))
