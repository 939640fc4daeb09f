"""All that is known of one run, its files in columns included."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from somaray.matrix import Run
from somaray.records import Agreement, Allocations, Execution
from somaray.report.rows import RunRow, run_of


@dataclass(frozen=True)
class RunDetail:
    """One run of the matrix.

    Parameters
    ----------
    folder
        Directory of the run, in which its columns lie.
    """

    row: RunRow
    folder: Path
    capture: Execution
    timings: tuple[Execution, ...]
    allocations: Allocations | None
    agreement: Agreement | None

    @property
    def run(self) -> Run:
        """The run."""
        return self.row.run

    @property
    def shown(self) -> Execution:
        """The execution that figures show, see `most_typical`."""
        return most_typical(self.capture, self.timings)

    def memory(self) -> pd.DataFrame | None:
        """Memory of every process over time in the execution that is shown; None if nothing was seen of it."""
        return columns(self.folder, "memory", self.shown)

    def tasks(self) -> pd.DataFrame | None:
        """Its task stream; None where no task was recorded."""
        return columns(self.folder, "tasks", self.shown)

    def heap(self) -> pd.DataFrame | None:
        """The heap of every captured process over time; None if none could be read."""
        return _read(self.folder / "memory" / "heap.parquet")


def most_typical(capture: Execution, timings: Sequence[Execution]) -> Execution:
    """Choose the execution of a run to show: of the timings that ended well the one nearest their median, else the first."""
    good = [timing for timing in timings if timing.wall_seconds is not None and timing.status == "ok"]
    if not good:
        return timings[0] if timings else capture
    median = statistics.median(timing.wall_seconds or 0.0 for timing in good)
    return min(good, key=lambda timing: abs((timing.wall_seconds or 0.0) - median))


def columns(folder: Path, kind: str, execution: Execution) -> pd.DataFrame | None:
    """Read what was taken down over time, `memory` or `tasks`, of an execution of the run in `folder`; None if nothing was."""
    return _read(folder / kind / f"{'capture' if execution.replicate is None else execution.replicate}.parquet")


def _read(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    table = pd.read_parquet(path)
    return None if table.empty else table


def details(
    rows: Sequence[RunRow],
    captures: Sequence[Execution],
    timings: Sequence[Execution],
    allocations: Sequence[Allocations],
    agreements: Sequence[Agreement],
    runs_dir: str | Path,
) -> list[RunDetail]:
    """Join what belongs to each measured row, in the order of the rows."""
    captured = {run_of(record): record for record in captures}
    allocated = {run_of(record): record for record in allocations}
    agreed = {run_of(record): record for record in agreements}
    timed: dict[Run, list[Execution]] = {}
    for timing in timings:
        timed.setdefault(run_of(timing), []).append(timing)
    return [
        RunDetail(
            row=row,
            folder=Path(runs_dir) / row.run.path,
            capture=captured[row.run],
            timings=tuple(timed.get(row.run, ())),
            allocations=allocated.get(row.run),
            agreement=agreed.get(row.run),
        )
        for row in rows
        if row.origin == "measured"
    ]
