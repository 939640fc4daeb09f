"""Count finished Dask tasks and chunk reads while a run goes on, and say how far it is."""

import time
from collections.abc import Callable
from typing import Any

from distributed import Client
from distributed.diagnostics.plugin import SchedulerPlugin

from somaray.measure.clock import Clock
from somaray.units import format_seconds

_INTERVAL_SECONDS = 0.5


class TaskCounter(SchedulerPlugin):
    """Counts tasks in the scheduler, which lives in the driver's process, and chunk reads where the method tells them apart."""

    name = "somaray-tasks"

    def __init__(self, clock: Clock, scheduler: Any, is_chunk_read: Callable[[Any], bool] | None) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._is_chunk_read = is_chunk_read
        self._tasks = self._chunk_reads = 0
        self._written_at_seconds = 0.0

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Count a task that came to its end; write at most two events a second."""
        if start != "processing" or finish != "memory":
            return
        self._tasks += 1
        self._chunk_reads += self._is_chunk_read is not None and self._is_chunk_read(key)
        if time.monotonic() - self._written_at_seconds >= _INTERVAL_SECONDS:
            self.write()

    def write(self) -> None:
        """Write the counts as an event."""
        self._written_at_seconds = time.monotonic()
        waiting = sum(
            task.state in ("waiting", "processing", "no-worker", "queued") for task in self._scheduler.tasks.values()
        )
        self._clock.event(
            "tasks", done=self._tasks, waiting=waiting, chunk_reads=self._chunk_reads if self._is_chunk_read else None
        )


def count_tasks(client: Client, clock: Clock, is_chunk_read: Callable[[Any], bool] | None) -> TaskCounter:
    """Start counting on a scheduler in this process."""
    scheduler = client.cluster.scheduler
    counter = TaskCounter(clock, scheduler, is_chunk_read)
    scheduler.add_plugin(counter)
    return counter


class Progress:
    """Turns events into the line a person reads."""

    def __init__(self, title: str, n_chunks: int | None, expected_seconds: float | None) -> None:
        self._title = title
        self._n_chunks = n_chunks
        self._expected_seconds = expected_seconds
        self._began_at_seconds: float | None = None
        self.phase = "starting"
        self._tasks: dict[str, int] | None = None

    def take(self, event: dict[str, Any]) -> bool:
        """Take in an event; return whether it is worth a line at once."""
        if event["event"] == "phase_begin":
            self.phase = event["name"]
            if self._began_at_seconds is None:
                self._began_at_seconds = event["at_seconds"]
            return True
        if event["event"] == "tasks":
            self._tasks = event
        return False

    def line(self, now_seconds: float, pss_bytes_text: str) -> str:
        """One line: run, phase, chunks read, resident memory, time and expected end."""
        parts = [self._title, self.phase]
        if self._tasks is not None and self._tasks["chunk_reads"] is not None:
            parts.append(f"chunk reads {self._tasks['chunk_reads']} (a pass is {self._n_chunks})")
        if self._tasks is not None:
            parts.append(f"tasks {self._tasks['done']} done, {self._tasks['waiting']} waiting")
        parts.append(pss_bytes_text)
        if self._began_at_seconds is not None:
            elapsed = now_seconds - self._began_at_seconds
            parts.append(format_seconds(max(elapsed, 0.0)))
            if self._expected_seconds is not None:
                left = self._expected_seconds - elapsed
                parts.append(f"about {format_seconds(left)} left" if left > 0 else "longer than before")
        return " | ".join(parts)
