"""How often `somaray compare` calls equal things worse, and how surely it finds what was planted.

    uv run benchmarks/compare_noise.py                        # 30 executions of each, a quarter of an hour or more
    uv run benchmarks/compare_noise.py --keep noise           # kept: the next time nothing is measured again
    uv run benchmarks/compare_noise.py --repeats 6 --comparisons 10 --n-obs 2k --sizes 2,3     # a try

`one-pass` and `in-memory` run in turns, many times, on one synthetic dataset. Then groups of these executions that have
none in common are compared as if they were results before and after, with the default thresholds:

- at random: the replicates of each side are drawn from all executions;
- in order: B's were measured after A's, as they are in practice, so that a drift of the machine counts.

An alarm there is a false one: at most 5 % of the comparisons should have any. Then 15 % more time and 30 % more memory are
planted, once by multiplying B's measurements, and once for real: B is a `one-pass` that sleeps and holds memory
(`compare_planted.py`), measured in turns with the others. Told is how many comparisons find each. Exit status 1 if too many
are false, or an effect was missed more often than `--least-found` allows.
"""

import argparse
import contextlib
import os
import random
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import msgspec
from scipy.stats import binomtest

from somaray.config import Settings
from somaray.datasets.prepare import prepare
from somaray.matrix import Run
from somaray.measure.orders import Outputs, order_of
from somaray.measure.supervise import supervise
from somaray.records import Execution, read_record, write_record
from somaray.report.compare.comparison import Comparison, compare_sides
from somaray.report.compare.sides import RunResults, Side
from somaray.settings import HvgSettings, Limits, ProfileSettings
from somaray.units import Parallelism, format_bytes, format_count, parse_count

SLOWER = 1.15
LARGER = 1.30
MOST_FALSE = 0.05
RUNS = (Run("noise", "one-pass", 5_000, Parallelism(0, 2, 1)), Run("noise", "in-memory"))
PLANTED = "planted"
"""Folder of the executions of the first run that really sleep and hold memory."""

Executions = dict[Run, list[Execution]]


def execute(run: Run, folder: Path, repeat: int, manifest: Path, planted: tuple[float, int] | None = None) -> Execution:
    """One execution in a process tree of its own, or what a kept folder has of it.

    Parameters
    ----------
    planted
        Seconds to sleep and bytes to hold, for the module that does.
    """
    record = folder / f"timing/{repeat}.json"
    if record.exists():
        return read_record(record, Execution)
    record.parent.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        catalogue={},
        runs=(run,),
        replicates=repeat,
        hvg=HvgSettings(n_top_genes=500),
        profile=ProfileSettings(),
        limits=Limits(),
        imported=(),
    )
    outputs = Outputs(record, folder / "hvg.parquet", folder / "memory.parquet")
    order = order_of(settings, run, manifest, repeat, 1, outputs)
    if planted is not None:
        seconds, held_bytes = planted
        environment = {
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH", "")]),
            "SOMARAY_PLANTED_SECONDS": str(seconds),
            "SOMARAY_PLANTED_BYTES": str(held_bytes),
        }
        order = replace(
            order, job=msgspec.structs.replace(order.job, module="compare_planted"), environment=environment
        )
    with (folder / "log").open("a") as log:
        execution = supervise(order, log)
    if execution.status != "ok":
        raise SystemExit(f"{run.path}: {execution.status_text}, see {folder / 'log'}")
    write_record(record, execution)
    return execution


def measure(folder: Path, n_obs: int, repeats: int) -> tuple[Executions, list[Execution]]:
    """Every run `repeats` times, in turns, and the first of them with a planted effect as often."""
    manifest = folder / "manifest.json"
    if not manifest.exists():
        entry = {"kind": "synthetic", "n_obs": n_obs, "n_vars": 20_000, "nnz_per_obs": 1_500}
        write_record(manifest, prepare("noise", entry, folder / "soma", ""))
    for run in RUNS:
        # Compiles the loops and fills the page cache; not counted.
        execute(run, folder / "warm" / run.method, 1, manifest)
    first = [execute(RUNS[0], folder / "size", repeat, manifest) for repeat in (1, 2, 3)]
    effect = (
        (SLOWER - 1) * median(each.wall_seconds or 0.0 for each in first),
        round((LARGER - 1) * median(each.peak_pss_bytes or 0 for each in first)),
    )
    print(f"planted for real: {effect[0]:.2f} s and {format_bytes(effect[1])}")
    found: Executions = {run: [] for run in RUNS}
    planted = []
    for repeat in range(1, repeats + 1):
        for run in RUNS:
            found[run].append(execute(run, folder / run.method, repeat, manifest))
        planted.append(execute(RUNS[0], folder / PLANTED, repeat, manifest, effect))
    return found, planted


def side(name: str, executions: Executions) -> Side:
    """Executions as results; there is no capture, whose place the first takes."""
    return Side(name, {run.path: RunResults(run, own[0], tuple(own)) for run, own in executions.items()})


def compared(a: Executions, b: Executions) -> Comparison:
    """Compare with the default thresholds."""
    return compare_sides(side("A", a), side("B", b))


