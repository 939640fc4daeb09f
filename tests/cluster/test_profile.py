"""Jobs of the profile that a real Slurm ends: for their memory, by scancel; what their records say, and what is tried again."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
import yaml

from somaray.records import Execution, read_record
from support.workflow import ROOT, TINY, Checkout

CANCELLED, OUTGROWING, OUTGROWN_ONCE = "tiny/soma-dask/100_0x1x1", "tiny/in-memory/whole", "tiny/one-pass/100_0x1x1"
FATES = {CANCELLED: "wait", OUTGROWING: "outgrow", OUTGROWN_ONCE: "outgrow once"}
TIMINGS = [f"results/hvg/{run}/timing/1.json" for run in FATES]
ENDED = r"Slurm job \d+ (got signal 9|ended as FAILED, exit code \d+:\d+), [\d,]+ MiB seen of its [\d,]+ MiB"
SECONDS = 900

# No budget of its own, or a supervisor would end a run before Slurm does.
CONFIG = {
    **TINY,
    "methods": ["in-memory", "one-pass", "soma-dask"],
    "parallelism": ["0x1x1"],
    "limits": {"memory": None},
}


class OnSlurm(Checkout):
    """A checkout in the environment of a Slurm, whose methods meet the fates in `fates.json`."""

    slurm: dict[str, str]

    def environment(self) -> dict[str, str]:
        own = super().environment()
        # The package of this folder, fates and all, before the one that is installed.
        return {**own, **self.slurm, "PYTHONPATH": str(self.folder / "scripts"), "TMPDIR": own["TMPDIR"]}

    def record(self, run: str) -> Execution:
        return read_record(self.folder / "results/hvg" / run / "timing/1.json", Execution)


@pytest.fixture(scope="module")
def ended(slurm, tmp_path_factory) -> tuple[OnSlurm, str]:
    """An invocation in which every job met its end, and the number of the job that was cancelled."""
    checkout = OnSlurm.make(tmp_path_factory.mktemp("slurm") / "somaray", CONFIG)
    checkout.slurm = slurm
    scripts = checkout.folder / "scripts"
    shutil.copy(ROOT / "tests/support/fates.py", scripts / "fates.py")
    for method in ("soma_dask", "in_memory", "one_pass"):
        with (scripts / "somaray/methods" / f"{method}.py").open("a") as stream:
            stream.write("\n\nimport fates\n\ncompute_hvg = fates.fated(compute_hvg)\n")
    (checkout.folder / "fates.json").write_text(json.dumps(FATES))
    # As a site would: nodes that jobs share, and less memory for what is not measured.
    path = checkout.folder / "profiles/slurm/config.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["default-resources"]["mem_mb"] = 2000
    for rule in ("capture_run", "capture_native", "time_run", "make_reference"):
        profile["set-resources"].pop(rule, None)
    path.write_text(yaml.safe_dump({**profile, "slurm-init-seconds-before-status-checks": 1}))

    there = checkout.folder / f"fate-{CANCELLED.replace('/', '-')}"
    said = checkout.folder.parent / "said"
    running = checkout.start(*TIMINGS, "--profile", "profiles/slurm", "--nocolor", said=said)
    try:
        deadline = time.monotonic() + SECONDS
        while not there.exists():
            assert running.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.2)
        subprocess.run(["scancel", there.read_text()], env=checkout.environment(), check=True, timeout=60)
        assert running.wait(SECONDS) == 0, said.read_text()
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    return checkout, there.read_text()


def test_a_cancelled_job_is_a_record_that_says_so(ended) -> None:
    checkout, number = ended
    record = checkout.record(CANCELLED)
    assert (record.status, record.reason) == ("killed", f"Slurm job {number} was cancelled")
    assert record.retried is None


def test_what_outgrew_its_job_was_measured_once_more_with_what_it_needed(ended) -> None:
    checkout, _ = ended
    for run in (OUTGROWING, OUTGROWN_ONCE):
        retried = checkout.record(run).retried
        most_bytes = max(retried.memory_bytes, retried.seen_bytes)
        assert retried.retried_memory_bytes == -int(-most_bytes * 1.5 // 2**20) * 2**20
        assert retried.seen_bytes > 0.8 * retried.memory_bytes
        assert re.fullmatch(ENDED, retried.reason)
    assert checkout.record(OUTGROWN_ONCE).status == "ok"


def test_what_outgrew_the_larger_job_too_is_out_of_memory(ended) -> None:
    checkout, _ = ended
    record = checkout.record(OUTGROWING)
    assert record.status == "out of memory"
    assert re.fullmatch(ENDED, record.reason)
    assert record.reason != record.retried.reason


def test_the_next_invocation_measures_what_failed_and_nothing_else(ended) -> None:
    checkout, _ = ended
    planned = [job.output for job in checkout.planned(*TIMINGS) if job.rule in ("time_run", "ingest_dataset")]
    assert sorted(planned) == sorted(f"results/hvg/{run}/timing/1.json" for run in (CANCELLED, OUTGROWING))
