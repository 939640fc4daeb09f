"""Where the resident memory of a process went at one moment: a part of `allocations.json`."""

from somaray.settings import Part


class Residency(Part, frozen=True, kw_only=True):
    """One moment of a process that stood still: the pages it really had, by what they belong to.

    Of the moments looked at, the one with the largest heap: `alive_bytes`, at most the heap's peak. Of those, `resident_bytes`
    were in present pages. With `other`, memory outside all allocations by name, and `remainder_bytes` they sum to
    `rss_bytes`, the kernel's own figure. `seconds` counts from the capture's begin. The process was looked at `n_snapshots`
    times and paused for `paused_seconds` by that.
    """

    seconds: float
    rss_bytes: int
    alive_bytes: int
    resident_bytes: int
    other: dict[str, int]
    remainder_bytes: int
    n_snapshots: int
    paused_seconds: float
