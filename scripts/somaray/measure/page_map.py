"""Which pages of a process are present, from /proc/PID/maps and /proc/PID/pagemap.

`PAGEMAP_SCAN` (Linux 6.7 and later, ioctl of the kernel's documentation "admin-guide/mm/pagemap") walks the page tables and
skips what was never touched. Older kernels are asked for the present bit (63) of every page's entry.
"""

import ctypes
import errno
import fcntl
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from somaray.allocations.snapshots import ANONYMOUS, CAPTURE_WINDOW, FILE, STACK

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_PAGEMAP_SCAN = 0xC060_6610  # _IOWR('f', 16, struct pm_scan_arg), 96 bytes
_PRESENT, _ZERO_PAGE = 1 << 3, 1 << 5
_REGIONS = 512
"""The kernel's own buffer. With more, it tells an end of its walk (`walk_end`) that it has long passed."""

_PRESENT_BIT = np.uint64(1 << 63)
_SLICE_PAGES = 1 << 19
_KERNELS_OWN = ("[vvar]", "[vvar_vclock]", "[vsyscall]", "[uprobes]")
"""Mappings of the kernel's pages, which count to no process's resident set; `[vdso]`, a library, does."""

Bytes = npt.NDArray[np.int64]


class Mappings(NamedTuple):
    """A process's mappings, sorted; `touchable` is whether any access is allowed."""

    starts: Bytes
    ends: Bytes
    kinds: npt.NDArray[np.uint8]
    touchable: npt.NDArray[np.bool_]


class _ScanArguments(ctypes.Structure):
    """`struct pm_scan_arg` of linux/fs.h."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "size flags start end walk_end vec vec_len max_pages "
            "category_inverted category_mask category_anyof_mask return_mask"
        ).split()
    ]


class RawPages(NamedTuple):
    """What was read while a process stood still, to be made sense of once it goes on: the text of its mappings, and runs."""

    maps: str
    starts: Bytes
    ends: Bytes


def read_pages(pid: int) -> RawPages:
    """Read a process's mappings and the runs of its present pages, in no more time than it takes.

    Raises
    ------
    OSError
        If the process is gone, or the kernel refuses.
    """
    maps = Path(f"/proc/{pid}/maps").read_text()
    descriptor = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)
    try:
        try:
            return RawPages(maps, *_scan(descriptor, maps))
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EINVAL):
                raise
            return RawPages(maps, *_read_entries(descriptor, parse_mappings(maps)))
    finally:
        os.close(descriptor)


def parse_mappings(maps: str, capture: Path | None = None) -> Mappings:
    """Mappings but the kernel's own."""
    rows = []
    for line in maps.splitlines():
        span, access, _, _, inode, *path = line.split(maxsplit=5)
        name = path[0] if path else ""
        if name in _KERNELS_OWN:
            continue
        if name == str(capture):
            kind = CAPTURE_WINDOW
        elif name == "[stack]":
            kind = STACK
        else:
            # Shared anonymous memory has an inode but lies in no file system.
            in_file = (inode != "0" or name == "[vdso]") and not name.startswith("/dev/zero")
            kind = FILE if in_file else ANONYMOUS
        start, _, end = span.partition("-")
        rows.append((int(start, 16), int(end, 16), kind, access[:3] != "---"))
    starts, ends, kinds, touchable = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Mappings(
        np.array(starts, np.int64), np.array(ends, np.int64), np.array(kinds, np.uint8), np.array(touchable, bool)
    )


def present_pages(raw: RawPages, capture: Path) -> tuple[Bytes, Bytes, npt.NDArray[np.uint8]]:
    """Starts, ends and kinds of the runs of present pages; see `Snapshot`."""
    return split(raw.starts, raw.ends, parse_mappings(raw.maps, capture))


def split(starts: Bytes, ends: Bytes, mappings: Mappings) -> tuple[Bytes, Bytes, npt.NDArray[np.uint8]]:
    """Cut runs where one mapping ends and the next begins, and say what each piece belongs to."""
    if not len(starts) or not len(mappings.starts):
        return starts[:0], ends[:0], np.empty(0, np.uint8)
    cuts = np.unique(np.concatenate([mappings.starts, mappings.ends]))
    run = np.searchsorted(starts, cuts) - 1
    cuts = cuts[(run >= 0) & (cuts < ends[run])]
    starts, ends = np.sort(np.concatenate([starts, cuts])), np.sort(np.concatenate([ends, cuts]))
    owner = np.searchsorted(mappings.starts, starts, side="right") - 1
    owned = (owner >= 0) & (starts < mappings.ends[owner])
    return starts[owned], ends[owned], mappings.kinds[owner[owned]]


def _scan(descriptor: int, maps: str) -> tuple[Bytes, Bytes]:
    regions = np.empty((_REGIONS, 3), np.uint64)
    # vsyscall lies among the kernel's addresses, which may not be asked for.
    last = next((line for line in reversed(maps.splitlines()) if not line.endswith("[vsyscall]")), "0-0 ")
    position, end = 0, int(last.partition(" ")[0].partition("-")[2], 16)
    found = []
    while position < end:
        arguments = _ScanArguments(
            size=ctypes.sizeof(_ScanArguments),
            start=position,
            end=end,
            vec=regions.ctypes.data,
            vec_len=_REGIONS,
            category_inverted=_ZERO_PAGE,
            category_mask=_PRESENT | _ZERO_PAGE,
            return_mask=_PRESENT,
        )
        n_regions = fcntl.ioctl(descriptor, _PAGEMAP_SCAN, arguments)
        found.append(regions[:n_regions, :2].astype(np.int64))
        # Never back, whatever it tells.
        position = max(int(arguments.walk_end), int(regions[n_regions - 1, 1]) if n_regions else 0)
    runs = np.concatenate([np.empty((0, 2), np.int64), *found])
    return _merged(runs[:, 0], runs[:, 1])


def _read_entries(descriptor: int, mappings: Mappings) -> tuple[Bytes, Bytes]:
    starts, ends = [], []
    for low, high, touchable in zip(mappings.starts, mappings.ends, mappings.touchable, strict=True):
        # What no access is allowed to is reserved address space, at times by the TiB.
        for first in range(int(low) if touchable else int(high), int(high), _SLICE_PAGES * PAGE_BYTES):
            n_pages = min(_SLICE_PAGES, (int(high) - first) // PAGE_BYTES)
            entries = np.frombuffer(os.pread(descriptor, n_pages * 8, first // PAGE_BYTES * 8), np.uint64)
            present = (entries & _PRESENT_BIT) != 0
            edges = np.flatnonzero(np.diff(present, prepend=False, append=False))
            starts.append(first + edges[::2] * PAGE_BYTES)
            ends.append(first + edges[1::2] * PAGE_BYTES)
    none = np.empty(0, np.int64)
    return _merged(np.concatenate([none, *starts]), np.concatenate([none, *ends]))


def _merged(starts: Bytes, ends: Bytes) -> tuple[Bytes, Bytes]:
    """Join runs that touch."""
    if not len(starts):
        return starts, ends
    apart = starts[1:] != ends[:-1]
    return starts[np.concatenate([[True], apart])], ends[np.concatenate([apart, [True]])]
