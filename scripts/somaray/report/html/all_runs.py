"""Tables of all runs on the report's page: figures and how they ended, and what was held against the reference."""

from collections.abc import Mapping, Sequence

from somaray.report.gathered import Gathered
from somaray.report.html import values
from somaray.report.html.values import Cell, bytes_cell, number_cell, seconds_cell, text_cell
from somaray.report.rows import RunRow
from somaray.units import format_count, significant

HEADER = (
    ("dataset", "Dataset"),
    ("method", "Method"),
    ("run", "Run"),
    ("chunk", "Cells a chunk"),
    ("processes", "Dask processes"),
    ("threads", "Dask threads"),
    ("tile_threads", "TileDB threads"),
    ("time (s)", "Median of all phases, with the smallest and the largest"),
    ("cells/s", "Cells by the median time"),
    ("peak PSS", "Summed over processes, median"),
    ("worker RSS", "Largest worker's high-water mark"),
    ("driver heap", "Requests, not RAM"),
    ("agrees", "With the reference"),
    ("status", "How it ended"),
)
"""Columns of the table of runs, and what they mean."""

PICKED = ("dataset", "method", "chunk", "processes", "threads", "tile_threads", "agrees", "status")
"""Those of few values."""


def run_cells(row: RunRow, hrefs: Mapping[str, str]) -> list[Cell]:
    """One run's cells under `HEADER`."""
    run = row.run
    layout = run.parallelism
    chunk = None if run.chunk_size is None else format_count(run.chunk_size)
    return [
        text_cell(run.dataset + (" (imported)" if row.origin == "imported" else "")),
        text_cell(run.method),
        text_cell(run.setting, hrefs.get(run.path, "") if row.origin == "measured" else ""),
        number_cell(run.chunk_size, chunk),
        number_cell(layout.processes if layout else None),
        number_cell(layout.threads if layout else None),
        number_cell((layout.tile_threads or None) if layout else None),
        seconds_cell(row.wall_seconds),
        number_cell(row.cells_per_second, values.speed_text(row.cells_per_second)),
        bytes_cell(row.peak_pss_bytes.median),
        bytes_cell(row.largest_worker_rss_bytes.median),
        bytes_cell(row.driver_heap_peak_bytes),
        text_cell(row.agreement if row.origin == "measured" else values.NONE, bad=row.agreement.startswith("no (")),
        # What happened to each is on the first screen and the run's page; here, values are picked from.
        text_cell(row.status + (", measured again" if row.retried else ""), bad=row.status != "ok"),
    ]


def picked(lines: Sequence[Sequence[Cell]]) -> list[str]:
    """Columns of the table of runs whose values a reader can pick: of few values, and not the same in every row."""
    return [
        name
        for index, (name, _) in enumerate(HEADER)
        if name in PICKED and len({line[index].text for line in lines}) > 1
    ]


def agreement_cells(gathered: Gathered, hrefs: Mapping[str, str]) -> list[list[Cell]]:
    """One line a result that was held against a reference, or was not."""
    lines = []
    by_path = {detail.run.path: detail for detail in gathered.details("")}
    for path, detail in by_path.items():
        for check in detail.agreement.checks if detail.agreement else ():
            verdict = {True: "yes", False: f"no: {check.note}", None: f"not checked: {check.note}"}[check.agrees]
            lines.append(
                [
                    text_cell(path, hrefs.get(path, "")),
                    text_cell(check.execution),
                    number_cell(check.genes_selected),
                    number_cell(check.genes_reference),
                    number_cell(check.genes_in_common),
                    number_cell(
                        check.largest_difference,
                        None if check.largest_difference is None else significant_exponent(check.largest_difference),
                    ),
                    text_cell(verdict, bad=check.agrees is False),
                ]
            )
    return lines


def significant_exponent(value: float) -> str:
    """Write a small difference."""
    return significant(value, 2) if value == 0 or value >= 0.001 else f"{value:.1e}"
