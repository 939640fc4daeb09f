"""The lines to copy do what they are said to: executed on a tiny store, they pick the genes that the method picks."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from somaray.matrix import Run
from somaray.registry import METHODS
from somaray.settings import DaskSettings, HvgSettings
from somaray.units import Parallelism
from support.copied_program import SEURAT, Store, executed, expected, program, same, write_tiny_store

OF_COUNTS = HvgSettings(flavor="seurat_v3", n_top_genes=40)
BATCHED = HvgSettings(n_top_genes=40, batch_key="batch", n_bins=10)
IN_DRIVER = Parallelism(0, 2, 1)
RUN_ALL = """
import runpy, sys
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="__main__")["genes"].to_parquet(path + ".parquet")
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return write_tiny_store(tmp_path_factory.mktemp("recommend"), "h5ad", "zarr")


def batched(store: Store) -> str:
    run = Run("tiny", "soma-dask", 60, IN_DRIVER)
    return program(store, run, BATCHED, obs_columns=(), var_columns=("rank",))


@pytest.fixture(scope="module")
def picked(store, tmp_path_factory):
    """Genes by method, and with batches: all programs in one process, which has their environment from the beginning."""
    folder = tmp_path_factory.mktemp("copied")
    texts = {"batched": batched(store)}
    for name, method in METHODS.items():
        run = Run("tiny", name, 60, IN_DRIVER) if method.chunked else Run("tiny", name)
        texts[name] = program(store, run, OF_COUNTS if name == "census" else SEURAT)
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    paths = [str(folder / f"{name}.py") for name in texts]
    done = subprocess.run([sys.executable, "-c", RUN_ALL, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: pd.read_parquet(f"{path}.parquet") for name, path in zip(texts, paths, strict=True)}


@pytest.mark.parametrize("method", METHODS)
def test_the_lines_pick_the_method_s_genes(store, picked, method) -> None:
    hvg = OF_COUNTS if method == "census" else SEURAT
    # Files hold what the filters leave; these were made without one.
    same(picked[method], expected(store, hvg, filtered=METHODS[method].export is None))


def test_columns_and_batches_are_those_of_the_run(store, picked) -> None:
    text = batched(store)
    assert 'column_names={"obs": ["obs_id", "batch"], "var": ["var_id", "rank"]}' in text
    assert 'inplace=False, flavor="seurat", n_top_genes=40, n_bins=10, batch_key="batch")' in text
    assert "sc.pp.normalize_total(adata)\n" in text
    same(picked["batched"], expected(store, BATCHED))


def test_copied_to_a_file_it_runs_with_worker_processes(store, tmp_path: Path) -> None:
    """Dask's workers have the program's environment, and all processes the run's settings of Dask."""
    run = Run("tiny", "soma-dask", 100, Parallelism(1, 1, 1))
    dask = DaskSettings(config={"distributed.worker.memory.spill": 0.61})
    text = program(store, run, SEURAT, dask=dask, environment={"MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1"})
    told = (
        "print(client.run(lambda: __import__('os').environ['MALLOC_ARENA_MAX']))",
        "print(client.run(lambda: __import__('dask').config.get('distributed.worker.memory.spill')))",
    )
    genes, said = executed(text, tmp_path, *told)
    assert "'2'" in said
    assert "0.61" in said
    same(genes, expected(store, SEURAT))
