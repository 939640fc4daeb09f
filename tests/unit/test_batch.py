"""Which job a process is in, and what Slurm's words about an ended one mean."""

import pytest

from somaray.batch import BatchJob, JobEnd, current_job, ended_by, parse_sacct, parse_scontrol, parse_sinfo

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
    ("end", "status", "reason"),
    [
        (JobEnd("CANCELLED", "0:15"), "killed", "Slurm job 12 was cancelled"),
        (JobEnd("TIMEOUT", "0:0"), "out of time", "Slurm job 12 reached its time limit"),
        (JobEnd("OUT_OF_MEMORY", "0:125"), "out of memory", "Slurm job 12 took more memory than it asked for"),
        (JobEnd("FAILED", "0:9"), "out of memory", "Slurm job 12 got signal 9, as it does when"),
        (JobEnd("NODE_FAIL", "1:0"), "killed", "Slurm job 12 ended as NODE_FAIL, exit code 1:0"),
        (None, "killed", "Slurm job 12 ended without a word"),
    ],
)
def test_end_of_a_job_as_status_and_reason(end, status, reason) -> None:
    assert ended_by(JOB, end)[0] == status
    assert ended_by(JOB, end)[1].startswith(reason)
