"""What is told of Dask's scheduler: sizes, pauses, and bytes spilled, from events and buffers that are known."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from distributed.spill import SpillBuffer

from somaray.dask_work import DaskWork
from somaray.measure import dask_watch
from somaray.measure.assemble import dask_work_of
from somaray.measure.dask_watch import DASK_EVENT, DaskWatch, serialised_bytes, spilled_by


def test_a_task_weighs_what_its_arrays_weigh() -> None:
    joinids = np.arange(100_000)
    task = (sum, [joinids, joinids[:50_000].copy()])
    assert serialised_bytes(task) == pytest.approx(8 * 150_000, abs=1000)


def test_pauses_are_counted_and_one_that_goes_on_counts_up_to_now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.5, 20.0, 21.0])
    monkeypatch.setattr(dask_watch, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    watch = DaskWatch(scheduler=None)
    for status in ("paused", "running", "running", "paused"):
        watch.log_event("tcp://a", {"action": "worker-status-change", "prev-status": "running", "status": status})
    watch.log_event("tcp://a", ("some", "message"))
    figures = watch.figures(None)
    assert (figures["n_pauses"], figures["paused_seconds"]) == (2, 3.5)


def test_tasks_are_weighed_once_a_kind_and_their_seconds_added() -> None:
    tasks = {
        ("read-ab12cd34", 0): SimpleNamespace(run_spec=np.zeros(1000)),
        ("read-ab12cd34", 1): SimpleNamespace(run_spec=np.zeros(9000)),
        ("sum-ab12cd34", 0): SimpleNamespace(run_spec=np.zeros(4000)),
    }
    watch = DaskWatch(SimpleNamespace(tasks=tasks))
    spans = [
        {"action": "transfer", "start": 1.0, "stop": 4.0},
        {"action": "compute", "start": 4.0, "stop": 4.5},
    ]
    for key in tasks:
        watch.transition(key, "waiting", "processing")
        watch.transition(key, "processing", "memory", startstops=spans)
    watch.transition(("sum-ab12cd34", 0), "processing", "erred")
    figures = watch.figures(0)
    assert (figures["n_tasks"], figures["compute_seconds"]) == (3, 1.5)
    assert figures["task_bytes"] == pytest.approx(8 * 4000, abs=500)


def test_bytes_spilled_are_those_written_to_disk(tmp_path: Path) -> None:
    buffer = SpillBuffer(str(tmp_path), target=100_000)
    assert spilled_by(SimpleNamespace(data=buffer)) == 0
    for key in ("a", "b"):
        buffer[key] = np.random.default_rng(0).bytes(80_000)
    assert spilled_by(SimpleNamespace(data=buffer)) == pytest.approx(80_000, rel=0.05)
    assert spilled_by(SimpleNamespace(data={})) == 0


def test_without_a_word_of_it_there_is_no_record() -> None:
    assert dask_work_of([{"event": "end", "at_seconds": 1.0}]) is None
    told = {"event": DASK_EVENT, "at_seconds": 1.0, **DaskWatch(scheduler=None).figures(7)}
    work = dask_work_of([told])
    assert isinstance(work, DaskWork)
    assert (work.n_tasks, work.spilled_bytes) == (0, 7)
