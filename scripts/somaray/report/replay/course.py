"""One execution as it went: what could be read off at any moment of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from somaray.records import Execution
from somaray.report.figures.memory_over_time import by_process
from somaray.report.figures.task_stream import lanes

MOST_MOMENTS = 2000
"""More samples than a clip has columns show nothing more."""


class Moment(NamedTuple):
    """What is known at a moment; None is what was not taken down.

    `summed_bytes` is the last sample's sum over processes, `peak_bytes` the largest so far, `chunk_reads` those finished, and
    `busy_threads` those in the midst of a task.
    """

    phase: str
    summed_bytes: float | None
    peak_bytes: float | None
    chunk_reads: int | None
    busy_threads: int | None


@dataclass(frozen=True)
class Course:
    """An execution, with memory of its processes and its task stream where there is one."""

    execution: Execution
    memory: pd.DataFrame | None
    tasks: pd.DataFrame | None

    @cached_property
    def end_seconds(self) -> float:
        """When the last thing was seen, since the run began; never 0."""
        ends = [phase.end_seconds for phase in self.execution.phases]
        ends += [] if self.execution.wall_seconds is None else [self.execution.wall_seconds]
        # Of a run that ended well, what is seen afterwards is no part of it.
        if self.execution.wall_seconds is None:
            ends += [] if self.memory is None else [float(self.memory["seconds"].max())]
            ends += [] if self.tasks is None else [float(self.tasks["stop_seconds"].max())]
        return max([*ends, 0.01])

    @property
    def well(self) -> bool:
        """Whether it ended well."""
        return self.execution.status == "ok"

    @cached_property
    def bands(self) -> pd.DataFrame | None:
        """Resident bytes: a row a moment (seconds), a column a process."""
        return None if self.memory is None else by_process(self.memory, MOST_MOMENTS)

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Moments of all samples, their sums over processes, and the largest so far."""
        assert self.memory is not None
        size = self.memory["pss_bytes"].fillna(self.memory["rss_bytes"]).astype(float)
        sums = size.groupby(self.memory["seconds"]).sum().sort_index()
        return sums.index.to_numpy(), sums.to_numpy(), np.maximum.accumulate(sums.to_numpy())

    @cached_property
    def threads(self) -> int:
        """Dask threads that did anything."""
        return 0 if self.tasks is None else int(lanes(self.tasks).max()) + 1

    @cached_property
    def _reads_done(self) -> np.ndarray:
        assert self.tasks is not None
        read = self.tasks["chunk_read"] & (self.tasks["action"] == "compute")
        return np.sort(self.tasks.loc[read, "stop_seconds"].to_numpy())

    @cached_property
    def _stretches(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        assert self.tasks is not None
        return (
            lanes(self.tasks).to_numpy(),
            self.tasks["start_seconds"].to_numpy(),
            self.tasks["stop_seconds"].to_numpy(),
        )

    def at(self, seconds: float) -> Moment:
        """Read off a moment."""
        summed = peak = None
        if self.memory is not None:
            moments, sums, peaks = self._sums
            last = int(np.searchsorted(moments, seconds, side="right")) - 1
            if last >= 0:
                summed, peak = float(sums[last]), float(peaks[last])
        reads = busy = None
        if self.tasks is not None:
            lane, start, stop = self._stretches
            reads = int(np.searchsorted(self._reads_done, seconds, side="right"))
            busy = len(np.unique(lane[(start <= seconds) & (seconds < stop)]))
        return Moment(self._phase(seconds), summed, peak, reads, busy)

    def _phase(self, seconds: float) -> str:
        phases = self.execution.phases
        for phase in phases:
            if phase.start_seconds <= seconds < phase.end_seconds:
                return phase.name
        if not phases or seconds >= phases[-1].end_seconds:
            # A phase in which a run failed has no end, and is not told.
            return "ended" if self.well else "a phase that did not end"
        return "between phases"
