"""A capture's heap over time: bytes asked for and not given back, as memray's samples of every 10 ms saw them.

Run as a program this module reads one capture and writes its line.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from somaray.allocations.child import ALL_SAMPLES, answer, read_in_child
from somaray.errors import SomarayError

MOST_POINTS = 600
"""Points of a line; of all samples between two of them the one with the largest heap is kept, so that no peak is lost."""


class HeapLine(msgspec.Struct, frozen=True):
    """Samples of one process; `at_seconds` since the epoch."""

    start_seconds: float
    at_seconds: list[float]
    heap_bytes: list[int]
    rss_bytes: list[int]


def thin(heap_bytes: Sequence[int], most_points: int = MOST_POINTS) -> list[int]:
    """Choose at most `most_points` samples, in order: the largest of each of as many equal stretches."""
    edges = np.linspace(0, len(heap_bytes), min(most_points, len(heap_bytes)) + 1).astype(int)
    return [int(low + np.argmax(heap_bytes[low:high])) for low, high in pairwise(edges)]


def read_heap_line(capture: str | Path) -> HeapLine:
    """Read the samples of one capture, thinned."""
    from memray import FileReader

    with FileReader(str(capture), max_memory_records=ALL_SAMPLES) as reader:
        samples = list(reader.get_memory_snapshots())
        start_seconds = reader.metadata.start_time.timestamp()
    kept = [samples[index] for index in thin([sample.heap for sample in samples])]
    return HeapLine(
        start_seconds,
        [sample.time / 1000 for sample in kept],
        [sample.heap for sample in kept],
        [sample.rss for sample in kept],
    )


def heap_lines(capture_dir: str | Path, n_jobs: int = 2) -> pd.DataFrame:
    """Read every capture of a run.

    Returns
    -------
    `process` (the capture's name without its ending), `seconds`, `heap_bytes` and `rss_bytes`, in order of time within each
    process. Seconds count from the begin of the driver's capture, which is that of the run's first phase but for some
    milliseconds. A capture that cannot be read has no rows.
    """
    paths = sorted(Path(capture_dir).glob("*.bin"))
    with ThreadPoolExecutor(max_workers=max(n_jobs, 1)) as pool:
        lines = {path.stem: line for path, line in zip(paths, pool.map(_in_child, paths), strict=True) if line}
    zero_seconds = min((line.start_seconds for line in lines.values()), default=0.0)
    if "driver" in lines:
        zero_seconds = lines["driver"].start_seconds
    columns: dict[str, list[object]] = {"process": [], "seconds": [], "heap_bytes": [], "rss_bytes": []}
    for name, line in lines.items():
        columns["process"] += [name] * len(line.at_seconds)
        columns["seconds"] += [at_seconds - zero_seconds for at_seconds in line.at_seconds]
        columns["heap_bytes"] += line.heap_bytes
        columns["rss_bytes"] += line.rss_bytes
    table = pd.DataFrame(columns).astype({"process": "str", "seconds": "float64"})
    return table.astype({"heap_bytes": "int64", "rss_bytes": "int64"})


def _in_child(capture: Path) -> HeapLine | None:
    try:
        output, _ = read_in_child(capture, ["somaray.allocations.heap_lines"])
    except SomarayError:
        return None
    return msgspec.msgpack.decode(output, type=HeapLine)


if __name__ == "__main__":
    sys.exit(answer(read_heap_line, sys.argv[1]))
