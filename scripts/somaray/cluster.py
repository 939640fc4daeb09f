"""Make the Dask cluster of a run, and the environment its processes start with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from somaray.settings import DaskSettings
from somaray.units import Parallelism

if TYPE_CHECKING:
    from distributed import Client

LOOPBACK = "127.0.0.1"

LIBRARY_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def library_thread_environment(dask: DaskSettings) -> dict[str, str]:
    """Pin the threads of BLAS, OpenMP and numba.

    Snakemake sets them to a job's `threads` and Dask's workers inherit that, save numba's: a hidden axis of parallelism.
    They must be in the environment before the libraries are imported.
    """
    return {variable: str(dask.library_threads) for variable in LIBRARY_THREAD_VARIABLES}


def dask_config(dask: DaskSettings, scratch: str | Path) -> dict[str, Any]:
    """Settings for `dask.config.set`: memory management as asked, files under `scratch`, nothing on public addresses."""
    config: dict[str, Any] = {"temporary-directory": str(scratch)}
    if not dask.memory_management:
        config |= {f"distributed.worker.memory.{step}": False for step in ("target", "spill", "pause", "terminate")}
    return config | dask.config


@contextmanager
def open_client(parallelism: Parallelism, dask: DaskSettings, scratch: str | Path) -> Iterator["Client"]:
    """Start a cluster of `parallelism` on this host and connect to it; both are closed at the end.

    `processes` = 0 starts one worker of `threads` threads inside this process. The scheduler always lives in this process
    and listens on loopback only.
    """
    import dask as dask_package
    from distributed import Client, LocalCluster

    threads_only = parallelism.processes == 0
    with dask_package.config.set(dask_config(dask, scratch)):
        # Within one process nothing but HTTP listens, and an address for the rest is refused.
        options: dict[str, Any] = {} if threads_only else {"env": library_thread_environment(dask), "host": LOOPBACK}
        with (
            LocalCluster(
                n_workers=max(parallelism.processes, 1),
                threads_per_worker=parallelism.threads,
                processes=not threads_only,
                memory_limit="auto" if dask.memory_management else None,
                # Dask serves HTTP with the dashboard off too, and on every address unless it is told where.
                dashboard_address=f"{LOOPBACK}:0",
                worker_dashboard_address=f"{LOOPBACK}:0",
                scheduler_kwargs={"dashboard": dask.dashboard},
                local_directory=str(scratch),
                **options,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
