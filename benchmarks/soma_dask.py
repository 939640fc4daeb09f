"""`soma-dask` against `in-memory`, and both against a bare TileDB scan of X: the floor that no reader goes below.

    uv run benchmarks/soma_dask.py --n-obs 50k --chunk-size 10k --parallelism 2x1x1 --repeats 5

All sides take turns in one go, so that a drift of the machine's speed meets them alike; medians and their ratios are
printed. Seconds are those from opening the experiment to the table of genes, starting Dask left out; memory is the peak of
the summed PSS of the whole process tree.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from somaray.config import Settings
from somaray.datasets.prepare import prepare
from somaray.matrix import Run
from somaray.measure.orders import Outputs, order_of
from somaray.measure.supervise import supervise
from somaray.records import Execution, write_record
from somaray.settings import HvgSettings, Limits, ProfileSettings
from somaray.units import format_bytes, parse_count, parse_parallelism

SCAN = """
import sys, time, tiledbsoma
uri, threads = sys.argv[1:]
config = {"sm.io_concurrency_level": threads, "sm.compute_concurrency_level": threads}
began = time.perf_counter()
with tiledbsoma.Experiment.open(uri, context=tiledbsoma.SOMATileDBContext(tiledb_config=config)) as experiment:
    nnz = sum(len(table) for table in experiment.ms["RNA"].X["raw"].read().tables())
print(time.perf_counter() - began, nnz)
"""


def scan_seconds(uri: str, threads: int) -> float:
    """Read X once, batch by batch, and throw it away."""
    done = subprocess.run([sys.executable, "-c", SCAN, uri, str(threads)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0])


def compute_seconds(execution: Execution) -> float:
    """Seconds of all phases but the start of the cluster."""
    if execution.wall_seconds is None:
        raise SystemExit(f"{execution.method}: {execution.status_text}")
    return execution.wall_seconds - (execution.phase_seconds("cluster") or 0.0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-obs", type=parse_count, default=50_000)
    parser.add_argument("--n-vars", type=parse_count, default=30_000)
    parser.add_argument("--chunk-size", type=parse_count, default=10_000)
    parser.add_argument("--parallelism", type=parse_parallelism, default=parse_parallelism("2x1x1"))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="somaray-benchmark-") as scratch:
        folder = Path(scratch)
        entry = {"kind": "synthetic", "n_obs": arguments.n_obs, "n_vars": arguments.n_vars, "nnz_per_obs": 1500}
        manifest = prepare("benchmark", entry, folder / "soma", "")
        write_record(folder / "manifest.json", manifest)
        runs = [
            Run("benchmark", "soma-dask", arguments.chunk_size, arguments.parallelism),
            Run("benchmark", "in-memory"),
        ]
        settings = Settings(
            catalogue={},
            runs=tuple(runs),
            replicates=arguments.repeats,
            hvg=HvgSettings(n_top_genes=2000),
            profile=ProfileSettings(),
            limits=Limits(),
            imported=(),
        )
        seconds: dict[str, list[float]] = {"scan": [], "soma-dask": [], "in-memory": []}
        pss_bytes: dict[str, list[float]] = {"soma-dask": [], "in-memory": []}
        for repeat in range(1, arguments.repeats + 1):
            seconds["scan"].append(scan_seconds(manifest.uri, 2))
            for run in runs:
                outputs = Outputs(folder / f"timing/{repeat}.json", folder / "hvg.parquet", folder / "memory.parquet")
                order = order_of(settings, run, folder / "manifest.json", repeat, 1, outputs)
                with (folder / "log").open("a") as log:
                    execution = supervise(order, log)
                seconds[run.method].append(compute_seconds(execution))
                pss_bytes[run.method].append(execution.peak_pss_bytes or 0)
    print(
        f"{manifest.n_obs:,} cells × {manifest.n_vars:,} genes, {manifest.nnz:,} non-zeros; {arguments.repeats} repeats"
    )
    for side, values in seconds.items():
        memory = f", {format_bytes(statistics.median(pss_bytes[side]))} of peak PSS" if side in pss_bytes else ""
        print(f"{side}: {statistics.median(values):.2f} s ({min(values):.2f}–{max(values):.2f}){memory}")
    for over, under in (("soma-dask", "in-memory"), ("soma-dask", "scan"), ("in-memory", "scan")):
        ratios = [a / b for a, b in zip(seconds[over], seconds[under], strict=True)]
        print(f"seconds, {over} ÷ {under}: {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")
    ratio = statistics.median(pss_bytes["soma-dask"]) / statistics.median(pss_bytes["in-memory"])
    print(f"peak PSS, soma-dask ÷ in-memory: {ratio:.2f}")


if __name__ == "__main__":
    main()
