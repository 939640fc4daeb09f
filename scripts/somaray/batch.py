"""The batch system that a job runs in: which job this is, and how an earlier one ended, as Slurm tells it."""

import math
import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_NUMBER_VARIABLES = {"slurm": "SLURM_JOB_ID", "lsf": "LSB_JOBID", "pbs": "PBS_JOBID"}
"""Where a batch system leaves a job's number. Grid Engine's `JOB_ID` is too common a name to be trusted alone."""

NEAR_SHARE = 0.8
"""Of a job's memory. Schedulers end a job that was found above its memory, so what was last seen is near it or above; only what
a run takes between the last sample, some tenths of a second before, and its end is missing."""

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


@dataclass(frozen=True)
class JobMemory:
    """What a job had asked for, and the most it was seen to hold, counted as `measure.job_memory` does; None if unknown."""

    allocated_mib: int | None = None
    seen_mib: int | None = None

    def __str__(self) -> str:
        if self.allocated_mib is None:
            return ""
        return (
            f"{'nothing' if self.seen_mib is None else f'{self.seen_mib:,} MiB'} seen of its {self.allocated_mib:,} MiB"
        )

    @property
    def is_near(self) -> bool:
        """Whether it was so near what it had asked for that a sudden end was most likely for that."""
        if self.allocated_mib is None or self.seen_mib is None:
            return False
        return self.seen_mib >= NEAR_SHARE * self.allocated_mib


UNKNOWN_MEMORY = JobMemory()


def current_job(environment: Mapping[str, str] = os.environ) -> BatchJob | None:
    """The job this process runs in, None outside one."""
    for system, variable in _NUMBER_VARIABLES.items():
        if environment.get(variable):
            return BatchJob(system, environment[variable])
    if environment.get("SGE_ROOT") and environment.get("JOB_ID"):
        return BatchJob("sge", environment["JOB_ID"])
    return None


def allocated_mib(environment: Mapping[str, str] = os.environ) -> int | None:
    """Memory that Slurm gave the job this process runs in; None where nobody tells."""
    if environment.get("SLURM_MEM_PER_NODE"):
        return int(environment["SLURM_MEM_PER_NODE"]) or None
    per_cpu, cores = environment.get("SLURM_MEM_PER_CPU"), environment.get("SLURM_CPUS_ON_NODE")
    return int(per_cpu) * int(cores) or None if per_cpu and cores else None


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


def end(*jobs: BatchJob) -> list[BatchJob]:
    """Cancel those of some jobs that are still there and wait until they are gone; says which were there."""
    there = list(filter(_is_alive, jobs))
    if there:
        _said("scancel", *(job.number for job in there))
    deadline = time.monotonic() + _END_SECONDS
    while any(map(_is_alive, there)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return there


def cancel_named(name: str) -> None:
    """Cancel all own jobs of a name in Slurm, waiting or running."""
    _said("scancel", f"--name={name}")


def submitted_from(folder: Path) -> list[BatchJob]:
    """Jobs that Snakemake submitted to Slurm from a folder and that wait or run; none where there is no Slurm.

    They are known by their working directory, and by the comment that its plugin gives them or the name of its own script.
    """
    listed = _said("squeue", "--me", "--noheader", "--format=%i|%j|%k|%Z")
    return [BatchJob("slurm", number) for number in parse_squeue(listed, folder)]


def parse_squeue(text: str, folder: Path) -> list[str]:
    """Numbers of Snakemake's jobs in a folder among lines of number, name, comment and working directory."""
    rows = [line.split("|", 3) for line in text.splitlines() if line.count("|") >= 3]
    return [
        number
        for number, name, comment, where in rows
        if Path(where) == folder and (comment.startswith("rule_") or name.startswith("snakejob."))
    ]


def _is_alive(job: BatchJob) -> bool:
    state = ask(job)
    return state is not None and state.state in _ALIVE


def largest_seen_mib(job: BatchJob) -> int | None:
    """The most memory that Slurm's accounting saw a step of a job hold; None where nobody tells."""
    if job.system != "slurm":
        return None
    return parse_max_rss(_said("sacct", "--jobs", job.number, "--parsable2", "--noheader", "--format=MaxRSS"))


def parse_max_rss(text: str) -> int | None:
    """Read `sacct --parsable2 --noheader --format=MaxRSS`, a line a step: the largest, in MiB."""
    found = re.findall(r"^(\d+(?:\.\d+)?)([KMGT]?)$", text, flags=re.MULTILINE)
    sizes_bytes = [float(number) * 1024 ** " KMGT".index(unit or " ") for number, unit in found]
    return math.ceil(max(sizes_bytes) / 2**20) if sizes_bytes else None


def ended_by(job: BatchJob, end_state: JobEnd | None, memory: JobMemory = UNKNOWN_MEMORY) -> tuple[str, str]:
    """Status and reason for the record of a run whose job ended without one.

    Without control groups Slurm says no more than `FAILED` of a job whose step it ends for its memory (OverMemoryKill): with
    signal 9, or with the exit code of what had started the step. Other schedulers are not asked. Then the memory seen tells.
    """
    seen = f", {memory}" if str(memory) else ""
    likely = "out of memory" if memory.is_near else "killed"
    if end_state is None:
        return likely, f"{job} ended without a word{seen}"
    state, (code, _, signal) = end_state.state, end_state.exit_code.partition(":")
    if state == "TIMEOUT":
        return "out of time", f"{job} reached its time limit"
    if state == "OUT_OF_MEMORY":
        return "out of memory", f"{job} took more memory than it asked for{seen}"
    if state == "CANCELLED":
        return "killed", f"{job} was cancelled"
    if signal == "9" or code == "137":
        return likely, f"{job} got signal 9{seen}"
    if state == "FAILED":
        return likely, f"{job} ended as FAILED, exit code {end_state.exit_code}{seen}"
    return "killed", f"{job} ended as {state}, exit code {end_state.exit_code}"


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
