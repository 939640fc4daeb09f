"""Watch Dask's scheduler while a run goes on: what it was sent, what it sent on, and when workers paused or spilled."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dask.utils import key_split
from distributed import Client, Worker
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.protocol import pickle
from distributed.utils import nbytes

from somaray.measure.clock import Clock

DASK_EVENT = "dask"
_GRAPH_ARRIVES = "update-graph"


class DaskWatch(SchedulerPlugin):
    """Adds up what passes through the scheduler; `figures` are the fields of `DaskWork`."""

    name = "somaray-dask-watch"

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._kinds: set[str] = set()
        self._paused_since: dict[str, float] = {}
        self._n_graphs = self._graph_bytes = self._n_tasks = self._task_bytes = self._n_pauses = 0
        self._compute_seconds = self._paused_seconds = 0.0

    def weigh_graphs(self) -> None:
        """Have each graph weighed as it arrives, still serialised: what the client sent, at no cost."""
        handlers = self._scheduler.stream_handlers
        handle: Callable[..., Awaitable[None]] = handlers[_GRAPH_ARRIVES]

        async def weigh(*args: Any, expr_ser: Any, **kwargs: Any) -> None:
            self._n_graphs += 1
            self._graph_bytes += sum(map(nbytes, [expr_ser.header, *expr_ser.frames]))
            await handle(*args, expr_ser=expr_ser, **kwargs)

        handlers[_GRAPH_ARRIVES] = weigh
        self._weighed = handle

    def leave_graphs(self) -> None:
        """Have graphs handled again as they were before."""
        self._scheduler.stream_handlers[_GRAPH_ARRIVES] = self._weighed

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Weigh the first task of each kind as it is sent, and add up how long finished ones took."""
        if finish == "processing":
            kind = key_split(key)
            if kind not in self._kinds:
                self._kinds.add(kind)
                self._task_bytes = max(self._task_bytes, serialised_bytes(self._scheduler.tasks[key].run_spec))
        elif start == "processing" and finish == "memory":
            self._n_tasks += 1
            self._compute_seconds += sum(
                span["stop"] - span["start"] for span in kwargs.get("startstops") or () if span["action"] == "compute"
            )

    def log_event(self, topic: str, msg: Any) -> None:
        """Follow workers into and out of a pause."""
        if not isinstance(msg, dict) or msg.get("action") != "worker-status-change":
            return
        if msg["status"] == "paused":
            self._n_pauses += 1
            self._paused_since[topic] = time.monotonic()
        elif topic in self._paused_since:
            self._paused_seconds += time.monotonic() - self._paused_since.pop(topic)

    def figures(self, spilled_bytes: int | None) -> dict[str, Any]:
        """What was seen so far; a pause that goes on counts up to now."""
        now = time.monotonic()
        return {
            "n_graphs": self._n_graphs,
            "graph_bytes": self._graph_bytes,
            "n_tasks": self._n_tasks,
            "task_bytes": self._task_bytes,
            "compute_seconds": self._compute_seconds,
            "n_pauses": self._n_pauses,
            "paused_seconds": self._paused_seconds + sum(now - since for since in self._paused_since.values()),
            "spilled_bytes": spilled_bytes,
        }


def serialised_bytes(task: Any) -> int:
    """Size of a task as Dask would send it; arrays are not copied for that."""
    buffers: list[Any] = []
    frame = pickle.dumps(task, buffer_callback=buffers.append)
    return len(frame) + sum(nbytes(buffer.raw()) for buffer in buffers)


def spilled_by(dask_worker: Worker) -> int:
    """Bytes that a worker wrote to disk so far; none where it keeps all in memory."""
    metrics = getattr(dask_worker.data, "cumulative_metrics", {})
    return int(metrics.get(("disk-write", "bytes"), 0))


@contextmanager
def dask_watched(client: Client, clock: Clock) -> Iterator[None]:
    """Watch a scheduler in this process while the body runs, and write what was seen as an event, however it ends."""
    watch = DaskWatch(client.cluster.scheduler)
    watch.weigh_graphs()
    client.cluster.scheduler.add_plugin(watch)
    spilled_bytes = None
    try:
        yield
        spilled_bytes = sum(client.run(spilled_by).values())
    finally:
        clock.event(DASK_EVENT, **watch.figures(spilled_bytes))
