"""Executions whose supervisor was ended with them, as a scheduler does: what they leave, and the record made of it.

A scheduler that ends a job ends everything in it, and Snakemake deletes the outputs of a job that failed. So an execution
notes down that it began, beside its outputs, and takes the note away when its record is written. Who finds a note on a second
try of the same invocation writes the record that the first try could not; an invocation that finds one left by an earlier
invocation measures anew, after it has made sure that the job of that time is over.
"""

import contextlib
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from somaray import batch
from somaray.failures import FOLDER
from somaray.measure.assemble import Observed, assemble
from somaray.measure.supervise import Order, child_environment
from somaray.measure.timeline import Timeline
from somaray.records import Execution, Record, read_record, write_record


class Beginning(Record, frozen=True, kw_only=True):
    """`failures/NAME.begun.json`: an execution under way, on which host and in which job."""

    host: str
    system: str | None
    number: str | None

    @property
    def job(self) -> batch.BatchJob | None:
        """The batch job it was begun in."""
        return None if self.system is None or self.number is None else batch.BatchJob(self.system, self.number)


def beginning_path(run_dir: Path, execution: str) -> Path:
    """Where the note of an execution lies."""
    return run_dir / FOLDER / f"{execution}.begun.json"


def left_behind(path: Path) -> Beginning | None:
    """The note that an execution left, None if the last one came to its end."""
    return read_record(path, Beginning) if path.exists() else None


@contextlib.contextmanager
def noted(path: Path) -> Iterator[None]:
    """Note that an execution begins; the note stays until the record is written, or for good if this process is ended."""
    job = batch.current_job()
    own = Beginning(host=socket.gethostname(), system=job.system if job else None, number=job.number if job else None)
    write_record(path, own)
    with _ended_in_order():
        yield


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


def lost_execution(order: Order, left: Beginning, log: TextIO) -> Execution:
    """Make the record of an execution that left nothing but its note."""
    status, reason = "killed", f"its supervisor on {left.host} was ended"
    if left.job is not None:
        status, reason = batch.ended_by(left.job, batch.ask(left.job))
    print(f"{order.title} | {status} ({reason})", file=log)
    if order.job.capture_dir is not None:
        Path(order.job.capture_dir).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="somaray-") as nothing:
        observed = Observed((status, reason), 0, Timeline(), [], Path(nothing))
        environment = child_environment(order.job, order.environment or {})
        return assemble(
            order.replicate,
            order.attempt,
            order.job,
            order.limits,
            observed,
            environment,
            order.memory_path,
            order.tasks_path,
        )
