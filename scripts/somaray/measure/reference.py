"""The reference of a dataset: Scanpy in memory where that fits the budget of memory, else one pass over X.

Which of the two it was, and why, is in `reference.json`. A copy of that record beside it, which Snakemake does not know and
so does not remove before it makes the reference anew, lets `reconsidered` tell when the choice would now be another.
"""

import dataclasses
import sys
from pathlib import Path
from typing import TextIO

import msgspec

from somaray import stages
from somaray.agreement import empty_hvg, read_hvg
from somaray.config import AUTO_MEMORY_BYTES, Settings
from somaray.failures import note_failure
from somaray.matrix import Run
from somaray.measure.budget import resolve_limits
from somaray.measure.execute import write_hvg
from somaray.measure.orders import Outputs, job_of
from somaray.measure.reconsider import CONSIDERED
from somaray.measure.supervise import Order, supervise
from somaray.provenance import provenance
from somaray.records import Execution, Manifest, Reference, read_record, write_record
from somaray.settings import Limits
from somaray.submission import within_allocation
from somaray.units import Parallelism, format_bytes

IN_MEMORY, ONE_PASS = "in-memory", "one-pass"
REFERENCE_EXECUTION = "reference"

RETRIED = ("failed", "killed", "worker lost", "out of time")
"""Ends of a reference that the next invocation tries to better. Out of its memory budget it would end the same again, and
results that cannot be checked for that are no failure."""

PEAK_BYTES_PER_NONZERO = 32
"""Memory that Scanpy in memory takes at its peak, a non-zero: CSR counts, their transformed copy, `expm1` of that, and before
it the Arrow tables. Measured 26 (207 million non-zeros, 5.1 GiB); only used to say beforehand that a dataset does not fit."""

ONE_PASS_BYTES_PER_THREAD = 512 * 1024**2
"""Memory a thread of one pass: its strip as Arrow batches, TileDB's buffers and tiles, with room to spare."""


def make_reference(
    settings: Settings,
    dataset: str,
    manifest_path: Path,
    outputs: Outputs,
    log: TextIO,
    considered: int = 0,
    allocated_mib: int | None = None,
) -> None:
    """Compute the reference of a dataset in memory, if it fits into the budget, else in one pass; say which, and why.

    Parameters
    ----------
    considered
        How often the choice has been reconsidered, see `reconsider.reconsidered`.
    allocated_mib
        Memory of the batch job this runs in; it is the budget, where the limits allow more.
    """
    manifest = read_record(manifest_path, Manifest)
    limits = limits_of(settings.limits, allocated_mib)
    # `auto` is never taken for a budget that has grown.
    by_job = limits != settings.limits and settings.limits.memory_bytes != AUTO_MEMORY_BYTES
    settings = dataclasses.replace(settings, limits=limits)
    budget_bytes = resolve_limits(limits).memory_bytes
    needed_bytes = None if manifest.nnz is None else manifest.nnz * PEAK_BYTES_PER_NONZERO
    method, reason, execution = IN_MEMORY, why_not_in_memory(needed_bytes, budget_bytes), None
    if not reason:
        execution = _execute(settings, Run(dataset, IN_MEMORY), manifest_path, outputs, log)
        if execution.status == "out of memory":
            reason = f"in memory it ended {execution.status_text}"
            # More than was thought, and nobody knows how much more.
            needed_bytes = None if budget_bytes is None else budget_bytes + 1
    if reason:
        method = ONE_PASS
        run = Run(dataset, ONE_PASS, None, Parallelism(0, one_pass_threads(budget_bytes), 1))
        execution = _execute(settings, run, manifest_path, outputs, log)
    assert execution is not None
    fine = execution.status == "ok"
    if execution.status in RETRIED:
        note_failure(outputs.record.parent, REFERENCE_EXECUTION)
    if not fine:
        ended = f"the reference ({method}) did not end well: {execution.status_text}"
        reason = "; ".join(filter(None, [reason, ended]))
        write_hvg(outputs.hvg, empty_hvg())
    if reason:
        told = f"held against {method}" if fine else "not checked"
        print(f"[reference] {dataset} | {told}: {reason}", file=sys.stderr, flush=True)
    record = Reference(
        dataset=dataset,
        method=method if fine else None,
        reason=reason,
        hvg=settings.hvg,
        genes_selected=int(read_hvg(outputs.hvg)["highly_variable"].sum()) if fine else None,
        seconds=execution.wall_seconds,
        provenance=provenance(),
        # By this a larger limit makes the reference anew, which would help nothing where the job set the budget.
        needed_bytes=None if by_job else needed_bytes,
        fingerprint=stages.reference_fingerprint(method),
        considered=considered,
    )
    write_record(outputs.record.with_name(CONSIDERED), record)
    write_record(outputs.record, record)


def limits_of(limits: Limits, allocated_mib: int | None) -> Limits:
    """Limits of a reference in a batch job: the job's memory too, also where runs have no limit.

    A run without a limit may find out what its scheduler does; a reference that the scheduler ends leaves nothing to check
    any run by.
    """
    if allocated_mib is not None and limits.memory_bytes is None:
        limits = msgspec.structs.replace(limits, memory_bytes=AUTO_MEMORY_BYTES)
    return within_allocation(limits, allocated_mib)


def why_not_in_memory(needed_bytes: int | None, budget_bytes: int | None) -> str:
    """Say why X is not tried in memory; empty if it is.

    Where the non-zeros are not counted (a remote store behind filters) it is not: one pass is as exact, and sure to fit.
    """
    if needed_bytes is None:
        return "number of non-zeros unknown, so whether X fits in memory is too"
    if budget_bytes is not None and needed_bytes > budget_bytes:
        return f"in memory it needs about {format_bytes(needed_bytes)}, allowed {format_bytes(budget_bytes)}"
    return ""


def one_pass_threads(budget_bytes: int | None) -> int:
    """Threads for one pass: every core of this host, as far as the budget bears them."""
    cores = provenance().host.usable_cores
    return cores if budget_bytes is None else max(1, min(cores, budget_bytes // ONE_PASS_BYTES_PER_THREAD))


def _execute(settings: Settings, run: Run, manifest: Path, outputs: Outputs, log: TextIO) -> Execution:
    order = Order(
        job=job_of(settings, run, manifest, outputs),
        limits=settings.limits,
        replicate=None,
        attempt=1,
        memory_path=outputs.memory,
        title=f"[reference] {run.dataset} {run.method}",
    )
    return supervise(order, log)
