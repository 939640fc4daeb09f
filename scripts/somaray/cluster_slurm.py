"""Dask workers that are Slurm jobs, one each, of a scheduler in this process."""

import ipaddress
import os
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from somaray.cluster import LOOPBACK, dask_config, library_thread_environment
from somaray.errors import SomarayError
from somaray.settings import DaskSettings
from somaray.units import Parallelism

if TYPE_CHECKING:
    from distributed import Client

DEATH_SECONDS = 60
"""A worker whose scheduler does not answer for so long ends: a job may start when its run is long over."""


def is_public(address: str) -> bool:
    """Whether an IP address is one that others than this site may reach."""
    return not ipaddress.ip_address(address.partition("%")[0]).is_private


def listening_interface(dask: DaskSettings) -> str | None:
    """Network interface that a scheduler and its workers listen on: the one that is named, else one that is not public.

    None leaves it to Dask, where TLS lets nobody in that has no certificate.

    Raises
    ------
    SomarayError
        If the named one is not there, or there is none with a private address.
    """
    addresses = {
        name: [each.address for each in addresses if each.family == socket.AF_INET]
        for name, addresses in psutil.net_if_addrs().items()
    }
    known = ", ".join(f"{name} ({', '.join(own)})" for name, own in sorted(addresses.items()) if own) or "none"
    if dask.slurm.interface is not None:
        if not addresses.get(dask.slurm.interface):
            raise SomarayError(
                f"dask.slurm.interface: {dask.slurm.interface!r} has no IPv4 address on {socket.gethostname()}: "
                f"expected one of {known}"
            )
        return dask.slurm.interface
    if uses_tls(dask):
        return None
    from distributed.utils import get_ip

    # Other hosts are reached by the default route; a container bridge has a private address too, and leads nowhere.
    usual = get_ip()
    for name, own in sorted(addresses.items(), key=lambda each: (usual not in each[1], each[0])):
        if own and not any(is_public(address) or ipaddress.ip_address(address).is_loopback for address in own):
            return name
    raise SomarayError(
        f"dask.slurm.interface: no network interface of {socket.gethostname()} has a private address, and a scheduler "
        f"does not listen on a public one by itself: expected its name, of {known}, or TLS in dask.config"
    )


def uses_tls(dask: DaskSettings) -> bool:
    """Whether a scheduler has a certificate, by the run's settings or by Dask's own files."""
    import dask as dask_package

    with dask_package.config.set(dask.config):
        return bool(dask_package.config.get("distributed.comm.tls.scheduler.cert", None))


