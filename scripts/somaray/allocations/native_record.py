"""`native.json`: what the allocations without a Python frame were, by native symbol, from a capture with native traces."""

from typing import Literal

from somaray.grouped import GroupBytes
from somaray.records import Record, Status
from somaray.settings import Part


class NativePlace(Part, frozen=True, kw_only=True):
    """Bytes by native function, `symbol`; None, with `library`, where memray found no symbol."""

    symbol: str | None
    library: str | None
    group: str
    total_bytes: int
    n_allocations: int
    held_bytes: int


class NativeProcess(Part, frozen=True, kw_only=True):
    """One process of the capture with native traces.

    `total_bytes` and `heap_peak_bytes` are of all its allocations, `nameless_…` of those without a Python frame, `named_…` of
    the nameless ones that got a symbol. `places` and `groups` sum exactly to the nameless bytes.
    """

    name: str
    role: Literal["driver", "worker", "other"]
    pid: int
    capture: str
    capture_status: Literal["complete", "partial", "unreadable"]
    note: str = ""
    total_bytes: int | None = None
    heap_peak_bytes: int | None = None
    nameless_total_bytes: int = 0
    nameless_held_bytes: int = 0
    named_total_bytes: int = 0
    named_held_bytes: int = 0
    places: tuple[NativePlace, ...] = ()
    groups: tuple[GroupBytes, ...] = ()


class NativeAllocations(Record, frozen=True, kw_only=True):
    """The capture with native traces of one run, named by its path, `heart/soma-dask/100k_4x4x4`."""

    run: str
    status: Status
    reason: str
    wall_seconds: float | None
    processes: tuple[NativeProcess, ...]
