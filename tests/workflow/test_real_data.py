"""Real files through the whole workflow, each with another flavour, against plain Scanpy on the same file."""

import csv

import pandas as pd
import pytest

from support.plain_scanpy import assert_same_genes, plain_hvg
from support.workflow import Checkout

CASES = {
    "pbmc3k": {"flavor": "seurat"},
    "pbmc_facs": {"flavor": "cell_ranger", "n_top_genes": 1000, "batch_key": "split"},
    "pbmc1k_citeseq": {"flavor": "seurat_v3", "n_top_genes": 1000},
}


@pytest.mark.parametrize("name", CASES)
def test_workflow_selects_scanpys_genes(name, shared_data, tmp_path) -> None:
    path = shared_data / f"{name}.h5ad"
    config = {
        "catalogue": {name: {"kind": "h5ad", "path": str(path)}},
        "datasets": [name],
        "methods": ["soma-dask"],
        "chunk_sizes": [1000],
        "parallelism": ["1x1x1"],
        "replicates": 1,
        "hvg": CASES[name],
        "tiledb": {"soma.init_buffer_bytes": "32MiB"},
    }
    checkout = Checkout.make(tmp_path / "somaray", config)
    checkout.run("--cores", "all")
    run_dir = checkout.folder / "results/hvg" / name / "soma-dask/1k_1x1x1"
    plain = plain_hvg(path, **CASES[name])
    for table in (run_dir / "hvg.parquet", run_dir / "timing/1.hvg.parquet"):
        assert_same_genes(pd.read_parquet(table).set_index("var_id"), plain)
    (row,) = csv.DictReader((checkout.folder / "results/tables/runs.csv").open())
    assert (row["status"], row["genes_in_common"]) == ("ok", str(plain["highly_variable"].sum()))
    assert int(row["peak_pss_bytes"]) > 100 * 2**20
    assert float(row["wall_seconds"]) > float(row["hvg_seconds"]) > 0
