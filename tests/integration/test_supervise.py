"""What the supervisor reports about programs whose behaviour is known, and what it leaves behind: nothing."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from somaray.allocations.run_dir import read_run
from somaray.measure.process_tree import sample, session_pids
from somaray.measure.supervise import Order
from somaray.records import write_record
from somaray.report.processes import process_rows
from support import known_methods as methods
from support.orders import order_for, run

MIB = 2**20


@pytest.fixture
def order(tmp_path: Path):
    """Make an order for one of the test methods."""

    def make(behaviour: str | None, parallelism: str | None = None, profiled: bool = False, **limits) -> Order:
        return order_for(tmp_path, "support.known_methods", behaviour, parallelism, profiled, **limits)

    return make


def peak_of(execution, name: str) -> int:
    return next(process.peak_rss_bytes for process in execution.processes if process.name == name)


def test_memory_of_driver_and_workers_is_what_they_touched(order, tmp_path) -> None:
    execution = run(order("allocate", "2x1x1"))
    assert execution.status == "ok"
    before = {int(path.name.partition("-")[2]): int(path.read_text()) for path in tmp_path.glob("before-*")}
    known = {"driver": methods.DRIVER_BYTES, "worker-0": methods.WORKER_BYTES, "worker-1": methods.WORKER_BYTES}
    for process in execution.processes:
        if process.name in known:
            # The kernel's high-water mark is exact: what was touched, not the 300 MiB requested and never touched.
            grown_bytes = process.peak_rss_bytes - before[process.pid]
            assert grown_bytes == pytest.approx(known[process.name], abs=3 * MIB), process.name
            assert process.peak_pss_bytes <= process.peak_rss_bytes
    assert execution.peak_pss_bytes > sum(known.values())
    assert execution.peak_pss_bytes <= sum(process.peak_rss_bytes for process in execution.processes)
    for process in execution.processes:
        assert process.sampled_rss_bytes is None or process.peak_pss_bytes <= process.sampled_rss_bytes
    # Two tasks of 1.5 s each, sent as one graph.
    assert (execution.dask_work.n_graphs, execution.dask_work.n_tasks) == (1, 2)
    assert execution.dask_work.graph_bytes >= execution.dask_work.task_bytes > 0
    assert execution.dask_work.compute_seconds > 2 * 1.5
    assert (execution.dask_work.n_pauses, execution.dask_work.spilled_bytes) == (0, 0)
    timeline = pd.read_parquet(tmp_path / "memory.parquet")
    assert set(timeline["process"]) >= {"driver", "worker-0", "worker-1"}
    by_moment = timeline.groupby("seconds")["pss_bytes"].sum()
    assert by_moment.max() == execution.peak_pss_bytes
    assert by_moment.idxmax() == pytest.approx(execution.peak_pss_seconds)
    tasks = pd.read_parquet(tmp_path / "tasks.parquet")
    assert set(tasks["worker"]) == {"worker-0", "worker-1"}
    assert (tasks["start_seconds"] <= tasks["stop_seconds"]).all()
    assert tasks["start_seconds"].min() > 0
    # Workers have clocks of their own, some milliseconds apart.
    assert tasks["stop_seconds"].max() <= execution.wall_seconds + 0.1


def test_capture_of_driver_and_workers_holds_what_they_asked_for(order, tmp_path) -> None:
    from memray import FileReader

    execution = run(order("allocate", "2x1x1", profiled=True))
    assert execution.status == "ok"
    captures = {process.name: process for process in execution.processes if process.capture}
    assert set(captures) == {"driver", "worker-0", "worker-1"}
    for name, known in {
        "driver": methods.DRIVER_BYTES + methods.UNTOUCHED_BYTES,
        "worker-0": methods.WORKER_BYTES,
        "worker-1": methods.WORKER_BYTES,
    }.items():
        assert captures[name].capture_status == "complete"
        reader = FileReader(tmp_path / "capture" / captures[name].capture, max_memory_records=10**9)
        ours = [
            record.size
            for record in reader.get_high_watermark_allocation_records(merge_threads=True)
            if any(Path(file).name == "known_methods.py" for _, file, _ in record.stack_trace(max_stacks=3))
            and record.size > 50 * MIB
        ]
        # A bytearray asks for one byte more than it holds.
        assert sum(ours) == pytest.approx(known, abs=2)


def test_threads_only_has_no_worker_process_and_one_tracker(order) -> None:
    execution = run(order("allocate", "0x2x1", profiled=True))
    assert execution.status == "ok"
    roles = [process.role for process in execution.processes if process.role != "other"]
    assert roles == ["driver"]


def test_killed_worker_counts_with_its_replacement_beside_it(order, tmp_path) -> None:
    execution = run(order("kill_worker", "1x1x1", profiled=True))
    assert execution.status == "ok"
    workers = [process for process in execution.processes if process.role == "worker"]
    assert [process.name for process in workers] == ["worker-0", "worker-0"]
    assert sorted(process.capture_status for process in workers) == ["complete", "partial"]
    assert all((tmp_path / "capture" / process.capture).stat().st_size > 0 for process in workers)
    write_record(tmp_path / "capture.json", execution)
    rows = process_rows(*read_run(tmp_path))
    assert [(row.name, row.replaced, row.capture) for row in rows] == [
        ("driver", False, "complete"),
        ("worker-0", True, "partial"),
        ("worker-0", False, "complete"),
    ]
    assert all(row.heap_peak_bytes and row.total_bytes >= row.heap_peak_bytes for row in rows)


def test_worker_that_dies_every_time_is_a_status(order) -> None:
    execution = run(order("die_always", "1x1x1"))
    assert execution.status == "worker lost"


def test_memory_budget_stops_the_tree(order) -> None:
    execution = run(order("grow", memory_bytes=900 * MIB))
    assert execution.status == "out of memory"
    assert execution.reason.endswith("of 900 MiB")
    assert execution.wall_seconds is None
    assert 900 * MIB < execution.peak_pss_bytes < 1700 * MIB


def test_time_limit_stops_the_tree(order) -> None:
    execution = run(order("sleep", "1x1x1", time_seconds=12.0))
    assert execution.status == "out of time"
    assert "hvg" in execution.reason


def test_exception_is_one_line_of_reason_and_whole_in_the_log(order, tmp_path) -> None:
    execution = run(order("raise_error"))
    assert (execution.status, execution.reason) == ("failed", "ValueError: a reason of two lines")
    assert "Traceback" in (tmp_path / "log").read_text()


def test_nothing_outlives_the_supervisor(order) -> None:
    before = {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}
    execution = run(order("leave_children", "1x1x1"))
    assert execution.status == "ok"
    sleepers = [
        pid
        for pid in {int(entry) for entry in os.listdir("/proc") if entry.isdigit()} - before
        if b"time.sleep(600)" in _command(pid)
    ]
    assert sleepers == []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_supervisor_killed_the_sampler_ends_the_session() -> None:
    """The sampler's parent dies at once; what it watched must end."""
    watched = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    code = (
        "import subprocess, sys, os, time\n"
        f"subprocess.Popen([sys.executable, '-m', 'somaray.measure.sampler', '--session', '{watched.pid}',"
        " '--interval-seconds', '0.1'], stdout=subprocess.DEVNULL, start_new_session=True)\n"
        "time.sleep(1.0)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert watched.wait(timeout=20) == -9
    assert session_pids(watched.pid) == []


def test_cpu_seconds_leave_out_imports(order) -> None:
    execution = run(order("use_cpu"))
    assert execution.cpu_seconds == pytest.approx(1.0, abs=0.3)


def test_bytes_read_are_those_of_the_run(order, tmp_path) -> None:
    (tmp_path / "known").write_bytes(os.urandom(24 * MIB))
    execution = run(order("read_file"))
    assert execution.read_bytes == pytest.approx(24 * MIB, abs=MIB // 2)


def test_sum_of_pss_by_hand() -> None:
    """Two processes that share a touched mapping: PSS counts it once, RSS twice."""
    code = (
        "import mmap, os, sys, time\n"
        "shared = mmap.mmap(-1, 64 * 2**20)\n"
        "shared.write(b'x' * len(shared))\n"
        "child = os.fork()\n"
        "sum(shared[i] for i in range(0, len(shared), 4096))\n"
        "if child: print(child, flush=True)\n"
        "time.sleep(60)\n"
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    child = int(program.stdout.readline())
    time.sleep(1.0)
    samples = [sample(program.pid), sample(child)]
    for pid in session_pids(program.pid):
        os.kill(pid, 9)
    program.wait()
    assert sum(taken.rss_bytes for taken in samples) > 2 * 64 * MIB
    assert 64 * MIB < sum(taken.pss_bytes for taken in samples) < 64 * MIB + 30 * MIB


def test_two_measurements_never_overlap(order, monkeypatch) -> None:
    """Two supervisors at once, as two invocations would be: the second waits for the first."""
    spans = []

    def timed() -> None:
        log = io.StringIO()
        from somaray.measure.supervise import Console, measuring_alone

        with measuring_alone(Console(log)):
            began = time.monotonic()
            time.sleep(0.5)
            spans.append((began, time.monotonic()))

    threads = [threading.Thread(target=timed) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (_, first_end), (second_begin, _) = sorted(spans)
    assert second_begin >= first_end


def test_variables_of_a_run_reach_driver_and_workers_before_libraries_do_and_are_recorded(order, tmp_path) -> None:
    # Dask itself would set MALLOC_TRIM_THRESHOLD_ in its workers.
    wanted = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_TRIM_THRESHOLD_": "123456", "PLAIN": "a=b c"}
    ordered = order("tell_environment", "1x1x1")
    execution = run(replace(ordered, job=msgspec.structs.replace(ordered.job, environment=wanted)))
    assert execution.status == "ok"
    told = json.loads((tmp_path / "environment.json").read_text())
    assert told == {"driver": [wanted, wanted], "worker": [wanted, wanted]}
    assert {name: execution.environment[name] for name in wanted} == wanted
