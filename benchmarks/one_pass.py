"""`one-pass` against a bare TileDB scan of X, against `soma-dask`, and its growth with the number of cells.

    uv run benchmarks/one_pass.py                                        # 100k cells, all three
    uv run benchmarks/one_pass.py --n-obs 50k --repeats 5 --only scan
    uv run benchmarks/one_pass.py --n-obs 20k --repeats 3 --only peers
    uv run benchmarks/one_pass.py --grow 50k,100k,200k,400k --only grow

Scan: in one process, the two take turns; the scan reads the same strips with as many threads and the same buffers, and throws
them away. Dask: each execution in a process tree of its own; seconds are those from opening the experiment to the table of
genes, the start of Dask left out; memory is the peak of the summed PSS. Medians of all repeats, and their ratios.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from somaray.config import Settings
from somaray.datasets.export import export as export_dataset
from somaray.datasets.prepare import prepare
from somaray.datasets.store import Source
from somaray.matrix import Run
from somaray.measure.orders import Outputs, order_of
from somaray.measure.supervise import supervise
from somaray.records import Execution, Manifest, read_record, write_record
from somaray.registry import METHODS
from somaray.settings import HvgSettings, Limits, ProfileSettings
from somaray.units import Parallelism, format_bytes, format_count, parse_count, parse_parallelism

HVG = HvgSettings(n_top_genes=2000)


def compute_seconds(execution: Execution) -> float:
    """Seconds of all phases but the start of the cluster."""
    if execution.wall_seconds is None:
        raise SystemExit(f"{execution.method}: {execution.status_text}")
    return execution.wall_seconds - (execution.phase_seconds("cluster") or 0.0)


def in_turns(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and CPU seconds of each side, one after the other, `repeats` times."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            wall, cpu = time.perf_counter(), time.process_time()
            side()
            found[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return found


def spread(seconds: Sequence[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f}–{max(seconds):.2f})"


def duel(
    manifest: Manifest, parallelism: Parallelism, chunk_size: int | None, repeats: int, flavors: Sequence[str]
) -> None:
    """Scan and `one-pass` in turns, in this process."""
    from somaray.methods.one_pass import compute_hvg
    from somaray.methods.onepass.compressed import JoinIds, split_into_strips
    from somaray.methods.onepass.reading import open_layer, read_strip
    from somaray.methods.onepass.selection import select

    source = Source.from_manifest(manifest, {}, parallelism.tile_threads)
    run = Run("benchmark", "one-pass", chunk_size, parallelism)
    selected = select(source, HVG)

    def scan() -> None:
        selection = replace(selected, layer=replace(selected.layer, opening=uuid.uuid4().hex))
        rows = selection.chunk_rows(chunk_size)

        def read(begin: int) -> None:
            ids = JoinIds.from_array(selection.joinids[begin : begin + rows]).to_array()
            array, _ = open_layer(selection.layer)
            for strip in split_into_strips(ids, selection.layer.band_rows):
                for _ in read_strip(array, selection.layer, ids, strip):
                    pass

        with ThreadPoolExecutor(parallelism.dask_threads) as pool:
            list(pool.map(read, range(0, len(selection.joinids), rows)))

    def pick(flavor: str) -> Callable[[], object]:
        hvg = HvgSettings(flavor=flavor, n_top_genes=2000)
        return lambda: compute_hvg(source, run, hvg, None, lambda name: contextlib.nullcontext())

    sides: dict[str, Callable[[], object]] = {"scan": scan} | {flavor: pick(flavor) for flavor in flavors}
    in_turns(sides, 1)  # compiles the loops, fills the page cache
    found = in_turns(sides, repeats)
    print(f"in one process, {parallelism}:")
    for name, values in found.items():
        wall, cpu = zip(*values, strict=True)
        text = f"  {name}: {spread(wall)}, CPU {statistics.median(cpu):.2f} s"
        if name != "scan":
            ratios = [one[0] / other[0] for one, other in zip(values, found["scan"], strict=True)]
            cpu_ratios = [one[1] / other[1] for one, other in zip(values, found["scan"], strict=True)]
            text += f"; ÷ scan {statistics.median(ratios):.2f}, CPU {statistics.median(cpu_ratios):.2f}"
        print(text)


def exported(run: Run, folder: Path) -> Path | None:
    """The AnnData file that the run's method reads, made if it is not there yet."""
    export = METHODS[run.method].export
    if export is None:
        return None
    path = folder / f"x.{export}"
    if not path.exists():
        manifest = read_record(folder / "manifest.json", Manifest)
        export_dataset(Source.from_manifest(manifest, {}, None), path, manifest.nnz)
    return path


