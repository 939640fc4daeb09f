"""The sampler: a small process of its own that reads the memory of a session and prints one JSON line a sample.

Of a worker elsewhere (`--tree`), there is one beside it that writes to a file of the work directory.

Reading smaps_rollup costs up to tens of milliseconds, too much inside the measured process. The sampler is also the last
guard: when its parent dies, it ends the session, so that nothing measured outlives its supervisor.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from somaray.measure.process_tree import end_session, sample, session_pids, tree_pids

SAMPLE_INTERVAL_SECONDS = 0.2

MOST_CPU_SHARE = 0.2
"""Of a core, spent on sampling. The kernel walks all pages of a process for its PSS, some 6 ms a GiB, and holds meanwhile
the lock that its page faults need: five times a second, 20 GiB would cost more than half a core."""


def next_due(due: float, now: float, interval_seconds: float, cpu_seconds: float) -> float:
    """When to sample next, by the clock of `due` and `now`, after a sample that took `cpu_seconds`.

    A fixed grid, not a fixed pause: a slow read must not stretch the interval for the rest of the run. Only a costly one does.
    """
    return max(due + interval_seconds, now, due + cpu_seconds / MOST_CPU_SHARE)


def sample_tree(root: int, interval_seconds: float, path: Path) -> None:
    """Sample a process and its descendants until it is gone: it started this one, and ends it when a run is over.

    Times are seconds since the epoch, the one clock that hosts share. Nothing is ever ended from here.
    """
    own = os.getpid()
    due = time.monotonic()
    with path.open("w", buffering=1) as stream:
        while os.getppid() == root:
            at_seconds, cpu_seconds = time.time(), time.process_time()
            seen = [row for row in map(sample, tree_pids(root)) if row is not None and row.pid != own]
            stream.write(json.dumps({"at_seconds": at_seconds, "processes": seen}) + "\n")
            due = next_due(due, time.monotonic(), interval_seconds, time.process_time() - cpu_seconds)
            time.sleep(max(due - time.monotonic(), 0))


def run(session: int, interval_seconds: float) -> None:
    """Sample until the session has no process left or the parent is gone."""
    parent = os.getppid()
    due = time.monotonic()
    while True:
        pids = session_pids(session)
        if os.getppid() != parent:
            end_session(session)
            return
        if not pids:
            return
        at_seconds, cpu_seconds = time.monotonic(), time.process_time()
        rows = [row for row in map(sample, pids) if row is not None]
        try:
            sys.stdout.write(json.dumps({"at_seconds": at_seconds, "processes": rows}) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            end_session(session)
            return
        due = next_due(due, time.monotonic(), interval_seconds, time.process_time() - cpu_seconds)
        time.sleep(max(due - time.monotonic(), 0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    watched = parser.add_mutually_exclusive_group(required=True)
    watched.add_argument("--session", type=int)
    watched.add_argument("--tree", type=int)
    parser.add_argument("--interval-seconds", type=float, default=SAMPLE_INTERVAL_SECONDS)
    parser.add_argument("--path", type=Path, help="file to write to, of a tree")
    arguments = parser.parse_args()
    if arguments.session is None:
        sample_tree(arguments.tree, arguments.interval_seconds, arguments.path)
    else:
        run(arguments.session, arguments.interval_seconds)
