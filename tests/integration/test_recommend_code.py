"""The lines to copy do what they are said to: executed on a tiny store, they pick the genes that the method picks."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from somaray.agreement import compare
from somaray.datasets.export import export
from somaray.matrix import Run
from somaray.methods import in_memory
from somaray.registry import METHODS
from somaray.report.recommend_code import code_of
from somaray.settings import HvgSettings
from somaray.units import Parallelism
from support.made_records import execution, manifest
from support.small_store import no_phase, random_counts, write_store

SEURAT = HvgSettings(n_top_genes=40, target_sum=50.0)
OF_COUNTS = HvgSettings(flavor="seurat_v3", n_top_genes=40)
BUFFERS = {"soma.init_buffer_bytes": "16777216"}
IN_DRIVER = Parallelism(0, 2, 1)
OBS = {"kind": ["a", "b", "c"] * 100, "batch": ["x", "y"] * 150}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of 300 cells, its manifest, and the files exported from it."""
    folder = tmp_path_factory.mktemp("recommend")
    counts = random_counts(3, 300, 250, density=0.6)
    seen = np.asarray(counts.tocsr()[::3].sum(axis=0)).ravel() > 0
    source = write_store(folder / "soma", counts.tocsr()[:, seen].tocoo(), OBS, tile=64, capacity=1024)
    for name in ("h5ad", "zarr"):
        export(source, folder / f"x.{name}", None)
    own = manifest(
        "tiny",
        uri=source.uri,
        obs_filter='kind == "a" or kind == "b"',
        obs_id="obs_id",
        var_id="var_id",
        n_obs=200,
        n_vars=source.n_vars,
    )
    return folder, source, own


def code(store, run: Run, hvg: HvgSettings, **settings) -> str:
    folder, _, own = store
    like = execution(1.0, 1, dataset="tiny", method=run.method, hvg=hvg, tiledb=BUFFERS, **settings)
    export_format = METHODS[run.method].export
    # Files hold what the filters leave; these were made without one.
    return code_of(run, own, like, f"{folder}/x.{export_format}" if export_format else None)


def expected(store, hvg: HvgSettings, filtered: bool = True) -> pd.DataFrame:
    _, source, own = store
    source = replace(source, obs_filter=own.obs_filter if filtered else None, tiledb=BUFFERS)
    return in_memory.compute_hvg(source, Run("tiny", "in-memory"), hvg, None, no_phase)


def same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    check = compare("timing-1", found, wanted)
    assert check.agrees, check.note
    assert check.genes_selected == 40


BATCHED = HvgSettings(n_top_genes=40, batch_key="batch", n_bins=10)
RUN_ALL = """
import runpy, sys
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="__main__")["genes"].to_parquet(path + ".parquet")
"""


def batched(store) -> str:
    run = Run("tiny", "soma-dask", 60, IN_DRIVER)
    return code(store, run, BATCHED, obs_columns=(), var_columns=("rank",))


@pytest.fixture(scope="module")
def picked(store, tmp_path_factory):
    """Genes by method, and with batches: all programs in one process, which has their environment from the beginning."""
    folder = tmp_path_factory.mktemp("copied")
    texts = {"batched": batched(store)}
    for name, method in METHODS.items():
        run = Run("tiny", name, 60, IN_DRIVER) if method.chunked else Run("tiny", name)
        texts[name] = code(store, run, OF_COUNTS if name == "census" else SEURAT)
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    paths = [str(folder / f"{name}.py") for name in texts]
    done = subprocess.run([sys.executable, "-c", RUN_ALL, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: pd.read_parquet(f"{path}.parquet") for name, path in zip(texts, paths, strict=True)}


@pytest.mark.parametrize("method", METHODS)
def test_the_lines_pick_the_method_s_genes(store, picked, method) -> None:
    hvg = OF_COUNTS if method == "census" else SEURAT
    same(picked[method], expected(store, hvg, filtered=METHODS[method].export is None))


def test_columns_and_batches_are_those_of_the_run(store, picked) -> None:
    text = batched(store)
    assert 'column_names={"obs": ["obs_id", "batch"], "var": ["var_id", "rank"]}' in text
    assert 'inplace=False, flavor="seurat", n_top_genes=40, n_bins=10, batch_key="batch")' in text
    assert "sc.pp.normalize_total(adata)\n" in text
    same(picked["batched"], expected(store, BATCHED))


def test_copied_to_a_file_it_runs_with_worker_processes(store, tmp_path: Path) -> None:
    """As a user would: Dask's workers import the file anew, and the environment is theirs too."""
    run = Run("tiny", "soma-dask", 100, Parallelism(1, 1, 1))
    text = code(store, run, SEURAT, environment={"MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1"})
    said = "        print(client.run(lambda: __import__('os').environ['MALLOC_ARENA_MAX']))\n"
    script = tmp_path / "copied.py"
    script.write_text(f"{text}{said}        genes.to_parquet({str(tmp_path / 'genes.parquet')!r})\n")
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'2'" in done.stdout
    same(pd.read_parquet(tmp_path / "genes.parquet"), expected(store, SEURAT))
