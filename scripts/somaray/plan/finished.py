"""From records of finished runs to what the model is fitted from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from somaray.matrix import Run
from somaray.plan.size import Size
from somaray.plan.work import PEAK, SECONDS, WORKER, Work, work_of
from somaray.records import Execution, RunRecord
from somaray.settings import LOCAL, RunSettings
from somaray.units import parse_parallelism


@dataclass(frozen=True)
class Case:
    """A finished run: what the model sees of it, and what was measured by figure; a figure it does not have is absent."""

    dataset: str
    work: Work
    measured: Mapping[str, float]


def run_of(record: RunRecord) -> Run:
    """The run a record belongs to."""
    parallelism = None if record.parallelism is None else parse_parallelism(record.parallelism)
    return Run(record.dataset, record.method, record.chunk_size, parallelism, record.variant)


def work_of_execution(execution: Execution, size: Size) -> Work:
    """See an execution as the model does, on the host it ran on."""
    cores = execution.provenance.host.usable_cores
    settings = RunSettings(tiledb=execution.tiledb, obs_columns=execution.obs_columns)
    return work_of(run_of(execution), size, execution.hvg, settings, cores)


def cases_of(executions: Iterable[Execution], sizes: Mapping[str, Size | None]) -> list[Case]:
    """A case a run: the largest memory and the least time of its unprofiled executions that ended well.

    Whatever else a machine does takes time from a run, and none of it is the run's own.

    Parameters
    ----------
    sizes
        Of the datasets, by name; runs on others are left out.
    """
    found: dict[tuple[Run, Work], list[Execution]] = {}
    for execution in executions:
        size = sizes.get(execution.dataset)
        # Workers elsewhere share no pages with their driver, and may be of another kind of host.
        here = execution.dask.cluster == LOCAL
        if size is not None and here and execution.status == "ok" and execution.profile is None:
            found.setdefault((run_of(execution), work_of_execution(execution, size)), []).append(execution)
    return [Case(run.dataset, work, _measured(work, group)) for (run, work), group in found.items()]


def _measured(work: Work, group: list[Execution]) -> dict[str, float]:
    peaks = [done.peak_pss_bytes for done in group if done.peak_pss_bytes]
    workers = [own.peak_rss_bytes for done in group for own in done.processes if own.role == "worker"]
    seconds = [done.wall_seconds for done in group if done.wall_seconds]
    measured: dict[str, float] = {}
    if peaks:
        measured[PEAK] = max(peaks)
    if workers:
        measured[WORKER] = max(workers)
    if seconds and not work.reads_over_the_net:
        measured[SECONDS] = min(seconds)
    return measured
