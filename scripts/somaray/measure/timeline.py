"""What the sampler saw, kept in columns: memory of every process over time."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from somaray.measure.process_tree import ProcessSample


class Peaks(NamedTuple):
    """Largest samples of one process; None is what the kernel did not tell."""

    pss_bytes: int | None = None
    rss_bytes: int | None = None


@dataclass
class Timeline:
    """Samples of every process, in order of time.

    `summed_bytes` is the sum over processes at the last sample, `most_bytes` the largest such sum so far, both for the budget:
    where the kernel keeps PSS to itself, RSS stands in, which errs on the safe side. `most_rss_bytes` is the largest sum of
    RSS, by which schedulers count.
    """

    rows: list[tuple[float, ProcessSample]] = field(default_factory=list)
    summed_bytes: int = 0
    most_bytes: int = 0
    most_rss_bytes: int = 0

    def read(self, stream: IO[str]) -> None:
        """Take in samples until the stream ends; a line cut short by the sampler's death is left out."""
        for line in stream:
            try:
                taken = json.loads(line)
            except json.JSONDecodeError:
                return
            self.add(taken["at_seconds"], [ProcessSample(*row) for row in taken["processes"]])

    def add(self, at_seconds: float, samples: list[ProcessSample]) -> None:
        """Take in all processes of one moment."""
        self.rows += [(at_seconds, sample) for sample in samples]
        self.summed_bytes = sum(
            sample.rss_bytes if sample.pss_bytes is None else sample.pss_bytes for sample in samples
        )
        self.most_bytes = max(self.most_bytes, self.summed_bytes)
        self.most_rss_bytes = max(self.most_rss_bytes, sum(sample.rss_bytes for sample in samples))

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

    def last(self) -> dict[int, ProcessSample]:
        """The last sample of each process, by pid."""
        return {sample.pid: sample for _, sample in self.rows}

    def peaks(self) -> dict[int, Peaks]:
        """The largest samples of each process, by pid."""
        peaks: dict[int, Peaks] = {}
        for _, sample in self.rows:
            peaks[sample.pid] = Peaks(
                *map(_larger, peaks.get(sample.pid, Peaks()), (sample.pss_bytes, sample.rss_bytes))
            )
        return peaks

    def write(self, path: str | Path, zero_seconds: float, processes: dict[int, dict[str, Any]]) -> None:
        """Write `seconds, process, role, pid, pss_bytes, rss_bytes` as Parquet.

        Parameters
        ----------
        zero_seconds
            Moment of the monotonic clock that becomes 0, the start of the first phase.
        processes
            By pid, the `name` and `role` of the processes that gave an account of themselves.
        """
        named = {pid: (own["name"], own["role"]) for pid, own in processes.items()}
        table = pd.DataFrame(
            {
                "seconds": [at_seconds - zero_seconds for at_seconds, _ in self.rows],
                "process": [named.get(sample.pid, (f"other-{sample.pid}", ""))[0] for _, sample in self.rows],
                "role": [named.get(sample.pid, ("", "other"))[1] for _, sample in self.rows],
                "pid": [sample.pid for _, sample in self.rows],
                "pss_bytes": pd.array([sample.pss_bytes for _, sample in self.rows], dtype="Int64"),
                "rss_bytes": pd.array([sample.rss_bytes for _, sample in self.rows], dtype="Int64"),
            }
        )
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path, index=False)


def _larger(one: int | None, other: int | None) -> int | None:
    return max((size for size in (one, other) if size is not None), default=None)
