"""Seconds and memory to summarise a capture, beside memray's own `stats --json`.

    uv run benchmarks/summarise.py                # 5 million records
    uv run benchmarks/summarise.py --records 20   # 20 million
    uv run benchmarks/summarise.py --capture results/hvg/heart/soma-dask/100k_4x4x4/capture/driver.bin

The summary's time is that of the places by total and by held bytes, the blamed lines, and the record written; memray's
`stats` gives totals alone.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import psutil

from somaray.units import format_bytes

# Thousands of lines and call stacks, a few bytes held for long, most freed at once: the mix of a real driver.
PROGRAM = """
import random, sys
import memray

records, path = int(sys.argv[1]), sys.argv[2]
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
with memray.Tracker(destination=memray.FileDestination(path, overwrite=True, compress_on_exit=False)):
    done = 0
    while done < records:
        depth = random.randrange(30)
        scope[f"f{random.randrange(300)}"](depth)
        done += 80 * (depth + 1)
"""

SUMMARISE = """
import sys
from pathlib import Path
import msgspec
from somaray.allocations.read import read_capture
from somaray.allocations.summarise import process_allocations
process = process_allocations(read_capture(sys.argv[1]), "driver", "driver", 0, complete=True)
Path(sys.argv[2]).write_bytes(msgspec.json.format(msgspec.json.encode(process), indent=1))
print(process.total_bytes, process.heap_peak_bytes, len(process.places), len(process.blame))
"""


def main() -> None:
    """Make the capture, then time the two in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--records", type=float, default=5, help="millions of records to capture (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--capture", type=Path, help="a capture to read instead of making one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        capture = arguments.capture or Path(folder) / "capture.bin"
        if arguments.capture is None:
            records = round(arguments.records * 1_000_000)
            subprocess.run([sys.executable, "-c", PROGRAM, str(records), str(capture)], check=True)
        commands = {
            "memray stats": [
                sys.executable,
                "-m",
                "memray",
                "stats",
                "--json",
                "-f",
                "-o",
                f"{folder}/m.json",
                str(capture),
            ],
            "somaray": [sys.executable, "-c", SUMMARISE, str(capture), f"{folder}/s.json"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        cpu_seconds: dict[str, list[float]] = {name: [] for name in commands}
        peak_bytes: dict[str, list[int]] = {name: [] for name in commands}
        for _ in range(arguments.repeats):
            for name, command in commands.items():
                taken, cpu, peak = measured(command)
                seconds[name].append(taken)
                cpu_seconds[name].append(cpu)
                peak_bytes[name].append(peak)
        summary_bytes = Path(f"{folder}/s.json").stat().st_size
        print(f"capture {format_bytes(capture.stat().st_size)}, summary {format_bytes(summary_bytes)}")
        for name in commands:
            spread = f"{min(seconds[name]):.2f} to {max(seconds[name]):.2f}"
            print(
                f"{name:12}  {median(seconds[name]):.2f} s ({spread}; {ratio(seconds, name)}), "
                f"{median(cpu_seconds[name]):.2f} CPU seconds ({ratio(cpu_seconds, name)}), "
                f"peak {format_bytes(median(peak_bytes[name]))} ({ratio(peak_bytes, name)})"
            )


def ratio(figures: Mapping[str, Sequence[float]], name: str) -> str:
    """Median of one against memray's."""
    return f"{median(figures[name]) / median(figures['memray stats']):.2f} of memray's"


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
