"""The matrix through the profile on a real Slurm: jobs that it ends, a killed invocation, and what a local run gives."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
import yaml

from somaray.records import Agreement, Execution, read_record
from support.workflow import ROOT, TINY, Checkout, OnScheduler

CANCELLED, RAISING, LATE = "tiny/soma-dask/100_0x1x1", "tiny/soma-dask/100_1x1x1", "tiny/one-pass/100_1x1x1"
OUTGROWING, OUTGROWN_ONCE = "tiny/in-memory/whole", "tiny/one-pass/100_0x1x1"
FATES = {CANCELLED: "wait", RAISING: "fail", LATE: "wait", OUTGROWING: "outgrow", OUTGROWN_ONCE: "outgrow once"}
FAILED = {CANCELLED, RAISING, LATE, OUTGROWING}
ENDED = r"Slurm job \d+ (got signal 9|ended as FAILED, exit code \d+:\d+), [\d,]+ MiB seen of its [\d,]+ MiB"
SECONDS = 900

# Small jobs of captures among them; what is only drawn is left out.
TARGETS = ["results/tables/runs.csv"]
REFERENCE = "results/reference/tiny/hvg.parquet"

# No budget of its own, or a supervisor would end a run before Slurm does.
CONFIG = {
    **TINY,
    "methods": ["in-memory", "one-pass", "soma-dask"],
    "parallelism": ["0x1x1", "1x1x1"],
    "limits": {"memory": None},
}


class OnSlurm(OnScheduler):
    """A checkout whose methods meet the fates in `fates.json`."""

    def ask(self, *command: str) -> str:
        """What a command of Slurm's says."""
        environment = self.environment()
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout

    def meet(self, fates: dict[str, str]) -> None:
        """Let runs meet these fates from now on."""
        for run in FATES:
            self.marker(run).unlink(missing_ok=True)
        (self.folder / "fates.json").write_text(json.dumps(fates))

    def marker(self, run: str):
        return self.folder / f"fate-{run.replace('/', '-')}"

    def record(self, run: str) -> Execution:
        return read_record(self.folder / timing(run), Execution)

    def submit(self):
        """Start the workflow through the profile, up to its tables; it and the file where it says what it does."""
        said = self.folder.parent / "said"
        return self.start(*TARGETS, "--profile", "profiles/slurm", "--nocolor", said=said), said

    def wait_for(self, runs: set[str], running, said) -> tuple[str, str]:
        """Wait until one of some runs that wait is under way; which, and the number of its job."""
        deadline = time.monotonic() + SECONDS
        while True:
            for run in runs:
                if self.marker(run).exists():
                    return run, self.marker(run).read_text()
            assert running.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.2)


def timing(run: str) -> str:
    return f"results/hvg/{run}/timing/1.json"


def kill(running) -> None:
    """End an invocation with all it has started on this machine, as a lost login node does."""
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


@pytest.fixture(scope="module")
def ended(slurm, tmp_path_factory) -> OnSlurm:
    """An invocation in which jobs met their ends."""
    checkout = OnSlurm.make(tmp_path_factory.mktemp("slurm") / "somaray", CONFIG)
    checkout.variables = slurm
    scripts = checkout.folder / "scripts"
    shutil.copy(ROOT / "tests/support/fates.py", scripts / "fates.py")
    for method in ("soma_dask", "in_memory", "one_pass"):
        with (scripts / "somaray/methods" / f"{method}.py").open("a") as stream:
            stream.write("\n\nimport fates\n\ncompute_hvg = fates.fated(compute_hvg)\n")
    checkout.meet(FATES)
    # As a site would: nodes that jobs share, and less memory for what is not measured.
    path = checkout.folder / "profiles/slurm/config.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["default-resources"]["mem_mb"] = 2000
    for rule in ("capture_run", "capture_native", "time_run", "make_reference"):
        profile["set-resources"].pop(rule, None)
    path.write_text(yaml.safe_dump({**profile, "slurm-init-seconds-before-status-checks": 1}))

    running, said = checkout.submit()
    try:
        # Which of both comes first is Snakemake's choice.
        waiting = {CANCELLED, LATE}
        while waiting:
            run, number = checkout.wait_for(waiting, running, said)
            waiting.remove(run)
            checkout.ask(
                *(["scancel", number] if run == CANCELLED else ["scontrol", "update", f"job={number}", "timelimit=1"])
            )
        assert running.wait(SECONDS) == 0, said.read_text()
    finally:
        kill(running)
    return checkout


