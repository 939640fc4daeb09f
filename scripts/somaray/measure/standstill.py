"""Processes that stand still while they are looked at, and go on afterwards whatever happens."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from somaray.measure.process_tree import session_pids

_POLL_SECONDS = 0.0002


@contextmanager
def stopped(pid: int, most_seconds: float) -> Iterator[bool]:
    """Stop a process while the body runs; the value is whether all its threads came to a stop in time.

    A thread that waits in the kernel for a disk counts as stopped: it runs nothing of its own before the stop takes it.

    Raises
    ------
    OSError
        If it is gone, or belongs to someone else.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + most_seconds
        while not (stands := _all_stopped(pid)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        yield stands
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def continue_session(session: int) -> None:
    """Let every process of a session go on: none shall wait for a watcher that died."""
    for pid in session_pids(session):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _all_stopped(pid: int) -> bool:
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            # The state is the first field after the name, which may hold spaces and parentheses (proc(5)).
            state = Path(f"/proc/{pid}/task/{thread}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "TtDZX":
            return False
    return True
