"""`runs.csv`, `runs.md` and `agreement.md`."""

import csv
import io
from collections.abc import Callable, Sequence
from itertools import groupby

from somaray.matrix import DEFAULT, WHOLE, Run
from somaray.records import Agreement, Execution
from somaray.report.markdown import escape, image, table
from somaray.report.measured_with import measured_with
from somaray.report.rows import RunRow, Spread, run_of
from somaray.units import format_bytes, format_count, significant

NONE = "–"


def _whole(value: float | None) -> str:
    return "" if value is None else str(round(value))


def _exact(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


CSV_COLUMNS: dict[str, Callable[[RunRow], object]] = {
    "dataset": lambda row: row.run.dataset,
    "method": lambda row: row.run.method,
    "chunk_size": lambda row: row.run.chunk_size,
    "processes": lambda row: row.run.parallelism and row.run.parallelism.processes,
    "threads": lambda row: row.run.parallelism and row.run.parallelism.threads,
    "tile_threads": lambda row: (row.run.parallelism and row.run.parallelism.tile_threads) or None,
    "variant": lambda row: row.run.variant,
    "status": lambda row: row.status,
    "replicates": lambda row: row.replicates,
    "n_obs": lambda row: row.n_obs,
    "wall_seconds": lambda row: _exact(row.wall_seconds.median),
    "wall_seconds_min": lambda row: _exact(row.wall_seconds.minimum),
    "wall_seconds_max": lambda row: _exact(row.wall_seconds.maximum),
    "hvg_seconds": lambda row: _exact(row.hvg_seconds.median),
    "hvg_seconds_min": lambda row: _exact(row.hvg_seconds.minimum),
    "hvg_seconds_max": lambda row: _exact(row.hvg_seconds.maximum),
    "cells_per_second": lambda row: _exact(row.cells_per_second),
    "cpu_seconds": lambda row: _exact(row.cpu_seconds.median),
    "peak_pss_bytes": lambda row: _whole(row.peak_pss_bytes.median),
    "peak_pss_bytes_min": lambda row: _whole(row.peak_pss_bytes.minimum),
    "peak_pss_bytes_max": lambda row: _whole(row.peak_pss_bytes.maximum),
    "largest_worker_rss_bytes": lambda row: _whole(row.largest_worker_rss_bytes.median),
    "driver_rss_bytes": lambda row: _whole(row.driver_rss_bytes.median),
    "driver_heap_peak_bytes": lambda row: row.driver_heap_peak_bytes,
    "driver_total_bytes": lambda row: row.driver_total_bytes,
    "read_bytes": lambda row: _whole(row.read_bytes.median),
    "disk_read_bytes": lambda row: _whole(row.disk_read_bytes.median),
    "chunk_reads": lambda row: row.chunk_reads,
    "genes_selected": lambda row: row.genes_selected,
    "genes_reference": lambda row: row.genes_reference,
    "genes_in_common": lambda row: row.genes_in_common,
    "largest_difference": lambda row: _exact(row.largest_difference),
    "reference": lambda row: row.reference,
    "n_vars": lambda row: row.n_vars,
    "nnz": lambda row: row.nnz,
    "layout": lambda row: row.layout,
    "origin": lambda row: row.origin,
    "vfs_reads": lambda row: _whole(row.vfs_reads.median),
    "vfs_read_bytes": lambda row: _whole(row.vfs_read_bytes.median),
    "predicted_peak_pss_bytes": lambda row: row.prediction and row.prediction.peak_pss_bytes,
    "predicted_largest_worker_bytes": lambda row: row.prediction and row.prediction.largest_worker_bytes,
    "predicted_seconds": lambda row: row.prediction and _exact(row.prediction.seconds),
    "retried": lambda row: row.retried,
}
"""Columns of `runs.csv`, a contract: none is renamed or taken out. Go by names, not by order. An empty field is not known."""


def runs_csv(rows: Sequence[RunRow]) -> str:
    """Write a row a run, plain numbers in the units that the columns name."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows(
        ["" if (value := column(row)) is None else value for column in CSV_COLUMNS.values()] for row in rows
    )
    return stream.getvalue()


def runs_markdown(rows: Sequence[RunRow], executions: Sequence[Execution], plots: str | None = None) -> str:
    """Write the table of runs, a section a dataset, with how to read it and where it was measured.

    `plots` is the way from the document to the folder of figures; None shows none.
    """
    parts = [
        "# Runs\n",
        "Times and resident memory are those of unprofiled executions: the median of the replicates, with the smallest and"
        " largest. *Total* counts all phases from starting the Dask cluster to the table of genes, *HVG* the last phase alone."
        " **Peak PSS is memory that was really there**, summed over all processes of the run; *predicted* is what the plan says"
        " of it, by constants that know nothing of these runs. **Driver heap is what the driver"
        " had requested at once**, as memray sees it in a capture of its own; most of it may never have been touched. *TileDB"
        " read* is what TileDB asked of files or of S3, all processes and passes together, and in how many reads; on S3 small"
        " reads share a request.\n",
    ]
    if plots is not None:
        parts.append(image("Time against memory of every finished run", f"{plots}/time_memory.svg"))
    # A column that says the same of every run would tell nothing.
    with_variants = any(row.run.variant != DEFAULT for row in rows)
    for dataset, group in groupby(rows, key=lambda row: (row.run.dataset, row.origin)):
        parts.append(_dataset_section(dataset, list(group), with_variants))
    parts.append(measured_with(executions))
    return "\n".join(parts)


def _dataset_section(dataset: tuple[str, str], rows: list[RunRow], with_variants: bool) -> str:
    name, origin = dataset
    first = rows[0]
    facts = [f"{first.n_obs:,} cells" if first.n_obs else "", f"{first.n_vars:,} genes" if first.n_vars else ""]
    facts += [f"{first.nnz:,} non-zeros" if first.nnz else "", f"layout {first.layout}" if first.layout else ""]
    heading = f"## {escape(name)}" + (" (imported)" if origin == "imported" else "") + "\n"
    if origin == "imported":
        facts.append("one profiled run each, measured elsewhere by others")
    header = ["method", "chunk", "P×T×C", *(["variant"] if with_variants else [])]
    header += [
        "total (s)",
        "HVG (s)",
        "cells/s",
        "peak PSS",
        "predicted",
        "largest worker RSS",
        "driver heap",
        "reads a chunk",
    ]
    counted = any(row.vfs_read_bytes.median is not None for row in rows)
    header += [*(["TileDB read (reads)"] if counted else []), "status", "agrees"]
    cells = [_cells(row, with_variants, counted) for row in rows]
    runs = table(header, cells, left=3 + with_variants, words=("status", "agrees"))
    return "\n".join([heading, ", ".join(filter(None, facts)) + ".\n", runs])


def _cells(row: RunRow, with_variant: bool, counted: bool) -> list[str]:
    chunks = None if row.run.chunk_size is None or not row.n_obs else -(-row.n_obs // row.run.chunk_size)
    return [
        escape(row.run.method),
        NONE if row.run.chunk_size is None else format_count(row.run.chunk_size),
        layout_text(row.run),
        *([escape(row.run.variant)] if with_variant else []),
        _spread(row.wall_seconds),
        _spread(row.hvg_seconds),
        NONE if row.cells_per_second is None else f"{float(f'{row.cells_per_second:.3g}'):,.0f}",
        _bytes(row.peak_pss_bytes.median),
        NONE if row.prediction is None else format_bytes(row.prediction.peak_pss_bytes),
        _bytes(row.largest_worker_rss_bytes.median),
        _bytes(row.driver_heap_peak_bytes),
        NONE if row.chunk_reads is None or not chunks else significant(row.chunk_reads / chunks, 2),
        *([_vfs(row)] if counted else []),
        _status(row),
        escape(row.agreement) if row.origin == "measured" else NONE,
    ]


def _status(row: RunRow) -> str:
    status = "ok" if row.status == "ok" else f"**{escape(row.status)}**"
    return f"{status}; {escape(row.retried)}" if row.retried else status


def layout_text(run: Run) -> str:
    """Write a run's parallelism as the tables do."""
    parallelism = run.parallelism
    if parallelism is None:
        return NONE
    # Imported runs on files that are no SOMA have no TileDB threads.
    tile_threads = f"×{parallelism.tile_threads}" if parallelism.tile_threads else ""
    return f"{parallelism.processes}×{parallelism.threads}{tile_threads}"


def _vfs(row: RunRow) -> str:
    reads, read_bytes = row.vfs_reads.median, row.vfs_read_bytes.median
    return NONE if reads is None or read_bytes is None else f"{format_bytes(read_bytes)} ({reads:,.0f})"


def _bytes(value: float | None) -> str:
    return NONE if value is None else format_bytes(value)


def _spread(spread: Spread) -> str:
    if spread.median is None or spread.minimum is None or spread.maximum is None:
        return NONE
    if spread.minimum == spread.maximum:
        return significant(spread.median, 3)
    return f"{significant(spread.median, 3)} ({significant(spread.minimum, 3)}–{significant(spread.maximum, 3)})"


def agreement_markdown(agreements: Sequence[Agreement], executions: Sequence[Execution]) -> str:
    """Write every result held against the reference: genes in common, largest difference of scores."""
    parts = [
        "# Agreement\n",
        "Each execution of each run gives its own table of genes; every one is held against Scanpy's on the same cells read"
        " whole into memory, or, where that does not fit, against that of one pass: the last column names the method. The"
        " largest difference is that of any gene's dispersions (variances for the `seurat_v3` flavours), relative to the"
        " larger of 1 and the reference's value; it may be 1e-6. Normalised dispersions, which bins of small spread enlarge,"
        " are held to 1e-4, and normalised variances, which a local fit enlarges, to 5e-3.\n",
    ]
    header = [
        "dataset",
        "method",
        "run",
        "execution",
        "genes",
        "reference",
        "in common",
        "largest difference",
        "agrees",
        "held against",
    ]
    rows = []
    for agreement in agreements:
        setting = run_of(agreement).setting
        for check in agreement.checks:
            verdict = {True: "yes", False: f"**no: {escape(check.note)}**", None: f"not checked: {escape(check.note)}"}
            rows.append(
                [
                    escape(agreement.dataset),
                    escape(agreement.method),
                    NONE if setting == WHOLE else escape(setting),
                    check.execution,
                    *(NONE if n is None else f"{n:,}" for n in (check.genes_selected, check.genes_reference)),
                    NONE if check.genes_in_common is None else f"{check.genes_in_common:,}",
                    NONE if check.largest_difference is None else f"{check.largest_difference:.1e}",
                    verdict[check.agrees],
                    NONE if check.agrees is None else escape(agreement.reference or NONE),
                ]
            )
    parts += [table(header, rows, left=4, words=("agrees", "held against")), measured_with(executions)]
    return "\n".join(parts)
