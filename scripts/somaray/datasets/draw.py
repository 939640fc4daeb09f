"""Draw the counts of synthetic cells: compiled, without the interpreter's lock, the same however cells are grouped.

Every cell has its own stream of random numbers (SplitMix64, Steele, Lea and Flood 2014), started from the seed and the cell's
number, so no cell depends on another.
"""

import numba
import numpy as np
from numba import uint64

from somaray.datasets import count_model

_GOLDEN = 0x9E37_79B9_7F4A_7C15
_HEAD_SHARE, _HEAD_EXPONENT = count_model.HEAD_SHARE, count_model.HEAD_EXPONENT
_MARKER_SHARE, _CELL_LOG_SD = count_model.MARKER_SHARE, count_model.CELL_LOG_SD
_BURST = round(count_model.BURST_SHARE * 256)
_LEAST_HEAD, _MOST_HEAD = 0.02, 0.7


@numba.njit(inline="always", nogil=True)
def _mix(x):
    x = (x ^ (x >> uint64(30))) * uint64(0xBF58_476D_1CE4_E5B9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94D0_49BB_1331_11EB)
    return x ^ (x >> uint64(31))


@numba.njit(inline="always", nogil=True)
def _stream(seed, cell):
    return _mix(_mix(uint64(seed) + uint64(_GOLDEN)) + uint64(cell) * uint64(_GOLDEN))


@numba.njit(inline="always", nogil=True)
def _unit(x):
    """Map 64 random bits to (0, 1)."""
    return (float(x >> uint64(11)) + 0.5) * 2.0**-53


@numba.njit(nogil=True, cache=True)
def draw_sizes(seed, start, log_nnz, largest, cumulative_shares, nnz, kinds):
    """Draw each cell's number of non-zeros (lognormal) and which of its dataset's cell types it is.

    `nnz` (int64) and `kinds` (int32) are filled; cells are numbered from `start`.
    """
    for i in range(nnz.size):
        state = _stream(seed, start + i)
        first = _unit(_mix(state + uint64(1) * uint64(_GOLDEN)))
        second = _unit(_mix(state + uint64(2) * uint64(_GOLDEN)))
        third = _unit(_mix(state + uint64(3) * uint64(_GOLDEN)))
        normal = np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)
        nnz[i] = min(max(1, int(np.exp(log_nnz + _CELL_LOG_SD * normal) + 0.5)), largest)
        kinds[i] = min(np.searchsorted(cumulative_shares, third), cumulative_shares.size - 1)


@numba.njit(nogil=True, cache=True)
def draw_labels(seed, start, column, labels):
    """Fill `labels` (uint64) with random bits that belong to a cell and a column of obs."""
    for i in range(labels.size):
        labels[i] = _mix(_stream(seed, start + i) ^ _mix(uint64(column) + uint64(_GOLDEN)))


@numba.njit(nogil=True, cache=True)
def draw_counts(
    seed, start, mean_nnz, nnz, kinds, entries, offsets, counts, seen, indptr, indices, data, sums, squares, gene_nnz
):
    """Draw the counts of consecutive cells of one dataset.

    Parameters
    ----------
    seed, start, mean_nnz
        Seed, number of the first cell, mean non-zeros of all cells.
    nnz, kinds
        By cell: non-zeros wanted and the cell type's position in the dataset.
    entries, offsets
        `count_model.Tables`.
    counts, seen
        Scratch, all zero before and after: int32 by gene, and uint64 words with a bit a gene.
    indptr
        Where each cell's non-zeros go in `indices` and `data`, which are filled, genes ascending.
    sums, squares
        By cell, filled: sum of counts and of squared counts.
    gene_nnz
        By gene, added to: cells that have it.
    """
    bits24, bits16 = uint64(0xFF_FFFF), uint64(0xFFFF)
    for i in range(nnz.size):
        state = _stream(seed, start + i) + uint64(16) * uint64(_GOLDEN)
        head = min(max(_HEAD_SHARE * (nnz[i] / mean_nnz) ** -_HEAD_EXPONENT, _LEAST_HEAD), _MOST_HEAD)
        below_head = uint64(head * 65_536)
        below_marker = uint64((head + (1.0 - head) * _MARKER_SHARE) * 65_536)
        kind = 2 + kinds[i]
        missing = nnz[i]
        while missing > 0:
            state += uint64(_GOLDEN)
            bits = _mix(state)
            source = bits & bits16
            table = 0
            if source < below_marker:
                table = 1 if source < below_head else kind
            offset = offsets[table]
            size = uint64(offsets[table + 1] - offset)
            entry = entries[offset + ((((bits >> uint64(16)) & bits24) * size) >> uint64(24))]
            gene = entry & bits24
            if ((bits >> uint64(40)) & bits16) >= (entry >> uint64(48)):
                gene = (entry >> uint64(24)) & bits24
            if counts[gene] == 0:
                missing -= 1
                seen[gene >> uint64(6)] |= uint64(1) << (gene & uint64(63))
            counts[gene] += 2 if (bits >> uint64(56)) < _BURST else 1
        _collect(indptr[i], counts, seen, indices, data, sums, squares, gene_nnz, i)


@numba.njit(nogil=True, cache=True)
def _collect(at, counts, seen, indices, data, sums, squares, gene_nnz, i):
    """Move one cell's counts from the scratch to the output by way of the bits of `seen`, which come sorted."""
    total = squared = 0
    for word in range(seen.size):
        bits = seen[word]
        if bits == uint64(0):
            continue
        seen[word] = uint64(0)
        while bits:
            lowest = bits & (~bits + uint64(1))
            gene = word * 64 + _TRAILING[(lowest * uint64(_DE_BRUIJN)) >> uint64(58)]
            count = counts[gene]
            counts[gene] = 0
            indices[at] = gene
            data[at] = count
            at += 1
            gene_nnz[gene] += 1
            total += count
            squared += count * count
            bits ^= lowest
    sums[i] = total
    squares[i] = squared


_DE_BRUIJN = 0x03F7_9D71_B4CB_0A89
"""A de Bruijn sequence: times a power of two, its top six bits tell which (Leiserson, Prokop and Randall 1998)."""

_TRAILING = np.empty(64, np.int64)
for _power in range(64):
    _TRAILING[((_DE_BRUIJN << _power) & (2**64 - 1)) >> 58] = _power
