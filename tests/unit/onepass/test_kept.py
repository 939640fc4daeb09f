"""Packed coordinates: what goes in comes out in the same order, and memory is used again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from somaray.methods.onepass.kept import Kept
from somaray.methods.onepass.reading import LEAST_BUDGET_BYTES, NO_LOOKUP, choose_budget_bytes

FIRST_ROW = 100


def coordinates(rng, length, n_cells, n_genes, column_of=NO_LOOKUP, dtype=np.float32):
    rows = np.sort(rng.integers(0, n_cells, length)) + FIRST_ROW
    cell_of = np.arange(n_cells, dtype=np.int32)
    cell_of[::3] = -1
    return (
        rows,
        rng.integers(0, n_genes, length),
        rng.integers(1, 9, length).astype(dtype),
        FIRST_ROW,
        cell_of,
        column_of,
    )


@given(
    st.integers(0, 2**32 - 1), st.lists(st.integers(0, 90_000), min_size=1, max_size=4), st.sampled_from([9, 70_000])
)
def test_wanted_coordinates_are_kept_in_order_and_add_up(seed, lengths, n_genes):
    rng = np.random.default_rng(seed)
    column_of = np.arange(n_genes, dtype=np.int32) - 2
    kept = Kept(n_genes, np.float32)
    # A strip before it, so that blocks are used again.
    kept.add(coordinates(rng, 1000, 7, n_genes), np.zeros(7))
    kept.clear()
    batches = [coordinates(rng, length, 7, n_genes, column_of) for length in lengths]
    totals, expected = np.zeros(7), np.zeros(7)
    for batch in batches:
        assert kept.add(batch, totals)
    found = list(kept)
    assert len(found) == len(batches)
    for (rows, genes, values, first_row, cell_of, _), (stretch_cells, ends, columns, kept_values) in zip(
        batches, found, strict=True
    ):
        wanted = (cell_of[rows - first_row] >= 0) & (column_of[genes] >= 0)
        cells = np.repeat(stretch_cells, np.diff(ends, prepend=0))
        np.testing.assert_array_equal(cells, (rows - first_row)[wanted])
        np.testing.assert_array_equal(columns, column_of[genes][wanted])
        np.testing.assert_array_equal(kept_values, values[wanted])
        np.add.at(expected, cells, kept_values.astype(np.float64))
    np.testing.assert_array_equal(totals, expected)


@pytest.mark.parametrize(("n_columns", "n_bytes"), [(1, 2), (65_536, 2), (65_537, 4)])
def test_columns_take_as_few_bytes_as_tell_them_apart(n_columns, n_bytes):
    kept = Kept(n_columns, np.float32)
    rows, _, values, *rest = coordinates(np.random.default_rng(0), 5, 4, 1)
    kept.add((rows, np.full(5, n_columns - 1), values, *rest), np.zeros(4))
    ((_, _, columns, _),) = kept
    assert columns.itemsize == n_bytes
    assert set(columns) <= {n_columns - 1}


@pytest.mark.parametrize("value", [-1.0, np.inf, np.nan])
def test_what_is_no_count_is_told(value):
    rows, genes, values, first_row, cell_of, column_of = coordinates(np.random.default_rng(0), 50, 4, 3)
    values[rows == FIRST_ROW + 1] = value
    assert not Kept(3, np.float32).add((rows, genes, values, first_row, cell_of, column_of), np.zeros(4))


@pytest.mark.parametrize(
    ("n_stored", "capacity", "expected_bytes"),
    [
        (150_000_000, 100_000, LEAST_BUDGET_BYTES),
        # A tile alone would not fit.
        (150_000_000, 10_000_000, 8 * 10_000_000 * 20),
        # 1.5 million tiles: their index takes 192 MB, a tenth of the budget.
        (150_000_000_000, 100_000, 1_920_000_000),
    ],
)
def test_the_budget_holds_some_tiles_and_the_index(n_stored, capacity, expected_bytes):
    assert choose_budget_bytes(n_stored, capacity, value_bytes=4) == expected_bytes
