"""Which job a process is in, and what Slurm's words about an ended one mean."""

from pathlib import Path

import pytest

from somaray.batch import (
    BatchJob,
    JobEnd,
    JobMemory,
    allocated_mib,
    current_job,
    ended_by,
    parse_max_rss,
    parse_sacct,
    parse_scontrol,
    parse_sinfo,
    parse_squeue,
)

JOB = BatchJob("slurm", "12")


@pytest.mark.parametrize(
    ("environment", "job"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "12"}, JOB),
        ({"SLURM_JOB_ID": ""}, None),
        ({"LSB_JOBID": "3"}, BatchJob("lsf", "3")),
        ({"PBS_JOBID": "4.server"}, BatchJob("pbs", "4.server")),
        ({"JOB_ID": "5"}, None),
        ({"JOB_ID": "5", "SGE_ROOT": "/opt/sge"}, BatchJob("sge", "5")),
    ],
)
def test_job_is_known_by_its_schedulers_variable(environment, job) -> None:
    assert current_job(environment) == job


@pytest.mark.parametrize(
    ("environment", "mib"),
    [
        ({"SLURM_MEM_PER_NODE": "2400"}, 2400),
        ({"SLURM_MEM_PER_CPU": "500", "SLURM_CPUS_ON_NODE": "3"}, 1500),
        # All there is on the node, however much that is.
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({}, None),
    ],
)
def test_memory_of_a_job_is_what_its_scheduler_gave(environment, mib) -> None:
    assert allocated_mib(environment) == mib


def test_words_of_scontrol_and_sacct() -> None:
    line = "JobId=12 JobName=x UserId=root(0) JobState=FAILED Reason=NonZeroExitCode Requeue=1 ExitCode=0:9 RunTime=00:00:05"
    assert parse_scontrol(line) == JobEnd("FAILED", "0:9")
    assert parse_scontrol("") is None
    assert parse_sacct("CANCELLED by 0|0:0\n") == JobEnd("CANCELLED", "0:0")
    assert parse_sacct("\n") is None


@pytest.mark.parametrize(
    ("text", "mib"),
    [("257000\n", 257_000), ("64000\n515000+\n128000\n", 515_000), ("1\n", None), ("", None), ("N/A\n", None)],
)
def test_memory_of_the_largest_node(text, mib) -> None:
    assert parse_sinfo(text) == mib


@pytest.mark.parametrize(
    ("text", "mib"),
    # A job's own line has no figure; one step's is 1.5 GiB, the other's is rounded up.
    [("|\n", None), ("", None), ("\n1572864K\n2048K\n", 1536), ("1.5G\n", 1536), ("1025K\n", 2), ("0\n", 0)],
)
def test_largest_resident_set_of_a_jobs_steps(text, mib) -> None:
    assert parse_max_rss(text) == mib


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        (JobEnd("CANCELLED", "0:15"), "killed", "Slurm job 12 was cancelled"),
        (JobEnd("TIMEOUT", "0:0"), "out of time", "Slurm job 12 reached its time limit"),
        (JobEnd("OUT_OF_MEMORY", "0:125"), "out of memory", "Slurm job 12 took more memory than it asked for"),
        (JobEnd("FAILED", "0:9"), "killed", "Slurm job 12 got signal 9"),
        (JobEnd("NODE_FAIL", "1:0"), "killed", "Slurm job 12 ended as NODE_FAIL, exit code 1:0"),
        (None, "killed", "Slurm job 12 ended without a word"),
    ],
)
def test_end_of_a_job_as_status_and_reason(end, status, reason) -> None:
    assert ended_by(JOB, end)[0] == status
    assert ended_by(JOB, end)[1].startswith(reason)


NEAR, FAR, UNSEEN = JobMemory(1000, 800), JobMemory(1000, 799), JobMemory(1000, None)


@pytest.mark.parametrize(
    "end", [JobEnd("FAILED", "0:9"), JobEnd("FAILED", "137:0"), JobEnd("FAILED", "1:0"), None], ids=str
)
def test_a_sudden_end_is_for_memory_if_that_was_seen_near_what_was_asked_for(end) -> None:
    assert [ended_by(JOB, end, memory)[0] for memory in (NEAR, FAR, UNSEEN)] == ["out of memory", "killed", "killed"]
    assert ended_by(JOB, end, NEAR)[1].endswith(", 800 MiB seen of its 1,000 MiB")
    assert ended_by(JOB, end, UNSEEN)[1].endswith(", nothing seen of its 1,000 MiB")


@pytest.mark.parametrize(("state", "status"), [("TIMEOUT", "out of time"), ("CANCELLED", "killed")])
def test_what_the_scheduler_says_counts_for_more_than_what_was_seen(state, status) -> None:
    assert ended_by(JOB, JobEnd(state, "0:9"), NEAR)[0] == status
    assert ended_by(JOB, JobEnd("OUT_OF_MEMORY", "0:125"), FAR)[0] == "out of memory"


def test_jobs_of_a_folder_are_those_that_snakemake_submitted_from_it() -> None:
    listed = (
        "1|0a1b|rule_time_run_wildcards_x|/lab/somaray\n"
        "2|snakejob.time_run.4.sh||/lab/somaray\n"
        "3|0a1b|rule_time_run|/lab/other\n"
        "4|notebook||/lab/somaray\n"
        "slurm_load_jobs error\n"
    )
    assert parse_squeue(listed, Path("/lab/somaray")) == ["1", "2"]
