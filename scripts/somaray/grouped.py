"""Bytes by the kind of work they served: a part of `allocations.json`."""

from somaray.settings import Part


class GroupBytes(Part, frozen=True, kw_only=True):
    """Bytes that one kind of work asked for: a group of `allocations/groups.py`; numbers as those of `Place`."""

    name: str
    total_bytes: int | None
    held_bytes: int
    n_allocations: int | None = None
    alive_bytes: int | None = None
    resident_bytes: int | None = None
