"""Every method on real counts against plain Scanpy on the same file, all flavours."""

from contextlib import nullcontext

import pytest

from somaray.cluster import open_client
from somaray.datasets.prepare import prepare
from somaray.datasets.store import Source
from somaray.errors import SomarayError
from somaray.matrix import Run
from somaray.methods import in_memory, soma_dask
from somaray.settings import DaskSettings, HvgSettings
from somaray.units import Parallelism
from support.plain_scanpy import assert_same_genes, plain_hvg

SETTINGS = {
    "seurat": {"flavor": "seurat"},
    "seurat, number of genes": {"flavor": "seurat", "n_top_genes": 1500, "n_bins": 15},
    "cell_ranger": {"flavor": "cell_ranger", "n_top_genes": 1000},
    "seurat_v3": {"flavor": "seurat_v3", "n_top_genes": 1000},
}
THREADS = Parallelism(0, 2, 1)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with open_client(THREADS, DaskSettings(), tmp_path_factory.mktemp("dask")) as client:
        yield client


@pytest.fixture(scope="module")
def source_of(shared_data, tmp_path_factory):
    """Make a source of one of the real files, each ingested once."""
    made = {}

    def make(name: str) -> Source:
        if name not in made:
            entry = {"kind": "h5ad", "path": str(shared_data / f"{name}.h5ad"), "layer": "X", "layout": "census"}
            manifest = prepare(name, entry, tmp_path_factory.mktemp(name) / "soma", "")
            made[name] = Source.from_manifest(manifest, {"soma.init_buffer_bytes": "33554432"}, 1)
        return made[name]

    return make


def compute(source: Source, client, **settings):
    hvg = HvgSettings(**settings)
    run = Run("real", "soma-dask", 1000, THREADS)
    return soma_dask.compute_hvg(source, run, hvg, client, lambda name: nullcontext())


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("name", ["pbmc3k", "pbmc_facs", "pbmc1k_citeseq"])
def test_soma_dask_is_scanpy(name, settings, source_of, client, shared_data) -> None:
    try:
        plain = plain_hvg(shared_data / f"{name}.h5ad", **settings)
    except ValueError as error:
        # Scanpy itself refuses: so many genes have no counts that its bins by deciles fall together.
        if "Bin edges must be unique" not in str(error):
            raise
        with pytest.raises(SomarayError, match="var_filter"):
            compute(source_of(name), client, **settings)
        return
    assert_same_genes(compute(source_of(name), client, **settings), plain)


def test_soma_dask_with_batches_and_target_sum_is_scanpy(source_of, client, shared_data) -> None:
    settings = {"flavor": "seurat", "n_top_genes": 800, "batch_key": "split", "target_sum": 5000.0}
    plain = plain_hvg(shared_data / "pbmc_facs.h5ad", **settings)
    assert_same_genes(compute(source_of("pbmc_facs"), client, **settings), plain)


def test_in_memory_is_scanpy(source_of, shared_data) -> None:
    settings = {"flavor": "cell_ranger", "n_top_genes": 500, "batch_key": "split"}
    table = in_memory.compute_hvg(
        source_of("pbmc_facs"), Run("real", "in-memory"), HvgSettings(**settings), None, lambda name: nullcontext()
    )
    assert_same_genes(table, plain_hvg(shared_data / "pbmc_facs.h5ad", **settings))


def test_nothing_is_computed_before_it_must(source_of) -> None:
    """`to_anndata` and `log1p` stay lazy: no block of X is read until Scanpy asks for a number."""
    import scanpy as sc
    from dask.callbacks import Callback

    computed = []
    source = source_of("pbmc3k")
    with Callback(start=lambda graph: computed.append(len(graph))), source.open() as experiment:
        adata = source.query(experiment).to_anndata(source.layer, dask={"chunk_size": 1000})
        sc.pp.log1p(adata)
    assert computed == []


def test_chunk_reads_are_recognised_by_their_keys() -> None:
    read = [("sparse_chunk-0a", 0, 0), ("array-getitem-sparse_chunk-sum-0a", 1, 0), ("array-dask_block-0a", 2)]
    other = [("array-0a", 0, 0), "finalize-hlgfinalizecompute-0a", ("mean_chunk-0a", 0), ("sum-aggregate-0a", 0)]
    assert all(soma_dask.is_chunk_read(key) for key in read)
    assert not any(soma_dask.is_chunk_read(key) for key in other)
