"""Executions whose supervisor was ended with them, as a scheduler does: the note they leave, and the record made of it.

Who finds a note on a later try of the same invocation writes the record that the earlier one could not, unless it has the
memory which that one lacked; an invocation that finds one left by an earlier invocation measures anew, after it has made sure
that the job of that time is over.
"""

import contextlib
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from somaray import batch
from somaray.beginnings import Beginning, how_it_ended, larger_job
from somaray.measure.assemble import Observed, assemble
from somaray.measure.supervise import Order, child_environment
from somaray.measure.timeline import Timeline
from somaray.records import Execution, Retry, write_record
from somaray.units import format_bytes

_GROWTH = 1.02
"""How much more memory than was noted down is noted too: a steady growth makes some dozens of notes."""


class Note:
    """The note of an execution under way, kept on disk as it grows."""

    def __init__(self, path: Path, beginning: Beginning) -> None:
        self._path = path
        self._beginning = beginning
        write_record(path, beginning)

    def saw(self, job_bytes: int) -> None:
        """Keep how much memory the job was seen to hold, if it is the most yet."""
        if job_bytes > (self._beginning.seen_bytes or 0) * _GROWTH:
            self._change(seen_bytes=job_bytes)

    def left_to_a_larger_job(self, reason: str) -> None:
        """Say that the execution was stopped for want of memory, and not in vain."""
        self._change(stopped=reason)

    def _change(self, **changes: object) -> None:
        self._beginning = msgspec.structs.replace(self._beginning, **changes)
        write_record(self._path, self._beginning)


@contextlib.contextmanager
def noted(path: Path, allocated_mib: int | None = None, retried: Retry | None = None) -> Iterator[Note]:
    """Note that an execution begins; the note stays until the record is written, or for good if this process is ended."""
    job = batch.current_job()
    own = Beginning(
        host=socket.gethostname(),
        system=job.system if job else None,
        number=job.number if job else None,
        allocated_mib=allocated_mib,
        retried=retried,
    )
    note = Note(path, own)
    with _ended_in_order():
        yield note


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Leave by an exception at SIGTERM, with which schedulers announce the end, so that scratch files go too."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def lost_execution(order: Order, left: Beginning, log: TextIO, tries: int = 2, retries: int = 0) -> Execution:
    """Make the record of an execution that left nothing but its note; `tries` and `retries` as for `larger_job`."""
    status, reason = how_it_ended(left)
    never = larger_job(left, 2, retries) if tries > 2 else None
    if never is not None:
        reason += f"; no job of {format_bytes(never.retried_memory_bytes)} came to measure it again"
    print(f"{order.title} | {status} ({reason})", file=log)
    if order.job.capture_dir is not None:
        Path(order.job.capture_dir).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="somaray-") as nothing:
        observed = Observed((status, reason), 0, Timeline(), [], Path(nothing))
        environment = child_environment(order.job, order.environment or {})
        execution = assemble(
            order.replicate,
            order.attempt,
            order.job,
            order.limits,
            observed,
            environment,
            order.memory_path,
            order.tasks_path,
        )
    return msgspec.structs.replace(execution, retried=left.retried)
