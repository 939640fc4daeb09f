"""What `somaray plan` prints: every run with its expected memory and time, before it runs."""

import csv
import io
from collections.abc import Sequence
from itertools import groupby

from somaray.matrix import DEFAULT
from somaray.plan.constants import Constants
from somaray.plan.planned import Planned, seconds_of_all
from somaray.plan.work import FIGURES
from somaray.report.markdown import escape, table
from somaray.report.tables import NONE, layout_text
from somaray.settings import Limits
from somaray.submission import request_for
from somaray.units import format_bytes, format_count, format_seconds


def plan_markdown(
    planned: Sequence[Planned], constants: Constants, replicates: int, batch_key: str | None = None
) -> str:
    """Write the plan, a section a dataset.

    Parameters
    ----------
    replicates
        Timings of each run; its capture comes beside.
    batch_key
        That of the configuration, of which the model knows nothing.
    """
    parts = ["# Plan\n"]
    if batch_key is not None:
        parts.append(
            f"**Batches (hvg.batch\\_key {escape(batch_key)}) are not in the model**: what Scanpy reads and holds for each of "
            "them comes on top.\n"
        )
    for dataset, group in groupby(planned, key=lambda each: each.run.dataset):
        parts.append(_section(dataset, list(group)))
    doubtful = sum(bool(each.doubts) for each in planned if each.prediction is not None)
    known = sum(each.prediction is not None for each in planned)
    parts.append(
        f"{known} of {len(planned)} runs planned, {doubtful} of them with doubts, which keep none from being tried. Their "
        f"executions, a capture and {replicates} timing{'s' * (replicates != 1)} each, take about "
        f"{format_seconds(seconds_of_all(planned, 1 + replicates))}, preparing datasets left out.\n"
    )
    return "\n".join([*parts, constants_text(constants)])


def _section(dataset: str, planned: list[Planned]) -> str:
    size = planned[0].size
    heading = f"## {escape(dataset)}\n"
    facts = (
        "Size unknown until prepared.\n"
        if size is None
        else f"{size.n_obs:,} cells, {size.n_vars:,} genes, {size.nnz:,} non-zeros.\n"
    )
    with_variants = any(each.run.variant != DEFAULT for each in planned)
    header = ["method", "chunk", "P×T×C", *(["variant"] if with_variants else [])]
    header += ["peak PSS", "largest worker", "time", "fits"]
    rows = [_cells(each, with_variants) for each in planned]
    return "\n".join([heading, facts, table(header, rows, left=3 + with_variants, words=("fits",))])


def _cells(planned: Planned, with_variant: bool) -> list[str]:
    run, prediction = planned.run, planned.prediction
    figures = [NONE, NONE, NONE]
    if prediction is not None:
        worker_bytes = prediction.largest_worker_bytes
        figures = [
            format_bytes(prediction.peak_pss_bytes),
            NONE if worker_bytes is None else format_bytes(worker_bytes),
            NONE if prediction.seconds is None else format_seconds(prediction.seconds),
        ]
    doubts = "; ".join(planned.doubts)
    return [
        escape(run.method),
        NONE if run.chunk_size is None else format_count(run.chunk_size),
        layout_text(run),
        *([escape(run.variant)] if with_variant else []),
        *figures,
        "yes" if not doubts else doubts if prediction is None else f"**{doubts}**",
    ]


def constants_text(constants: Constants) -> str:
    """Say where the constants come from."""
    host = constants.provenance.host
    where = (
        f"{escape(host.cpu_model)}, {host.usable_cores} cores, {format_bytes(host.memory_bytes)}, "
        f"{constants.provenance.made_at[:10]}"
    )
    counts = {
        method: max(fitted.n_runs for fitted in figures.values()) for method, figures in constants.methods.items()
    }
    if not constants.own_runs:
        return f"Constants: those shipped, fitted from {sum(counts.values())} runs on {where}.\n"
    own = [f"{escape(method)} from {count} run{'s' * (count != 1)}" for method, count in counts.items() if count]
    shipped = [escape(method) for method, count in counts.items() if not count]
    text = f"Constants fitted on {where}: {', '.join(own)}"
    return text + (f"; those shipped for {', '.join(shipped)}" if shipped else "") + ".\n"


def plan_csv(planned: Sequence[Planned], limits: Limits) -> str:
    """Write the plan as plain numbers, a row a run, with what its job asks a scheduler for; an empty field is not known.

    Parameters
    ----------
    limits
        As configured, `auto` not resolved: the scheduler's host may be another.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(PLAN_COLUMNS)
    for each in planned:
        run, layout, prediction = each.run, each.run.parallelism, each.prediction
        request = request_for(run, limits, prediction)
        row = [run.dataset, run.method, run.chunk_size]
        row += [None] * 3 if layout is None else [layout.processes, layout.threads, layout.tile_threads]
        row += [run.variant]
        row += [None] * 3 if prediction is None else [getattr(prediction, figure) for figure in FIGURES]
        row += [request.cores, request.memory_mib, request.minutes, "; ".join(each.doubts)]
        writer.writerow(["" if value is None else value for value in row])
    return stream.getvalue()


PLAN_COLUMNS = (
    "dataset",
    "method",
    "chunk_size",
    "processes",
    "threads",
    "tile_threads",
    "variant",
    *(f"predicted_{figure}" for figure in FIGURES),
    "job_cores",
    "job_memory_mib",
    "job_minutes",
    "doubts",
)
