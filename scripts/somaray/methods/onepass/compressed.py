"""What tasks carry in place of arrays: sets of joinids and the batch of each cell, as small as they get. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class JoinIds:
    """An ascending set of joinids.

    Parameters
    ----------
    first, last, count
        Smallest and largest id (both included) and how many there are.
    runs
        (n_runs, 2) `uint32`: offset from `first` and length of each stretch without holes; None in the other forms.
    bitmap
        One bit an id between `first` and `last`; None in the other forms. With neither, there are no holes.
    """

    first: int
    last: int
    count: int
    runs: NDArray[np.uint32] | None = None
    bitmap: NDArray[np.uint8] | None = None

    @classmethod
    def from_array(cls, ids: NDArray[np.int64]) -> "JoinIds":
        """Compress at least one ascending, distinct id into whichever form is the smaller."""
        first, last, count = int(ids[0]), int(ids[-1]), len(ids)
        if last - first + 1 == count:
            return cls(first, last, count)
        offsets = ids - first
        starts = np.flatnonzero(np.r_[True, np.diff(offsets) != 1])
        lengths = np.diff(np.r_[starts, count])
        # A run takes 8 bytes, and so does a bitmap of 64 ids.
        if len(starts) * 64 <= last - first + 1:
            return cls(first, last, count, runs=np.stack([offsets[starts], lengths], axis=1).astype(np.uint32))
        present = np.zeros(last - first + 1, dtype=bool)
        present[offsets] = True
        return cls(first, last, count, bitmap=np.packbits(present))

    def to_array(self) -> NDArray[np.int64]:
        """Expand to ascending `int64` ids."""
        if self.runs is not None:
            starts, lengths = self.runs[:, 0].astype(np.int64), self.runs[:, 1].astype(np.int64)
            before = np.cumsum(lengths) - lengths
            return self.first + np.repeat(starts - before, lengths) + np.arange(self.count)
        if self.bitmap is not None:
            return self.first + np.flatnonzero(np.unpackbits(self.bitmap, count=self.last - self.first + 1))
        return np.arange(self.first, self.last + 1)

    @property
    def nbytes(self) -> int:
        """Bytes of the compressed form."""
        return sum(part.nbytes for part in (self.runs, self.bitmap) if part is not None)


@dataclass(frozen=True)
class Labels:
    """The batch of each cell of a task.

    Parameters
    ----------
    batches
        Codes of the batches that occur, ascending; -1 (no batch) is never among them.
    local
        Position in `batches` for each cell or each stretch of cells, -1 for a cell without batch.
    lengths
        Length of each stretch; None when `local` has one value a cell.
    """

    batches: NDArray[np.int32]
    local: NDArray[np.signedinteger]
    lengths: NDArray[np.uint32] | None

    @classmethod
    def from_array(cls, codes: NDArray[np.int32]) -> "Labels":
        """Compress one code a cell (-1 for none); stretches of one batch are written once where that is smaller."""
        batches = np.unique(codes[codes >= 0]).astype(np.int32)
        local = np.where(codes >= 0, np.searchsorted(batches, codes), -1)
        local = local.astype(np.min_scalar_type(-max(len(batches), 1)))
        starts = np.flatnonzero(np.r_[True, np.diff(local) != 0]) if len(local) else np.empty(0, np.int64)
        if len(starts) * (local.itemsize + 4) <= local.nbytes:
            return cls(batches, local[starts], np.diff(np.r_[starts, len(local)]).astype(np.uint32))
        return cls(batches, local, None)

    def to_array(self) -> NDArray[np.int32]:
        """Expand to one position in `batches` a cell."""
        local = self.local if self.lengths is None else np.repeat(self.local, self.lengths)
        return local.astype(np.int32)


@dataclass(frozen=True)
class Strip:
    """Cells read together.

    Parameters
    ----------
    begin, end
        Their positions among the task's cells, `end` excluded.
    first, last
        Their smallest and largest joinid, both included.
    dense
        Whether to read all rows from `first` to `last` and mask, or the wanted ones by name.
    """

    begin: int
    end: int
    first: int
    last: int
    dense: bool


SPARSE_SPAN_BANDS = 64
"""Bands that a strip of scattered cells may span: bounds the table from row to cell at some hundred thousand entries."""

DENSE_SHARE = 0.25
"""Share of wanted rows from which reading all and masking is cheaper than naming them: tiles are decoded whole anyhow."""


def split_into_strips(ids: NDArray[np.int64], band_rows: int) -> Iterator[Strip]:
    """Cut ascending ids at multiples of `band_rows`; neighbouring bands with few cells each go together."""
    if not len(ids):
        return
    bands = ids // band_rows
    edges = np.r_[np.flatnonzero(np.r_[True, np.diff(bands) != 0]), len(ids)]
    begin = 0
    for stop, next_stop in zip(edges[1:], [*edges[2:], None], strict=True):
        if next_stop is not None and _belong_together(ids[begin:next_stop], band_rows):
            continue
        first, last = int(ids[begin]), int(ids[stop - 1])
        yield Strip(begin, int(stop), first, last, dense=(stop - begin) >= DENSE_SHARE * (last - first + 1))
        begin = int(stop)


def _belong_together(ids: NDArray[np.int64], band_rows: int) -> bool:
    """Whether cells of several bands are few and far enough between to be read together, by name."""
    span = ids[-1] - ids[0] + 1
    return bool(len(ids) <= band_rows and len(ids) < DENSE_SHARE * span and span <= SPARSE_SPAN_BANDS * band_rows)
