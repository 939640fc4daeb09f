"""The coordinates of one strip, packed: a cell of the strip, a column of the sums and a value, 8 bytes where Arrow takes 20."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somaray.methods.onepass import kernels

type Coordinates = tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger], NDArray[np.floating]]
"""Cells, columns and values."""

BLOCK_STEP = 1 << 16
"""Blocks hold multiples of so many coordinates, so that batches of about the same length find them large enough."""


class Kept:
    """A block for each of a strip's batches, used again for the next strip of the task: its pages are mapped once.

    Parameters
    ----------
    n_columns
        Columns of sums; decides how many bytes a column's number takes.
    dtype
        Type of the values.
    """

    def __init__(self, n_columns: int, dtype: type[np.floating]) -> None:
        # A strip has no more rows than 16 bits count (`reading.MAX_BAND_ROWS`).
        self._dtypes = np.uint16, np.min_scalar_type(max(n_columns - 1, 256)), dtype
        self._blocks: list[Coordinates] = []
        self._lengths: list[int] = []

    def clear(self) -> None:
        """Begin a new strip."""
        self._lengths.clear()

    def add(self, coordinates: tuple[Any, ...], totals: NDArray[np.float64]) -> bool:
        """Pack a batch of coordinates and add its values to the cells' totals; False if one is no count.

        `coordinates` are the arguments all kernels begin with; `totals` has one number a cell of the strip.
        """
        fine, n_kept = kernels.keep(*coordinates, totals, *self._next_block(len(coordinates[0])))
        self._lengths.append(n_kept)
        return fine

    def __iter__(self) -> Iterator[Coordinates]:
        """What was kept, in the order it came."""
        for (cells, columns, values), length in zip(self._blocks, self._lengths, strict=False):
            yield cells[:length], columns[:length], values[:length]

    def _next_block(self, length: int) -> Coordinates:
        place = len(self._lengths)
        if place < len(self._blocks) and length <= len(self._blocks[place][0]):
            return self._blocks[place]
        size = -(-length // BLOCK_STEP) * BLOCK_STEP
        cells, columns, values = (np.empty(size, dtype=dtype) for dtype in self._dtypes)
        self._blocks[place : place + 1] = [(cells, columns, values)]
        return self._blocks[place]