def prologue(dask: DaskSettings, environment: Mapping[str, str], settings: Mapping[str, Any]) -> list[str]:
    """Lines of a worker's job before Dask starts: variables and Dask's settings, as a local worker inherits them."""
    import dask as dask_package

    nested: dict[str, Any] = {}
    dask_package.config.set(settings, config=nested)
    own = {**environment, **library_thread_environment(dask), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    own["DASK_INTERNAL_INHERIT_CONFIG"] = dask_package.config.serialize(nested)
    return [f"export {name}={shlex.quote(value)}" for name, value in own.items()]


@contextmanager
def open_slurm(
    parallelism: Parallelism, dask: DaskSettings, work_dir: Path, environment: Mapping[str, str], name: str
) -> Iterator["Client"]:
    """Start a scheduler in this process and a Slurm job for each worker; all end with it, or when it is gone.

    Parameters
    ----------
    environment
        Variables of the run's, beside those that Slurm passes on.
    name
        Of the jobs, by which whoever started this process can cancel them.

    Raises
    ------
    SomarayError
        If dask-jobqueue is not there, no interface is private, nothing says how much memory a worker's job takes, or Slurm
        refuses it.
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise SomarayError("dask.cluster: slurm needs dask-jobqueue: uv sync --group slurm") from error
    import dask as dask_package
    from distributed import Client, Security

    own = dask.slurm
    if own.memory_bytes is None:
        raise SomarayError("dask.slurm.memory: null, and nothing is predicted of this run: expected a size, e.g. 8GiB")
    settings = dask_config(dask, work_dir)
    # Spilled data belong on a node's own disk, and where that is its own Dask knows.
    del settings["temporary-directory"]
    tls = uses_tls(dask)
    with dask_package.config.set(settings):
        interface = listening_interface(dask)
        with (
            _cluster_of_jobs(SLURMCluster)(
                queue=own.queue,
                account=own.account,
                walltime=None if own.walltime_seconds is None else slurm_time(own.walltime_seconds),
                job_directives_skip=["#SBATCH -t "] if own.walltime_seconds is None else [],
                cores=parallelism.threads,
                processes=1,
                job_cpu=max(parallelism.threads, parallelism.tile_threads),
                # dask-jobqueue hands it to the worker as its limit, which it minds only with memory management.
                memory=f"{own.memory_bytes}B",
                interface=interface,
                protocol="tls://" if tls else "tcp://",
                security=Security() if tls else None,
                scheduler_options={"dashboard_address": f"{LOOPBACK}:0", "dashboard": dask.dashboard},
                worker_extra_args=["--no-dashboard", "--dashboard-address", f"{LOOPBACK}:0"],
                death_timeout=DEATH_SECONDS,
                job_name=name,
                job_extra_directives=list(own.directives),
                job_script_prologue=prologue(dask, environment, settings),
                log_directory=str(work_dir),
                python=sys.executable,
                silence_logs="error",
            ) as cluster,
            Client(cluster) as client,
        ):
            _submit(cluster, parallelism.processes)
            _replace_lost(cluster, parallelism.processes)
            client.wait_for_workers(parallelism.processes)
            yield client


def _cluster_of_jobs(base: Any) -> Any:
    class ClusterOfJobs(base):
        """Its workers are named by numbers, as those of a local cluster are."""

        def _new_worker_name(self, worker_number: int) -> int:
            # A worker turns a name of digits into a number, and is known by that.
            return worker_number

    return ClusterOfJobs


def _submit(cluster: Any, n_workers: int) -> None:
    """Submit a job for each worker; `scale` would leave a refusal in a log and have us wait for ever."""
    from distributed.core import Status

    while len(cluster.worker_spec) < n_workers:
        cluster.worker_spec.update(cluster.new_worker_spec())
    try:
        cluster.sync(cluster._correct_state)
    except (RuntimeError, OSError) as error:
        # Else closing the cluster fails over jobs that never were.
        for job in cluster._created:
            if job.status == Status.created:
                job.status = Status.failed
        said = str(error).partition("stderr:")[2].split("\n")
        reason = next((line for line in said if line.strip()), str(error))
        raise SomarayError(f"dask.slurm: Slurm takes no job of a worker: {reason}") from error


def _replace_lost(cluster: Any, n_workers: int) -> None:
    """Start another job for a worker that is gone for good, as a local one's nanny starts another process."""
    import dask as dask_package
    from dask.utils import parse_timedelta
    from distributed.core import Status
    from distributed.diagnostics.plugin import SchedulerPlugin

    # So long Dask waits for a lost worker to come back before it gives up the job; then, one is missing.
    wait_seconds = parse_timedelta(dask_package.config.get("distributed.deploy.lost-worker-timeout")) + 0.5

    def refill() -> None:
        if cluster.status == Status.running:
            cluster.scale(n_workers)

    class Refill(SchedulerPlugin):
        name = "somaray-refill"

        def remove_worker(self, scheduler: Any, worker: str, **kwargs: Any) -> None:
            scheduler.loop.call_later(wait_seconds, refill)

    cluster.scheduler.add_plugin(Refill())


def slurm_time(seconds: float) -> str:
    """A duration as Slurm reads it, in whole minutes at least as long."""
    minutes = -int(-seconds // 60)
    return f"{minutes // 60}:{minutes % 60:02}:00"
