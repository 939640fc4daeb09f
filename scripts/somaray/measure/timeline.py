"""What the sampler saw, kept in columns: memory of every process over time."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from somaray.measure.process_tree import Process, ProcessSample

type Moment = tuple[float, list[ProcessSample]]
"""When all processes of one sampler were looked at, and what was seen."""


class Peaks(NamedTuple):
    """Largest samples of one process; None is what the kernel did not tell."""

    pss_bytes: int | None = None
    rss_bytes: int | None = None


def budgeted_bytes(samples: Iterable[ProcessSample]) -> int:
    """Sum of PSS for a budget: where the kernel keeps PSS to itself, RSS stands in, which errs on the safe side."""
    return sum(sample.rss_bytes if sample.pss_bytes is None else sample.pss_bytes for sample in samples)


@dataclass
class Timeline:
    """Samples of every process, in order of time.

    `summed_bytes` is the sum over processes at the last sample, `most_bytes` the largest such sum so far, both as
    `budgeted_bytes` has them. `most_rss_bytes` is the largest sum of RSS, by which schedulers count.
    """

    rows: list[tuple[float, ProcessSample]] = field(default_factory=list)
    summed_bytes: int = 0
    most_bytes: int = 0
    most_rss_bytes: int = 0

    def read(self, stream: IO[str]) -> None:
        """Take in samples until the stream ends; a line cut short by the sampler's death is left out."""
        for at_seconds, samples in moments(stream):
            self.add(at_seconds, samples)

    def add(self, at_seconds: float, samples: list[ProcessSample]) -> None:
        """Take in all processes of one moment."""
        self.rows += [(at_seconds, sample) for sample in samples]
        self.summed_bytes = budgeted_bytes(samples)
        self.most_bytes = max(self.most_bytes, self.summed_bytes)
        self.most_rss_bytes = max(self.most_rss_bytes, sum(sample.rss_bytes for sample in samples))

    def beside(self, others: Sequence[Sequence[Moment]]) -> "Timeline":
        """The same with what samplers of other hosts saw, each at the moments of this one.

        A sample holds until its sampler's next one, the last for as long as the one before it did: so sums are over all hosts,
        each as it was up to one interval before.
        """
        rows = []
        by_moment: dict[float, list[ProcessSample]] = {}
        for at_seconds, sample in self.rows:
            by_moment.setdefault(at_seconds, []).append(sample)
        starts = [[at_seconds for at_seconds, _ in other] for other in others]
        for at_seconds, samples in by_moment.items():
            rows += [(at_seconds, sample) for sample in samples]
            for start, other in zip(starts, others, strict=True):
                latest = bisect_right(start, at_seconds) - 1
                holds_seconds = start[-1] - start[-2] if len(start) > 1 else 0.0
                if latest >= 0 and (latest + 1 < len(start) or at_seconds <= start[-1] + holds_seconds):
                    rows += [(at_seconds, sample) for sample in other[latest][1]]
        return Timeline(rows)

    def until(self, end_seconds: float | None) -> "Timeline":
        """The samples up to a moment; all of them if there is none."""
        if end_seconds is None:
            return self
        return Timeline([(at_seconds, sample) for at_seconds, sample in self.rows if at_seconds <= end_seconds])

    def peak_pss(self) -> tuple[int | None, float | None]:
        """Largest sum of PSS over the processes of one sample, and when it was; None where the kernel does not tell."""
        sums: dict[float, int] = {}
        for at_seconds, sample in self.rows:
            if sample.pss_bytes is None:
                return None, None
            sums[at_seconds] = sums.get(at_seconds, 0) + sample.pss_bytes
        if not sums:
            return None, None
        at_seconds = max(sums, key=lambda moment: sums[moment])
        return sums[at_seconds], at_seconds

    def last(self) -> dict[Process, ProcessSample]:
        """The last sample of each process."""
        return {sample.process: sample for _, sample in self.rows}

    def peaks(self) -> dict[Process, Peaks]:
        """The largest samples of each process."""
        peaks: dict[Process, Peaks] = {}
        for _, sample in self.rows:
            peaks[sample.process] = Peaks(
                *map(_larger, peaks.get(sample.process, Peaks()), (sample.pss_bytes, sample.rss_bytes))
            )
        return peaks

    def write(self, path: str | Path, zero_seconds: float, processes: dict[Process, dict[str, Any]]) -> None:
        """Write `seconds, process, role, pid, pss_bytes, rss_bytes` as Parquet.

        Parameters
        ----------
        zero_seconds
            Moment of the monotonic clock that becomes 0, the start of the first phase.
        processes
            The `name` and `role` of the processes that gave an account of themselves.
        """
        named = {process: (own["name"], own["role"]) for process, own in processes.items()}
        table = pd.DataFrame(
            {
                "seconds": [at_seconds - zero_seconds for at_seconds, _ in self.rows],
                "process": [named.get(sample.process, (f"other-{sample.pid}", ""))[0] for _, sample in self.rows],
                "role": [named.get(sample.process, ("", "other"))[1] for _, sample in self.rows],
                "pid": [sample.pid for _, sample in self.rows],
                "pss_bytes": pd.array([sample.pss_bytes for _, sample in self.rows], dtype="Int64"),
                "rss_bytes": pd.array([sample.rss_bytes for _, sample in self.rows], dtype="Int64"),
            }
        )
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path, index=False)


def moments(stream: Iterable[str]) -> Iterator[Moment]:
    """Read what a sampler printed, up to a line cut short by its death."""
    for line in stream:
        try:
            taken = json.loads(line)
        except json.JSONDecodeError:
            return
        yield taken["at_seconds"], [ProcessSample(*row) for row in taken["processes"]]


def _larger(one: int | None, other: int | None) -> int | None:
    return max((size for size in (one, other) if size is not None), default=None)
