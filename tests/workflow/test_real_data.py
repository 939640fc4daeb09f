"""Real files through the whole workflow, each with another flavour, against plain Scanpy on the same file."""

import pandas as pd
import pytest

from somaray.records import Agreement, Execution, read_record
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
    run_dir = checkout.folder / "results/hvg" / name / "soma-dask/1k_1x1x1"
    checkout.run("--cores", "all", str((run_dir / "agreement.json").relative_to(checkout.folder)))
    plain = plain_hvg(path, **CASES[name])
    for table in (run_dir / "hvg.parquet", run_dir / "timing/1.hvg.parquet"):
        assert_same_genes(pd.read_parquet(table).set_index("var_id"), plain)
    held = read_record(run_dir / "agreement.json", Agreement)
    assert [check.execution for check in held.checks] == ["capture", "timing-1"]
    assert {check.genes_in_common for check in held.checks} == {plain["highly_variable"].sum()}
    timing = read_record(run_dir / "timing/1.json", Execution)
    assert timing.status == "ok"
    assert timing.peak_pss_bytes > 100 * 2**20
    assert timing.wall_seconds > timing.phase_seconds("hvg") > 0
