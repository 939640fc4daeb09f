"""The task stream from transitions with chosen times."""

from types import SimpleNamespace

import pandas as pd
import pytest

from somaray.measure import task_stream
from somaray.measure.task_stream import TASKS, TaskRecorder, write_task_stream

EPOCH_SECONDS = 1_000_000.0


@pytest.fixture
def recorder(tmp_path, monkeypatch) -> TaskRecorder:
    """A recorder at moment 50 of the monotonic clock, which began at `EPOCH_SECONDS`."""
    clock = SimpleNamespace(time=lambda: EPOCH_SECONDS + 50, monotonic=lambda: 50.0)
    monkeypatch.setattr(task_stream, "time", clock)
    workers = {"a": SimpleNamespace(name=0), "b": SimpleNamespace(name=1)}
    scheduler = SimpleNamespace(workers=workers)
    return TaskRecorder(tmp_path / TASKS, scheduler, lambda key: key[0].startswith("read"))


def done(recorder, key, worker, thread, *stretches, finish="memory") -> None:
    startstops = [
        {"action": action, "start": EPOCH_SECONDS + start, "stop": EPOCH_SECONDS + stop}
        for action, start, stop in stretches
    ]
    recorder.transition(key, "processing", finish, worker=worker, thread=thread, startstops=startstops)


def test_stretches_come_in_order_with_threads_numbered_in_their_worker(recorder, tmp_path) -> None:
    done(recorder, ("sum-0123456789abcdef0123456789abcdef", 0), "b", 777, ("transfer", 63, 64), ("compute", 64, 66))
    done(recorder, ("read-0123456789abcdef0123456789abcdef", 0), "a", 555, ("compute", 61, 63.5))
    done(recorder, ("read-0123456789abcdef0123456789abcdef", 1), "a", 556, ("compute", 62, 65), finish="erred")
    recorder.transition("x", "waiting", "processing")
    recorder.write()
    write_task_stream(tmp_path, tmp_path / "tasks.parquet", zero_seconds=60.0)
    assert pd.read_parquet(tmp_path / "tasks.parquet").to_dict("split", index=False)["data"] == [
        ["read", True, "worker-0", 0, "compute", "memory", 1.0, 3.5],
        ["read", True, "worker-0", 1, "compute", "erred", 2.0, 5.0],
        ["sum", False, "worker-1", 0, "transfer", "memory", 3.0, 4.0],
        ["sum", False, "worker-1", 0, "compute", "memory", 4.0, 6.0],
    ]


def test_a_line_cut_short_is_left_out(recorder, tmp_path) -> None:
    done(recorder, ("read-0", 0), "a", 1, ("compute", 61, 62))
    recorder.write()
    with (tmp_path / TASKS).open("a") as stream:
        stream.write('["read", true, "wor')
    write_task_stream(tmp_path, tmp_path / "tasks.parquet", zero_seconds=60.0)
    assert len(pd.read_parquet(tmp_path / "tasks.parquet")) == 1


def test_without_a_recorder_there_is_an_empty_table(tmp_path) -> None:
    write_task_stream(tmp_path, tmp_path / "tasks.parquet", zero_seconds=0.0)
    table = pd.read_parquet(tmp_path / "tasks.parquet")
    assert len(table) == 0
    assert table["start_seconds"].dtype == float
