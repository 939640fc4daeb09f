"""Read a layer of X in strips of cells: an open array a thread, Arrow batches handed over without a copy."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import tiledbsoma
from numpy.typing import NDArray
from tiledbsoma._read_iters import TableReadIter
from tiledbsoma._util import to_clib_result_order

from somaray.methods.onepass.compressed import JoinIds, Strip

BUFFER_KEY = "soma.init_buffer_bytes"

DEFAULT_BUFFER_BYTES = 4 * 1024**2
"""Buffer a column where the run's settings name none. SOMA's own 1 GiB is never filled by a strip. The smaller it is, the more
often its pages are used again instead of mapped anew; below 4 MiB the batches themselves begin to cost."""

BUDGET_KEY = "sm.mem.total_budget"

LEAST_BUDGET_BYTES = 32 * 1024**2
INDEX_BYTES_PER_TILE = 128
INDEX_SHARE = 0.1
"""Part of its budget that TileDB gives to the index of an array (`ratio_array_data` of its sparse readers)."""
TILES_AT_LEAST = 8

NO_LOOKUP = np.empty(0, dtype=np.int32)

Batch = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]
"""Rows, genes (empty if not read) and values of some coordinates."""


@dataclass(frozen=True)
class Layer:
    """All that a task needs to read a layer of X.

    Parameters
    ----------
    uri
        Of the sparse array itself.
    tiledb
        TileDB configuration.
    genes
        Joinids of the wanted genes; None if every gene in the array is wanted and columns of sums are joinids.
    n_columns
        Columns of sums.
    band_rows
        Rows of a strip; strips begin at its multiples.
    n_rows
        Rows of the array.
    opening
        Distinguishes one use of the array from another: a thread keeps it open between tasks of the same one.
    """

    uri: str
    tiledb: dict[str, str]
    genes: JoinIds | None
    n_columns: int
    band_rows: int
    n_rows: int
    opening: str

    def column_lookup(self) -> NDArray[np.int32]:
        """Column by gene joinid, -1 for a gene that is not wanted; empty where columns are joinids."""
        if self.genes is None:
            return NO_LOOKUP
        ids = self.genes.to_array()
        lookup = np.full(max(int(ids[-1]) + 1, self.n_columns), -1, dtype=np.int32)
        lookup[ids] = np.arange(len(ids), dtype=np.int32)
        return lookup


@dataclass
class _Open(threading.local):
    opening: str = ""
    array: Any = None
    lookup: NDArray[np.int32] = field(default_factory=lambda: NO_LOOKUP)


_open = _Open()


def open_layer(layer: Layer) -> tuple[tiledbsoma.SparseNDArray, NDArray[np.int32]]:
    """Open the array and make its gene lookup, once a thread: one array per thread has its own TileDB threads and buffers."""
    if _open.opening != layer.opening:
        context = tiledbsoma.SOMATileDBContext(tiledb_config=dict(layer.tiledb))
        _open.array = tiledbsoma.SparseNDArray.open(layer.uri, context=context)
        _open.lookup = layer.column_lookup()
        _open.opening = layer.opening
    return _open.array, _open.lookup


def read_strip(
    array: tiledbsoma.SparseNDArray, layer: Layer, ids: NDArray[np.int64], strip: Strip, with_genes: bool = True
) -> Iterator[Batch]:
    """Yield the coordinates of a strip's cells as they come, in the order of the array's tiles.

    Parameters
    ----------
    ids
        Joinids of the task's cells.
    with_genes
        Whether to read the genes' coordinates; without, a third less is decoded.

    Notes
    -----
    `SparseNDArray.read` takes no column names, hence the class below it.
    """
    # SOMA's slices include their stop.
    rows = (
        slice(strip.first, min(strip.last, layer.n_rows - 1)) if strip.dense else pa.array(ids[strip.begin : strip.end])
    )
    genes = slice(None) if layer.genes is None else slice(layer.genes.first, layer.genes.last)
    names = ["soma_dim_0", "soma_dim_1", "soma_data"] if with_genes else ["soma_dim_0", "soma_data"]
    for table in TableReadIter(array, (rows, genes), names, to_clib_result_order("auto"), None, None):
        for batch in table.to_batches():
            row_ids = batch.column("soma_dim_0").to_numpy()
            gene_ids = batch.column("soma_dim_1").to_numpy() if with_genes else row_ids[:0]
            yield row_ids, gene_ids, batch.column("soma_data").to_numpy()


def choose_budget_bytes(n_stored: int, tile_capacity: int, value_bytes: int) -> int:
    """Memory in which TileDB unpacks tiles of a strip, a thread; the run's settings may name less.

    TileDB's own 10 GiB let it hold a whole strip unpacked beside the batches made of it. `LEAST_BUDGET_BYTES` are enough,
    unless a few tiles, or the index of a very large array, need more.

    Parameters
    ----------
    n_stored
        Non-zeros in the array.
    tile_capacity
        Non-zeros a tile.
    value_bytes
        Of one value.
    """
    tile_bytes = tile_capacity * (2 * 8 + value_bytes)
    index_bytes = n_stored // max(tile_capacity, 1) * INDEX_BYTES_PER_TILE
    return max(LEAST_BUDGET_BYTES, TILES_AT_LEAST * tile_bytes, int(index_bytes / INDEX_SHARE))


TARGET_STRIP_NONZEROS = 4_000_000
"""Non-zeros of an average strip: 32 MB as `Kept` packs them, which a thread holds until the cells' totals are known."""

MAX_BAND_ROWS = 16_384


def choose_band_rows(tile_rows: int, n_rows: int, n_stored: int) -> int:
    """Rows of a strip, such that it holds near `TARGET_STRIP_NONZEROS`.

    Whole tiles, so that none is decoded twice; a tile of more than twice as many rows is halved until it is not: its values
    lie in row order in data tiles of limited capacity, of which a part is then decoded alone.
    """
    rows = min(max(TARGET_STRIP_NONZEROS * n_rows // max(n_stored, 1), 1), MAX_BAND_ROWS)
    if tile_rows <= 2 * rows:
        return tile_rows * max(rows // tile_rows, 1)
    while tile_rows > 2 * rows:
        tile_rows = -(-tile_rows // 2)
    return tile_rows
