"""Loops over the coordinates of X as TileDB delivers them: no sorting, no CSR, no GIL.

All take one batch of coordinates: `rows` and `genes` are joinids (`int64`), `values` the counts. `cell_of` maps
`row - first_row` to a cell of the strip, -1 for a row that is not wanted. `column_of` maps a gene's joinid to a column of the
sums, -1 for a gene that is not wanted; empty when columns are joinids. `batch_of` gives a cell's batch, -1 for none.

Coordinates come in stretches of one row each, about a hundred long, one a tile the row crosses. What is the same all along a
stretch is looked up once, and what is left are loops over slices that the compiler turns into vector instructions. Nothing
depends on how long the stretches are: one value each is right, and slow.

Whatever the batches' size, a column's sums are added up in the order in which its values lie in the array, so that they come
out the same to the last bit. Duplicate coordinates count as values of their own, as they do in the matrix that `to_anndata`
returns.
"""

import numba
import numpy as np

from somaray.methods.onepass.stretches import end_of_stretch, look_at, total_of

LOG_TABLE_COUNTS = 32
"""Counts whose logarithm is looked up; larger ones, a few in a hundred, are worked out one by one."""


@numba.njit(nogil=True, cache=True)
def add_totals(rows, genes, values, first_row, cell_of, column_of, totals):
    """Add up each cell's counts; False if any value is negative, infinite or not a number."""
    fine, begin = True, 0
    while begin < rows.size:
        end = end_of_stretch(rows, begin)
        cell = cell_of[rows[begin] - first_row]
        if cell >= 0:
            own = values[begin:end]
            if column_of.size:
                own = own[column_of[genes[begin:end]] >= 0]
            sound, whole = look_at(own)
            fine &= sound
            totals[cell] += total_of(own, whole)
        begin = end
    return fine


@numba.njit(nogil=True, cache=True)
def keep(
    rows, genes, values, first_row, cell_of, column_of, totals, begin, cells, ends, columns, kept, n_stretches, n_kept
):
    """Add up each cell's counts, and keep the wanted coordinates from the `begin`-th on.

    `columns` and `kept` take them, after the `n_kept` that are there; `cells` and `ends` take the cell of each stretch and
    where it ends in `columns`, after the `n_stretches` that are there.

    Returns
    -------
    Whether all values are finite and not negative; where it stopped, before the end only where `cells` is full; and how many
    stretches and coordinates are kept.
    """
    fine = True
    while begin < rows.size and n_stretches < cells.size:
        end = end_of_stretch(rows, begin)
        cell = cell_of[rows[begin] - first_row]
        if cell >= 0:
            first = n_kept
            if column_of.size:
                for i in range(begin, end):
                    column = column_of[genes[i]]
                    columns[n_kept] = column
                    kept[n_kept] = values[i]
                    n_kept += column >= 0
            else:
                n_kept += end - begin
                columns[first:n_kept] = genes[begin:end]
                kept[first:n_kept] = values[begin:end]
            own = kept[first:n_kept]
            sound, whole = look_at(own)
            fine &= sound
            totals[cell] += total_of(own, whole)
            cells[n_stretches] = cell
            ends[n_stretches] = n_kept
            n_stretches += 1
        begin = end
    return fine, begin, n_stretches, n_kept


@numba.njit(nogil=True, cache=True)
def add_shares(cells, ends, columns, values, batch_of, weights, sums):
    """Add x/r and (x/r)² of kept coordinates to `sums[batch, column]`, with `weights` = 1/r a cell."""
    begin = 0
    for stretch in range(cells.size):
        cell, end = cells[stretch], ends[stretch]
        batch = batch_of[cell]
        if batch >= 0:
            weight, own = weights[cell], sums[batch]
            own_columns, own_values = columns[begin:end], values[begin:end]
            for i in range(own_columns.size):
                column, share = own_columns[i], own_values[i] * weight
                own[column, 0] += share
                own[column, 1] += share * share
        begin = end


@numba.njit(nogil=True, cache=True)
def add_logs(cells, ends, columns, values, batch_of, divisors, log_table, sums):
    """Add z = log1p(x / divisor) and z² of kept coordinates to `sums[batch, column]`.

    Each is rounded to the type of `values` as Scanpy does. `log_table[cell, k]` holds log1p(k / divisors[cell]).
    """
    begin = 0
    for stretch in range(cells.size):
        cell, end = cells[stretch], ends[stretch]
        batch = batch_of[cell]
        if batch >= 0:
            divisor, logarithms, own = divisors[cell], log_table[cell], sums[batch]
            own_columns, own_values = columns[begin:end], values[begin:end]
            for i in range(own_columns.size):
                column, value = own_columns[i], own_values[i]
                if value < LOG_TABLE_COUNTS and value == np.floor(value):
                    logarithm = logarithms[np.uint8(value)]
                else:
                    logarithm = np.log1p(value / divisor)
                own[column, 0] += logarithm
                own[column, 1] += logarithm * logarithm
        begin = end


@numba.njit(nogil=True, cache=True)
def add_counts(rows, genes, values, first_row, cell_of, column_of, batch_of, sums):
    """Add x and x² to `sums[batch, column]`; squares are rounded to the type of `values`.

    Returns
    -------
    Whether all values are finite and not negative, and whether all are whole.
    """
    all_sound, all_whole, begin = True, True, 0
    while begin < rows.size:
        end = end_of_stretch(rows, begin)
        cell = cell_of[rows[begin] - first_row]
        if cell >= 0 and batch_of[cell] >= 0:
            own, own_genes, own_values = sums[batch_of[cell]], genes[begin:end], values[begin:end]
            wanted = own_values[column_of[own_genes] >= 0] if column_of.size else own_values
            sound, whole = look_at(wanted)
            all_sound &= sound
            all_whole &= whole
            for i in range(own_genes.size):
                column, value = np.int64(column_of[own_genes[i]]) if column_of.size else own_genes[i], own_values[i]
                if column >= 0:
                    own[column, 0] += value
                    own[column, 1] += value * value
        begin = end
    return all_sound, all_whole


@numba.njit(nogil=True, cache=True)
def add_clipped(rows, genes, values, first_row, cell_of, column_of, batch_of, ceilings, sums):
    """Add x and x² to `sums[batch, column]` where x is at most `ceilings[batch, column]`; count the others in a third sum.

    Counting them keeps sums of whole numbers exact, so that genes that tie do so however their cells are split over tasks.
    """
    begin = 0
    while begin < rows.size:
        end = end_of_stretch(rows, begin)
        cell = cell_of[rows[begin] - first_row]
        if cell >= 0 and batch_of[cell] >= 0:
            own, own_ceilings = sums[batch_of[cell]], ceilings[batch_of[cell]]
            for i in range(begin, end):
                column = np.int64(column_of[genes[i]]) if column_of.size else genes[i]
                if column < 0:
                    continue
                value = np.float64(values[i])
                if value > own_ceilings[column]:
                    own[column, 2] += 1.0
                else:
                    own[column, 0] += value
                    own[column, 1] += value * value
        begin = end
