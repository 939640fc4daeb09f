"""What a run's job asks a scheduler for, and what of that is the run's own."""

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec

from somaray.config import AUTO_MEMORY_BYTES, Settings
from somaray.matrix import Run
from somaray.plan.constants import Prediction, constants_of
from somaray.plan.planned import manifest_path, predict_run
from somaray.plan.size import known_size
from somaray.settings import LOCAL, Limits, SlurmSettings

MIB = 2**20

BESIDE_MIB = 1024
"""Memory of a job that its run cannot have: two Snakemake processes, the supervisor and the sampler take about 600 MiB, and
a scheduler that sums RSS counts shared libraries once a process."""

NANNY_MIB = 512
"""Memory of a worker's job beside the worker: the process of Dask's that started it, and the sampler."""

RUN_SHARE = 0.9
"""Of the rest, what the run may have before its supervisor ends it: in time, so that its row can say so itself."""

BESIDE_MINUTES = 15
"""Time of a job beside its run's: starting Python and Snakemake, a wait for another measurement on the host, writing."""

MORE_MEMORY = 1.5
"""Memory of a second try, by the larger of what the first had asked for and what it was seen to hold: it was ended there, and
how much more it would have taken nobody knows."""

WHOLE_CORES = 4
"""Cores of a run without chunks; a whole matrix is read by as many TileDB threads as there are cores."""


MEMORY_ROOM = 1.5
"""What a job asks for in units of its run's predicted peak: captures take more than timings, and a run that is ended for want
of memory costs more than what lies idle beside it."""

TIME_ROOM = 4
"""Likewise of the predicted seconds, which were fitted on another machine than the one the job gets."""


RESOURCES = ("mem_mb", "runtime")
"""What a job asks for beside cores."""


@dataclass(frozen=True)
class Request:
    """What a job asks for; None is left to the profile's `default-resources`."""

    cores: int
    memory_mib: int | None
    minutes: int | None

    def resources(self) -> dict[str, int]:
        """As Snakemake names them; its `mem_mb` is what Slurm takes for MiB."""
        named = zip(RESOURCES, (self.memory_mib, self.minutes), strict=True)
        return {name: value for name, value in named if value is not None}


def cores_of(run: Run, workers_elsewhere: bool = False) -> int:
    """Cores that a run's job keeps busy: one for the driver, and a process's Dask threads or the TileDB threads they wait for.

    A Dask thread sleeps while TileDB reads for it, so that of T Dask and C TileDB threads of a process max(T, C) are at work.
    Workers elsewhere have cores of their own.
    """
    if run.parallelism is None:
        return WHOLE_CORES
    own = run.parallelism
    if workers_elsewhere:
        return 1
    return 1 + max(own.processes, 1) * max(own.threads, own.tile_threads)


def request_for(
    run: Run,
    limits: Limits,
    prediction: Prediction | None = None,
    most_mib: int | None = None,
    workers_elsewhere: bool = False,
) -> Request:
    """What the job of a run asks for: its cores, and memory and time of its execution with what stands beside.

    Those are what is predicted, with room, and no more than the budgets allow; the budgets alone where nothing is predicted.

    Parameters
    ----------
    most_mib
        Memory of the largest node: a prediction that asks for more would have the job refused, not tried.
    """
    budget_bytes = None if limits.memory_bytes == AUTO_MEMORY_BYTES else limits.memory_bytes
    predicted_bytes = None if prediction is None else prediction.peak_pss_bytes * MEMORY_ROOM
    own_bytes = min((size for size in (budget_bytes, predicted_bytes) if size is not None), default=None)
    memory_mib = None if own_bytes is None else -int(-own_bytes // (MIB * RUN_SHARE)) + BESIDE_MIB
    if memory_mib is not None and most_mib is not None and own_bytes != budget_bytes:
        memory_mib = min(memory_mib, most_mib)
    predicted_seconds = None
    if prediction is not None and prediction.seconds is not None:
        predicted_seconds = prediction.seconds * TIME_ROOM
    times = [time for time in (limits.time_seconds, predicted_seconds) if time is not None]
    minutes = -int(-min(times) // 60) + BESIDE_MINUTES if times else None
    return Request(cores_of(run, workers_elsewhere), memory_mib, minutes)


def planned_request(settings: Settings, run: Run, results_dir: str | Path, most_mib: int | None = None) -> Request:
    """What the job of a configuration's run asks for, by what is known of its dataset now; `most_mib` as for `request_for`.

    It does not depend on runs that end meanwhile: the same before a job is submitted and inside it.
    """
    elsewhere = settings.of(run).dask.cluster != LOCAL
    return request_for(run, settings.limits, predicted(settings, run, results_dir), most_mib, elsewhere)


def predicted(settings: Settings, run: Run, results_dir: str | Path) -> Prediction | None:
    """What is predicted of a configuration's run, by what is known of its dataset now; None where that is too little."""
    size = known_size(settings.catalogue[run.dataset], manifest_path(results_dir, run.dataset))
    return None if size is None else predict_run(settings, run, size, constants_of(results_dir), cores_of(run))


def worker_job(settings: Settings, run: Run, results_dir: str | Path) -> SlurmSettings:
    """What the Slurm job of each of a run's workers asks for: as configured, and as planned where nothing is.

    Its memory is that of the largest worker with room, and what Dask's process beside it takes; its time that of the run's job.
    """
    own = settings.of(run).dask.slurm
    prediction = predicted(settings, run, results_dir)
    memory_bytes, seconds = own.memory_bytes, own.walltime_seconds
    if memory_bytes is None and prediction is not None and prediction.largest_worker_bytes is not None:
        memory_bytes = int(prediction.largest_worker_bytes * MEMORY_ROOM) + NANNY_MIB * MIB
    minutes = request_for(run, settings.limits, prediction).minutes
    if seconds is None and minutes is not None:
        seconds = 60.0 * minutes
    return msgspec.structs.replace(own, memory_bytes=memory_bytes, walltime_seconds=seconds)


def second_memory_mib(first_mib: int, measured_mib: int | None) -> int:
    """Memory to ask for when a job of `first_mib` was ended for its memory; `measured_mib` is the most it was seen to hold."""
    return 2 * first_mib if measured_mib is None else math.ceil(MORE_MEMORY * max(first_mib, measured_mib))


def within_allocation(limits: Limits, allocated_mib: int | None) -> Limits:
    """Limits that the memory of the job allows too; a scheduler's kill leaves no record, a supervisor's does.

    No limit asked for stays none.
    """
    if allocated_mib is None or limits.memory_bytes is None:
        return limits
    own_bytes = int(max(allocated_mib - BESIDE_MIB, allocated_mib // 2) * MIB * RUN_SHARE)
    if limits.memory_bytes != AUTO_MEMORY_BYTES:
        own_bytes = min(own_bytes, limits.memory_bytes)
    return msgspec.structs.replace(limits, memory_bytes=own_bytes)
