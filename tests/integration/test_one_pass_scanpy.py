"""`one-pass` gives what Scanpy gives on the same cells read whole."""

from dataclasses import replace
from itertools import product

import anndata
import numpy as np
import pytest
import scanpy as sc
import skmisc.loess
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from somaray.errors import SomarayError
from somaray.settings import HvgSettings
from support.against_scanpy import FLAVORS, TOLERANCE, assert_agrees, one_pass, scanpy
from support.small_store import random_counts, read_whole, write_store

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def smooth_loess(monkeypatch):
    """For both sides, loess without its interpolation, which hangs on rounding: genes of equal means end up in either of two
    cells, and variances differ by 1e-3. Its crash, with less than one gene in the span, becomes an exception.
    """
    original = skmisc.loess.loess

    def guarded(x, y, span, degree):
        if span * len(x) < 1:
            raise ValueError("no genes in the span")
        return original(x, y, span=span, degree=degree, surface="direct")

    monkeypatch.setattr(skmisc.loess, "loess", guarded)


@st.composite
def small_counts(draw):
    n_obs, n_vars = draw(st.sampled_from([(1, 8), (9, 1), (6, 5), (25, 30), (60, 80)]))
    dtype = draw(st.sampled_from([np.float32, np.float64, np.uint8, np.int32, np.int64]))
    largest = draw(st.sampled_from([3, 200] if dtype == np.uint8 else [3, 200, 10_000_000]))
    counts = random_counts(
        draw(st.integers(0, 1000)), n_obs, n_vars, draw(st.sampled_from([0.0, 0.1, 0.6, 1.0])), largest, np.float64
    ).toarray()
    counts[draw(st.lists(st.integers(0, n_obs - 1), max_size=n_obs // 3))] = 0
    counts[:, draw(st.lists(st.integers(0, n_vars - 1), max_size=n_vars // 3))] = 0
    if dtype in (np.float32, np.float64) and draw(st.booleans()):
        counts = counts / 4
    batches = draw(st.lists(st.sampled_from("aabbc"), min_size=n_obs, max_size=n_obs))
    return sparse.coo_matrix(counts.astype(dtype)), batches


settings_of_hvg = st.builds(
    HvgSettings,
    flavor=st.sampled_from(FLAVORS),
    batch_key=st.sampled_from([None, "batch"]),
    n_top_genes=st.sampled_from([None, 1, 5, 20]),
    target_sum=st.sampled_from([None, 1e4]),
    n_bins=st.sampled_from([3, 20]),
    span=st.sampled_from([0.3, 0.9]),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(small_counts(), settings_of_hvg, st.integers(1, 30))
def test_any_small_counts(smooth_loess, tmp_path_factory, drawn, hvg, chunk_size):
    counts, batches = drawn
    source = write_store(tmp_path_factory.mktemp("store") / "x", counts, {"batch": batches})
    assert_agrees(source, hvg, chunk_size)


@pytest.fixture(scope="module")
def middling(tmp_path_factory):
    """300 cells of a dozen counts for most of 400 genes, in three batches."""
    counts = random_counts(5, 300, 400, 0.5, 40)
    counts = sparse.coo_matrix(counts.toarray()[:, counts.toarray().any(axis=0)])
    return write_store(
        tmp_path_factory.mktemp("store") / "x", counts, {"batch": ["a", "b", "c"] * 100, "n": np.arange(300)}
    )


@pytest.mark.parametrize(("flavor", "batch_key"), list(product(FLAVORS, [None, "batch"])))
@pytest.mark.parametrize("n_top_genes", [None, 50])
def test_nearly_every_entry_is_compared(smooth_loess, middling, flavor, batch_key, n_top_genes):
    hvg = HvgSettings(flavor=flavor, batch_key=batch_key, n_top_genes=n_top_genes)
    assert assert_agrees(middling, hvg, 64) > 0.95


@pytest.mark.parametrize(("flavor", "batch_key"), list(product(FLAVORS, [None, "batch"])))
@pytest.mark.parametrize(
    ("obs_filter", "var_filter"),
    [("n < 40 or n > 77", None), (None, "rank > 9 and rank < 300"), ("n > 3 and n != 100 and n != 102", "rank != 50")],
)
def test_filters_that_leave_holes(smooth_loess, middling, flavor, batch_key, obs_filter, var_filter):
    source = replace(middling, obs_filter=obs_filter, var_filter=var_filter)
    assert assert_agrees(source, HvgSettings(flavor=flavor, batch_key=batch_key), 50) > 0.9


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_a_batch_of_one_cell_rounds_as_scanpy_does(tmp_path, dtype):
    counts = random_counts(2, 41, 60, 0.7, 50, dtype)
    source = write_store(tmp_path / "x", counts, {"batch": ["a"] * 20 + ["b"] + ["c"] * 20})
    hvg = HvgSettings(batch_key="batch")
    expected = scanpy(read_whole(source), hvg)
    found = one_pass(source, hvg).loc[expected.index]
    np.testing.assert_array_equal(found["dispersions"].isna(), expected["dispersions"].isna())
    np.testing.assert_allclose(found["dispersions"], expected["dispersions"], atol=1e-5)
    np.testing.assert_array_equal(found["highly_variable"], expected["highly_variable"])


@pytest.fixture(scope="module")
def doubled(tmp_path_factory):
    """Counts of 60 cells × 80 genes in which every third coordinate comes twice."""
    counts = random_counts(3, 60, 80, 0.8, 30)
    again = np.arange(0, counts.nnz, 3)
    values, rows, columns = (np.r_[part, part[again]] for part in (counts.data, counts.row, counts.col))
    twice = sparse.coo_matrix((values, (rows, columns)), shape=counts.shape)
    return write_store(tmp_path_factory.mktemp("store") / "x", twice, allows_duplicates=True), twice


@pytest.mark.parametrize("flavor", ["cell_ranger", "seurat_v3"])
def test_duplicate_coordinates_count_as_in_the_matrix_that_soma_returns(smooth_loess, doubled, flavor):
    source, _ = doubled
    hvg = HvgSettings(flavor=flavor, span=0.9)
    expected, found = scanpy(read_whole(source), hvg), one_pass(source, hvg)
    for column in expected.select_dtypes("floating"):
        np.testing.assert_allclose(found[column], expected[column], rtol=TOLERANCE, atol=TOLERANCE, err_msg=column)
    np.testing.assert_array_equal(found["highly_variable"], expected["highly_variable"])


def test_duplicate_coordinates_are_values_of_their_own_for_seurat(doubled):
    # Scanpy itself merges them on the way, in logarithms in memory and in counts with Dask.
    source, counts = doubled
    totals = np.bincount(counts.row, counts.data)
    shares = counts.data / totals[counts.row] * np.median(totals)
    mean, mean_square = (np.bincount(counts.col, part, minlength=80) / 60 for part in (shares, shares**2))
    expressed = mean > 0
    dispersion = np.log((mean_square - mean**2)[expressed] * 60 / 59 / mean[expressed])
    found = one_pass(source, HvgSettings())
    np.testing.assert_allclose(found["means"], np.log1p(np.maximum(mean, 1e-12)), rtol=1e-12)
    np.testing.assert_allclose(found["dispersions"][expressed], dispersion, rtol=1e-10)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger", "seurat_v3"])
def test_values_that_are_no_counts_are_refused(tmp_path, value, flavor):
    counts = random_counts(4, 20, 10)
    counts.data[5] = value
    source = write_store(tmp_path / "x", counts)
    with pytest.raises(SomarayError, match="negative, infinite or undefined"):
        one_pass(source, HvgSettings(flavor=flavor))


def test_mistakes_in_the_settings_are_named(middling):
    with pytest.raises(SomarayError, match="no obs column 'batches'"):
        one_pass(middling, HvgSettings(batch_key="batches"))
    with pytest.raises(SomarayError, match="target_sum: 0"):
        one_pass(middling, HvgSettings(target_sum=0.0))
    with pytest.raises(SomarayError, match="leave 0 cells"):
        one_pass(replace(middling, obs_filter="n > 1000"), HvgSettings())


REAL = {"pbmc3k": (None, 0.3), "pbmc_facs": ("split", 0.9), "pbmc1k_citeseq": (None, 0.3)}
"""Batch column (None: every other cell) and a span with which Scanpy's loess finds no singularity in any batch."""


@pytest.fixture(scope="module", params=REAL)
def real(request, tmp_path_factory, shared_data):
    """Counts of a real dataset, genes that no cell has left out: `cell_ranger` fails on many of them."""
    adata = anndata.read_h5ad(shared_data / f"{request.param}.h5ad")
    sc.pp.filter_genes(adata, min_cells=1)
    batch, span = REAL[request.param]
    batches = adata.obs[batch].astype(str).to_numpy() if batch else np.array(["a", "b"])[np.arange(adata.n_obs) % 2]
    source = write_store(
        tmp_path_factory.mktemp(request.param) / "x", adata.X.tocoo(), {"batch": batches}, tile=1024, capacity=65_536
    )
    return source, span, read_whole(source)


def assert_same_numbers(found, expected, **tolerances):
    for column, tolerance in tolerances.items():
        np.testing.assert_allclose(found[column], expected[column], rtol=tolerance, atol=tolerance, err_msg=column)


@pytest.mark.parametrize("target_sum", [None, 1e4])
@pytest.mark.parametrize("batch_key", [None, "batch"])
@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
def test_dispersions_of_real_counts(real, flavor, batch_key, target_sum):
    source, _, whole = real
    for n_top_genes in (None, 1500):
        hvg = HvgSettings(flavor=flavor, batch_key=batch_key, target_sum=target_sum, n_top_genes=n_top_genes)
        expected = scanpy(whole, hvg)
        found = one_pass(source, hvg, 700).loc[expected.index]
        # Scanpy's float32 counts; dividing by the spread in a bin makes more of their rounding.
        assert_same_numbers(found, expected, means=1e-6, dispersions=1e-6, dispersions_norm=5e-6)
        for column in expected.columns.intersection(["mean_bin", "highly_variable", "highly_variable_nbatches"]):
            np.testing.assert_array_equal(found[column], expected[column], err_msg=column)


@pytest.mark.parametrize("flavor", ["seurat_v3", "seurat_v3_paper"])
def test_variances_of_real_counts(real, flavor):
    source, _, whole = real
    hvg = HvgSettings(flavor=flavor)
    expected, found = scanpy(whole, hvg), one_pass(source, hvg, 700)
    # Sums of whole numbers are exact: there is no other result.
    np.testing.assert_array_equal(found[["means", "variances"]], expected[["means", "variances"]])
    assert_same_numbers(found, expected, variances_norm=1e-12, highly_variable_rank=0)
    np.testing.assert_array_equal(found["highly_variable"], expected["highly_variable"])


@pytest.mark.parametrize("flavor", ["seurat_v3", "seurat_v3_paper"])
def test_variances_of_real_counts_in_batches(real, flavor):
    source, span, whole = real
    hvg = HvgSettings(flavor=flavor, batch_key="batch", span=span)
    expected, found = scanpy(whole, hvg), one_pass(source, hvg, 700)
    assert_same_numbers(found, expected, means=1e-12, variances=1e-12)
    # Scanpy's means in batches round in the order of the cells, which splits genes of equal means, and loess interpolates
    # between knots that it puts at such genes: fed by Dask, Scanpy differs from itself by as much.
    assert_same_numbers(found, expected, variances_norm=2e-3)
    assert (found["highly_variable"] != expected["highly_variable"]).sum() <= 0.02 * expected["highly_variable"].sum()
