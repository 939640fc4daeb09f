"""What is exported is what the filters leave: cells in the query's order, genes, counts in their own type, columns of obs."""

import tracemalloc
from dataclasses import replace

import anndata
import h5py
import numpy as np
import pyarrow as pa
import pytest
import zarr
from scipy import sparse

from somaray.datasets.export import as_frame, block_rows, export, read_blocks
from somaray.errors import SomarayError
from support.small_store import random_counts, read_whole, write_store

FORMATS = ("h5ad", "zarr")


def read(path):
    return anndata.read_h5ad(path) if path.suffix == ".h5ad" else anndata.read_zarr(path)


def counts_with_holes(dtype=np.float32):
    counts = random_counts(7, 90, 40, dtype=dtype).tolil()
    counts[[0, 5, 6, 89]] = 0
    counts[:, [0, 39]] = 0
    return sparse.coo_matrix(counts)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    counts = counts_with_holes()
    obs = {
        "batch": [f"b{i % 3}" for i in range(counts.shape[0])],
        "only_early": ["early" if i < 50 else "late" for i in range(counts.shape[0])],
        "depth": np.arange(counts.shape[0]) / 7,
    }
    return write_store(tmp_path_factory.mktemp("store") / "soma", counts, obs)


def filtered(source):
    """Every third row or so and two stretches of genes."""
    source = replace(
        source,
        obs_filter='soma_joinid < 50 and batch in ["b0", "b2"]',
        var_filter="rank < 12 or rank >= 30",
    )
    with source.open() as experiment, source.query(experiment) as query:
        return replace(source, n_obs=query.n_obs, n_vars=query.n_vars)


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("holes", [False, True], ids=["whole", "holes"])
def test_read_back_is_what_the_query_gives(extension, holes, source, tmp_path, monkeypatch):
    source = filtered(source) if holes else source
    monkeypatch.setattr("somaray.datasets.export.BLOCK_NONZEROS", 100)
    path = tmp_path / f"x.{extension}"
    assert export(source, path, nnz=900) == []
    found, expected = read(path), read_whole(source)
    assert isinstance(found.X, sparse.csr_matrix)
    assert found.X.dtype == expected.X.dtype == np.float32
    assert found.X.has_sorted_indices
    assert (found.X != expected.X).nnz == 0
    assert list(found.obs_names) == list(expected.obs_names)
    assert list(found.var_names) == list(expected.var_names)
    assert found.obs["batch"].dtype == "category"
    assert list(found.obs["batch"]) == list(expected.obs["batch"])
    assert list(found.obs["batch"].cat.categories) == (["b0", "b2"] if holes else ["b0", "b1", "b2"])
    assert list(found.obs["depth"]) == list(expected.obs["depth"])
    assert list(tmp_path.iterdir()) == [path]


def test_holes_are_really_there(source):
    part = filtered(source)
    assert (part.n_obs, part.n_vars) == (33, 22)
    assert (read_whole(part).X.getnnz(axis=1) == 0).sum() >= 2


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.float64])
def test_types_are_kept(dtype, extension, tmp_path):
    source = write_store(tmp_path / "soma", counts_with_holes(dtype))
    path = tmp_path / f"x.{extension}"
    export(source, path)
    assert read(path).X.dtype == dtype
    assert (read(path).X != read_whole(source).X).nnz == 0


def test_no_counts_at_all(tmp_path):
    source = write_store(tmp_path / "soma", sparse.coo_matrix((20, 10), dtype=np.float32))
    export(source, tmp_path / "x.zarr", nnz=0)
    assert (read(tmp_path / "x.zarr").shape, read(tmp_path / "x.zarr").X.nnz) == ((20, 10), 0)


def test_coordinates_given_twice_are_added_up(tmp_path):
    counts = sparse.coo_matrix((np.float32([1, 2, 4]), ([3, 3, 5], [1, 1, 0])), shape=(8, 4))
    source = write_store(tmp_path / "soma", counts, allows_duplicates=True)
    export(source, tmp_path / "x.h5ad")
    assert (counts.tocsr() != read(tmp_path / "x.h5ad").X).nnz == 0


def test_order_is_that_of_the_joinids_given(source):
    rows, genes = np.array([40, 2, 77, 3, 11]), np.array([30, 4, 17])
    with source.open() as experiment:
        array = experiment.ms["RNA"].X["raw"]
        blocks = list(read_blocks(array, rows, genes, 2))
    assert [begin for begin, _ in blocks] == [0, 2, 4]
    whole = counts_with_holes().tocsr()[rows][:, genes]
    assert (sparse.vstack([block for _, block in blocks]) != whole).nnz == 0


def test_non_zeros_are_counted_in_64_bits_and_x_in_chunks(source, tmp_path):
    export(source, tmp_path / "x.h5ad")
    export(source, tmp_path / "x.zarr")
    with h5py.File(tmp_path / "x.h5ad") as file:
        assert file["X/indptr"].dtype == np.int64
        assert file["X/data"].chunks is not None
        assert file["X/data"].compression is None
    group = zarr.open_consolidated(tmp_path / "x.zarr", mode="r")
    assert group["X/indptr"].dtype == np.int64


def test_memory_does_not_grow_with_the_cells(tmp_path, monkeypatch):
    """Four times the cells in blocks of the same size: what Python and NumPy hold at most stays well below X."""
    monkeypatch.setattr("somaray.datasets.export.BLOCK_NONZEROS", 20_000)
    peaks, sizes = [], []
    for n_obs in (2_000, 8_000):
        counts = random_counts(1, n_obs, 200, density=0.5)
        source = write_store(tmp_path / f"{n_obs}.soma", counts, tile=512, capacity=4096)
        export(source, tmp_path / "warm.h5ad", counts.nnz)
        tracemalloc.start()
        export(source, tmp_path / f"{n_obs}.h5ad", counts.nnz)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(counts.tocsr().data.nbytes + counts.tocsr().indices.nbytes)
    assert sizes[1] > 3 * sizes[0]
    assert peaks[1] - peaks[0] < 0.5 * (sizes[1] - sizes[0])


def test_blocks_hold_what_they_should():
    assert block_rows(1_000_000, 2_000_000_000) == 2_000
    assert block_rows(100, 0) == block_rows(10**6, 10**6) == 65_536
    assert block_rows(100, None) == 2_048
    assert block_rows(1, 10**9) == 1


def test_columns_that_anndata_cannot_write_are_left_out():
    table = pa.table(
        {
            "id": ["a", "b"],
            "text": ["x", None],
            "flag": [True, None],
            "whole": [1, None],
            "day": pa.array([0, 1], pa.timestamp("s")),
            "bytes": [b"1", b"2"],
            "a/b": [1, 2],
        }
    )
    frame, notes = as_frame(table, "id", "obs")
    assert list(frame.columns) == ["text", "flag", "whole"]
    assert [str(dtype) for dtype in frame.dtypes] == ["category", "boolean", "float64"]
    assert [note.split("'")[1] for note in notes] == ["day", "bytes", "a/b"]


def test_a_store_that_changed_and_a_wrong_name_are_told(source, tmp_path):
    with pytest.raises(SomarayError, match=r"90 cells × 40 genes, but the manifest says 91 × 40"):
        export(replace(source, n_obs=91), tmp_path / "x.h5ad")
    with pytest.raises(SomarayError, match=r"expected a name that ends in \.h5ad or \.zarr"):
        export(source, tmp_path / "x.loom")
    assert list(tmp_path.iterdir()) == []
