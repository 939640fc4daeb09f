"""The coordinates of one strip, packed: a column of the sums and a value, 6 bytes where Arrow takes 20, and where rows end."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somaray.methods.onepass import kernels

BLOCK_STEP = 1 << 16
"""Blocks hold multiples of so many coordinates, so that batches of about the same length find them large enough."""

STRETCH = 32
"""Length of a stretch of one row that room is made for at first."""

type Coordinates = tuple[
    NDArray[np.unsignedinteger], NDArray[np.int32], NDArray[np.unsignedinteger], NDArray[np.floating]
]
"""The cell of each stretch, where it ends in what follows, and columns and values."""


@dataclass
class _Block:
    """Room for a batch; `cells` and `ends` grow where its stretches are short."""

    cells: NDArray[np.unsignedinteger]
    ends: NDArray[np.int32]
    columns: NDArray[np.unsignedinteger]
    values: NDArray[np.floating]
    n_stretches: int = 0
    n_kept: int = 0

    def pack(self, coordinates: tuple[Any, ...], totals: NDArray[np.float64]) -> bool:
        begin, self.n_stretches, self.n_kept, fine = 0, 0, 0, True
        while begin < len(coordinates[0]):
            if self.n_stretches == len(self.cells):
                self.cells = np.resize(self.cells, 2 * len(self.cells))
                self.ends = np.resize(self.ends, 2 * len(self.ends))
            room = self.cells, self.ends, self.columns, self.values
            good, begin, self.n_stretches, self.n_kept = kernels.keep(
                *coordinates, totals, begin, *room, self.n_stretches, self.n_kept
            )
            fine &= good
        return fine


class Kept:
    """A block for each of a strip's batches, used again for the next strip of the thread: its pages are mapped once.

    Parameters
    ----------
    n_columns
        Columns of sums; decides how many bytes a column's number takes.
    dtype
        Type of the values.
    """

    def __init__(self, n_columns: int, dtype: type[np.floating]) -> None:
        # A strip has no more rows than 16 bits count (`reading.MAX_BAND_ROWS`).
        self._dtypes = np.uint16, np.int32, np.min_scalar_type(max(n_columns - 1, 256)), dtype
        self._blocks: list[_Block] = []
        self._n_used = 0

    def clear(self) -> None:
        """Begin a new strip."""
        self._n_used = 0

    def add(self, coordinates: tuple[Any, ...], totals: NDArray[np.float64]) -> bool:
        """Pack a batch of coordinates and add its values to the cells' totals; False if one is no count.

        `coordinates` are the arguments all kernels begin with; `totals` has one number a cell of the strip.
        """
        block = self._next_block(len(coordinates[0]))
        self._n_used += 1
        return block.pack(coordinates, totals)

    def __iter__(self) -> Iterator[Coordinates]:
        """What was kept, in the order it came."""
        for block in self._blocks[: self._n_used]:
            yield (
                block.cells[: block.n_stretches],
                block.ends[: block.n_stretches],
                block.columns[: block.n_kept],
                block.values[: block.n_kept],
            )

    def _next_block(self, length: int) -> _Block:
        place = self._n_used
        if place < len(self._blocks) and length <= len(self._blocks[place].columns):
            return self._blocks[place]
        size = -(-length // BLOCK_STEP) * BLOCK_STEP
        sizes = size // STRETCH, size // STRETCH, size, size
        block = _Block(*(np.empty(size, dtype=dtype) for size, dtype in zip(sizes, self._dtypes, strict=True)))
        self._blocks[place : place + 1] = [block]
        return block


class _Own(threading.local):
    use: tuple[object, ...] = ()
    kept: Kept


_own = _Own()


def own_kept(opening: str, n_columns: int, dtype: type[np.floating]) -> Kept:
    """Give the thread's own, as long as it works on the same opening of an array."""
    if _own.use != (opening, n_columns, dtype):
        _own.kept, _own.use = Kept(n_columns, dtype), (opening, n_columns, dtype)
    return _own.kept
