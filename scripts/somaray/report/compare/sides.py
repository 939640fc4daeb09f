"""What is compared: the runs of a results directory, or one run, with all their records."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from somaray.agreement import read_hvg
from somaray.allocations.run_dir import read_run
from somaray.config import TABLE_OF_RUNS
from somaray.errors import SomarayError
from somaray.matrix import Run
from somaray.records import Agreement, Allocations, Execution, read_record
from somaray.report.rows import run_of

CAPTURE = "capture.json"


@dataclass(frozen=True)
class RunResults:
    """All that is known of one run; `hvg` is its capture's table of genes, None where that did not end well."""

    run: Run
    capture: Execution
    timings: tuple[Execution, ...]
    allocations: Allocations | None = None
    agreement: Agreement | None = None
    hvg: pd.DataFrame | None = None

    @property
    def good_timings(self) -> list[Execution]:
        """Timings that ended well."""
        return [timing for timing in self.timings if timing.status == "ok"]


@dataclass(frozen=True)
class Side:
    """One of two things compared.

    Parameters
    ----------
    name
        What it is called in the report.
    runs
        By the name they are matched by; a single run matches whatever it is held against.
    left_out
        Runs that lie in the directory and are in its tables no more.
    """

    name: str
    runs: Mapping[str, RunResults]
    left_out: tuple[str, ...] = ()


def read_sides(a: str | Path, b: str | Path) -> tuple[Side, Side]:
    """Read two results directories, or two runs' directories, which then match whatever they are called.

    Raises
    ------
    SomarayError
        If one is neither, if they are one of each, if they have no run in common, or if a record cannot be read.
    """
    paths = Path(a), Path(b)
    single = [(path / CAPTURE).is_file() for path in paths]
    if single[0] != single[1]:
        kinds = ["a run" if one else "a results directory" for one in single]
        raise SomarayError(f"{a} is {kinds[0]} and {b} {kinds[1]}: expected two of a kind")
    if all(single):
        results = [read_results(path) for path in paths]
        match = " and ".join(dict.fromkeys(each.run.path for each in results))
        return Side(str(a), {match: results[0]}), Side(str(b), {match: results[1]})
    sides = read_directory(paths[0]), read_directory(paths[1])
    if not sides[0].runs.keys() & sides[1].runs.keys():
        known = ["; ".join(sorted(side.runs)[:3]) for side in sides]
        raise SomarayError(
            f"{a} and {b} have no run in common: expected the same datasets, methods and settings, found {known[0]} against "
            f"{known[1]}"
        )
    return sides


def read_directory(path: Path) -> Side:
    """Read the runs of a results directory: those in its tables, or all where there are none.

    Raises
    ------
    SomarayError
        If there is no run, or a record cannot be read.
    """
    runs_dir = path / "hvg" if (path / "hvg").is_dir() else path
    folders = [record.parent for record in runs_dir.glob(f"*/*/*/{CAPTURE}")]
    if not folders:
        raise SomarayError(
            f"{path}: expected a results directory (hvg/DATASET/METHOD/SETTING/{CAPTURE} below it) or a run's own directory"
        )
    results = sorted((read_results(folder) for folder in folders), key=lambda each: each.run.sort_key)
    # What was dropped from a configuration stays on disk; the tables tell what belongs to it.
    listed = _rows_of_table(path / TABLE_OF_RUNS)
    in_tables = [each for each in results if _row_of(each.run) in listed] or results
    kept = {each.run.path: each for each in in_tables}
    return Side(str(path), kept, tuple(each.run.path for each in results if each.run.path not in kept))


def read_results(run_dir: str | Path) -> RunResults:
    """Read all records of a run's directory.

    Raises
    ------
    SomarayError
        If one cannot be read.
    """
    run_dir = Path(run_dir)
    capture, timings, allocations = read_run(run_dir)
    agreement, hvg = run_dir / "agreement.json", run_dir / "hvg.parquet"
    return RunResults(
        run=run_of(capture),
        capture=capture,
        timings=tuple(timings),
        allocations=allocations,
        agreement=read_record(agreement, Agreement) if agreement.is_file() else None,
        hvg=read_hvg(hvg) if capture.status == "ok" and hvg.is_file() else None,
    )


_ROW = ("dataset", "method", "chunk_size", "processes", "threads", "tile_threads", "variant")


def _rows_of_table(path: Path) -> set[tuple[str, ...]]:
    if not path.is_file():
        return set()
    with path.open(newline="") as stream:
        return {tuple(row.get(column) or "" for column in _ROW) for row in csv.DictReader(stream)}


def _row_of(run: Run) -> tuple[str, ...]:
    layout = run.parallelism
    axes = [] if layout is None else [layout.processes, layout.threads, layout.tile_threads]
    return (
        run.dataset,
        run.method,
        "" if run.chunk_size is None else str(run.chunk_size),
        *([str(axis) for axis in axes] or ["", "", ""]),
        run.variant,
    )
