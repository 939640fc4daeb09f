"""Programs that reports give to copy, on a tiny store, and the genes that they must pick."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from somaray.agreement import compare
from somaray.datasets.export import export
from somaray.datasets.store import Source
from somaray.matrix import Run
from somaray.methods import in_memory
from somaray.records import Manifest
from somaray.registry import METHODS
from somaray.report.recommend_code import code_of
from somaray.settings import HvgSettings
from support.made_records import execution, manifest
from support.small_store import no_phase, random_counts, write_store

SEURAT = HvgSettings(n_top_genes=40, target_sum=50.0)
BUFFERS = {"soma.init_buffer_bytes": "16777216"}
OBS = {"kind": ["a", "b", "c"] * 100, "batch": ["x", "y"] * 150}


@dataclass(frozen=True)
class Store:
    """300 cells, two thirds of which its manifest selects, in a folder with the files exported from all of them."""

    folder: Path
    source: Source
    manifest: Manifest


def write_tiny_store(folder: Path, *exports: str) -> Store:
    counts = random_counts(3, 300, 250, density=0.6)
    seen = np.asarray(counts.tocsr()[::3].sum(axis=0)).ravel() > 0
    source = write_store(folder / "soma", counts.tocsr()[:, seen].tocoo(), OBS, tile=64, capacity=1024)
    for name in exports:
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
    return Store(folder, source, own)


def program(store: Store, run: Run, hvg: HvgSettings, **settings) -> str:
    like = execution(1.0, 1, dataset="tiny", method=run.method, hvg=hvg, tiledb=BUFFERS, **settings)
    export_format = METHODS[run.method].export
    return code_of(run, store.manifest, like, f"{store.folder}/x.{export_format}" if export_format else None)


def executed(
    text: str, folder: Path, *inside: str, environment: dict[str, str] | None = None
) -> tuple[pd.DataFrame, str]:
    """As a user would, from a file that Dask's workers import anew; the genes, and what it printed.

    Parameters
    ----------
    inside
        Lines that are executed last, where the client is still there.
    """
    lines = [*inside, f"genes.to_parquet({str(folder / 'genes.parquet')!r})"]
    script = folder / "copied.py"
    script.write_text(text + "".join(f"        {line}\n" for line in lines))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(folder / "genes.parquet"), done.stdout


def expected(store: Store, hvg: HvgSettings, filtered: bool = True) -> pd.DataFrame:
    obs_filter = store.manifest.obs_filter if filtered else None
    source = replace(store.source, obs_filter=obs_filter, tiledb=BUFFERS)
    return in_memory.compute_hvg(source, Run("tiny", "in-memory"), hvg, None, no_phase)


def same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    check = compare("timing-1", found, wanted)
    assert check.agrees, check.note
    assert check.genes_selected == 40
