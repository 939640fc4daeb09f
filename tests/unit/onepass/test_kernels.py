"""The loops over coordinates agree with NumPy on any order, filter and batch of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somaray.methods.onepass import kernels
from somaray.methods.onepass.kept import Kept

NO_LOOKUP = np.empty(0, dtype=np.int32)


@st.composite
def coordinates(draw):
    """Coordinates of rows 100 … 107 and genes 0 … 5 in any order, some twice, with a filter on either side or none."""
    n = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = rng.integers(100, 108, n)
    if draw(st.booleans()):
        rows.sort()
    cell_of = np.arange(8, dtype=np.int32)
    if draw(st.booleans()):
        cell_of = np.array([0, -1, 1, 2, -1, -1, 3, 4], dtype=np.int32)
    column_of = draw(st.sampled_from([NO_LOOKUP, np.array([1, -1, 0, -1, 2, 3], dtype=np.int32)]))
    values = rng.integers(0, 50, n).astype(draw(st.sampled_from([np.float32, np.float64])))
    batch_of = rng.integers(-1, 3, 8).astype(np.int32)
    return (rows, rng.integers(0, 6, n), values, 100, cell_of, column_of), batch_of


def expected_sums(arguments, batch_of, function):
    rows, genes, values, first, cell_of, column_of = arguments
    sums = np.zeros((3, 6, 2))
    for row, gene, value in zip(rows, genes, values, strict=True):
        cell = cell_of[row - first]
        column = gene if not column_of.size else column_of[gene]
        if cell < 0 or column < 0 or batch_of[cell] < 0:
            continue
        quantity, square = function(value, cell, batch_of[cell], column)
        sums[batch_of[cell], column] += quantity, square
    return sums


def squared(value):
    return value, value * value


@settings(max_examples=150)
@given(coordinates())
def test_all_sums(drawn):
    arguments, batch_of = drawn
    rows, genes, values, first, cell_of, column_of = arguments
    wanted = cell_of[rows - first] >= 0
    if column_of.size:
        wanted &= column_of[genes] >= 0

    totals = np.zeros(8)
    assert kernels.add_totals(*arguments, totals)
    np.testing.assert_array_equal(totals, np.bincount(cell_of[rows - first][wanted], values[wanted], minlength=8))

    packed = Kept(6, values.dtype.type)
    totals_again = np.zeros(8)
    assert packed.add(arguments, totals_again)
    np.testing.assert_array_equal(totals_again, totals)
    (kept,) = packed

    weights = np.linspace(0.1, 0.8, 8)
    sums = np.zeros((3, 6, 2))
    kernels.add_shares(*kept, batch_of, weights, sums)
    np.testing.assert_allclose(
        sums, expected_sums(arguments, batch_of, lambda x, cell, b, c: squared(float(x) * weights[cell])), rtol=1e-14
    )

    sums = np.zeros((3, 6, 2))
    assert kernels.add_counts(*arguments, batch_of, sums) == (True, True)
    np.testing.assert_array_equal(sums, expected_sums(arguments, batch_of, lambda x, *_: squared(x)))

    ceilings = np.linspace(5, 40, 18).reshape(3, 6)
    sums = np.zeros((3, 6, 3))
    kernels.add_clipped(*arguments, batch_of, ceilings, sums)
    below = expected_sums(arguments, batch_of, lambda x, cell, b, c: squared(x) if x <= ceilings[b, c] else (0, 0))
    cut = expected_sums(arguments, batch_of, lambda x, cell, b, c: (x > ceilings[b, c], 0))
    np.testing.assert_array_equal(sums, np.concatenate([below, cut[:, :, :1]], axis=2))

    divisors = np.linspace(0.5, 4, 8).astype(values.dtype)
    table = np.log1p(np.arange(kernels.LOG_TABLE_COUNTS, dtype=values.dtype) / divisors[:, None])
    sums = np.zeros((3, 6, 2))
    kernels.add_logs(*kept, batch_of, divisors, table, sums)
    np.testing.assert_allclose(
        sums,
        expected_sums(arguments, batch_of, lambda x, cell, b, c: squared(np.log1p(x / divisors[cell]))),
        rtol=1e-12 if values.dtype == np.float64 else 1e-6,
    )


def test_squares_are_rounded_to_the_type_of_the_values():
    value = np.float32(16777213)
    sums = np.zeros((1, 1, 2))
    one = np.zeros(1, dtype=np.int64)
    zero_cell, zero_batch = np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int32)
    kernels.add_counts(one, one, np.array([value]), 0, zero_cell, NO_LOOKUP, zero_batch, sums)
    assert sums[0, 0, 1] == np.float64(value * value) != np.float64(value) ** 2


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_values_that_are_no_counts_are_told(value):
    zeros = np.zeros(2, dtype=np.int64)
    lookup = np.zeros(1, dtype=np.int32)
    arguments = (zeros, zeros, np.array([3.0, value]), 0, lookup, NO_LOOKUP)
    assert not kernels.add_totals(*arguments, np.zeros(1))
    assert not kernels.add_counts(*arguments, lookup, np.zeros((1, 1, 2)))[0]


def test_what_is_filtered_out_may_be_anything():
    zeros = np.zeros(1, dtype=np.int64)
    nobody = np.full(1, -1, dtype=np.int32)
    assert kernels.add_totals(zeros, zeros, np.array([np.nan]), 0, nobody, NO_LOOKUP, np.zeros(1))
    assert kernels.add_totals(zeros, zeros, np.array([np.nan]), 0, np.zeros(1, np.int32), nobody, np.zeros(1))


def test_values_that_are_not_whole_are_told():
    zeros = np.zeros(1, dtype=np.int64)
    lookup = np.zeros(1, dtype=np.int32)
    found = kernels.add_counts(zeros, zeros, np.array([1.5]), 0, lookup, NO_LOOKUP, lookup, np.zeros((1, 1, 2)))
    assert found == (True, False)
