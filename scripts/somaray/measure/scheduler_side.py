"""Watch the scheduler of a run: in this process, or one elsewhere that is somebody's own and is left as it was found."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Client
from distributed.diagnostics.plugin import SchedulerPlugin

from somaray.errors import SomarayError
from somaray.measure.captures import PLUGIN
from somaray.measure.clock import AFAR_EVENTS, Clock
from somaray.measure.dask_watch import DASK_EVENT, DaskWatch, dask_watched, spilled_by
from somaray.measure.progress import TaskCounter, count_tasks
from somaray.measure.task_stream import TASKS, TaskRecorder, epoch_at_zero, record_tasks

_NAME = "somaray-guest"


class Guest(SchedulerPlugin):
    """What watches in a scheduler that is not ours, until the run's client says so or is gone, however it ended."""

    name = _NAME

    def __init__(self, work_dir: str, module: str, client: str, epoch_seconds: float, scheduler: Any) -> None:
        is_chunk_read = getattr(importlib.import_module(module), "is_chunk_read", None)
        self._client = client
        self._clock = Clock(Path(work_dir) / AFAR_EVENTS)
        self._counter = TaskCounter(self._clock, scheduler, is_chunk_read)
        self._recorder = TaskRecorder(Path(work_dir) / TASKS, scheduler, is_chunk_read, epoch_seconds)
        self._watch = DaskWatch(scheduler)
        for plugin in (self._counter, self._recorder, self._watch, self):
            scheduler.add_plugin(plugin)
        self._watch.weigh_graphs()

    def leave(self, scheduler: Any, spilled_bytes: int | None = None) -> None:
        """Write what was seen and take everything out."""
        self._counter.write()
        self._recorder.write()
        self._clock.event(DASK_EVENT, **self._watch.figures(spilled_bytes))
        self._watch.leave_graphs()
        for plugin in (self._counter, self._recorder, self._watch, self):
            scheduler.remove_plugin(plugin.name)

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Leave when the run's client is gone, and have workers end their trackers and samplers."""
        if client != self._client:
            return
        self.leave(scheduler)
        if PLUGIN in scheduler.worker_plugins:
            scheduler.loop.add_callback(scheduler.unregister_worker_plugin, None, PLUGIN)


def _enter(work_dir: str, module: str, client: str, epoch_seconds: float, dask_scheduler: Any) -> bool:
    if _NAME in dask_scheduler.plugins:
        return False
    Guest(work_dir, module, client, epoch_seconds, dask_scheduler)
    return True


def _leave(spilled_bytes: int | None, dask_scheduler: Any) -> None:
    dask_scheduler.plugins[_NAME].leave(dask_scheduler, spilled_bytes)


@contextmanager
def watched_scheduler(client: Client, clock: Clock, work_dir: Path, module: str) -> Iterator[None]:
    """Watch the scheduler of `client` while the body runs.

    Parameters
    ----------
    module
        Name of the method's module, which may tell reads of a chunk from other tasks.

    Raises
    ------
    SomarayError
        If another run is being measured there: both would be in each other's figures.
    """
    if client.cluster is not None:
        is_chunk_read = getattr(importlib.import_module(module), "is_chunk_read", None)
        counter = count_tasks(client, clock, is_chunk_read)
        recorder = record_tasks(client, work_dir, is_chunk_read)
        with dask_watched(client, clock):
            try:
                yield
            finally:
                counter.write()
                recorder.write()
        return
    if not client.run_on_scheduler(_enter, str(work_dir), module, client.id, epoch_at_zero()):
        raise SomarayError(f"{client.scheduler.address}: another run is measured there now: expected a cluster alone")
    spilled_bytes = None
    try:
        yield
        spilled_bytes = sum(client.run(spilled_by).values())
    finally:
        client.run_on_scheduler(_leave, spilled_bytes)
