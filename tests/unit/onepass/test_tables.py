"""Arithmetic on gene-sized tables, with known answers."""

import numpy as np
import pandas as pd
import pytest

from somaray.errors import SomarayError
from somaray.methods.onepass.passes import target_of
from somaray.methods.onepass.reading import choose_band_rows
from somaray.methods.onepass.selection import encode_batches
from somaray.methods.onepass.tables import dispersion_table, mean_and_variance
from somaray.settings import HvgSettings


def test_mean_and_variance_of_known_numbers():
    # Four cells with 0, 0, 2 and 4 of a gene: mean 1.5, unbiased variance 11/3; three times that: 4.5 and 33.
    mean, variance = mean_and_variance(np.array([[6.0, 20.0]]), 4, scale=3.0)
    assert mean[0] == 4.5
    assert variance[0] == pytest.approx(33.0, rel=1e-15)


def test_one_cell_has_no_correction():
    mean, variance = mean_and_variance(np.array([[5.0, 25.0]]), 1)
    assert (mean[0], variance[0]) == (5.0, 0.0)


def test_rounding_is_no_variance():
    values = np.full(1000, 0.1)
    sums = np.array([[values.sum(), (values * values).sum()]])
    assert mean_and_variance(sums, 1000, drop_noise=True)[1][0] == 0
    spread = np.array([[2.0, 2.0 + 2e-8]])
    assert mean_and_variance(spread, 2, drop_noise=True)[1][0] == pytest.approx(2e-8, rel=1e-6)


def test_target_is_the_median_of_cells_with_counts():
    assert target_of(np.array([0, 0, 3, 5, 10], dtype=np.float32)) == 5.0
    assert target_of(np.array([0, 3, 6], dtype=np.float32)) == 4.5
    assert target_of(np.zeros(3, dtype=np.float32)) == 1.0


@pytest.mark.parametrize(
    ("tile_rows", "n_rows", "n_stored", "expected"),
    [
        (2048, 1_559_974, 1_559_974 * 1500, 2048),
        (2048, 100_000, 100_000 * 200, 16_384),
        (2048, 10, 0, 16_384),
        (256, 10_000, 10_000 * 2000, 1792),
        (1_000_000, 1_000_000, 1_000_000 * 1000, 7813),
        (10_000_000, 5, 20, 19_532),
        (2048, 1000, 1000 * 30_000, 256),
    ],
)
def test_strips_are_whole_tiles_of_a_few_million_nonzeros(tile_rows, n_rows, n_stored, expected):
    assert choose_band_rows(tile_rows, n_rows, n_stored) == expected


def test_genes_that_scanpy_cannot_bin_are_the_users_to_filter():
    with pytest.raises(SomarayError, match="cell_ranger.*leave genes without counts out"):
        dispersion_table(
            (np.zeros(50), np.zeros(50)), pd.Index([str(i) for i in range(50)]), HvgSettings(flavor="cell_ranger")
        )


class TestBatches:
    def test_unused_categories_are_left_out(self):
        column = pd.Series(pd.Categorical(["b", "c", "b"], categories=["a", "b", "c"]))
        codes, names = encode_batches(column, HvgSettings(batch_key="x"))
        assert (codes.tolist(), names) == ([0, 1, 0], ["b", "c"])

    def test_a_gap_is_no_batch(self):
        codes, names = encode_batches(pd.Series(["b", None, "a"]), HvgSettings(batch_key="x"))
        assert (codes.tolist(), names) == ([1, -1, 0], ["a", "b"])

    def test_a_gap_is_refused_where_scanpy_fails_on_it(self):
        with pytest.raises(SomarayError, match="'x' has gaps"):
            encode_batches(pd.Series(["b", None, "a"]), HvgSettings(batch_key="x", flavor="seurat_v3"))

    def test_numbers_are_batches_where_scanpy_takes_them(self):
        codes, names = encode_batches(pd.Series([7, 3, 7]), HvgSettings(batch_key="x", flavor="seurat_v3"))
        assert (codes.tolist(), names) == ([1, 0, 1], [3, 7])
        with pytest.raises(SomarayError, match="'x' is of type int64"):
            encode_batches(pd.Series([7, 3, 7]), HvgSettings(batch_key="x"))

    def test_no_batch_at_all(self):
        with pytest.raises(SomarayError, match="names no batch"):
            encode_batches(pd.Series(pd.Categorical([None, None], categories=["a"])), HvgSettings(batch_key="x"))
