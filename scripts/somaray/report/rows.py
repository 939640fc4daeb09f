"""One row a run: the medians of its timings, the peaks of its capture, its agreement, and how it ended."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from somaray.allocations.foreign import ForeignRun
from somaray.matrix import Run
from somaray.plan.constants import Prediction, predict, shipped_constants

# Whoever has to do with rows finds the run of a record here too.
from somaray.plan.finished import run_of as run_of
from somaray.plan.finished import work_of_execution
from somaray.plan.size import size_of
from somaray.records import Agreement, Allocations, Execution, Manifest
from somaray.registry import METHODS
from somaray.units import format_bytes


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of a figure over replicates; all None where no replicate has it."""

    median: float | None = None
    minimum: float | None = None
    maximum: float | None = None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread":
        """Summarise the values there are."""
        known = [value for value in values if value is not None]
        return cls(median(known), min(known), max(known)) if known else cls()


@dataclass(frozen=True)
class RunRow:
    """A row of the table of runs; what `runs.csv` names its columns after, see `CSV_COLUMNS` in `tables`.

    `origin` is `measured`, or `imported` for a foreign record. `status` is `ok` or tells the first thing that went wrong.
    `prediction` is what the plan's shipped constants say, None where they say nothing.
    `retried` tells of executions whose job was too small and that a larger one measured again.
    """

    run: Run
    origin: str
    status: str
    replicates: int
    n_obs: int | None
    n_vars: int | None = None
    nnz: int | None = None
    layout: str = ""
    wall_seconds: Spread = field(default_factory=Spread)
    hvg_seconds: Spread = field(default_factory=Spread)
    cpu_seconds: Spread = field(default_factory=Spread)
    peak_pss_bytes: Spread = field(default_factory=Spread)
    largest_worker_rss_bytes: Spread = field(default_factory=Spread)
    driver_rss_bytes: Spread = field(default_factory=Spread)
    driver_heap_peak_bytes: int | None = None
    driver_total_bytes: int | None = None
    read_bytes: Spread = field(default_factory=Spread)
    disk_read_bytes: Spread = field(default_factory=Spread)
    chunk_reads: int | None = None
    vfs_reads: Spread = field(default_factory=Spread)
    vfs_read_bytes: Spread = field(default_factory=Spread)
    reference: str | None = None
    agreement: str = "not checked"
    genes_selected: int | None = None
    genes_reference: int | None = None
    genes_in_common: int | None = None
    largest_difference: float | None = None
    prediction: Prediction | None = None
    retried: str = ""

    @property
    def cells_per_second(self) -> float | None:
        """Cells divided by the median of all phases' seconds."""
        seconds = self.wall_seconds.median
        return self.n_obs / seconds if self.n_obs and seconds else None


def build_rows(
    manifests: Sequence[Manifest],
    captures: Sequence[Execution],
    timings: Sequence[Execution],
    allocations: Sequence[Allocations],
    agreements: Sequence[Agreement],
    imported: Sequence[ForeignRun] = (),
) -> list[RunRow]:
    """Join all records of all runs, a row each, in the order of the matrix; imported rows last."""
    by_name = {manifest.name: manifest for manifest in manifests}
    timed: dict[Run, list[Execution]] = {}
    for timing in sorted(timings, key=lambda record: record.replicate or 0):
        timed.setdefault(run_of(timing), []).append(timing)
    allocated = {run_of(record): record for record in allocations}
    agreed = {run_of(record): record for record in agreements}
    rows = []
    for capture in sorted(captures, key=lambda record: run_of(record).sort_key):
        run = run_of(capture)
        rows.append(
            _measured_row(run, by_name[run.dataset], capture, timed.get(run, []), allocated.get(run), agreed[run])
        )
    return rows + [_imported_row(foreign) for foreign in imported]


