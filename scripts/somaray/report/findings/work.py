"""Findings about work: graphs, threads, chunks, and workers that wait, pause, spill or die."""

from somaray.dask_work import DaskWork
from somaray.matrix import Run
from somaray.records import Execution
from somaray.report.findings.scope import Case, Finding, RunRecords, Scope, finding_of, percent
from somaray.units import format_bytes, format_seconds, significant

LARGE_GRAPH_BYTES = 10 * 2**20
"""Where Dask itself begins to warn (`distributed.admin.large-graph-warning-threshold`)."""

JOINID_BYTES = 8
IDLE_SHARE = 0.5
LEAST_SECONDS = 1.0
"""Shorter than that, starting and waiting outweigh all work and tell nothing."""


def _dask_work(each: RunRecords) -> DaskWork | None:
    return next((done.dask_work for done in each.good if done.dask_work), None)


def large_graph(scope: Scope) -> Finding | None:
    """Graphs that are large to send, to the scheduler or task by task to the workers, and how that grows with the chunks.

    Sent to the scheduler, a graph holds what its tasks share once; each task that a worker is handed holds it again.
    """
    cases, sizes = [], []
    for each in scope.runs:
        work = _dask_work(each)
        if work is None or not each.n_chunks:
            continue
        reads = max((done.chunk_reads or 0 for done in each.good), default=0)
        tasks_bytes = reads * work.task_bytes
        sizes.append((each.n_chunks, work.graph_bytes, tasks_bytes, each.run.setting))
        if max(work.graph_bytes, tasks_bytes) >= LARGE_GRAPH_BYTES:
            genes_bytes = each.executions[0].n_vars * JOINID_BYTES
            text = (
                f"{work.n_graphs} graph{'s' * (work.n_graphs != 1)} of {format_bytes(work.graph_bytes)} in all for "
                f"{each.n_chunks:,} chunks; {reads:,} reads of a chunk × {format_bytes(work.task_bytes)}, the largest task, "
                f"are {format_bytes(tasks_bytes)} to the workers; the joinids of all {each.executions[0].n_vars:,} genes take "
                f"{format_bytes(genes_bytes)}"
            )
            cases.append(Case(each.run, max(work.graph_bytes, tasks_bytes), text))
    more = []
    few, many = min(sizes, default=None), max(sizes, default=None)
    if few and many and many[0] > few[0]:
        more.append(
            f"From {few[0]:,} to {many[0]:,} chunks (`{few[3]}`, `{many[3]}`) the graphs grow from {format_bytes(few[1])} "
            f"to {format_bytes(many[1])}, what workers are sent from {format_bytes(few[2])} to {format_bytes(many[2])}."
        )
    remedy = (
        "Every task carries the joinids of its cells and of all genes, so what the driver sends grows with chunks × genes; "
        "larger `chunk_sizes` make it less, and `one-pass` sends ranges instead."
    )
    return finding_of(
        scope, "large-graph", "Large graphs", cases, "sent by Dask's scheduler", format_bytes, remedy, more=more
    )


def more_threads_than_cores(scope: Scope) -> Finding | None:
    """Threads of Dask, of TileDB and of numerical libraries against the cores there are."""
    cases = []
    fitting = []
    for each in scope.runs:
        layout, done = each.run.parallelism, each.executions[0]
        if layout is None:
            continue
        cores = done.provenance.host.usable_cores
        processes = max(layout.processes, 1)
        library = _library_threads(done)
        threads = {
            f"Dask {processes} × {layout.threads}": processes * layout.threads,
            f"TileDB {processes} × {layout.tile_threads} for computing and as many for reading": processes
            * layout.tile_threads,
            f"numba and BLAS {processes} × {layout.threads} × {library}": processes * layout.threads * library,
        }
        if max(threads.values()) <= cores:
            fitting.append(each)
            continue
        products = "; ".join(f"{name} = {n}" for name, n in threads.items())
        took = f", {format_seconds(each.wall_seconds)}" if each.wall_seconds else ""
        text = f"{products}, on {cores} usable core{'s' * (cores != 1)}{took}"
        cases.append(Case(each.run, max(threads.values()) / cores, text))
    timed = [each for each in fitting if each.wall_seconds]
    quick = min(timed, key=lambda each: each.wall_seconds or 0.0, default=None)
    more = (
        [f"Fastest without: `{quick.run.setting}`, {format_seconds(quick.wall_seconds or 0)}."]
        if quick is not None and cases
        else []
    )
    remedy = (
        "Threads that take turns on a core cost memory each and gain nothing, but for those that wait for a remote store. "
        "Choose `parallelism` with processes × threads, and processes × TileDB threads, up to the cores; leave "
        "`dask.library_threads` at 1."
    )
    return finding_of(
        scope,
        "threads",
        "More threads than cores",
        cases,
        "threads a core:",
        lambda ratio: significant(ratio, 2),
        remedy,
        more=more,
    )


def _library_threads(execution: Execution) -> int:
    """Threads of numerical libraries as the environment gave them to the processes, the largest of them."""
    told = [value for name, value in execution.environment.items() if name.endswith("_NUM_THREADS") and value.isdigit()]
    return max(map(int, told), default=execution.dask.library_threads)


