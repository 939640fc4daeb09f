"""The batch system that a job runs in: which job this is, and how an earlier one ended, as Slurm tells it."""

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

_NUMBER_VARIABLES = {"slurm": "SLURM_JOB_ID", "lsf": "LSB_JOBID", "pbs": "PBS_JOBID"}
"""Where a batch system leaves a job's number. Grid Engine's `JOB_ID` is too common a name to be trusted alone."""

_ASK_SECONDS = 20.0
_END_SECONDS = 120.0
_LEAST_NODE_MIB = 512
_ALIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "REQUEUED")


@dataclass(frozen=True)
class BatchJob:
    """A job by its system and number."""

    system: str
    number: str

    def __str__(self) -> str:
        return f"{self.system.capitalize()} job {self.number}"


@dataclass(frozen=True)
class JobEnd:
    """How Slurm says a job ended: its state, and `code:signal`."""

    state: str
    exit_code: str


def current_job(environment: Mapping[str, str] = os.environ) -> BatchJob | None:
    """The job this process runs in, None outside one."""
    for system, variable in _NUMBER_VARIABLES.items():
        if environment.get(variable):
            return BatchJob(system, environment[variable])
    if environment.get("SGE_ROOT") and environment.get("JOB_ID"):
        return BatchJob("sge", environment["JOB_ID"])
    return None


def parse_scontrol(text: str) -> JobEnd | None:
    """Read `scontrol show job --oneliner`."""
    found = re.search(r"\bJobState=(\w+).*?\bExitCode=(\d+:\d+)", text, flags=re.DOTALL)
    return None if found is None else JobEnd(found[1], found[2])


def parse_sacct(text: str) -> JobEnd | None:
    """Read `sacct --parsable2 --noheader --format=State,ExitCode`; a state may carry words such as `CANCELLED by 0`."""
    state, _, exit_code = text.strip().partition("\n")[0].partition("|")
    return JobEnd(state.split()[0], exit_code) if state and exit_code else None


def parse_sinfo(text: str) -> int | None:
    """Read `sinfo --noheader --format=%m`: MiB of the largest node. A site that did not tell Slurm has nodes of 1."""
    sizes = [int(line.strip().rstrip("+")) for line in text.splitlines() if line.strip().rstrip("+").isdecimal()]
    largest = max(sizes, default=0)
    return largest if largest >= _LEAST_NODE_MIB else None


@cache
def largest_node_mib(partition: str | None = None) -> int | None:
    """MiB of the largest node that Slurm has, in a partition if one is named; None where nobody tells."""
    return parse_sinfo(
        _said("sinfo", "--noheader", "--format=%m", *([f"--partition={partition}"] if partition else []))
    )


def ask(job: BatchJob) -> JobEnd | None:
    """How a job stands or ended; None where nobody tells.

    The controller is asked first, which forgets a job after some minutes; then accounting, where there is one.
    """
    if job.system != "slurm":
        return None
    found = parse_scontrol(_said("scontrol", "show", "job", "--oneliner", job.number))
    if found is None:
        options = ("--allocations", "--parsable2", "--noheader", "--format=State,ExitCode")
        found = parse_sacct(_said("sacct", "--jobs", job.number, *options))
    return found


def end(job: BatchJob) -> bool:
    """Cancel a job if it is still there and wait until it is gone; whether it was there."""
    state = ask(job)
    if state is None or state.state not in _ALIVE:
        return False
    _said("scancel", job.number)
    deadline = time.monotonic() + _END_SECONDS
    while (state := ask(job)) is not None and state.state in _ALIVE and time.monotonic() < deadline:
        time.sleep(0.5)
    return True


def ended_by(job: BatchJob, end_state: JobEnd | None) -> tuple[str, str]:
    """Status and reason for the record of a run whose job ended without one."""
    if end_state is None:
        return "killed", f"{job} ended without a word"
    state, (code, _, signal) = end_state.state, end_state.exit_code.partition(":")
    if state == "TIMEOUT":
        return "out of time", f"{job} reached its time limit"
    if state == "OUT_OF_MEMORY":
        return "out of memory", f"{job} took more memory than it asked for"
    if state == "CANCELLED":
        return "killed", f"{job} was cancelled"
    if signal == "9" or code == "137":
        # Without control groups this is all that Slurm tells of a job it ends for its memory (OverMemoryKill).
        return "out of memory", f"{job} got signal 9, as it does when it takes more memory than it asked for"
    return "killed", f"{job} ended as {state}, exit code {end_state.exit_code}"


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
