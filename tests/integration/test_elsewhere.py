"""A run on a cluster that was there before: measured as a local one is, and left as it was found."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from distributed import Client

from somaray.matrix import Run
from somaray.measure.supervise import Order
from somaray.settings import DaskSettings
from somaray.units import Parallelism, format_bytes
from support import known_methods as methods
from support.copied_program import SEURAT, executed, expected, program, same, write_tiny_store
from support.orders import SCRIPTS, TESTS, order_for, run

MIB = 2**20
READY_SECONDS = 60


def start(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """One of Dask's programs in a session of its own, with the tests' modules at hand."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(TESTS)]),
        "SOMARAY_TEST_DIR": str(folder),
        "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
    }
    with (folder / "cluster.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A scheduler and two workers of one thread, on ports of loopback that nobody else has; its address and its folder."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    here = ("--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")
    began = [start(folder, "dask_scheduler", *here, "--port", "0", "--scheduler-file", str(file))]
    workers = ("dask_worker", "--scheduler-file", str(file), *here, "--nthreads", "1", "--no-nanny")
    began += [start(folder, *workers, "--name", str(number)) for number in (0, 1)]
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not file.exists():
            assert time.monotonic() < deadline, (folder / "cluster.log").read_text()
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        with Client(address) as client:
            client.wait_for_workers(2, timeout=READY_SECONDS)
        yield address, folder
    finally:
        for process in began:
            process.kill()
            process.wait()


def order_at(cluster: tuple[str, Path], tmp_path: Path, behaviour: str, layout: str = "2x1x1", **more) -> Order:
    order = order_for(tmp_path, "support.known_methods", behaviour, layout, **more)
    return replace(order, job=msgspec.structs.replace(order.job, dask=DaskSettings(cluster=cluster[0])))


def left_there(address: str) -> tuple[list[str], list[str], int]:
    """Plugins of the scheduler's and of its workers that are ours, and samplers beside workers."""

    def plugins(dask_scheduler):
        own = [*dask_scheduler.plugins, *dask_scheduler.worker_plugins]
        return [name for name in own if "somaray" in name]

    def beside(dask_worker):
        import psutil

        own = [name for name in dask_worker.plugins if "somaray" in name]
        return own, len(psutil.Process().children())

    with Client(address) as client:
        told = client.run(beside).values()
        assert len(told) == 2
        return client.run_on_scheduler(plugins), [name for own, _ in told for name in own], sum(n for _, n in told)


NOTHING = ([], [], 0)


def test_a_capture_at_an_address_tells_what_a_local_one_does(cluster, tmp_path) -> None:
    from memray import FileReader

    _, folder = cluster
    for left in folder.glob("before-*"):
        left.unlink()
    execution = run(order_at(cluster, tmp_path, "allocate", profiled=True))
    assert execution.status_text == "ok"
    workers = [process for process in execution.processes if process.role == "worker"]
    assert [process.name for process in workers] == ["worker-0", "worker-1"]
    for process in workers:
        assert process.capture_status == "complete"
        reader = FileReader(tmp_path / "capture" / process.capture, max_memory_records=10**9)
        held = reader.get_high_watermark_allocation_records(merge_threads=True)
        assert max(record.size for record in held) == pytest.approx(methods.WORKER_BYTES, abs=2)
        before_bytes = int((folder / f"before-{process.pid}").read_text())
        assert process.peak_rss_bytes - before_bytes == pytest.approx(methods.WORKER_BYTES, abs=6 * MIB)
        assert process.peak_pss_bytes > methods.WORKER_BYTES
    # Driver and workers are on different samplers; the sum is over both.
    assert execution.peak_pss_bytes > methods.DRIVER_BYTES + 2 * methods.WORKER_BYTES
    by_moment = pd.read_parquet(tmp_path / "memory.parquet").groupby("seconds")["pss_bytes"].sum()
    assert by_moment.max() == execution.peak_pss_bytes
    tasks = pd.read_parquet(tmp_path / "tasks.parquet")
    assert set(tasks["worker"]) == {"worker-0", "worker-1"}
    assert 0 < tasks["start_seconds"].min() < tasks["stop_seconds"].max() <= execution.wall_seconds + 0.1
    assert (execution.dask_work.n_graphs, execution.dask_work.n_tasks) == (1, 2)
    assert execution.dask_work.spilled_bytes == 0
    assert left_there(cluster[0]) == NOTHING
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_driver_that_is_killed_leaves_the_cluster_as_it_was(cluster, tmp_path) -> None:
    execution = run(order_at(cluster, tmp_path, "sleep", profiled=True, time_seconds=12.0))
    assert execution.status == "out of time"
    assert [process.name for process in execution.processes if process.role == "worker"] == ["worker-0", "worker-1"]
    deadline = time.monotonic() + READY_SECONDS
    while left_there(cluster[0]) != NOTHING:
        assert time.monotonic() < deadline, left_there(cluster[0])
        time.sleep(0.5)


def test_a_cluster_that_is_not_what_the_run_says_is_refused(cluster, tmp_path) -> None:
    execution = run(order_at(cluster, tmp_path, "allocate", "3x2x1"))
    assert execution.status == "failed"
    assert execution.reason == (
        f"dask.cluster: {cluster[0]} has 2 workers with 1, 1 threads: expected 3 with 2 each, as 3x2x1 says"
    )
    assert left_there(cluster[0]) == NOTHING


def test_memory_of_workers_elsewhere_counts_against_a_size_that_is_asked_for(cluster, tmp_path) -> None:
    most_bytes = methods.DRIVER_BYTES + 2 * methods.WORKER_BYTES + 100 * MIB
    order = replace(order_at(cluster, tmp_path, "keep_busy"), all_hosts_bytes=most_bytes)
    execution = run(order)
    assert execution.status == "out of memory", execution.status_text
    assert execution.reason.endswith(f" of {format_bytes(most_bytes)} over all hosts")
    here = pd.read_parquet(tmp_path / "memory.parquet").query("role != 'worker'")
    assert here.groupby("seconds")["pss_bytes"].sum().max() < most_bytes, "the driver alone is no reason"
    assert execution.peak_pss_bytes > most_bytes
    deadline = time.monotonic() + READY_SECONDS
    while left_there(cluster[0]) != NOTHING:
        assert time.monotonic() < deadline, left_there(cluster[0])
        time.sleep(0.5)


def test_the_program_to_copy_connects_to_the_cluster_of_its_run(cluster, tmp_path) -> None:
    store = write_tiny_store(tmp_path)
    run = Run("tiny", "soma-dask", 100, Parallelism(2, 1, 1))
    text = program(store, run, SEURAT, dask=DaskSettings(cluster=cluster[0]))
    genes, said = executed(text, tmp_path, "print(client.scheduler.address, len(client.nthreads()))")
    assert said == f"{cluster[0]} 2\n"
    same(genes, expected(store, SEURAT))
