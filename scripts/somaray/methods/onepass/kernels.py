"""Loops over the coordinates of X as TileDB delivers them: no sorting, no CSR, no GIL.

All take one batch of coordinates: `rows` and `genes` are joinids (`int64`), `values` the counts. `cell_of` maps
`row - first_row` to a cell of the strip, -1 for a row that is not wanted. `column_of` maps a gene's joinid to a column of the
sums, -1 for a gene that is not wanted; empty when columns are joinids. `batch_of` gives a cell's batch, -1 for none.

Whatever the batches' size, a column's sums are added up in the order in which its values lie in the array, so that they come
out the same to the last bit. Duplicate coordinates count as values of their own, as they do in the matrix that `to_anndata`
returns.
"""

import numba
import numpy as np

LOG_TABLE_COUNTS = 32
"""Counts whose logarithm is looked up; larger ones, a few in a hundred, are worked out one by one."""


@numba.njit(nogil=True, cache=True)
def add_totals(rows, genes, values, first_row, cell_of, column_of, totals):
    """Add up each cell's counts; False if any value is negative, infinite or not a number."""
    fine = True
    row, cell, total = np.int64(-1), np.int64(-1), 0.0
    for i in range(values.size):
        if rows[i] != row:
            # The sum of a row's stretch stays in a register: memory would make every addition wait for the last one.
            if cell >= 0:
                totals[cell] += total
            row, total = rows[i], 0.0
            cell = np.int64(cell_of[row - first_row])
        if cell < 0 or (column_of.size and column_of[genes[i]] < 0):
            continue
        value = np.float64(values[i])
        if not (value >= 0.0 and value < np.inf):
            fine = False
        total += value
    if cell >= 0:
        totals[cell] += total
    return fine


@numba.njit(nogil=True, cache=True)
def keep(rows, genes, values, first_row, cell_of, column_of, totals, cells, columns, kept):
    """Add up each cell's counts, and keep the wanted coordinates in `cells`, `columns` and `kept`.

    Returns
    -------
    Whether all values are finite and not negative, and how many coordinates are kept.
    """
    fine, n_kept = True, 0
    row, cell, total = np.int64(-1), np.int64(-1), 0.0
    for i in range(values.size):
        if rows[i] != row:
            if cell >= 0:
                totals[cell] += total
            row, total = rows[i], 0.0
            cell = np.int64(cell_of[row - first_row])
        if cell < 0:
            continue
        column = genes[i]
        if column_of.size:
            column = np.int64(column_of[column])
            if column < 0:
                continue
        value = np.float64(values[i])
        if not (value >= 0.0 and value < np.inf):
            fine = False
        total += value
        cells[n_kept] = cell
        columns[n_kept] = column
        kept[n_kept] = values[i]
        n_kept += 1
    if cell >= 0:
        totals[cell] += total
    return fine, n_kept


@numba.njit(nogil=True, cache=True)
def add_shares(cells, columns, values, batch_of, weights, sums):
    """Add x/r and (x/r)² of kept coordinates to `sums[batch, column]`, with `weights` = 1/r a cell."""
    for i in range(values.size):
        cell = cells[i]
        batch = batch_of[cell]
        if batch < 0:
            continue
        share = values[i] * weights[cell]
        sums[batch, columns[i], 0] += share
        sums[batch, columns[i], 1] += share * share


@numba.njit(nogil=True, cache=True)
def add_logs(cells, columns, values, batch_of, divisors, log_table, sums):
    """Add z = log1p(x / divisor) and z² of kept coordinates to `sums[batch, column]`.

    Each is rounded to the type of `values` as Scanpy does. `log_table[cell, k]` holds log1p(k / divisors[cell]).
    """
    for i in range(values.size):
        cell = cells[i]
        batch = batch_of[cell]
        if batch < 0:
            continue
        value = values[i]
        if value < LOG_TABLE_COUNTS and value == np.floor(value):
            logarithm = log_table[cell, np.int64(value)]
        else:
            logarithm = np.log1p(value / divisors[cell])
        sums[batch, columns[i], 0] += logarithm
        sums[batch, columns[i], 1] += logarithm * logarithm


@numba.njit(nogil=True, cache=True)
def add_counts(rows, genes, values, first_row, cell_of, column_of, batch_of, sums):
    """Add x and x² to `sums[batch, column]`; squares are rounded to the type of `values`.

    Returns
    -------
    Whether all values are finite and not negative, and whether all are whole.
    """
    fine, whole = True, True
    row, batch = np.int64(-1), np.int64(-1)
    for i in range(values.size):
        if rows[i] != row:
            row = rows[i]
            cell = cell_of[row - first_row]
            batch = np.int64(batch_of[cell]) if cell >= 0 else np.int64(-1)
        if batch < 0:
            continue
        column = genes[i]
        if column_of.size:
            column = np.int64(column_of[column])
            if column < 0:
                continue
        value = values[i]
        if not (value >= 0.0 and value < np.inf):
            fine = False
        if value != np.floor(value):
            whole = False
        sums[batch, column, 0] += value
        sums[batch, column, 1] += value * value
    return fine, whole


@numba.njit(nogil=True, cache=True)
def add_clipped(rows, genes, values, first_row, cell_of, column_of, batch_of, ceilings, sums):
    """Add x and x² to `sums[batch, column]` where x is at most `ceilings[batch, column]`; count the others in a third sum.

    Counting them keeps sums of whole numbers exact, so that genes that tie do so however their cells are split over tasks.
    """
    row, batch = np.int64(-1), np.int64(-1)
    for i in range(values.size):
        if rows[i] != row:
            row = rows[i]
            cell = cell_of[row - first_row]
            batch = np.int64(batch_of[cell]) if cell >= 0 else np.int64(-1)
        if batch < 0:
            continue
        column = genes[i]
        if column_of.size:
            column = np.int64(column_of[column])
            if column < 0:
                continue
        value = np.float64(values[i])
        if value > ceilings[batch, column]:
            sums[batch, column, 2] += 1.0
        else:
            sums[batch, column, 0] += value
            sums[batch, column, 1] += value * value
