"""Write a sparse matrix to a SOMA experiment in TileDB's global order, strip by strip, in bounded memory.

A strip is one row of tiles: `TILE_ROWS` cells and all genes. Within it TileDB's order is tile by tile, each tile by row and
then by column. Whoever hands over cells in that order spares TileDB its sort, which costs more than compression does.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numba
import numpy as np
import pyarrow as pa

from somaray.datasets.census_schema import LAYER, MEASUREMENT, TILE_ROWS, tile_columns, x_create_options

if TYPE_CHECKING:
    import tiledbsoma

BATCH_NNZ = 1_000_000
"""Non-zeros handed to TileDB at once: 20 MB, some fifteen data tiles."""

FRAGMENT_STRIPS = 16
"""Strips a fragment holds at most: fewer fragments read faster, more of them keep more cores writing."""

MAX_WORKERS = 8
"""Each holds a strip (8 bytes a non-zero) and a batch; TileDB's own threads use what cores are left."""

WRITE_SETTINGS = {
    # The order is made here and held by tests; checking it again costs a fifth of the time.
    "sm.check_global_order": "false",
    "sm.check_coord_dups": "false",
    "sm.check_coord_oob": "false",
}


@dataclass(frozen=True)
class Rows:
    """Consecutive rows in CSR form, columns ascending within a row and each at most once.

    Parameters
    ----------
    start
        Number of the first row in the whole matrix.
    indptr
        int64, rows + 1.
    indices
        int32 columns.
    data
        float32 values.
    """

    start: int
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


class StripReader(Protocol):
    """What gives the strips of one fragment, in ascending order; used by one thread."""

    def __call__(self, start: int, stop: int) -> Rows:
        """Give rows `start` to `stop` (exclusive)."""


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fragment_ranges(n_obs: int) -> list[tuple[int, int]]:
    """Split rows into ranges of whole strips, of about equal length; the split depends on the number of rows alone."""
    strips = -(-n_obs // TILE_ROWS)
    fragments = max(-(-strips // FRAGMENT_STRIPS), min(2, strips))
    bounds = [strips * number // fragments * TILE_ROWS for number in range(fragments + 1)]
    bounds[-1] = n_obs
    return list(itertools.pairwise(bounds))


def write_matrix[R: StripReader](
    experiment_uri: str,
    shape: tuple[int, int],
    layout: str,
    new_reader: Callable[[], R],
    workers: int | None = None,
) -> Iterator[tuple[int, int, R]]:
    """Create X/raw in an experiment's measurement and write it; several fragments at a time, each by its own thread.

    Parameters
    ----------
    experiment_uri
        An experiment whose measurement `RNA` has a collection `X` without `raw`.
    shape
        Cells × genes.
    layout
        `census` or `scan`.
    new_reader
        Called once a fragment.
    workers
        Threads; by default one a core, `MAX_WORKERS` at most.

    Yields
    ------
    Start and stop of each range of rows that is written, ascending, and the reader that gave them.
    """
    import tiledbsoma

    context = tiledbsoma.SOMATileDBContext(tiledb_config=WRITE_SETTINGS)
    x_uri = f"{experiment_uri}/ms/{MEASUREMENT}/X"
    with tiledbsoma.Collection.open(x_uri, "w", context=context) as collection:
        array = collection.add_new_sparse_ndarray(
            LAYER, type=pa.float32(), shape=shape, platform_config=x_create_options(layout, shape[1])
        )
        uri = array.uri

    def write(bounds: tuple[int, int]) -> tuple[int, int, R]:
        reader = new_reader()
        with tiledbsoma.SparseNDArray.open(uri, "w", context=context) as target:
            _write_fragment(target, _batches(reader, bounds, tile_columns(layout, shape[1])))
        return *bounds, reader

    ranges = fragment_ranges(shape[0])
    workers = min(workers or min(usable_cores(), MAX_WORKERS), len(ranges))
    with ThreadPoolExecutor(workers, thread_name_prefix="somaray-write") as pool:
        try:
            # No more are begun than are soon asked for, or what they learnt would pile up behind a slow caller.
            begun: deque[Future[tuple[int, int, R]]] = deque()
            for bounds in ranges:
                if len(begun) > workers:
                    yield begun.popleft().result()
                begun.append(pool.submit(write, bounds))
            while begun:
                yield begun.popleft().result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write_fragment(array: "tiledbsoma.SparseNDArray", batches: Iterator[pa.RecordBatch]) -> None:
    """Write batches that follow each other in global order as one fragment.

    `SparseNDArray.write` takes a whole table at once and makes a fragment a call, so a fragment larger than memory goes
    through the query object beneath it.
    """
    import tiledbsoma.pytiledbsoma as clib
    from tiledbsoma._managed_query import ManagedQuery

    last = next(batches, None)
    if last is None:
        return
    query = ManagedQuery(array)._handle
    query.set_layout(clib.ResultOrder.globalorder)
    for batch in batches:
        query.submit_batch(last)
        last = batch
    query.submit_and_finalize_batch(last)


_BATCH_SCHEMA = pa.schema(
    [
        pa.field("soma_dim_0", pa.int64(), nullable=False),
        pa.field("soma_dim_1", pa.int64(), nullable=False),
        pa.field("soma_data", pa.float32(), nullable=False),
    ]
)


def _batches(read: StripReader, bounds: tuple[int, int], width: int) -> Iterator[pa.RecordBatch]:
    for start in range(bounds[0], bounds[1], TILE_ROWS):
        yield from tile_order(read(start, min(start + TILE_ROWS, bounds[1])), width)


def tile_order(rows: Rows, width: int, batch_nnz: int = BATCH_NNZ) -> Iterator[pa.RecordBatch]:
    """Turn one strip into record batches in TileDB's global order.

    Parameters
    ----------
    rows
        A strip: `rows.start` is a multiple of `TILE_ROWS`, and there are at most so many rows.
    width
        Columns of a tile.
    batch_nnz
        Non-zeros of a batch at most.
    """
    cursors = rows.indptr[:-1].copy()
    position = np.zeros(2, np.int64)
    left = int(rows.indptr[-1] - rows.indptr[0])
    while left:
        size = min(left, batch_nnz)
        row_ids, column_ids, values = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.float32)
        _emit(rows.start, rows.indptr, rows.indices, rows.data, width, cursors, position, row_ids, column_ids, values)
        left -= size
        yield pa.record_batch([row_ids, column_ids, values], schema=_BATCH_SCHEMA)


@numba.njit(nogil=True, cache=True)
def _emit(start, indptr, indices, data, width, cursors, position, row_ids, column_ids, values):
    """Fill the outputs from where `cursors` (by row) and `position` (tile, row) stand, and move both on."""
    tile, row = position
    n_rows = indptr.size - 1
    filled, size = 0, row_ids.size
    while filled < size:
        end = (tile + 1) * width
        while row < n_rows and filled < size:
            at, stop = cursors[row], indptr[row + 1]
            while at < stop and filled < size and indices[at] < end:
                row_ids[filled] = start + row
                column_ids[filled] = indices[at]
                values[filled] = data[at]
                at += 1
                filled += 1
            cursors[row] = at
            if filled < size:
                row += 1
        if filled < size:
            row = 0
            tile += 1
    position[0], position[1] = tile, row
