"""The other ways people compute HVG give what Scanpy gives in memory, on the same cells and genes, whatever the flavour."""

from dataclasses import replace

import numpy as np
import pytest

from somaray.agreement import compare
from somaray.cluster import open_client
from somaray.datasets.export import export
from somaray.matrix import Run
from somaray.methods import census, file_dask, in_memory, soma_dask
from somaray.registry import METHODS
from somaray.settings import DaskSettings, HvgSettings
from somaray.units import Parallelism
from support.small_store import no_phase, random_counts, write_store

THREADS = Parallelism(0, 2, 1)
SETTINGS = {
    "seurat": {"flavor": "seurat", "n_top_genes": 40},
    "seurat, cut-offs and target": {"flavor": "seurat", "target_sum": 500.0},
    "cell_ranger": {"flavor": "cell_ranger", "n_top_genes": 40},
    "seurat_v3": {"flavor": "seurat_v3", "n_top_genes": 40},
    "seurat_v3_paper": {"flavor": "seurat_v3_paper", "n_top_genes": 40},
    "seurat, batches": {"flavor": "seurat", "n_top_genes": 40, "batch_key": "batch"},
}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with open_client(THREADS, DaskSettings(), tmp_path_factory.mktemp("dask")) as client:
        yield client


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Cells and genes with holes; genes without counts are filtered away, as Scanpy's `cell_ranger` needs."""
    folder = tmp_path_factory.mktemp("store")
    counts = random_counts(3, 400, 250, density=0.6)
    seen = np.asarray(counts.tocsr()[:300].sum(axis=0)).ravel() > 0
    obs = {"batch": [f"b{i % 2}" for i in range(counts.shape[0])]}
    source = write_store(folder / "soma", counts.tocsr()[:, seen].tocoo(), obs, tile=64, capacity=1024)
    source = replace(
        source, obs_filter="soma_joinid < 300", var_filter="rank != 7", n_obs=300, n_vars=source.n_vars - 1
    )
    export(source, folder / "x.h5ad")
    export(source, folder / "x.zarr")
    return source


@pytest.fixture(scope="module")
def reference_of(source):
    made = {}

    def make(**settings):
        key = tuple(settings.items())
        if key not in made:
            made[key] = in_memory.compute_hvg(source, Run("x", "in-memory"), HvgSettings(**settings), None, no_phase)
        return made[key]

    return make


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("method", ["h5ad-dask", "zarr-dask"])
def test_files_read_lazily_give_the_same(method, settings, source, reference_of, client):
    exported = replace(source, exported=source.uri.replace("soma", f"x.{METHODS[method].export}"))
    run = Run("x", method, 70, THREADS)
    table = file_dask.compute_hvg(exported, run, HvgSettings(**settings), client, no_phase)
    check = compare("timing-1", table, reference_of(**settings))
    assert (check.agrees, check.note) == (True, "")
    assert check.genes_selected


def test_batches_of_counts_are_those_of_the_same_chunks_read_from_soma(source, client):
    """In memory Scanpy's own sums differ in their last bits, which its fit enlarges without bound on so few genes."""
    hvg = HvgSettings(flavor="seurat_v3", n_top_genes=40, batch_key="batch")
    exported = replace(source, exported=source.uri.replace("soma", "x.h5ad"))
    table = file_dask.compute_hvg(exported, Run("x", "h5ad-dask", 70, THREADS), hvg, client, no_phase)
    expected = soma_dask.compute_hvg(source, Run("x", "soma-dask", 70, THREADS), hvg, client, no_phase)
    check = compare("timing-1", table, expected)
    assert (check.agrees, check.note) == (True, "")


@pytest.mark.parametrize("batch_key", [None, "batch"])
def test_census_gives_the_same(batch_key, source, reference_of):
    settings = {"flavor": "seurat_v3", "n_top_genes": 40, "batch_key": batch_key}
    table = census.compute_hvg(source, Run("x", "census"), HvgSettings(**settings), None, no_phase)
    check = compare("timing-1", table, reference_of(**settings))
    assert (check.agrees, check.note) == (True, "")
    assert table.index.name == "var_id"


@pytest.mark.parametrize("extension", ["h5ad", "zarr"])
def test_chunks_are_rows_as_asked_and_lazy(extension, source):
    adata = file_dask.open_lazily(replace(source, exported=source.uri.replace("soma", f"x.{extension}")), 70)
    assert adata.X.chunks == ((70, 70, 70, 70, 20), (source.n_vars,))
