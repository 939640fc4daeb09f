"""What befalls single timings of a workflow under test: runs and their fates in `fates.json`, where the workflow is run.

Copied beside the package of the workflow under test, whose methods it wraps.
"""

import functools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

MIB = 2**20
FATES = Path("fates.json")

BESIDE_MIB = 300
"""What is certainly there beside what a fate takes: libraries of this process, Snakemake's processes."""


def fated(compute_hvg):
    """Wrap a method: a timing first meets its run's fate, if it has one."""

    @functools.wraps(compute_hvg)
    def wrapped(source, run, hvg, client, phase):
        fate, job = json.loads(FATES.read_text()).get(run.path), json.loads(Path(sys.argv[1]).read_text())
        # A reference is computed as a run in memory is.
        if fate is not None and Path(job["hvg_path"]).parent.name == "timing":
            {"fail": fail, "wait": wait, "outgrow": outgrow, "outgrow once": outgrow_once}[fate](run.path)
        return compute_hvg(source, run, hvg, client, phase)

    return wrapped


def fail(path: str) -> None:
    raise ValueError("so it was fated")


def wait(path: str) -> None:
    """Say which job this is, and go on for ever."""
    part = marker(path).with_suffix(".part")
    part.write_text(os.environ["SLURM_JOB_ID"])
    part.replace(marker(path))
    time.sleep(3600)


def outgrow(path: str) -> None:
    """Take more memory than the job has, whatever that is."""
    hold(1.5 * job_mib())


def outgrow_once(path: str) -> None:
    """Take more memory than the first job has, and no more than that."""
    first = marker(path)
    if not first.exists():
        first.write_text(str(job_mib()))
    hold(1.05 * int(first.read_text()) - BESIDE_MIB)


def job_mib() -> int:
    """Memory of this job by Slurm's own account; its variables are kept from the steps that Snakemake's plugin starts."""
    command = ["scontrol", "show", "job", "--oneliner", os.environ["SLURM_JOB_ID"]]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    number, unit = re.search(r"MinMemoryNode=([\d.]+)([MG])", said).groups()
    return int(float(number) * {"M": 1, "G": 1024}[unit])


def hold(mib: float) -> None:
    """Take memory bit by bit, so that whoever watches sees it, and keep it until they have had the time to."""
    blocks = []
    for _ in range(int(mib // 32)):
        blocks.append(b"\1" * (32 * MIB))
        time.sleep(0.05)
    time.sleep(10)


def marker(path: str) -> Path:
    return Path(f"fate-{path.replace('/', '-')}")
