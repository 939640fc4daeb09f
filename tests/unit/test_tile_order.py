"""The order in which non-zeros go to TileDB, against a sort."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from somaray.datasets.census_schema import TILE_ROWS
from somaray.datasets.writer import FRAGMENT_STRIPS, Rows, fragment_ranges, tile_order


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(1, 45),
    st.integers(1, 200),
    st.floats(0, 1),
)
def test_a_strip_comes_tile_by_tile_then_by_row_and_column(seed, n_rows, n_vars, width, batch_nnz, density):
    x = sparse.random(n_rows, n_vars, density, "csr", np.float32, rng=np.random.default_rng(seed))
    x.sort_indices()
    start = 3 * TILE_ROWS
    batches = list(tile_order(Rows(start, x.indptr.astype(np.int64), x.indices, x.data), width, batch_nnz))
    coo = x.tocoo()
    order = np.lexsort((coo.col, coo.row, coo.col // width))
    assert [batch.num_rows for batch in batches] == [min(batch_nnz, x.nnz - at) for at in range(0, x.nnz, batch_nnz)]
    if x.nnz:
        table = pa.Table.from_batches(batches)
        np.testing.assert_array_equal(table["soma_dim_0"], coo.row[order] + start)
        np.testing.assert_array_equal(table["soma_dim_1"], coo.col[order])
        np.testing.assert_array_equal(table["soma_data"], coo.data[order])


@pytest.mark.parametrize("n_obs", [1, 2048, 2049, 5000, 65_536, 65_537, 3_677_225])
def test_fragments_are_whole_strips_that_cover_all_rows(n_obs):
    ranges = fragment_ranges(n_obs)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == n_obs
    for (start, stop), (following, _) in zip(ranges, [*ranges[1:], (n_obs, None)], strict=True):
        assert start % TILE_ROWS == 0
        assert stop == following
        assert 0 < stop - start <= FRAGMENT_STRIPS * TILE_ROWS
