"""What every Dask thread did and when: taken down by the scheduler while a run goes on, kept in columns afterwards."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from dask.utils import key_split
from distributed import Client
from distributed.diagnostics.plugin import SchedulerPlugin

from somaray.measure.captures import process_name

TASKS = "tasks.jsonl"
"""File of the work directory with a line a stretch of work, in the order of `_FIELDS`."""

_FIELDS = ("task", "chunk_read", "worker", "thread", "action", "outcome", "start_seconds", "stop_seconds")
_FLUSH_INTERVAL_SECONDS = 1.0


class TaskRecorder(SchedulerPlugin):
    """Notes the stretches of work that workers report with each task.

    It lives in the driver's process, so it does as little as it can: a tuple a stretch, and one write a second, which is
    also what is left of a program that is killed.
    """

    name = "somaray-task-stream"

    def __init__(
        self,
        path: str | Path,
        scheduler: Any,
        is_chunk_read: Callable[[Any], bool] | None,
        epoch_seconds: float | None = None,
    ) -> None:
        self._stream = Path(path).open("a")  # noqa: SIM115 (open as long as the program runs)
        self._scheduler = scheduler
        self._is_chunk_read = is_chunk_read
        self._rows: list[tuple[Any, ...]] = []
        self._written_at_seconds = time.monotonic()
        # Workers report seconds since the epoch; all else is told in the monotonic clock's.
        self._epoch_seconds = epoch_at_zero() if epoch_seconds is None else epoch_seconds

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Take down a task that came to its end, good or bad."""
        if start != "processing" or finish not in ("memory", "erred"):
            return
        worker = self._scheduler.workers.get(kwargs.get("worker"))
        name = "" if worker is None else process_name(worker.name)
        chunk_read = self._is_chunk_read is not None and bool(self._is_chunk_read(key))
        for stretch in kwargs.get("startstops") or ():
            seconds = (stretch[end] - self._epoch_seconds for end in ("start", "stop"))
            self._rows.append(
                (key_split(key), chunk_read, name, kwargs.get("thread"), stretch["action"], finish, *seconds)
            )
        if time.monotonic() - self._written_at_seconds >= _FLUSH_INTERVAL_SECONDS:
            self.write()

    def write(self) -> None:
        """Write what has come since the last time."""
        self._written_at_seconds = time.monotonic()
        self._stream.writelines(json.dumps(row) + "\n" for row in self._rows)
        self._stream.flush()
        self._rows.clear()


def epoch_at_zero() -> float:
    """Seconds since the epoch at 0 of this host's monotonic clock."""
    return time.time() - time.monotonic()


def record_tasks(client: Client, work_dir: str | Path, is_chunk_read: Callable[[Any], bool] | None) -> TaskRecorder:
    """Start taking down tasks on a scheduler in this process."""
    scheduler = client.cluster.scheduler
    recorder = TaskRecorder(Path(work_dir) / TASKS, scheduler, is_chunk_read)
    scheduler.add_plugin(recorder)
    return recorder


def write_task_stream(work_dir: str | Path, path: str | Path, zero_seconds: float) -> None:
    """Turn what a recorder left into Parquet; without a recorder (no Dask, or killed early) there are no rows.

    Columns: `task` (its key without the hash), `chunk_read` (whether it read a chunk of X), `worker`, `thread` (numbered from
    0 within the worker), `action` (`compute`, `transfer`, `deserialize`, …), `outcome` (`memory` or `erred`),
    `start_seconds` and `stop_seconds`.

    Parameters
    ----------
    zero_seconds
        Moment of the monotonic clock that becomes 0, the start of the first phase.
    """
    source = Path(work_dir) / TASKS
    lines = source.read_text().splitlines() if source.exists() else []
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break  # cut short as the program was killed
    table = pd.DataFrame(rows, columns=list(_FIELDS)).sort_values("start_seconds", kind="stable", ignore_index=True)
    table["thread"] = table.groupby("worker")["thread"].transform(lambda threads: pd.factorize(threads)[0])
    table = table.astype({"chunk_read": bool, "thread": int, "start_seconds": float, "stop_seconds": float})
    text = ["task", "worker", "action", "outcome"]
    table[text] = table[text].astype(str)
    table[["start_seconds", "stop_seconds"]] -= zero_seconds
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path, index=False)
