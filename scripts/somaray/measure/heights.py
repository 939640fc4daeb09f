"""When a process's size has reached a height worth a snapshot: on its way up by steps, and where it stays."""

from dataclasses import dataclass, field

STEP = 1.05
STEP_BYTES = 32 << 20
"""On the way up, a step is so many times, and so many bytes above, the size at the last snapshot."""

SETTLED = 1.01
SETTLED_BYTES = 2 << 20
SETTLED_SECONDS = 0.03
"""A smaller rise counts once the size has not risen for so long: a buffer that was being filled is full by then."""


@dataclass
class Height:
    """One size of a process over time: virtual or resident."""

    snapshot_bytes: int = 0
    highest_bytes: int = 0
    rose_at_seconds: float = 0.0

    def is_new(self, now_seconds: float, size_bytes: int) -> bool:
        """Take in the size now; whether it is worth a snapshot."""
        if size_bytes > self.highest_bytes:
            self.highest_bytes, self.rose_at_seconds = size_bytes, now_seconds
        above_bytes = size_bytes - self.snapshot_bytes
        if above_bytes >= max(STEP_BYTES, (STEP - 1) * self.snapshot_bytes):
            return True
        settled = now_seconds - self.rose_at_seconds >= SETTLED_SECONDS
        return settled and above_bytes >= max(SETTLED_BYTES, (SETTLED - 1) * self.snapshot_bytes)

    def taken(self, size_bytes: int) -> None:
        """A snapshot was taken at this size."""
        self.snapshot_bytes = max(self.snapshot_bytes, size_bytes)


NEAR_THE_TOP = 0.95
LEAP = 1.25


@dataclass
class Heights:
    """Both sizes of a process, and how far what it asked for is filled.

    Beside the highest virtual and the highest resident size, `filled` watches the resident size since the virtual size last
    reached a new height, for as long as it stays near: buffers are filled after they were asked for, and their process may
    have been larger before.
    """

    virtual: Height = field(default_factory=Height)
    resident: Height = field(default_factory=Height)
    filled: Height = field(default_factory=Height)

    def causes(self, now_seconds: float, virtual_bytes: int, resident_bytes: int) -> list[str]:
        """Take in the sizes now; which of them are worth a snapshot."""
        watched = {"virtual": (self.virtual, virtual_bytes), "resident": (self.resident, resident_bytes)}
        if virtual_bytes >= NEAR_THE_TOP * self.virtual.highest_bytes:
            watched["filled"] = (self.filled, resident_bytes)
        return [cause for cause, (height, size_bytes) in watched.items() if height.is_new(now_seconds, size_bytes)]

    def is_leap(self, virtual_bytes: int, resident_bytes: int) -> bool:
        """Whether either size is so far above the last snapshot's that a look must not be missed; there cannot be many."""
        return (
            virtual_bytes >= LEAP * self.virtual.snapshot_bytes or resident_bytes >= LEAP * self.resident.snapshot_bytes
        )

    def taken(self, now_seconds: float, causes: list[str], virtual_bytes: int, resident_bytes: int) -> None:
        """A snapshot was taken for these causes."""
        self.virtual.taken(virtual_bytes)
        self.resident.taken(resident_bytes)
        self.filled.taken(resident_bytes)
        if "virtual" in causes:
            self.filled = Height(resident_bytes, resident_bytes, now_seconds)
