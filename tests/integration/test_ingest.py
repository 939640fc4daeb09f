"""Files of every kind of matrix become stores equal to them; what is no raw count is told with its cell and gene."""

import tracemalloc

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import tiledbsoma
import tiledbsoma.io
from scipy import sparse

from somaray.datasets import h5ad_rows
from somaray.datasets.h5ad_checks import check_h5ad
from somaray.datasets.prepare import check_entry, prepare
from somaray.datasets.store import Source
from somaray.errors import SomarayError
from support.small_store import random_counts, read_whole

SHAPE = (4_300, 130)
"""Three strips, the last one short."""


def example(seed=0, shape=SHAPE, dtype=np.float32):
    x = random_counts(seed, *shape, dtype=dtype).tocsr()
    obs = pd.DataFrame(
        {"batch": pd.Categorical(np.where(np.arange(shape[0]) % 3, "one", "two")), "depth": x.sum(axis=1).A1},
        index=[f"cell-{i}" for i in range(shape[0])],
    )
    var = pd.DataFrame({"mito": np.arange(shape[1]) % 7 == 0}, index=[f"gene-{i}" for i in range(shape[1])])
    return ad.AnnData(x, obs, var)


def ingest(folder, adata, **entry):
    path = folder / "given.h5ad"
    adata.write_h5ad(path, compression=entry.pop("compression", None))
    return prepare("given", {"kind": "h5ad", "path": str(path), **entry}, folder / "soma", "f")


def read_back(manifest):
    return read_whole(Source.from_manifest(manifest, {}, 1))


@pytest.mark.parametrize("layout", ["census", "scan"])
@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint16", "bool"])
def test_store_equals_the_file(tmp_path, form, dtype, layout, monkeypatch):
    monkeypatch.setattr(h5ad_rows, "BLOCK_NNZ", 10_000)
    monkeypatch.setattr(h5ad_rows, "DENSE_BLOCK_BYTES", 500 * 130 * 4)
    adata = example()
    x = adata.X.astype(dtype)
    adata.X = {"csr": x.tocsr(), "csc": x.tocsc(), "dense": x.toarray()}[form]
    manifest = ingest(tmp_path, adata, layout=layout)
    back = read_back(manifest)
    assert (x.astype(np.float32) != back.X).nnz == 0
    assert manifest.nnz == x.nnz
    assert list(back.obs_names) == list(adata.obs_names)
    assert list(back.var_names) == list(adata.var_names)
    assert list(tmp_path.joinpath("soma").glob("columns-*")) == []


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_compressed_chunks_are_read(tmp_path, form):
    adata = example()
    adata.X = adata.X.asformat(form)
    assert (read_back(ingest(tmp_path, adata, compression="gzip")).X != adata.X).nnz == 0


def test_layer_and_raw_are_chosen_by_name(tmp_path):
    adata = example()
    counts = adata.X
    adata.layers["counts"] = counts
    adata.raw = ad.AnnData(counts, adata.obs, adata.var.rename(index=lambda name: f"raw-{name}"))
    adata = adata[:, :100].copy()
    adata.X = adata.X.multiply(0.25).tocsr()
    by_layer = read_back(ingest(tmp_path, adata, layer="counts"))
    assert (counts[:, :100] != by_layer.X).nnz == 0
    raw = read_back(ingest(tmp_path, adata, layer="raw"))
    assert (counts != raw.X).nnz == 0
    assert raw.var_names[3] == "raw-gene-3"


def test_unsorted_columns_doubles_and_stored_zeros_are_put_right(tmp_path):
    adata = example()
    x = adata.X.copy()
    path = tmp_path / "given.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        start, stop = x.indptr[0], x.indptr[1]
        file["X/indices"][start:stop] = x.indices[start:stop][::-1]
        file["X/data"][start:stop] = x.data[start:stop][::-1]
        row = slice(x.indptr[1], x.indptr[2])
        columns, values = x.indices[row].copy(), x.data[row].copy()
        columns[1], values[2] = columns[0], 0
        file["X/indices"][row], file["X/data"][row] = columns, values
    manifest = prepare("given", {"kind": "h5ad", "path": str(path)}, tmp_path / "soma", "f")
    expected = x.tolil()
    old = x[1].toarray().ravel()
    columns = x.indices[row]
    expected[1, columns[0]] = old[columns[0]] + old[columns[1]]
    expected[1, columns[1]] = expected[1, columns[2]] = 0
    expected = expected.tocsr()
    assert (expected != read_back(manifest).X).nnz == 0
    assert manifest.nnz == expected.nnz


