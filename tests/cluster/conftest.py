"""A Slurm of one node for the tests of this folder, brought up when the first of them asks and taken down after the last."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.bring_up import missing, variables

HERE = Path(__file__).resolve().parent


def skip_without(accounting: bool = False) -> None:
    """Skip where the machine has no Slurm."""
    absent = missing(accounting)
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")


def script(name: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run one of the scripts of this folder."""
    command = [sys.executable, str(HERE / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for the names of sockets, which pytest's own do not."""
    folder = Path(tempfile.mkdtemp(prefix="somaray-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def slurm(short_folder) -> Iterator[dict[str, str]]:
    """A running Slurm without accounting, as the variables that its clients need."""
    skip_without()
    for module in ("snakemake_executor_plugin_slurm", "dask_jobqueue"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: uv sync --group slurm")
    folder = short_folder / "slurm"
    try:
        script("bring_up.py", folder)
        # The host's own lock: no test waits for a measurement of somebody else.
        yield {**os.environ, **variables(folder), "SOMARAY_LOCK_DIR": str(short_folder)}
    finally:
        if (folder / "processes.json").exists():
            script("take_down.py", folder)
