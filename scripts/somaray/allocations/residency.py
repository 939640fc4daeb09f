"""How much of what was alive at a snapshot the kernel had given: allocations joined with present pages by address.

Of the snapshots kept of a process, one near the heap's high-water mark is joined, see `choose`.
What was alive then is what a reader finds alive at the end of the first `capture_bytes` of the capture, so it reads a copy of
those. Each allocation's bytes that lie in present pages are resident, the pages at its ends in part; the rest of the process's
resident memory is told by what it belongs to. Like `read`, this runs in a child process; run as a program it is that child.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from somaray.allocations.charges import Charger, add_up
from somaray.allocations.child import ALL_PLACES, ALL_SAMPLES, answer
from somaray.allocations.intervals import Addresses, MappedRanges, intersection, overlap_bytes, union
from somaray.allocations.read import Alive, Resident
from somaray.allocations.snapshots import (
    ANONYMOUS,
    CAPTURE_WINDOW,
    FILE,
    N_KINDS,
    STACK,
    Snapshot,
    pages_dir,
    read_snapshots,
    read_summary,
)

EARLIER = "Python and modules, there when the capture began"
OTHER = "memory of no allocation known: allocators' slack, threads' stacks, memray's tables"
TWICE = "counted twice, in an allocation inside another"
_NAMES = {
    FILE: "libraries and other mapped files",
    STACK: "the main thread's stack",
    CAPTURE_WINDOW: "memray's capture file",
}

NEAR_THE_LARGEST = 0.95

_PADDING = bytes(64)
"""Zeros are what follows in a capture that is still written: the last record may end in some."""


class _Blocks:
    """What is alive: address, size and stack of each allocation."""

    def __init__(self, records: Any) -> None:
        from memray import AllocatorType

        frees = {int(AllocatorType.FREE), int(AllocatorType.PYMALLOC_FREE)}
        mmap, munmap = int(AllocatorType.MMAP), int(AllocatorType.MUNMAP)
        blocks: dict[int, tuple[int, int]] = {}
        mapped = MappedRanges()
        self.stacks: dict[int, Any] = {}
        for record in records:
            kind = record.allocator
            if kind in frees:
                blocks.pop(record.address, None)
            elif kind == munmap:
                mapped.remove(record.address, record.size)
            else:
                stack = record.stack_id
                if stack not in self.stacks:
                    self.stacks[stack] = record
                if kind == mmap:
                    mapped.add(record.address, record.size, stack)
                else:
                    blocks[record.address] = (record.size, stack)
        rows = ((address, *block) for address, block in blocks.items())
        numbers = chain.from_iterable(chain(rows, mapped.rows()))
        table = np.fromiter(numbers, np.int64, 3 * (len(blocks) + len(mapped))).reshape(-1, 3)
        self.starts: Addresses = table[:, 0]
        self.sizes: Addresses = table[:, 1]
        self.owners: Addresses = table[:, 2]

    @property
    def ends(self) -> Addresses:
        return self.starts + self.sizes


def choose(alive_bytes: Sequence[int], rss_bytes: Sequence[int]) -> int:
    """The snapshot to show: of those whose heap is as good as the largest, the one with most in RAM.

    A buffer is first asked for and then filled: the heap's peak is there from the request on, what is resident of it only
    at the end.
    """
    enough_bytes = NEAR_THE_LARGEST * max(alive_bytes)
    return max((n for n, alive in enumerate(alive_bytes) if alive >= enough_bytes), key=lambda n: rss_bytes[n])


def resident_at_snapshot(capture: Path) -> Resident | str:
    """Join a capture with its snapshots; a text says why that is not possible."""
    from memray import FileReader

    summary = read_summary(pages_dir(capture))
    if summary is None:
        return "no snapshot was taken: its process was not seen in time"
    if summary.refusal:
        return summary.refusal
    snapshots = read_snapshots(pages_dir(capture))
    if not snapshots:
        return "no snapshot was taken: its process was not seen in time"
    with tempfile.TemporaryDirectory(prefix="somaray-") as folder:
        starts = [
            _copy_start(capture, each.capture_bytes, Path(folder) / f"{n}.bin") for n, each in enumerate(snapshots)
        ]
        alive_bytes = [_alive_bytes(start) for start in starts]
        chosen = choose(alive_bytes, [each.rss_bytes for each in snapshots])
        snapshot = snapshots[chosen]
        with FileReader(starts[chosen], max_memory_records=ALL_SAMPLES) as reader:
            alive = _Blocks(reader.get_allocation_records())
            charges = _by_charge(alive, snapshot)
            began: datetime = reader.metadata.start_time
    resident_bytes = sum(each.resident_bytes for each in charges)
    other = _other(alive, resident_bytes, snapshot, snapshots[0])
    return Resident(
        seconds=max(snapshot.at_seconds - began.timestamp(), 0.0),
        rss_bytes=snapshot.rss_bytes,
        alive_bytes=sum(each.alive_bytes for each in charges),
        resident_bytes=resident_bytes,
        other=other,
        remainder_bytes=snapshot.rss_bytes - resident_bytes - sum(other.values()),
        n_snapshots=summary.n_snapshots,
        paused_seconds=summary.paused_seconds,
        charges=charges,
    )


def _copy_start(capture: Path, size_bytes: int, path: Path) -> Path:
    with capture.open("rb") as source, path.open("wb") as target:
        copied = 0
        while copied < size_bytes:
            count = os.sendfile(target.fileno(), source.fileno(), copied, size_bytes - copied)
            if not count:
                break
            copied += count
        target.seek(copied)
        target.write(_PADDING)
    return path


def _alive_bytes(start: Path) -> int:
    from memray import FileReader

    try:
        reader = FileReader(start, max_memory_records=ALL_SAMPLES)
    except OSError:
        # memray lets its file grow before it writes the header: nothing was recorded by then.
        return 0
    alive_bytes = 0
    with reader:
        for record in reader.get_leaked_allocation_records(merge_threads=True):
            alive_bytes += record.size
    return alive_bytes


def _by_charge(alive: _Blocks, snapshot: Snapshot) -> tuple[Alive, ...]:
    resident = overlap_bytes(alive.starts, alive.ends, snapshot.starts, snapshot.ends)
    owners, owner = np.unique(alive.owners, return_inverse=True)
    sums = [np.zeros(len(owners), np.int64) for _ in range(2)]
    for total, sizes in zip(sums, (alive.sizes, resident), strict=True):
        np.add.at(total, owner, sizes)
    charger = Charger()
    by_charge = add_up(
        (charger.charge(alive.stacks[number].stack_trace(max_stacks=ALL_PLACES)), both)
        for number, *both in zip(owners.tolist(), sums[0].tolist(), sums[1].tolist(), strict=True)
    )
    return tuple(Alive(charge, *both) for charge, both in by_charge.items())


def _other(alive: _Blocks, resident_bytes: int, snapshot: Snapshot, first: Snapshot) -> dict[str, int]:
    """Resident bytes outside all known allocations, by what they belong to."""
    known = union(alive.starts, alive.ends)
    outside = [0] * N_KINDS
    known_bytes = 0
    for kind in range(N_KINDS):
        runs = snapshot.starts[snapshot.kinds == kind], snapshot.ends[snapshot.kinds == kind]
        inside_bytes = int(overlap_bytes(*runs, *known).sum())
        known_bytes += inside_bytes
        outside[kind] = int((runs[1] - runs[0]).sum()) - inside_bytes
    now, then = (
        (each.starts[each.kinds == ANONYMOUS], each.ends[each.kinds == ANONYMOUS]) for each in (snapshot, first)
    )
    earlier = intersection(*now, *then)
    earlier_bytes = int((earlier[1] - earlier[0]).sum() - overlap_bytes(*earlier, *known).sum())
    lines = {_NAMES[kind]: outside[kind] for kind in (FILE, STACK, CAPTURE_WINDOW)}
    lines = {EARLIER: earlier_bytes, **lines, OTHER: outside[ANONYMOUS] - earlier_bytes}
    if known_bytes != resident_bytes:
        lines[TWICE] = known_bytes - resident_bytes
    return lines


if __name__ == "__main__":
    sys.exit(answer(lambda path: resident_at_snapshot(Path(path)), sys.argv[1]))