def test_columns_keep_their_kinds_and_unknown_ones_are_named(tmp_path, capsys):
    adata = example(shape=(60, 20))
    n = adata.n_obs
    adata.obs["ordered"] = pd.Categorical(["lo", "hi", None] * (n // 3), ["lo", "hi"], ordered=True)
    adata.obs["text"] = [f"t{i}" for i in range(n)]
    adata.obs["whole"] = pd.array([1, None] * (n // 2), "Int64")
    adata.obs["flag"] = np.arange(n) % 2 == 0
    adata.obs["number"] = pd.Categorical(np.arange(n) % 4)
    adata.obs["soma_own"] = 1
    adata.obs["obs_id"] = "mine"
    adata.obs["wave"] = np.full(n, 1 + 2j)
    adata.obs["none"] = pd.Categorical([None] * n)
    manifest = ingest(tmp_path, adata)
    obs = read_back(manifest).obs
    said = capsys.readouterr().out
    for name in ("soma_own", "obs_id", "wave", "none"):
        assert f"obs column '{name}' left out" in said
    assert manifest.obs_columns == (
        "soma_joinid", "obs_id", "batch", "depth", "ordered", "text", "whole", "flag", "number",
    )  # fmt: skip
    for name in ("batch", "ordered", "number"):
        assert obs[name].dtype == adata.obs[name].dtype
        assert list(obs[name].astype(object)) == list(adata.obs[name].astype(object)) or obs[name].isna().any()
    assert obs["ordered"].isna().sum() == n // 3
    assert list(obs["text"]) == list(adata.obs["text"])
    assert obs["whole"].isna().sum() == n // 2
    assert obs["flag"].dtype == bool


def test_names_survive_a_named_index(tmp_path):
    adata = example(shape=(50, 20))
    adata.obs.index.name, adata.var.index.name = "barcode", "symbol"
    manifest = ingest(tmp_path, adata)
    assert (manifest.obs_id, manifest.var_id) == ("obs_id", "var_id")
    with tiledbsoma.Experiment.open(manifest.uri) as experiment:
        exported = tiledbsoma.io.to_anndata(experiment, "RNA", X_layer_name="raw")
    assert list(exported.obs_names) == list(adata.obs_names)
    assert list(exported.var_names) == list(adata.var_names)


def spoiled(value, row=4_200, column=11):
    adata = example(dtype=np.float64)
    x = adata.X.tolil()
    x[row, column] = value
    adata.X = x.tocsr()
    return adata


@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.5, "holds no raw counts: 1.5"),
        (-2, "holds no raw counts: -2"),
        (np.nan, "not a number"),
        (np.inf, "not a number"),
        (float(1 << 25), "holds 33554432, more than 16,777,216"),
        (float((1 << 24) + 1), "holds 16777217, more than"),
    ],
)
def test_what_is_no_count_is_told_with_cell_and_gene(tmp_path, form, value, said):
    adata = spoiled(value)
    adata.X = adata.X.toarray() if form == "dense" else adata.X.asformat(form)
    adata.layers["counts"] = example().X
    with pytest.raises(SomarayError) as caught:
        ingest(tmp_path, adata)
    message = str(caught.value)
    assert said in message
    assert "given.h5ad: layer 'X'" in message
    assert "cell 'cell-4200', gene 'gene-11'" in message
    assert "layer 'counts' holds counts" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.h5ad"]


@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
def test_normalised_values_are_found_by_the_quick_check(tmp_path, form):
    adata = example()
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X.log1p()
    adata.X = adata.X.toarray() if form == "dense" else adata.X.asformat(form)
    adata.write_h5ad(tmp_path / "given.h5ad")
    entry = {"kind": "h5ad", "path": str(tmp_path / "given.h5ad")}
    with pytest.raises(SomarayError, match="holds no raw counts: 2.89.* layer 'counts' holds counts"):
        check_entry(entry)
    check_entry({**entry, "layer": "counts"})


def test_files_that_are_none_are_told(tmp_path):
    text, other = tmp_path / "text.h5ad", tmp_path / "other.h5ad"
    text.write_text("not HDF5")
    with h5py.File(other, "w") as file:
        file["X"] = np.ones((2, 2))
    for path, said in (
        (tmp_path / "absent.h5ad", "absent.h5ad: no such file"),
        (text, "text.h5ad: not an h5ad, or damaged"),
        (other, "other.h5ad: not an h5ad: it has no group 'obs'"),
    ):
        with pytest.raises(SomarayError, match=said):
            check_h5ad(path)
        with pytest.raises(SomarayError, match=said):
            prepare("d", {"kind": "h5ad", "path": str(path)}, tmp_path / "soma", "f")


def test_missing_layers_are_told_with_those_there_are(tmp_path):
    adata = example(shape=(50, 20))
    adata.layers["spliced"] = adata.X
    adata.write_h5ad(tmp_path / "given.h5ad")
    for layer in ("raw", "count"):
        with pytest.raises(SomarayError, match=f"layer '{layer}' is not in the file: expected one of X, spliced"):
            check_h5ad(tmp_path / "given.h5ad", layer)


@pytest.mark.parametrize(("axis", "named"), [("obs", "cell-1"), ("var", "gene-1")])
def test_names_that_occur_twice_are_told(tmp_path, axis, named):
    adata = example(shape=(50, 20))
    frame = getattr(adata, axis)
    names = frame.index.to_list()
    names[2] = names[1]
    frame.index = names
    with pytest.raises(SomarayError, match=f"1 names of {axis} stand for more than one row: '{named}'"):
        ingest(tmp_path, adata)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_empty_matrices_are_told(tmp_path, shape):
    adata = ad.AnnData(sparse.csr_matrix(shape, dtype=np.float32))
    with pytest.raises(SomarayError, match=f"is empty \\({shape[0]} cells × {shape[1]} genes\\)"):
        ingest(tmp_path, adata)


@pytest.mark.parametrize("dense", [True, False])
def test_a_matrix_of_zeros_is_told(tmp_path, dense):
    x = sparse.csr_matrix((5, 4), dtype=np.float32)
    with pytest.raises(SomarayError, match="holds only zeros"):
        ingest(tmp_path, ad.AnnData(x.toarray() if dense else x))


@pytest.mark.parametrize("name", ["pbmc3k", "pbmc_facs", "pbmc1k_citeseq"])
def test_real_counts_equal_anndatas_own_reading(shared_data, tmp_path, name):
    path = shared_data / f"{name}.h5ad"
    check_h5ad(path)
    manifest = prepare(name, {"kind": "h5ad", "path": str(path)}, tmp_path / "soma", "f")
    back, given = read_back(manifest), ad.read_h5ad(path)
    assert (back.X != given.X).nnz == 0
    assert manifest.nnz == given.X.nnz
    assert list(back.obs_names) == list(given.obs_names)
    assert list(back.var_names) == list(given.var_names)
    for column in given.obs:
        assert list(back.obs[column]) == list(given.obs[column])
        assert back.obs[column].dtype == given.obs[column].dtype
    for column in given.var:
        np.testing.assert_array_equal(back.var[column], given.var[column])


@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
def test_the_matrix_is_never_held_whole(tmp_path, form, monkeypatch):
    monkeypatch.setattr(h5ad_rows, "BLOCK_NNZ", 100_000)
    monkeypatch.setattr(h5ad_rows, "DENSE_BLOCK_BYTES", 1 << 20)
    # Thirty strips of 1.6 MB in CSR form, by two threads at most.
    x = sparse.random(30 * 2048, 500, 0.2, "csr", np.float32, rng=np.random.default_rng(0))
    x.data[:] = 1
    path = tmp_path / "given.h5ad"
    ad.AnnData({"csr": x, "csc": x.tocsc(), "dense": x.toarray()}[form]).write_h5ad(path)
    held_bytes = x.data.nbytes + x.indices.nbytes
    for turn in range(2):  # compiling counts, the first time
        tracemalloc.start()
        prepare("given", {"kind": "h5ad", "path": str(path)}, tmp_path / f"soma-{turn}", "f")
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak_bytes < 0.7 * held_bytes
