"""A synthetic store on disk: Census's schema, the drawn counts, true obs and var, in memory that does not grow."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
import tiledb
import tiledbsoma
from scipy import sparse

from somaray.datasets import prepare as prepare_module
from somaray.datasets import synthetic
from somaray.datasets.census_schema import OBS_LABELS, TILE_ROWS
from somaray.datasets.count_model import CountModel
from somaray.datasets.prepare import prepare
from somaray.datasets.store import Source
from somaray.datasets.synthetic import strips, write_synthetic
from somaray.datasets.writer import FRAGMENT_STRIPS
from support.small_store import read_whole

ENTRY = {"kind": "synthetic", "n_obs": 5_000, "n_vars": 4_500, "nnz_per_obs": 60, "seed": 7}


def drawn(model):
    parts = [
        sparse.csr_matrix((rows.data, rows.indices, rows.indptr), shape=(rows.indptr.size - 1, model.n_vars))
        for rows in strips(model, 1000)
    ]
    return sparse.vstack(parts, format="csr")


def make(folder, **changes):
    return prepare("made", {**ENTRY, **changes}, folder / "soma", "fingerprint")


@pytest.fixture(scope="module", params=["census", "scan"])
def made(request, tmp_path_factory):
    return make(tmp_path_factory.mktemp(request.param), layout=request.param), drawn(CountModel(5_000, 4_500, 60, 7))


def test_manifest_tells_what_is_in_the_store(made):
    manifest, x = made
    assert (manifest.n_obs, manifest.n_vars, manifest.nnz) == (*x.shape, x.nnz)
    assert (manifest.stored_n_obs, manifest.stored_n_vars) == x.shape
    assert (manifest.obs_id, manifest.var_id, manifest.measurement, manifest.layer) == (
        "soma_joinid", "feature_id", "RNA", "raw",
    )  # fmt: skip
    assert manifest.fingerprint == "fingerprint"
    assert 1 * x.nnz < manifest.size_bytes < 4 * x.nnz
    assert len(manifest.obs_columns) == 28
    assert "seed 7" in manifest.made_by


def test_store_holds_the_drawn_counts(made):
    manifest, x = made
    adata = read_whole(Source.from_manifest(manifest, {}, 1))
    assert (x != adata.X).nnz == 0
    assert adata.X.dtype == np.float32
    assert adata.var_names[17] == "ENSG00000000017"
    assert list(adata.obs_names[:2]) == ["0", "1"]


def test_obs_and_var_are_true(made):
    manifest, x = made
    adata = read_whole(Source.from_manifest(manifest, {}, 1))
    obs, var = adata.obs, adata.var
    nnz, total = x.getnnz(axis=1), x.sum(axis=1).A1
    np.testing.assert_array_equal(obs["nnz"], nnz)
    np.testing.assert_array_equal(obs["raw_sum"], total)
    np.testing.assert_allclose(obs["raw_mean_nnz"], total / nnz)
    rows = [x.data[start:stop] for start, stop in zip(x.indptr[:-1], x.indptr[1:], strict=True)]
    variance = [values.var(ddof=1, dtype=np.float64) if values.size > 1 else 0 for values in rows]
    np.testing.assert_allclose(obs["raw_variance_nnz"], variance, atol=1e-9)
    np.testing.assert_array_equal(var["nnz"], x.getnnz(axis=0))
    asked = np.zeros(x.shape[1], int)
    for _, cells in obs.groupby("dataset_id", observed=True):
        assert cells["n_measured_vars"].nunique() == 1
        assert (np.diff(cells.index.astype(int)) == 1).all(), "a dataset is one block"
    model = CountModel(5_000, 4_500, 60, 7)
    for dataset in model.datasets:
        asked += model.measured(dataset) * (dataset.stop - dataset.start)
        assert obs["n_measured_vars"].iloc[dataset.start] == model.measured(dataset).sum()
    np.testing.assert_array_equal(var["n_measured_obs"], asked)
    assert obs["observation_joinid"].is_unique
    assert obs["cell_type"].nunique() > 4
    assert obs["donor_id"].nunique() == 12 * len(model.datasets)
    assert (obs.groupby("cell_type", observed=True)["cell_type_ontology_term_id"].nunique() == 1).all()
    assert (obs.groupby("donor_id", observed=True)["sex"].nunique() == 1).all()


def test_obs_and_var_have_the_columns_of_census(made):
    manifest, _ = made
    with tiledbsoma.Experiment.open(manifest.uri) as experiment:
        kinds = {field.name: field.type for field in experiment.obs.schema}
        assert len(kinds) == 28
        assert len(OBS_LABELS) == 20
        assert {name for name, kind in kinds.items() if pa.types.is_dictionary(kind)} == set(OBS_LABELS)
        assert set(kinds) - set(OBS_LABELS) == {
            "soma_joinid", "is_primary_data", "observation_joinid", "raw_sum", "nnz", "raw_mean_nnz",
            "raw_variance_nnz", "n_measured_vars",
        }  # fmt: skip
        assert experiment.ms["RNA"].var.schema.names == [
            "soma_joinid", "feature_id", "feature_name", "feature_length", "nnz", "n_measured_obs",
        ]  # fmt: skip
        assert experiment.obs.domain == ((0, 4_999),)
        assert experiment.ms["RNA"].X["raw"].shape == (5_000, 4_500)


def test_obs_is_one_fragment(made):
    assert len(tiledb.array_fragments(f"{made[0].uri}/obs")) == 1


def test_the_notes_query_works(made):
    manifest, x = made
    with tiledbsoma.Experiment.open(manifest.uri) as experiment:
        chosen = tiledbsoma.AxisQuery(value_filter='is_primary_data == True and tissue_general == "heart"')
        with experiment.axis_query("RNA", obs_query=chosen) as query:
            adata = query.to_anndata("raw", obs_id_name="soma_joinid")
    assert 0 < adata.n_obs < x.shape[0]
    assert (adata.obs["tissue_general"] == "heart").all()
    assert (x[adata.obs_names.astype(int)] != adata.X).nnz == 0


def described(filters):
    return [(type(one).__name__, getattr(one, "level", None)) for one in filters]


def test_census_layout_is_censuss_own_schema(tmp_path):
    schema = tiledb.ArraySchema.load(f"{make(tmp_path, n_obs=50).uri}/ms/RNA/X/raw")
    assert (schema.sparse, schema.capacity, schema.allows_duplicates) == (True, 65_536, True)
    assert (schema.cell_order, schema.tile_order) == ("row-major", "row-major")
    rows, columns = (schema.domain.dim(number) for number in (0, 1))
    assert (rows.name, rows.tile, described(rows.filters)) == ("soma_dim_0", 2048, [("ZstdFilter", 9)])
    shuffled = [("ByteShuffleFilter", None), ("ZstdFilter", 9)]
    assert [name for name, _ in described(columns.filters)] == [name for name, _ in shuffled]
    assert (columns.name, columns.tile, columns.filters[1].level) == ("soma_dim_1", 2048, 9)
    data = schema.attr("soma_data")
    assert data.dtype == np.float32
    assert [name for name, _ in described(data.filters)] == [name for name, _ in shuffled]
    assert data.filters[1].level == 9


def test_scan_layout_has_whole_row_tiles(tmp_path):
    schema = tiledb.ArraySchema.load(f"{make(tmp_path, n_obs=50, layout='scan').uri}/ms/RNA/X/raw")
    assert schema.domain.dim(1).tile == 4_500
    assert schema.attr("soma_data").filters[1].level == 3


def test_number_of_workers_does_not_matter(tmp_path):
    found = []
    for workers in (1, 3):
        model = CountModel(7_000, 300, 20, 1)
        write_synthetic(tmp_path / str(workers), model, "census", workers)
        with tiledbsoma.Experiment.open(str(tmp_path / str(workers))) as experiment:
            table = experiment.ms["RNA"].X["raw"].read().tables().concat()
            table = table.sort_by([("soma_dim_0", "ascending"), ("soma_dim_1", "ascending")])
            found.append((experiment.obs.read().concat().to_pandas(), table.to_pandas()))
    assert found[0][0].equals(found[1][0])
    assert found[0][1].equals(found[1][1])


def test_memory_does_not_grow_with_cells(tmp_path):
    fragment_cells = FRAGMENT_STRIPS * TILE_ROWS

    def peak_bytes(n_fragments):
        model = CountModel(n_fragments * fragment_cells, 300, 20, 1)
        tracemalloc.start()
        write_synthetic(tmp_path / str(n_fragments), model, "scan", workers=1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(1)
    small, large = peak_bytes(4), peak_bytes(12)
    # What was learnt of a fragment's cells waits for its turn, one more or less as threads come; never all eight more.
    learnt_bytes = 40 * fragment_cells
    assert large - small < 2 * learnt_bytes


def test_a_store_is_whole_or_not_there(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "var_table", fail)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, n_obs=100)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    # What an invocation killed half-way left behind is in nobody's way.
    (tmp_path / ".soma.part" / "obs").mkdir(parents=True)
    first = make(tmp_path, n_obs=100)
    second = make(tmp_path, n_obs=120)
    assert (first.n_obs, second.n_obs) == (100, 120)
    assert [path.name for path in tmp_path.iterdir()] == ["soma"]


def test_every_kind_of_entry_can_be_prepared():
    assert set(prepare_module._MAKERS) == {"synthetic", "h5ad", "soma", "census"}