@pytest.fixture(scope="module")
def resumed(ended: OnSlurm, tmp_path_factory) -> tuple[OnSlurm, str, str]:
    """The next invocations: one that was killed while a job ran, and one to the end; that job's number, and what was said."""
    folder = tmp_path_factory.mktemp("resumed") / "somaray"
    shutil.copytree(ended.folder, folder, symlinks=True)
    checkout = OnSlurm(folder)
    checkout.variables = ended.variables
    checkout.meet({RAISING: "wait"})
    running, said = checkout.submit()
    try:
        _, left = checkout.wait_for({RAISING}, running, said)
    finally:
        kill(running)
    assert checkout.ask("squeue", "--noheader", "--format=%T", f"--jobs={left}").strip() == "RUNNING"
    checkout.meet({})
    checkout.run("--unlock", "--cores", "1")
    running, said = checkout.submit()
    try:
        assert running.wait(SECONDS) == 0, said.read_text()
    finally:
        kill(running)
    return checkout, left, said.read_text()


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Checkout:
    """The same matrix on this machine, and no fate."""
    checkout = Checkout.make(tmp_path_factory.mktemp("local") / "somaray", CONFIG)
    checkout.run("--cores", "2", REFERENCE, *map(timing, FATES))
    return checkout


def test_a_cancelled_job_is_a_record_that_says_so(ended) -> None:
    record = ended.record(CANCELLED)
    number = ended.marker(CANCELLED).read_text()
    assert (record.status, record.reason) == ("killed", f"Slurm job {number} was cancelled")
    assert record.retried is None


def test_a_job_past_its_time_is_a_record_that_says_so(ended) -> None:
    record = ended.record(LATE)
    number = ended.marker(LATE).read_text()
    assert (record.status, record.reason) == ("out of time", f"Slurm job {number} reached its time limit")


def test_what_raises_is_a_record_with_the_error(ended) -> None:
    record = ended.record(RAISING)
    assert (record.status, record.reason) == ("failed", "ValueError: so it was fated")


def test_what_outgrew_its_job_was_measured_once_more_with_what_it_needed(ended) -> None:
    for run in (OUTGROWING, OUTGROWN_ONCE):
        retried = ended.record(run).retried
        most_bytes = max(retried.memory_bytes, retried.seen_bytes)
        assert retried.retried_memory_bytes == -int(-most_bytes * 1.5 // 2**20) * 2**20
        assert retried.seen_bytes > 0.8 * retried.memory_bytes
        assert re.fullmatch(ENDED, retried.reason)
    assert ended.record(OUTGROWN_ONCE).status == "ok"


def test_what_outgrew_the_larger_job_too_is_out_of_memory(ended) -> None:
    record = ended.record(OUTGROWING)
    assert record.status == "out of memory"
    assert re.fullmatch(ENDED, record.reason)
    assert record.reason != record.retried.reason


def test_each_is_a_row_with_its_reason(ended) -> None:
    rows = list(csv.DictReader((ended.folder / "results/tables/runs.csv").open()))
    assert len(rows) == len(FATES)
    for row in rows:
        setting = f"100_{row['processes']}x1x1" if row["chunk_size"] else "whole"
        run = f"{row['dataset']}/{row['method']}/{setting}"
        assert row["status"] == ended.record(run).status_text
        assert (row["status"] != "ok") == (run in FAILED), run


def test_the_next_invocation_measures_what_failed_and_nothing_else(ended) -> None:
    measured = ("capture_run", "time_run", "make_reference", "ingest_dataset")
    planned = [job.output for job in ended.planned(*TARGETS) if job.rule in measured]
    assert sorted(planned) == sorted(map(timing, FAILED))


def test_a_killed_invocation_is_resumed_and_what_was_done_stays(ended, resumed) -> None:
    checkout, left, said = resumed
    assert f"somaray: ended Slurm job {left}, left by an earlier invocation" in said
    assert checkout.ask("squeue", "--noheader", "--format=%T").strip() == ""
    for run in FATES:
        captured = f"results/hvg/{run}/capture.json"
        assert (checkout.folder / captured).read_bytes() == (ended.folder / captured).read_bytes()
        assert checkout.record(run).status == "ok"
    assert checkout.record(OUTGROWN_ONCE) == ended.record(OUTGROWN_ONCE)
    assert checkout.planned(*TARGETS) == []


def test_slurm_and_this_machine_give_the_same_results(resumed, local) -> None:
    checkout, _, _ = resumed
    for path in (REFERENCE, *(timing(run).replace(".json", ".hvg.parquet") for run in FATES)):
        assert (checkout.folder / path).read_bytes() == (local.folder / path).read_bytes(), path
    for run in FATES:
        held = read_record(checkout.folder / f"results/hvg/{run}/agreement.json", Agreement)
        assert (held.reference, [check.agrees for check in held.checks]) == ("in-memory", [True, True])