def at_random(executions: Executions, size: int, generator: random.Random) -> tuple[Executions, Executions]:
    """Two groups without an execution in common, any of all."""
    a, b = {}, {}
    for run, own in executions.items():
        drawn = generator.sample(own, 2 * size)
        a[run], b[run] = drawn[:size], drawn[size:]
    return a, b


def in_order(executions: Executions, size: int, generator: random.Random) -> tuple[Executions, Executions]:
    """Two groups, each of executions that followed one another, B's later than A's."""
    n = min(map(len, executions.values()))
    begin = generator.randint(0, n - 2 * size)
    later = generator.randint(begin + size, n - size)
    a = {run: own[begin : begin + size] for run, own in executions.items()}
    b = {run: own[later : later + size] for run, own in executions.items()}
    return a, b


def multiplied(execution: Execution) -> Execution:
    """An execution as if it had taken so much more time and memory."""
    return msgspec.structs.replace(
        execution,
        wall_seconds=(execution.wall_seconds or 0.0) * SLOWER,
        peak_pss_bytes=round((execution.peak_pss_bytes or 0) * LARGER),
    )


def share(hits: Iterable[bool]) -> tuple[float, str]:
    """How many of all, with the exact binomial interval (Clopper and Pearson)."""
    known = list(hits)
    test = binomtest(sum(known), len(known)).proportion_ci(method="exact")
    text = f"{sum(known)} of {len(known)} ({sum(known) / len(known):.1%}, 95 % interval {test.low:.1%}–{test.high:.1%})"
    return sum(known) / len(known), text


def finds(comparison: Comparison, figure: str, run: Run) -> bool:
    """Whether there is an alarm for that figure of that run."""
    return any(change.figure.name == figure and change.match == run.path for change in comparison.figure_alarms)


def study(found: Executions, planted: Sequence[Execution], sizes: Sequence[int], n: int, least_found: float) -> bool:
    """Compare, print, and say whether all is as promised."""
    generator = random.Random(1)
    good = True
    for run, own in found.items():
        seconds = [each.wall_seconds or 0.0 for each in own]
        pss = [each.peak_pss_bytes or 0 for each in own]
        print(
            f"{run.path}: {len(own)} executions, {median(seconds):.2f} s ({min(seconds):.2f}–{max(seconds):.2f}), peak PSS "
            f"{format_bytes(median(pss))} ({format_bytes(min(pss))}–{format_bytes(max(pss))})"
        )
    for size in sizes:
        print(f"{size} replicates a side, {n} comparisons each:")
        for name, split in (("at random", at_random), ("in order", in_order)):
            false = [compared(*split(found, size, generator)) for _ in range(n)]
            rate, text = share(comparison.n_alarms > 0 for comparison in false)
            told = {change.match for comparison in false for change in comparison.figure_alarms}
            print(f"  equal things, {name}: false alarms in {text}{f', of {sorted(told)}' if told else ''}")
            good &= rate <= MOST_FALSE
        multiples, real = [], []
        for _ in range(n):
            a, b = at_random(found, size, generator)
            multiples.append(compared(a, {run: [multiplied(each) for each in own] for run, own in b.items()}))
            real.append(compared(a, {**b, RUNS[0]: generator.sample(list(planted), size)}))
        for kind, comparisons, runs in (("multiplied", multiples, RUNS), ("for real", real, RUNS[:1])):
            for figure, effect in (("wall_seconds", SLOWER), ("peak_pss_bytes", LARGER)):
                for run in runs:
                    rate, text = share(finds(comparison, figure, run) for comparison in comparisons)
                    print(f"  × {effect} {figure} of {run.path}, {kind}: found in {text}")
                    good &= rate >= least_found
        wrong = [any(change.match != RUNS[0].path for change in each.figure_alarms) for each in real]
        print(f"  the other run beside the planted one: false alarms in {share(wrong)[1]}")
    return good


def main() -> int:
    """Measure, compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--n-obs", type=parse_count, default=40_000, help="cells; 15 %% of their time must be above 0.1 s"
    )
    parser.add_argument("--repeats", type=int, default=30, help="executions of every run (default: %(default)s)")
    parser.add_argument("--comparisons", type=int, default=200, help="of each kind (default: %(default)s)")
    parser.add_argument("--sizes", default="3,5", help="replicates a side (default: %(default)s)")
    parser.add_argument("--least-found", type=float, default=0.8, help="of planted effects (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="folder for all that is measured, kept for the next time")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    if arguments.repeats < 2 * max(sizes):
        parser.error(
            f"--repeats {arguments.repeats}: expected at least {2 * max(sizes)}, two groups without a common one"
        )
    with contextlib.ExitStack() as stack:
        scratch = Path(arguments.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="somaray-noise-")))
        folder = (scratch / format_count(arguments.n_obs)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        found, planted = measure(folder, arguments.n_obs, arguments.repeats)
    good = study(found, planted, sizes, arguments.comparisons, arguments.least_found)
    print("all as promised" if good else "not as promised")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
