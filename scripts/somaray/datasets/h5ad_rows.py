"""Read strips of rows from an h5ad's matrix, sparse by row, sparse by column or dense, in bounded memory."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numba
import numpy as np
import scipy.sparse

from somaray.datasets.census_schema import TILE_ROWS
from somaray.datasets.h5ad_checks import MatrixPlace, first_bad, not_counts
from somaray.datasets.writer import Rows, StripReader

BLOCK_NNZ = 4_000_000
"""Non-zeros of columns that are turned at once: 48 MB, and as much again sorted."""

DENSE_BLOCK_BYTES = 64 << 20


class CountRows:
    """A strip reader that checks and cleans what another reads: counts only, columns ascending, no zeros, no doubles.

    `nnz` is what it gave so far.
    """

    def __init__(self, file: h5py.File, path: Path, place: MatrixPlace, read: StripReader) -> None:
        self._file, self._path, self._place, self._read = file, path, place, read
        self.nnz = 0

    def __call__(self, start: int, stop: int) -> Rows:
        """Read rows `start` to `stop`.

        Raises
        ------
        SomarayError
            At a value that is no count, with its cell and gene.
        """
        rows = self._read(start, stop)
        at = first_bad(rows.data)
        if at is not None:
            row = start + int(np.searchsorted(rows.indptr, at, side="right")) - 1
            raise not_counts(self._file, self._path, self._place, float(rows.data[at]), row, int(rows.indices[at]))
        rows = _canonical(rows, self._place.shape[1])
        self.nnz += rows.data.size
        return rows


def _canonical(rows: Rows, n_vars: int) -> Rows:
    indices = np.ascontiguousarray(rows.indices, np.int32)
    data = np.ascontiguousarray(rows.data, np.float32)
    if _is_canonical(rows.indptr, indices, data):
        return Rows(rows.start, rows.indptr, indices, data)
    matrix = scipy.sparse.csr_matrix((data, indices, rows.indptr), shape=(rows.indptr.size - 1, n_vars))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return Rows(rows.start, matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False), matrix.data)


@numba.njit(nogil=True, cache=True)
def _is_canonical(indptr, indices, data):
    for row in range(indptr.size - 1):
        last = -1
        for at in range(indptr[row], indptr[row + 1]):
            if indices[at] <= last or data[at] == 0:
                return False
            last = indices[at]
    return True


@contextmanager
def open_rows(file: h5py.File, path: Path, place: MatrixPlace, scratch_dir: Path) -> Iterator[StripReader]:
    """Give what reads strips of a matrix; several threads may use it.

    A matrix sparse by column is first turned: it is read twice and spooled to a temporary file in `scratch_dir`, 12 bytes a
    non-zero, sorted by strip; values that are no counts are told then (`SomarayError`), since spooling rounds them to float32.
    """
    node = file[place.key]
    if place.form == "csr":
        yield _CsrRows(node)
    elif place.form == "dense":
        yield _DenseRows(node)
    else:
        with tempfile.TemporaryFile(dir=scratch_dir, prefix="columns-") as spool:
            yield _spool_columns(file, path, place, spool.fileno())


class _CsrRows:
    def __init__(self, node: h5py.Group) -> None:
        self._node = node

    def __call__(self, start: int, stop: int) -> Rows:
        indptr = self._node["indptr"][start : stop + 1].astype(np.int64)
        part = slice(int(indptr[0]), int(indptr[-1]))
        return Rows(start, indptr - indptr[0], self._node["indices"][part], _native(self._node["data"][part]))


class _DenseRows:
    def __init__(self, node: h5py.Dataset) -> None:
        self._node = node
        rows = max(1, DENSE_BLOCK_BYTES // max(1, node.shape[1] * node.dtype.itemsize))
        chunk_rows = node.chunks[0] if node.chunks else 1
        # Whole chunks, so that none is decompressed twice.
        self._rows = rows // chunk_rows * chunk_rows or rows

    def __call__(self, start: int, stop: int) -> Rows:
        parts = [
            scipy.sparse.csr_matrix(_native(self._node[first : min(first + self._rows, stop)]))
            for first in range(start, stop, self._rows)
        ]
        matrix = parts[0] if len(parts) == 1 else scipy.sparse.vstack(parts, format="csr")
        return Rows(start, matrix.indptr.astype(np.int64), matrix.indices, matrix.data)


class _SpooledRows:
    """Reads strips back from a file that holds (row within the strip, column, value's bits) as int32, by strip and column."""

    def __init__(self, descriptor: int, offsets: np.ndarray) -> None:
        self._descriptor, self._offsets = descriptor, offsets

    def __call__(self, start: int, stop: int) -> Rows:
        first, last = self._offsets[start // TILE_ROWS], self._offsets[start // TILE_ROWS + 1]
        triples = np.empty((int(last - first), 3), np.int32)
        _read_at(self._descriptor, memoryview(triples).cast("B") if triples.size else memoryview(b""), int(first) * 12)
        counts = np.bincount(triples[:, 0], minlength=stop - start)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        indices, values = np.empty(triples.shape[0], np.int32), np.empty(triples.shape[0], np.int32)
        _by_row(triples, indptr[:-1].copy(), indices, values)
        return Rows(start, indptr, indices, values.view(np.float32))


@numba.njit(nogil=True, cache=True)
def _by_row(triples, cursors, indices, values):
    for at in range(triples.shape[0]):
        row = triples[at, 0]
        indices[cursors[row]] = triples[at, 1]
        values[cursors[row]] = triples[at, 2]
        cursors[row] += 1


def _spool_columns(file: h5py.File, path: Path, place: MatrixPlace, descriptor: int) -> _SpooledRows:
    node, n_strips = file[place.key], -(-place.shape[0] // TILE_ROWS)
    indptr = node["indptr"][:].astype(np.int64)
    counts = np.zeros(n_strips, np.int64)
    for start in range(0, int(indptr[-1]), BLOCK_NNZ):
        counts += np.bincount(node["indices"][start : start + BLOCK_NNZ] // TILE_ROWS, minlength=n_strips)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    cursors = offsets[:-1].copy()
    for start in range(0, int(indptr[-1]), BLOCK_NNZ):
        rows = node["indices"][start : start + BLOCK_NNZ]
        values = _native(node["data"][start : start + BLOCK_NNZ])
        columns = np.searchsorted(indptr, np.arange(start, start + rows.size), side="right") - 1
        at = first_bad(values)
        if at is not None:
            raise not_counts(file, path, place, float(values[at]), int(rows[at]), int(columns[at]))
        values = np.ascontiguousarray(values, np.float32)
        here = np.bincount(rows // TILE_ROWS, minlength=n_strips)
        begins = np.concatenate([[0], np.cumsum(here)])
        triples = np.empty((rows.size, 3), np.int32)
        _by_strip(rows, columns, values.view(np.int32), begins[:-1].copy(), triples)
        for strip in np.flatnonzero(here):
            part = np.ascontiguousarray(triples[begins[strip] : begins[strip + 1]])
            _write_at(descriptor, memoryview(part).cast("B"), int(cursors[strip]) * 12)
        cursors += here
    return _SpooledRows(descriptor, offsets)


@numba.njit(nogil=True, cache=True)
def _by_strip(rows, columns, values, cursors, triples):
    for at in range(rows.size):
        strip = rows[at] // TILE_ROWS
        place = cursors[strip]
        triples[place, 0] = rows[at] - strip * TILE_ROWS
        triples[place, 1] = columns[at]
        triples[place, 2] = values[at]
        cursors[strip] = place + 1


def _native(values: Any) -> np.ndarray:
    """Give values in a form that compiled code takes."""
    values = np.asarray(values)
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype == np.float16:
        return values.astype(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _write_at(descriptor: int, view: memoryview, offset: int) -> None:
    while view.nbytes:
        done = os.pwrite(descriptor, view, offset)
        view, offset = view[done:], offset + done


def _read_at(descriptor: int, view: memoryview, offset: int) -> None:
    while view.nbytes:
        done = os.preadv(descriptor, [view], offset)
        if not done:
            raise OSError("the temporary file of columns is shorter than what was written to it")
        view, offset = view[done:], offset + done
