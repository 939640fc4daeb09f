"""Stretches of coordinates that lie in one row: where they end, what their values are, what they add up to."""

import numba
import numpy as np

STEP = 32
"""Rows compared at once."""

EXACT_BELOW = 2.0**53
"""Sums of whole numbers that stay below are exact in double precision, in whatever order they are added."""


@numba.njit(nogil=True, cache=True)
def end_of_stretch(rows, begin):
    """Where the stretch of equal `rows` that starts at `begin` ends."""
    row, end = rows[begin], begin + 1
    while end + STEP <= rows.size:
        differ = np.int64(0)
        for other in rows[end : end + STEP]:
            differ |= other ^ row
        if differ:
            break
        end += STEP
    while end < rows.size and rows[end] == row:
        end += 1
    return end


@numba.njit(nogil=True, cache=True)
def look_at(values):
    """Whether all values are finite and not negative, and whether they are whole besides."""
    n_unsound, n_broken = np.int32(0), np.int32(0)
    for value in values:
        n_unsound += np.int32(not (value >= 0.0 and value < np.inf))
        n_broken += np.int32(value != np.floor(value))
    return n_unsound == 0, n_unsound == 0 and n_broken == 0


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def _sum_in_any_order(values):
    total = 0.0
    for value in values:
        total += np.float64(value)
    return total


@numba.njit(nogil=True, cache=True)
def total_of(values, whole):
    """Sum in double precision, the same to the last bit as value after value; `whole` as `look_at` says."""
    if whole:
        total = _sum_in_any_order(values)
        if total < EXACT_BELOW:
            return total
    total = 0.0
    for value in values:
        total += np.float64(value)
    return total
