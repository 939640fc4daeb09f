"""Seconds and memory to summarise a capture, part by part, beside memray's own `stats --json`.

    uv run benchmarks/summarise.py                # 20 million records
    uv run benchmarks/summarise.py --records 5    # 5 million
    uv run benchmarks/summarise.py --capture results/hvg/heart/soma-dask/100k_4x4x4/capture/driver.bin

Parts are the read for totals and that for the high-water mark (each gives lines, blame and groups in one go), both with the
record written from them, the join with resident pages, and the names of nameless allocations of a capture with native traces.
memray's `stats` gives totals by line alone.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import psutil

from somaray.allocations.snapshots import SnapshotSummary, pages_dir, write_summary
from somaray.measure.page_watcher import take
from somaray.units import format_bytes

# Thousands of lines, tens of thousands of call stacks, a few bytes held for long, most freed at once: the mix of a real driver.
# A part of it has no Python frame: zlib's states, made by threads of Arrow.
PROGRAM = """
import random, sys
import memray
import pyarrow as pa

records, path, native = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "native"
source = ["import random", "kept = []"]
for number in range(300):
    source.append(f"def f{number}(depth):")
    for line in range(10):
        source.append(f"    for _ in range(4): block = bytearray(600 + {number} + {line} * 40)")
        source.append(f"    if depth: f{(number * 7 + 3) % 300}(depth - 1) if {line} == depth % 10 else None")
    source.append("    kept.append(block) if len(kept) < 20000 else kept.clear()")
scope = {}
exec(compile("\\n".join(source), "generated.py", "exec"), scope)
random.seed(7)
table = pa.table({str(column): pa.array(range(1000)) for column in range(64)})
with memray.Tracker(destination=memray.FileDestination(path, overwrite=True, compress_on_exit=False), native_traces=native):
    done = turns = 0
    while done < records:
        depth = random.randrange(12)
        scope[f"f{random.randrange(20)}"](depth)
        done += 80 * (depth + 1)
        turns += 1
        if turns % 200 == 0:
            table.to_pandas(use_threads=True)
    print("done", flush=True)
    sys.stdin.read()
"""

TOTALS_AND_HELD = """
import sys
from pathlib import Path
import msgspec
from somaray.allocations.read import read_capture
from somaray.allocations.summarise import process_allocations
process = process_allocations(read_capture(sys.argv[1]), "driver", "driver", 0, complete=True)
Path(sys.argv[2]).write_bytes(msgspec.json.format(msgspec.json.encode(process), indent=1))
"""


def main() -> None:
    """Make the captures, then time all parts in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--records", type=float, default=20, help="millions of records to capture (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--capture", type=Path, help="a capture to read instead of making one; no native traces then")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        records = round(arguments.records * 1_000_000)
        capture = arguments.capture or make(Path(folder) / "plain.bin", records)
        native = None if arguments.capture else make(Path(folder) / "native.bin", records)
        summary = f"{folder}/summary.json"
        python = [sys.executable, "-c"]
        commands = {
            "memray stats": [*python, "from memray.__main__ import main; main()", "stats", "--json", "-f"],
            "totals": [sys.executable, "-m", "somaray.allocations.read", "totals", str(capture)],
            "high-water mark": [sys.executable, "-m", "somaray.allocations.read", "held", str(capture)],
            "both and the record": [*python, TOTALS_AND_HELD, str(without_pages(capture, folder)), summary],
        }
        commands["memray stats"] += ["-o", f"{folder}/memray.json", str(capture)]
        if pages_dir(capture).is_dir():
            commands["residency join"] = [sys.executable, "-m", "somaray.allocations.residency", str(capture)]
        if native is not None:
            commands["native names"] = [sys.executable, "-m", "somaray.allocations.native", str(native)]
        figures: dict[str, list[tuple[float, float, int]]] = {name: [] for name in commands}
        for _ in range(arguments.repeats):
            for name, command in commands.items():
                figures[name].append(measured(command))
        print(f"capture {format_bytes(capture.stat().st_size)}, record {format_bytes(Path(summary).stat().st_size)}")
        if native is not None:
            print(f"capture with native traces {format_bytes(native.stat().st_size)}")
        for name in commands:
            seconds, cpu_seconds, peak_bytes = (list(column) for column in zip(*figures[name], strict=True))
            base = [list(column) for column in zip(*figures["memray stats"], strict=True)]
            print(
                f"{name:20} {median(seconds):6.2f} s ({min(seconds):.2f} to {max(seconds):.2f}; "
                f"{ratio(seconds, base[0])}), {median(cpu_seconds):6.2f} CPU seconds ({ratio(cpu_seconds, base[1])}), "
                f"peak {format_bytes(round(median(peak_bytes)))} ({ratio(peak_bytes, base[2])})"
            )


def make(capture: Path, records: int) -> Path:
    """Capture the program, with one look at its pages at its end; with native traces if the file is named so."""
    native = capture.stem == "native"
    command = [sys.executable, "-c", PROGRAM, str(records), str(capture), "native" if native else "plain"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdout.readline()
        if not native:
            pages_dir(capture).mkdir()
            snapshot, paused_seconds = take(program.pid, capture)
            if snapshot is not None:
                snapshot.write(pages_dir(capture) / "0.npz")
            summary = SnapshotSummary(n_snapshots=1, paused_seconds=paused_seconds)
            write_summary(pages_dir(capture), summary)
        program.stdin.close()
    return capture


def without_pages(capture: Path, folder: str) -> Path:
    """The same capture where no snapshots lie beside it."""
    link = Path(folder) / "alone" / capture.name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(capture.absolute())
    return link


def ratio(figures: Sequence[float], base: Sequence[float]) -> str:
    """Median of one against memray's."""
    return f"{median(figures) / median(base):.2f} of memray's"


def measured(command: list[str]) -> tuple[float, float, int]:
    """Seconds and CPU seconds of a command, and the largest sum of its processes' resident memory, every 50 ms."""
    start, cpu_before = time.perf_counter(), children_cpu_seconds()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        process, peak = psutil.Process(child.pid), 0
        while child.poll() is None:
            try:
                peak = max(peak, sum(each.memory_info().rss for each in [process, *process.children(recursive=True)]))
            except psutil.NoSuchProcess:
                continue
            time.sleep(0.05)
        if child.returncode:
            raise SystemExit(f"{command} failed")
    return time.perf_counter() - start, children_cpu_seconds() - cpu_before, peak


def children_cpu_seconds() -> float:
    """User and system time of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
