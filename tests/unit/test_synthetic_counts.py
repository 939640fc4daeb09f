"""Synthetic counts: those of Census in their statistics, and the same however they are drawn."""

import numpy as np
import pytest
from scipy import sparse

from somaray.datasets.count_model import CountModel
from somaray.datasets.sizes import check_size
from somaray.datasets.synthetic import Drawer, strips
from somaray.errors import SomarayError

CELLS_SEEN = 250
"""Cells drawn of each dataset: enough for the statistics, few enough for a second."""


@pytest.fixture(scope="module")
def census_like():
    """A model of human Census's genes and 20 datasets, and some cells of each."""
    model = CountModel(800_000, 60_530, 1500, seed=4)
    drawer = Drawer(model)
    rows = [drawer(dataset.start, dataset.start + CELLS_SEEN) for dataset in model.datasets]
    x = sparse.vstack([as_matrix(part, model.n_vars) for part in rows], format="csr")
    return model, x, drawer


def as_matrix(rows, n_vars):
    return sparse.csr_matrix((rows.data, rows.indices, rows.indptr), shape=(rows.indptr.size - 1, n_vars))


def whole(model, rows):
    return sparse.vstack([as_matrix(part, model.n_vars) for part in strips(model, rows)], format="csr")


def test_values_are_shared_out_as_in_census(census_like):
    _, x, _ = census_like
    share = np.bincount(x.data.astype(int), minlength=11) / x.nnz
    assert 0.61 < share[1] < 0.66
    assert 0.165 < share[2] < 0.19
    assert 0.06 < share[3] < 0.08
    assert 0.014 < 1 - share[:11].sum() < 0.05


def test_few_genes_hold_most_nonzeros_as_in_census(census_like):
    _, x, _ = census_like
    by_gene = np.sort(x.getnnz(axis=0))[::-1]
    assert 0.30 < by_gene[:1000].sum() / x.nnz < 0.50
    assert 0.78 < by_gene[:5000].sum() / x.nnz < 0.885


def test_cells_differ_in_depth_as_in_census(census_like):
    model, x, _ = census_like
    nnz = x.getnnz(axis=1)
    assert len(model.datasets) == 20
    assert np.log(nnz).std() == pytest.approx(0.7, abs=0.08)
    slope = np.polyfit(np.log(x.sum(axis=1).A1), np.log(nnz), 1)[0]
    assert 0.71 < slope < 0.78


def test_mean_nonzeros_of_a_cell_is_the_one_asked_for():
    model = CountModel(30_000, 3_000, 60, seed=1)
    assert whole(model, 5_000).nnz / model.n_obs == pytest.approx(60, rel=0.02)


def test_datasets_are_unlike_each_other(census_like):
    model, x, _ = census_like
    means = x.getnnz(axis=1).reshape(-1, CELLS_SEEN).mean(axis=1)
    assert means.max() > 2 * means.min()
    first, second = (x[n * CELLS_SEEN : (n + 1) * CELLS_SEEN].sum(axis=0).A1 for n in (0, 1))
    loud = (first + second) > 200
    ratio = np.log((first[loud] + 1) / (second[loud] + 1))
    # Sampling alone would give about 0.1.
    assert np.std(ratio) > 0.4
    assert not np.array_equal(model.measured(model.datasets[0]), model.measured(model.datasets[1]))


def test_markers_of_cell_types_are_the_highly_variable_genes():
    model = CountModel(6_000, 20_000, 800, seed=2)
    dataset = model.datasets[0]
    x = as_matrix(Drawer(model)(dataset.start, dataset.stop), model.n_vars)
    total = x.sum(axis=1).A1
    scaled = sparse.diags(np.median(total) / total) @ x
    mean = scaled.mean(axis=0).A1
    dispersion = (scaled.multiply(scaled).mean(axis=0).A1 - mean**2) / np.maximum(mean, 1e-12)
    markers = np.zeros(model.n_vars, bool)
    for number in dataset.types:
        markers[model.markers[number][0]] = True
    others = ~markers
    others[model.head] = False
    # Against other genes that are as loud.
    band = (mean > 0.2) & (mean < 1)
    assert markers[band].sum() > 100
    assert others[band].sum() > 100
    most_variable = np.argsort(-np.where(band, dispersion, 0))[:100]
    assert markers[most_variable].mean() > 0.9
    assert np.median(dispersion[most_variable]) > 2 * np.median(dispersion[band & others])


def test_counts_do_not_depend_on_how_rows_are_grouped():
    model = CountModel(700, 900, 40, seed=3)
    expected = whole(model, 700)
    for rows in (1, 37, 256):
        grouped = whole(CountModel(700, 900, 40, seed=3), rows)
        for name in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(grouped, name), getattr(expected, name))


def test_a_seed_gives_its_own_counts():
    assert (whole(CountModel(300, 500, 20, seed=3), 300) != whole(CountModel(300, 500, 20, seed=4), 300)).nnz > 1000
    assert whole(CountModel(300, 500, 20, seed=-1), 300).nnz


def test_rows_are_sorted_and_their_sums_true():
    model = CountModel(400, 600, 30, seed=5)
    drawer = Drawer(model)
    x = sparse.vstack([as_matrix(drawer(start, start + 100), 600) for start in range(0, 400, 100)], format="csr")
    stats = drawer.take_stats()
    assert x.has_sorted_indices
    assert x.data.min() == 1
    np.testing.assert_array_equal(stats.nnz, x.getnnz(axis=1))
    np.testing.assert_array_equal(stats.sums, x.sum(axis=1).A1)
    np.testing.assert_array_equal(stats.squares, x.multiply(x).sum(axis=1).A1)
    np.testing.assert_array_equal(drawer.gene_nnz, x.getnnz(axis=0))


def test_unmeasured_genes_have_no_counts():
    model = CountModel(400, 6_000, 300, seed=6)
    x = whole(model, 400)
    for dataset in model.datasets:
        present = x[dataset.start : dataset.stop].getnnz(axis=0) > 0
        assert not (present & ~model.measured(dataset)).any()


@pytest.mark.parametrize(("n_obs", "n_vars", "nnz"), [(1, 4, 1), (60, 4, 1), (2049, 64, 16), (100, 65, 0.5)])
def test_small_sizes_work(n_obs, n_vars, nnz):
    x = whole(CountModel(n_obs, n_vars, nnz, seed=0), 2048)
    assert x.shape == (n_obs, n_vars)
    assert (x.getnnz(axis=1) >= 1).all()


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((10, 2000, 1500), "nnz_per_obs 1500 with n_vars 2000: expected more than 0 and at most 500"),
        ((10, 2000, 0), "nnz_per_obs 0"),
        ((0, 2000, 10), "n_obs 0"),
        ((10, 3, 1), "n_vars 3"),
        ((10, 1 << 24, 1), "n_vars 16777216"),
    ],
)
def test_impossible_sizes_are_told(sizes, said):
    with pytest.raises(SomarayError, match=said):
        check_size(*sizes)