def spilled_or_paused(scope: Scope) -> Finding | None:
    """Workers that Dask made write to disk or pause for want of memory."""
    cases = []
    for each in scope.runs:
        works = [done.dask_work for done in each.executions if done.dask_work]
        spilled_bytes = max((work.spilled_bytes or 0 for work in works), default=0)
        longest = max(works, key=lambda work: work.paused_seconds, default=None)
        if spilled_bytes or (longest and longest.n_pauses):
            text = f"{format_bytes(spilled_bytes)} written to disk"
            if longest and longest.n_pauses:
                text += (
                    f"; workers paused {longest.n_pauses} time{'s' * (longest.n_pauses != 1)}, "
                    f"{format_seconds(longest.paused_seconds)} in all"
                )
            cases.append(Case(each.run, spilled_bytes, text))
    remedy = (
        "Dask's memory limit (`dask.memory_management`) is too tight for these chunks: take smaller `chunk_sizes` or fewer "
        "threads; or set `dask.config` `distributed.worker.memory.*`, knowing that times with spilling measure the disk."
    )
    return finding_of(scope, "spilled", "Workers that spilled or paused", cases, "spilled", format_bytes, remedy)


def lost_workers(scope: Scope) -> Finding | None:
    """Workers that died and were replaced, or ended the run."""
    cases = []
    for each in scope.runs:
        layout = each.run.parallelism
        if layout is None or not layout.processes:
            continue
        for done in each.executions:
            workers = [process for process in done.processes if process.role == "worker"]
            lost = len(workers) - layout.processes
            if lost > 0:
                name = "capture" if done.replicate is None else f"timing {done.replicate}"
                text = f"{len(workers)} worker processes in {name}, {layout.processes} at a time; it ended {done.status_text}"
                cases.append(Case(each.run, lost, text))
    worst = {case.run: case for case in sorted(cases, key=lambda case: case.figure)}
    remedy = (
        "A worker that dies loses its chunks, which are read again. Look at the end of its log in `results/logs`, and whether "
        "the kernel ended it for memory."
    )
    return finding_of(scope, "lost-workers", "Workers that died", worst.values(), "lost:", lambda n: f"{n:.0f}", remedy)


def fewer_chunks_than_threads(scope: Scope) -> Finding | None:
    """Fewer chunks than Dask threads, so that some never have one."""
    cases = []
    for each in scope.runs:
        if each.run.parallelism is None or not each.n_chunks:
            continue
        threads = each.run.parallelism.dask_threads
        if each.n_chunks < threads:
            text = f"{each.n_chunks} chunk{'s' * (each.n_chunks != 1)} for {threads} Dask threads"
            took = each.wall_seconds
            cases.append(Case(each.run, threads / each.n_chunks, text + (f", {format_seconds(took)}" if took else "")))
    quick = _quickest(scope, {case.run for case in cases})
    return finding_of(
        scope,
        "few-chunks",
        "Fewer chunks than threads",
        cases,
        "threads a chunk:",
        lambda ratio: significant(ratio, 2),
        "Some threads have nothing to do: choose `chunk_sizes` that give at least two chunks a Dask thread.",
        more=[quick] if cases and quick else (),
    )


def _quickest(scope: Scope, seen: set[Run]) -> str | None:
    timed = [each for each in scope.runs if each.run not in seen and each.wall_seconds]
    if not timed:
        return None
    quick = min(timed, key=lambda each: each.wall_seconds or 0.0)
    return f"Fastest of the others: `{quick.run.setting}`, {format_seconds(quick.wall_seconds or 0)}."


def idle_threads(scope: Scope) -> Finding | None:
    """Dask threads that computed for less than half of the time after the cluster's start."""
    cases = []
    for each in scope.runs:
        if each.run.parallelism is None or not each.n_chunks or each.n_chunks < each.run.parallelism.dask_threads:
            continue
        threads = each.run.parallelism.dask_threads
        for done in each.good:
            seconds = (done.wall_seconds or 0.0) - (done.phase_seconds("cluster") or 0.0)
            if done.dask_work is None or seconds < LEAST_SECONDS or not done.dask_work.n_tasks:
                continue
            busy = done.dask_work.compute_seconds / (threads * seconds)
            if busy < IDLE_SHARE:
                text = (
                    f"{done.dask_work.n_tasks:,} tasks computed for {format_seconds(done.dask_work.compute_seconds)} in "
                    f"{format_seconds(seconds)} × {threads} thread{'s' * (threads != 1)}, {percent(busy)} of it"
                )
                cases.append(Case(each.run, 1 - busy, text))
    worst = {case.run: case for case in sorted(cases, key=lambda case: case.figure)}
    remedy = (
        "The driver works while the workers wait: it opens the experiment, reads obs and var, sends graphs, ranks genes. More "
        "workers gain nothing there; larger datasets weigh it less. Phases are in `timing/N.json`."
    )
    return finding_of(
        scope, "idle", "Dask threads that mostly wait", worst.values(), "of the time idle:", percent, remedy
    )


def slow_start(scope: Scope) -> Finding | None:
    """Starting Dask took longer than all that came after."""
    cases = []
    for each in scope.runs:
        start = each.over(lambda done: done.phase_seconds("cluster"))
        if start is None or not each.wall_seconds or start < LEAST_SECONDS or start <= each.wall_seconds - start:
            continue
        text = f"{format_seconds(start)} of {format_seconds(each.wall_seconds)} went into starting Dask"
        cases.append(Case(each.run, start / each.wall_seconds, text))
    remedy = (
        "Each worker process imports the libraries before its first task. For data this small compare `hvg_seconds`, or run "
        "threads in the driver (`0xTxC`), which starts no process."
    )
    return finding_of(
        scope, "slow-start", "Starting Dask took longer than the work", cases, "of the time:", percent, remedy
    )
