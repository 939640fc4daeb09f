"""What watching costs: the same run unprofiled, with a plain capture, and with a capture with native traces.

    uv run benchmarks/overhead.py --n-obs 10k --chunk-size 2k --parallelism 2x1x1 --repeats 3

All sides take turns in one go, so that a drift of the machine's speed meets them alike; the medians and the ratios of each
repeat to the unprofiled side are printed. Seconds are those of the phases after Dask's start (and those of Dask's start
apart); memory is the peak of the summed PSS, and the largest VmHWM of a process. Captures include the looks at pages.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from somaray.config import Settings
from somaray.datasets.prepare import prepare
from somaray.matrix import Run
from somaray.measure.orders import Outputs, order_of
from somaray.measure.supervise import supervise
from somaray.records import Execution, write_record
from somaray.registry import METHODS
from somaray.settings import HvgSettings, Limits, ProfileSettings
from somaray.units import format_bytes, format_seconds, parse_count, parse_parallelism

SIDES = ("unprofiled", "plain capture", "native traces")


def outputs_of(side: str, folder: Path, repeat: int) -> Outputs:
    """Files of one execution."""
    own = folder / side.replace(" ", "-")
    common = {"hvg": own / "hvg.parquet", "memory": own / "memory.parquet"}
    own.mkdir(exist_ok=True)
    if side == "unprofiled":
        return Outputs(own / f"timing/{repeat}.json", **common)
    return Outputs(own / "capture.json", capture_dir=own / "capture", native=side == "native traces", **common)


def compute_seconds(execution: Execution) -> float:
    """Seconds of all phases but the start of the cluster."""
    if execution.wall_seconds is None:
        raise SystemExit(f"{execution.method}: {execution.status_text}")
    return execution.wall_seconds - (execution.phase_seconds("cluster") or 0.0)


def capture_bytes(folder: Path) -> int:
    """Size of all of a capture's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


FIGURES: dict[str, tuple[Callable[[Execution], float], Callable[[float], str]]] = {
    "seconds of work": (compute_seconds, format_seconds),
    "seconds of Dask's start": (lambda done: done.phase_seconds("cluster") or 0.0, format_seconds),
    "CPU seconds": (lambda done: done.cpu_seconds or 0.0, format_seconds),
    "peak PSS": (lambda done: done.peak_pss_bytes or 0, format_bytes),
    "largest VmHWM": (lambda done: max(process.peak_rss_bytes for process in done.processes), format_bytes),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-obs", type=parse_count, default=10_000)
    parser.add_argument("--n-vars", type=parse_count, default=20_000)
    parser.add_argument("--method", choices=list(METHODS), default="soma-dask")
    parser.add_argument("--chunk-size", type=parse_count, default=2_000)
    parser.add_argument("--parallelism", type=parse_parallelism, default=parse_parallelism("2x1x1"))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    chunked = METHODS[arguments.method].chunked
    run = Run("benchmark", arguments.method, *((arguments.chunk_size, arguments.parallelism) if chunked else ()))
    settings = Settings(
        catalogue={},
        runs=(run,),
        replicates=arguments.repeats,
        hvg=HvgSettings(n_top_genes=2000),
        profile=ProfileSettings(),
        limits=Limits(),
        imported=(),
    )
    done: dict[str, list[Execution]] = {side: [] for side in SIDES}
    sizes_bytes: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="somaray-benchmark-") as scratch:
        folder = Path(scratch)
        entry = {"kind": "synthetic", "n_obs": arguments.n_obs, "n_vars": arguments.n_vars, "nnz_per_obs": 1500}
        manifest = prepare("benchmark", entry, folder / "soma", "")
        write_record(folder / "manifest.json", manifest)
        for repeat in range(1, arguments.repeats + 1):
            for side in SIDES:
                outputs = outputs_of(side, folder, repeat)
                replicate = repeat if side == "unprofiled" else None
                order = order_of(settings, run, folder / "manifest.json", replicate, 1, outputs)
                with (folder / "log").open("a") as log:
                    done[side].append(supervise(order, log))
                sizes_bytes[side] = capture_bytes(outputs.capture_dir) if outputs.capture_dir else 0
    print(f"{run.path}: {manifest.n_obs:,} cells × {manifest.n_vars:,} genes, {manifest.nnz:,} non-zeros")
    print(f"{arguments.repeats} repeats: medians, and medians of the ratios to the unprofiled side (least to largest)")
    for name, (figure, form) in FIGURES.items():
        bare = [figure(execution) for execution in done["unprofiled"]]
        for side in SIDES:
            values = [figure(execution) for execution in done[side]]
            line = f"{name}, {side}: {form(statistics.median(values))}"
            if side != "unprofiled" and all(bare):
                ratios = [value / base for value, base in zip(values, bare, strict=True)]
                line += f", × {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
            print(line)
    for side in SIDES[1:]:
        print(f"files of a capture, {side}: {format_bytes(sizes_bytes[side])}")


if __name__ == "__main__":
    main()