def _measured_row(
    run: Run,
    manifest: Manifest,
    capture: Execution,
    timings: list[Execution],
    allocations: Allocations | None,
    agreement: Agreement,
) -> RunRow:
    good = [timing for timing in timings if timing.status == "ok"]
    driver = next((own for own in allocations.processes if own.role == "driver"), None) if allocations else None
    checks = [check for check in agreement.checks if check.agrees is not None]
    worst = min(checks, key=lambda check: (check.agrees, check.genes_in_common or 0), default=None)

    def over(figure: Callable[[Execution], float | None]) -> Spread:
        return Spread.of(figure(timing) for timing in good)

    return RunRow(
        run=run,
        origin="measured",
        status=status_of(capture, timings, agreement),
        retried=retried_of([capture, *timings]),
        replicates=len(good),
        n_obs=manifest.n_obs,
        n_vars=manifest.n_vars,
        nnz=manifest.nnz,
        layout=manifest.layout,
        wall_seconds=over(lambda timing: timing.wall_seconds),
        hvg_seconds=over(lambda timing: timing.phase_seconds("hvg")),
        cpu_seconds=over(lambda timing: timing.cpu_seconds),
        peak_pss_bytes=over(lambda timing: timing.peak_pss_bytes),
        largest_worker_rss_bytes=over(lambda timing: largest_rss_bytes(timing, "worker")),
        driver_rss_bytes=over(lambda timing: largest_rss_bytes(timing, "driver")),
        driver_heap_peak_bytes=driver.heap_peak_bytes if driver else None,
        driver_total_bytes=driver.total_bytes if driver else None,
        read_bytes=over(lambda timing: timing.read_bytes),
        disk_read_bytes=over(lambda timing: timing.disk_read_bytes),
        vfs_reads=over(lambda timing: timing.vfs_reads),
        vfs_read_bytes=over(lambda timing: timing.vfs_read_bytes),
        chunk_reads=next((timing.chunk_reads for timing in good), None),
        reference=agreement.reference,
        agreement=agreement_of(agreement),
        genes_selected=worst.genes_selected if worst else _selected(agreement),
        genes_reference=worst.genes_reference if worst else None,
        genes_in_common=worst.genes_in_common if worst else None,
        largest_difference=max((check.largest_difference or 0.0 for check in checks), default=None),
        prediction=_predicted(manifest, capture),
    )


def _predicted(manifest: Manifest, execution: Execution) -> Prediction | None:
    """What the constants shipped say of a run: they know nothing of it, as the plan before it ran did not."""
    size, method = size_of(manifest), METHODS.get(execution.method)
    if size is None or method is None or execution.hvg.flavor not in method.flavors:
        return None
    return predict(work_of_execution(execution, size), shipped_constants())


def _selected(agreement: Agreement) -> int | None:
    return next((check.genes_selected for check in agreement.checks if check.genes_selected is not None), None)


def largest_rss_bytes(execution: Execution, role: str) -> int | None:
    """The largest high-water mark of resident memory among processes of a role."""
    return max((process.peak_rss_bytes for process in execution.processes if process.role == role), default=None)


def status_of(capture: Execution, timings: Sequence[Execution], agreement: Agreement) -> str:
    """`ok`, or the first thing that went wrong, in the order capture, timings, agreement."""
    for execution in [capture, *timings]:
        if execution.status != "ok":
            return execution.status_text
    disagreeing = next((check for check in agreement.checks if check.agrees is False), None)
    return "ok" if disagreeing is None else f"disagrees with the reference ({disagreeing.note})"


def retried_of(executions: Sequence[Execution]) -> str:
    """Which executions of a run were measured again in a larger job, and what became of the smaller one; empty if none."""
    told = []
    for execution in executions:
        if execution.retried is not None:
            name = "capture" if execution.replicate is None else f"timing-{execution.replicate}"
            more = format_bytes(execution.retried.retried_memory_bytes)
            told.append(f"{name} measured again in a job of {more}: {execution.retried.reason}")
    return "; ".join(told)


def agreement_of(agreement: Agreement) -> str:
    """`yes (N of N)`, `no (…)` or `not checked`; a reference other than Scanpy in memory is named."""
    checked = [check for check in agreement.checks if check.agrees is not None]
    if not checked:
        return "not checked"
    good = sum(bool(check.agrees) for check in checked)
    against = "" if agreement.reference in (None, "in-memory") else f", against {agreement.reference}"
    return f"{'yes' if good == len(checked) else 'no'} ({good} of {len(checked)}{against})"


def _imported_row(foreign: ForeignRun) -> RunRow:
    return RunRow(
        run=foreign.run,
        origin="imported",
        status="ok",
        replicates=1,
        n_obs=foreign.n_obs,
        wall_seconds=Spread.of([foreign.wall_seconds]),
        hvg_seconds=Spread.of([foreign.hvg_seconds]),
        driver_heap_peak_bytes=foreign.driver_heap_peak_bytes,
        driver_total_bytes=foreign.driver_total_bytes,
    )
