"""What TileDB read in this process, by its own count: every read asked of its file layer, local or on S3.

TileDB counts always, whether its statistics are switched on or not, so asking at the end costs an execution nothing. But a
context takes its counts along when it goes, hence `CountedSource`. Of S3 it counts no requests: reads of less than
`vfs.read_ahead_size` that lie close together share one, one of more than `vfs.min_parallel_size` is split, and
listings of folders are counted nowhere.
"""

import sys
from typing import TYPE_CHECKING, NamedTuple

from somaray.datasets.store import Source

if TYPE_CHECKING:
    import tiledbsoma

_READS = "Context.VFS.read_ops_num"
_READ_BYTES = "Context.VFS.read_byte_num"

_kept: list["tiledbsoma.SOMATileDBContext"] = []


class VfsCounts(NamedTuple):
    """Reads and bytes asked for; None where not counted."""

    reads: int | None
    read_bytes: int | None

    def since(self, before: "VfsCounts") -> "VfsCounts":
        """What came after an earlier count; nothing is claimed if a context took its counts along in between."""
        pairs = [(self.reads, before.reads), (self.read_bytes, before.read_bytes)]
        grown = [None if now is None or then is None or now < then else now - then for now, then in pairs]
        return VfsCounts(*grown) if None not in grown else NOT_COUNTED


def release_contexts() -> None:
    """Keep contexts no longer: in a process that goes on when the run is over, they would pile up."""
    _kept.clear()


NOT_COUNTED = VfsCounts(None, None)


class CountedSource(Source):
    """A source whose contexts live as long as the process, so that their counts are there at its end."""

    def context(self) -> "tiledbsoma.SOMATileDBContext":
        """Make a context and keep it."""
        _kept.append(super().context())
        return _kept[-1]


def count_vfs() -> VfsCounts:
    """Add up the counts of all contexts there are; without TileDB-SOMA nothing was read through it."""
    if "tiledbsoma" not in sys.modules:
        return VfsCounts(0, 0)
    from tiledbsoma.stats import tiledbsoma_stats_as_py

    counters = [context["counters"] for context in tiledbsoma_stats_as_py()]
    reads, read_bytes = (sum(int(each.get(name, 0)) for each in counters) for name in (_READS, _READ_BYTES))
    return VfsCounts(reads, read_bytes)
