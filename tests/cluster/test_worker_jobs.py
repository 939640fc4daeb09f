"""Workers as Slurm jobs of their own: measured as local ones are, lost as local ones are, and none outlives its run."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from somaray.matrix import Run
from somaray.measure.supervise import Order
from somaray.settings import DaskSettings, SlurmSettings
from somaray.units import Parallelism
from support.copied_program import SEURAT, executed, expected, program, same, write_tiny_store
from support.known_methods import WORKER_BYTES
from support.orders import SCRIPTS, TESTS, order_for, run

MIB = 2**20
SECONDS = 90
# The tests' machine may have no private address but loopback.
WORKERS = DaskSettings(
    cluster="slurm",
    slurm=SlurmSettings(memory_bytes=1000 * MIB, interface="lo"),
    config={"distributed.deploy.lost-worker-timeout": "1s"},
)


def order_on_slurm(tmp_path: Path, behaviour: str, **more) -> Order:
    order = order_for(tmp_path, "support.known_methods", behaviour, "2x1x1", **more)
    return replace(order, job=msgspec.structs.replace(order.job, dask=WORKERS))


@pytest.fixture
def jobs(slurm, monkeypatch: pytest.MonkeyPatch):
    """Numbers of the jobs of workers that wait or run."""
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)

    def listed() -> list[str]:
        done = subprocess.run(
            ["squeue", "--noheader", "--format=%i %j"], env=slurm, capture_output=True, text=True, check=True
        )
        return [line.split()[0] for line in done.stdout.splitlines() if "somaray-workers" in line]

    return listed


def wait_until(holds) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def at_work(folder: Path) -> list[str]:
    """Processes in which a task has begun."""
    return [path.name for path in folder.glob("before-*")]


def test_a_cancelled_worker_job_is_in_the_record_beside_its_replacement(jobs, tmp_path) -> None:
    cancelled = []

    def cancel() -> None:
        wait_until(lambda: len(at_work(tmp_path)) == 2)
        # Some tasks long, so that samplers see both at their fullest.
        time.sleep(3)
        cancelled.append(jobs()[0])
        subprocess.run(["scancel", cancelled[0]], check=True)

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    execution = run(order_on_slurm(tmp_path, "keep_busy", profiled=True, time_seconds=SECONDS))
    cancelling.join()
    assert execution.status_text == "ok", (tmp_path / "log").read_text()
    workers = [process for process in execution.processes if process.role == "worker"]
    assert {process.name for process in workers} == {"worker-0", "worker-1"}
    assert sorted(process.capture_status for process in workers) == ["complete", "complete", "partial"]
    assert {f"before-{process.pid}" for process in workers} == set(at_work(tmp_path))
    for process in workers:
        assert process.host == execution.provenance.host.name
        assert process.peak_rss_bytes > process.peak_pss_bytes > WORKER_BYTES
    # The lost one tells no count of its own, so the sum claims nothing.
    assert sorted(process.vfs_reads is None for process in workers) == [False, False, True]
    assert execution.vfs_reads is None
    tasks = pd.read_parquet(tmp_path / "tasks.parquet")
    assert set(tasks["worker"]) == {"worker-0", "worker-1"}
    by_moment = pd.read_parquet(tmp_path / "memory.parquet").groupby("seconds")["pss_bytes"].sum()
    assert by_moment.max() == execution.peak_pss_bytes > 2 * WORKER_BYTES
    assert execution.environment["NUMBA_NUM_THREADS"] == "1"
    wait_until(lambda: jobs() == [])


def test_a_job_that_slurm_refuses_is_told_and_not_waited_for(jobs, tmp_path) -> None:
    order = order_on_slurm(tmp_path, "sleep", time_seconds=SECONDS)
    wrong = msgspec.structs.replace(WORKERS, slurm=msgspec.structs.replace(WORKERS.slurm, queue="nowhere"))
    execution = run(replace(order, job=msgspec.structs.replace(order.job, dask=wrong)))
    assert execution.status == "failed"
    assert execution.reason.startswith("dask.slurm: Slurm takes no job of a worker: sbatch: error: ")
    assert "partition" in execution.reason
    assert jobs() == []


def test_worker_jobs_end_by_themselves_when_the_supervisor_is_killed(jobs, slurm, tmp_path) -> None:
    program = (
        "import pathlib, test_worker_jobs, support.orders\n"
        f"support.orders.run(test_worker_jobs.order_on_slurm(pathlib.Path({str(tmp_path)!r}), 'keep_busy'))\n"
    )
    paths = [str(SCRIPTS), str(TESTS), str(Path(__file__).parent)]
    environment = {**slurm, "PYTHONPATH": os.pathsep.join(paths)}
    supervisor = subprocess.Popen([sys.executable, "-c", program], env=environment, start_new_session=True)
    try:
        wait_until(lambda: len(at_work(tmp_path)) == 2)
        assert len(jobs()) == 2
    finally:
        os.killpg(supervisor.pid, signal.SIGKILL)
        supervisor.wait()
    wait_until(lambda: jobs() == [])


def test_the_program_to_copy_has_worker_jobs_of_its_own(jobs, slurm, tmp_path) -> None:
    store = write_tiny_store(tmp_path)
    run = Run("tiny", "soma-dask", 100, Parallelism(2, 1, 1))
    text = program(store, run, SEURAT, dask=WORKERS, environment={"MALLOC_ARENA_MAX": "2"})
    told = (
        "print(len(client.nthreads()), client.run(lambda: __import__('os').environ['MALLOC_ARENA_MAX']))",
        "print(client.run(lambda: __import__('dask').config.get('distributed.worker.memory.spill')))",
        "print(client.run(lambda: 'SLURM_JOB_ID' in __import__('os').environ))",
    )
    genes, said = executed(text, tmp_path, *told, environment=slurm)
    values = [line.rpartition(": ")[2].rstrip("}") for line in said.splitlines()]
    assert said.startswith("2 ")
    assert values == ["'2'", "False", "True"]
    same(genes, expected(store, SEURAT))
    wait_until(lambda: jobs() == [])