def execute(run: Run, folder: Path, repeat: int, hvg: HvgSettings = HVG) -> Execution:
    """One execution in a process tree of its own."""
    settings = Settings(
        catalogue={},
        runs=(run,),
        replicates=repeat,
        hvg=hvg,
        profile=ProfileSettings(),
        limits=Limits(),
        imported=(),
    )
    outputs = Outputs(folder / f"timing/{repeat}.json", folder / "hvg.parquet", folder / "memory.parquet")
    order = order_of(settings, run, folder / "manifest.json", repeat, 1, outputs, exported(run, folder))
    with (folder / "log").open("a") as log:
        return supervise(order, log)


def compare(runs: Sequence[Run], folder: Path, repeats: int, hvg: HvgSettings = HVG) -> None:
    """Runs in turns, each against the first."""
    executions: dict[str, list[Execution]] = {}
    for repeat in range(1, repeats + 1):
        for run in runs:
            executions.setdefault(f"{run.method} {run.setting}", []).append(execute(run, folder, repeat, hvg))
    first = next(iter(executions.values()))
    for name, found in executions.items():
        seconds = [compute_seconds(execution) for execution in found]
        pss = statistics.median([execution.peak_pss_bytes or 0 for execution in found])
        text = f"  {name}: {spread(seconds)}, peak PSS {format_bytes(pss)}"
        if found is not first:
            ratio = statistics.median([slow / compute_seconds(fast) for slow, fast in zip(seconds, first, strict=True)])
            own = statistics.median([execution.peak_pss_bytes or 0 for execution in first])
            text += f"; seconds ÷ {ratio:.2f}, PSS ÷ {pss / own:.2f} of the first"
        print(text)


def prepared(n_obs: int, arguments: argparse.Namespace, folder: Path) -> Manifest:
    """Make a dataset in `folder`, with the manifest beside it; what a kept folder holds already is used."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "manifest.json").exists():
        entry = {"kind": "synthetic", "n_obs": n_obs, "n_vars": arguments.n_vars, "nnz_per_obs": arguments.nnz_per_obs}
        write_record(folder / "manifest.json", prepare("benchmark", entry, folder / "soma", ""))
    manifest = read_record(folder / "manifest.json", Manifest)
    print(
        f"{manifest.n_obs:,} cells × {manifest.n_vars:,} genes, {manifest.nnz:,} non-zeros; {arguments.repeats} repeats"
    )
    return manifest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-obs", type=parse_count, default=100_000)
    parser.add_argument("--n-vars", type=parse_count, default=30_000)
    parser.add_argument("--nnz-per-obs", type=parse_count, default=1_500)
    parser.add_argument("--chunk-size", type=parse_count, default=16_384, help="of one-pass")
    parser.add_argument("--parallelism", type=parse_parallelism, default=parse_parallelism("0x2x1"), help="of one-pass")
    parser.add_argument("--dask-chunk-size", type=parse_count, default=20_000, help="of soma-dask")
    parser.add_argument("--dask-parallelism", type=parse_parallelism, default=parse_parallelism("2x1x1"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--flavors", default="seurat,cell_ranger,seurat_v3")
    parser.add_argument("--grow", default="50k,100k,200k,400k", help="numbers of cells")
    parser.add_argument("--only", choices=["scan", "dask", "peers", "grow"])
    parser.add_argument("--keep", type=Path, help="folder for datasets, kept for the next time")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        scratch = Path(arguments.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="somaray-benchmark-")))
        one_pass = Run("benchmark", "one-pass", arguments.chunk_size, arguments.parallelism)
        if arguments.only != "grow":
            folder = scratch / format_count(arguments.n_obs)
            manifest = prepared(arguments.n_obs, arguments, folder)
            if arguments.only in (None, "scan"):
                duel(
                    manifest,
                    arguments.parallelism,
                    arguments.chunk_size,
                    arguments.repeats,
                    arguments.flavors.split(","),
                )
            if arguments.only in (None, "peers"):
                files = [
                    Run(
                        "benchmark",
                        method,
                        arguments.dask_chunk_size,
                        replace(arguments.dask_parallelism, tile_threads=1),
                    )
                    for method in ("h5ad-dask", "zarr-dask")
                ]
                print("peers, each in processes of its own:")
                compare([one_pass, *files, Run("benchmark", "in-memory")], folder, arguments.repeats)
                print("seurat_v3, likewise:")
                counts = HvgSettings(flavor="seurat_v3", n_top_genes=2000)
                compare([one_pass, Run("benchmark", "census")], folder, arguments.repeats, counts)
            if arguments.only in (None, "dask"):
                processes = replace(one_pass, parallelism=arguments.dask_parallelism)
                dask = Run("benchmark", "soma-dask", arguments.dask_chunk_size, arguments.dask_parallelism)
                print("each in processes of its own:")
                compare([one_pass, processes, dask], folder, arguments.repeats)
        if arguments.only in (None, "grow"):
            for n_obs in map(parse_count, arguments.grow.split(",")):
                folder = scratch / format_count(n_obs)
                prepared(n_obs, arguments, folder)
                compare([one_pass], folder, arguments.repeats)


if __name__ == "__main__":
    sys.exit(main())
