"""Dask workers that are not below the driver: a Slurm job each, or of a cluster that runs already."""

import ipaddress
import os
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from somaray.cluster import LOOPBACK, dask_config, library_thread_environment
from somaray.errors import SomarayError
from somaray.settings import DaskSettings
from somaray.units import Parallelism

if TYPE_CHECKING:
    from distributed import Client

DEATH_SECONDS = 60
"""A worker whose scheduler does not answer for so long ends: a job may start when its run is long over."""

_SEES = "seen-by-workers"


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
    for name, own in sorted(addresses.items()):
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
        If dask-jobqueue is not there, no interface is private, or nothing says how much memory a worker's job takes.
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
            cluster.scale(parallelism.processes)
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


class Found(NamedTuple):
    """What a worker of a cluster that runs already tells of itself."""

    host: str
    python: str
    imports: bool
    sees: bool


@contextmanager
def open_address(parallelism: Parallelism, dask: DaskSettings, work_dir: Path) -> Iterator["Client"]:
    """Connect to a scheduler that runs already; neither it nor a worker is ended.

    Raises
    ------
    SomarayError
        If nobody answers, or its workers are not those of `parallelism`, cannot import this package, or do not see this
        run's folder.
    """
    import dask as dask_package
    from distributed import Client

    with dask_package.config.set(dask_config(dask, work_dir)):
        try:
            client = Client(dask.cluster)
        except (OSError, TypeError, ValueError) as error:
            raise SomarayError(f"dask.cluster: {dask.cluster} does not take us in: {error}") from error
        with client:
            check_workers(dask.cluster, client.nthreads(), parallelism)
            check_found(dask.cluster, _look(client, work_dir), work_dir)
            yield client


def check_workers(address: str, n_threads: Mapping[str, int], parallelism: Parallelism) -> None:
    """See that a cluster is what a run's parallelism says.

    Raises
    ------
    SomarayError
        If there are more or fewer workers, or threads in one of them.
    """
    found = sorted(n_threads.values())
    if found != [parallelism.threads] * parallelism.processes:
        threads = ", ".join(map(str, found))
        raise SomarayError(
            f"dask.cluster: {address} has {len(found)} workers" + (f" with {threads} threads" if found else "") + ": "
            f"expected {parallelism.processes} with {parallelism.threads} each, as {parallelism} says"
        )


def check_found(address: str, found: Mapping[str, Found], work_dir: Path) -> None:
    """See that all that take part can do it.

    Raises
    ------
    SomarayError
        If one cannot import this package, has another Python, or does not see this run's folder.
    """
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    for who, each in found.items():
        where = f"dask.cluster: {address}: {who} on {each.host}"
        if not each.imports:
            raise SomarayError(f"{where} cannot import somaray: expected it installed there as it is here")
        if each.python != own:
            raise SomarayError(f"{where} runs Python {each.python}: expected {own}, as here")
        if not each.sees:
            raise SomarayError(f"{where} does not see {work_dir}: expected the results on a file system that all share")


def _look(client: "Client", work_dir: Path) -> dict[str, Found]:
    # A function within one goes to others by value: who knows this package and who does not must both run it.
    def look(path: str) -> tuple[Any, ...]:
        import importlib.util
        import os
        import socket
        import sys

        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        imports = importlib.util.find_spec("somaray") is not None
        return socket.gethostname(), version, imports, os.path.exists(path)

    token = work_dir / _SEES
    token.touch()
    told = {f"worker {worker}": answer for worker, answer in client.run(look, str(token)).items()}
    told["the scheduler"] = client.run_on_scheduler(look, str(token))
    return {who: Found(*answer) for who, answer in told.items()}
