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
        at_seconds = time.monotonic()
        rows = [row for row in map(sample, pids) if row is not None]
        try:
            sys.stdout.write(json.dumps({"at_seconds": at_seconds, "processes": rows}) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            end_session(session)
            return
        # A fixed grid, not a fixed pause: a slow read must not stretch the interval for the rest of the run.
        due = max(due + interval_seconds, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--session", type=int, required=True)
    parser.add_argument("--interval-seconds", type=float, required=True)
    arguments = parser.parse_args()
    run(arguments.session, arguments.interval_seconds)
