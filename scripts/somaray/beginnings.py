"""Notes of executions under way, and what one that was left behind tells: how its job ended, and whether a larger one may help.

A scheduler that ends a job ends everything in it, and Snakemake deletes the outputs of a job that failed. So an execution
notes down that it began, beside its outputs, keeps there the most memory its job was seen to hold, and takes the note away when
its record is written.
"""

from pathlib import Path

from somaray import batch
from somaray.failures import FOLDER
from somaray.records import Record, Retry, read_record
from somaray.submission import MIB, second_memory_mib

TRIES_WITH_MORE_MEMORY = 3
"""How often an invocation must be ready to start an execution for the second to be with more memory: should that one end too,
the third writes the record of it."""


class Beginning(Record, frozen=True, kw_only=True):
    """`failures/NAME.begun.json`: an execution under way, on which host and in which job.

    `allocated_mib` is the memory of that job and `seen_bytes` the most of it that was seen in use. `stopped` is why its
    supervisor ended it itself and left it to a larger job. `retried` tells of the job before, if this one is the larger one.
    """

    host: str
    system: str | None
    number: str | None
    allocated_mib: int | None = None
    seen_bytes: int | None = None
    stopped: str = ""
    retried: Retry | None = None

    @property
    def job(self) -> batch.BatchJob | None:
        """The batch job it was begun in."""
        return None if self.system is None or self.number is None else batch.BatchJob(self.system, self.number)


def beginning_path(run_dir: str | Path, execution: str) -> Path:
    """Where the note of an execution lies."""
    return Path(run_dir) / FOLDER / f"{execution}.begun.json"


def left_behind(path: Path) -> Beginning | None:
    """The note that an execution left, None if the last one came to its end."""
    return read_record(path, Beginning) if path.exists() else None


def seen_mib(left: Beginning) -> int | None:
    """The most memory that the job of an execution was seen to hold, by its own samples or by the scheduler's accounting."""
    seen = [] if left.seen_bytes is None else [-int(-left.seen_bytes // MIB)]
    accounted_mib = None if left.job is None else batch.largest_seen_mib(left.job)
    return max([*seen, *([] if accounted_mib is None else [accounted_mib])], default=None)


def how_it_ended(left: Beginning) -> tuple[str, str]:
    """Status and reason of an execution that left nothing but its note."""
    if left.stopped:
        return "out of memory", left.stopped
    if left.job is None:
        return "killed", f"its supervisor on {left.host} was ended"
    return batch.ended_by(left.job, batch.ask(left.job), batch.JobMemory(left.allocated_mib, seen_mib(left)))


def may_be_larger(tries: int, retries: int) -> bool:
    """Whether the job after the one of that number may be a larger one: the second alone, with one left to write its record."""
    return tries == 1 and retries + 1 >= TRIES_WITH_MORE_MEMORY


def larger_job(left: Beginning | None, tries: int, retries: int) -> Retry | None:
    """What a job is to ask for, and why, after one that ended for want of memory; None where a larger one is not to be.

    Parameters
    ----------
    left
        The note of the job before.
    tries
        How often this invocation has started the execution, the job to come included: a larger one is its second.
    retries
        How often it may start one again.
    """
    if left is None or left.allocated_mib is None or left.retried is not None:
        return None
    if not may_be_larger(tries - 1, retries):
        return None
    status, reason = how_it_ended(left)
    if status != "out of memory":
        return None
    most_mib = seen_mib(left)
    return Retry(
        reason=reason,
        memory_bytes=left.allocated_mib * MIB,
        seen_bytes=None if most_mib is None else most_mib * MIB,
        retried_memory_bytes=second_memory_mib(left.allocated_mib, most_mib) * MIB,
    )
