"""What a run's job asks a scheduler for, and what of that is the run's own."""

from dataclasses import dataclass

import msgspec

from somaray.config import AUTO_MEMORY_BYTES
from somaray.matrix import Run
from somaray.settings import Limits

MIB = 2**20

BESIDE_MIB = 1024
"""Memory of a job that its run cannot have: two Snakemake processes, the supervisor and the sampler take about 600 MiB, and
a scheduler that sums RSS counts shared libraries once a process."""

RUN_SHARE = 0.9
"""Of the rest, what the run may have before its supervisor ends it: in time, so that its row can say so itself."""

BESIDE_MINUTES = 15
"""Time of a job beside its run's: starting Python and Snakemake, a wait for another measurement on the host, writing."""

WHOLE_CORES = 4
"""Cores of a run without chunks; a whole matrix is read by as many TileDB threads as there are cores."""


@dataclass(frozen=True)
class Request:
    """What a job asks for; None is left to the profile's `default-resources`."""

    cores: int
    memory_mib: int | None
    minutes: int | None

    def resources(self) -> dict[str, int]:
        """As Snakemake names them; its `mem_mb` is what Slurm takes for MiB."""
        named = {"mem_mb": self.memory_mib, "runtime": self.minutes}
        return {name: value for name, value in named.items() if value is not None}


def cores_of(run: Run) -> int:
    """Cores that a run can keep busy: one for the driver, and a process's Dask threads or the TileDB threads they wait for.

    A Dask thread sleeps while TileDB reads for it, so that of T Dask and C TileDB threads of a process max(T, C) are at work.
    """
    if run.parallelism is None:
        return WHOLE_CORES
    own = run.parallelism
    return 1 + max(own.processes, 1) * max(own.threads, own.tile_threads)


def request_for(run: Run, limits: Limits) -> Request:
    """What the job of a run asks for: its cores, and the budgets of its execution with what stands beside."""
    memory_mib = None
    if limits.memory_bytes is not None and limits.memory_bytes != AUTO_MEMORY_BYTES:
        memory_mib = -int(-limits.memory_bytes // (MIB * RUN_SHARE)) + BESIDE_MIB
    minutes = None if limits.time_seconds is None else -int(-limits.time_seconds // 60) + BESIDE_MINUTES
    return Request(cores_of(run), memory_mib, minutes)


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
