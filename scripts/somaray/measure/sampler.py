"""The sampler: a small process of its own that reads the memory of a session and prints one JSON line a sample.

Reading smaps_rollup costs up to tens of milliseconds, too much inside the measured process. The sampler is also the last
guard: when its parent dies, it ends the session, so that nothing measured outlives its supervisor.
"""

import argparse
import json
import os
import sys
import time

from somaray.measure.process_tree import end_session, sample, session_pids

MOST_CPU_SHARE = 0.2
"""Of a core, spent on sampling. The kernel walks all pages of a process for its PSS, some 6 ms a GiB, and holds meanwhile
the lock that its page faults need: five times a second, 20 GiB would cost more than half a core."""


def next_due(due: float, now: float, interval_seconds: float, cpu_seconds: float) -> float:
    """When to sample next, by the clock of `due` and `now`, after a sample that took `cpu_seconds`.

    A fixed grid, not a fixed pause: a slow read must not stretch the interval for the rest of the run. Only a costly one does.
    """
    return max(due + interval_seconds, now, due + cpu_seconds / MOST_CPU_SHARE)


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
    parser.add_argument("--session", type=int, required=True)
    parser.add_argument("--interval-seconds", type=float, required=True)
    arguments = parser.parse_args()
    run(arguments.session, arguments.interval_seconds)
