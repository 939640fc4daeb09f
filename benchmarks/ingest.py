"""Writing counts to SOMA: somaray's own writers against `tiledbsoma.io.from_anndata`, on the same counts, side by side.

    uv run python benchmarks/ingest.py

Each way writes the same matrix in turn, `--repeats` times; the table gives medians with minimum and maximum. Drawing the
synthetic counts is part of the synthetic figures.
"""

import argparse
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import tiledbsoma
import tiledbsoma.io
from scipy import sparse

from somaray.datasets.census_schema import x_create_options
from somaray.datasets.count_model import CountModel
from somaray.datasets.ingest import ingest_h5ad
from somaray.datasets.locate import stored_bytes
from somaray.datasets.synthetic import strips, write_synthetic
from somaray.provenance import host

BASELINE = "from_anndata"


def draw(model: CountModel) -> sparse.csr_matrix:
    """Draw the whole matrix into memory, for the ways that start from a file or an AnnData."""
    parts = [
        sparse.csr_matrix((rows.data, rows.indices, rows.indptr), shape=(rows.indptr.size - 1, model.n_vars))
        for rows in strips(model, 8192)
    ]
    return sparse.vstack(parts, format="csr")


def ways(model: CountModel, adata: ad.AnnData, h5ad: Path) -> dict[str, Callable[[Path], object]]:
    """Everything that is compared: a name, and what writes to a path that does not exist yet."""

    def from_anndata(layout: str) -> Callable[[Path], object]:
        config = x_create_options(layout, model.n_vars)
        return lambda path: tiledbsoma.io.from_anndata(
            str(path), adata, "RNA", X_layer_name="raw", platform_config=config
        )

    return {
        "synthetic, census layout": lambda path: write_synthetic(path, model, "census"),
        "synthetic, scan layout": lambda path: write_synthetic(path, model, "scan"),
        "h5ad, census layout": lambda path: ingest_h5ad(path, h5ad, "X", "census"),
        "h5ad, scan layout": lambda path: ingest_h5ad(path, h5ad, "X", "scan"),
        f"{BASELINE}, census schema": from_anndata("census"),
        BASELINE: lambda path: tiledbsoma.io.from_anndata(str(path), adata, "RNA", X_layer_name="raw"),
    }


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-obs", type=int, default=16_384)
    parser.add_argument("--n-vars", type=int, default=60_530)
    parser.add_argument("--nnz-per-obs", type=float, default=1500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; by default the system's temporary folder")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    model = CountModel(options.n_obs, options.n_vars, options.nnz_per_obs, seed=0)
    x = draw(model)
    adata = ad.AnnData(x)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="somaray-ingest-") as folder:
        h5ad, target = Path(folder) / "counts.h5ad", Path(folder) / "soma"
        adata.write_h5ad(h5ad)
        compared = ways(model, adata, h5ad)
        # Once on a small matrix, so that no way is charged for imports and compiling.
        small = CountModel(2_100, 500, 20, seed=0)
        small_h5ad = Path(folder) / "small.h5ad"
        small_adata = ad.AnnData(draw(small))
        small_adata.write_h5ad(small_h5ad)
        for write in ways(small, small_adata, small_h5ad).values():
            write(target)
            shutil.rmtree(target)
        seconds: dict[str, list[float]] = {name: [] for name in compared}
        cpu_seconds: dict[str, list[float]] = {name: [] for name in compared}
        sizes: dict[str, int] = {}
        for _ in range(options.repeats):
            for name, write in compared.items():
                started, cpu_started = time.perf_counter(), time.process_time()
                write(target)
                seconds[name].append(time.perf_counter() - started)
                cpu_seconds[name].append(time.process_time() - cpu_started)
                sizes[name] = stored_bytes(f"{target}/ms/RNA/X/raw") or 0
                with tiledbsoma.Experiment.open(str(target)) as experiment:
                    assert experiment.ms["RNA"].X["raw"].nnz == x.nnz
                shutil.rmtree(target)
    baseline = statistics.median(seconds[BASELINE])
    print(f"{host().cpu_model}, {host().usable_cores} cores; {model.n_obs:,} × {model.n_vars:,}, {x.nnz:,} non-zeros\n")
    # CPU time tells what a way costs when others keep the cores from it.
    print("| way | seconds | million non-zeros/s | CPU ns/non-zero | bytes/non-zero | × from_anndata |")
    print("|---|---|---|---|---|---|")
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        print(
            f"| {name} | {middle:.2f} ({min(taken):.2f}–{max(taken):.2f}) | {x.nnz / middle / 1e6:.2f} "
            f"| {statistics.median(cpu_seconds[name]) / x.nnz * 1e9:.0f} | {sizes[name] / x.nnz:.2f} "
            f"| {baseline / middle:.1f} |"
        )


if __name__ == "__main__":
    main()
