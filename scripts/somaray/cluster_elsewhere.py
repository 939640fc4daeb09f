"""Dask workers of a cluster that runs already, known by the address of its scheduler."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from somaray.cluster import dask_config
from somaray.errors import SomarayError
from somaray.settings import DaskSettings
from somaray.units import Parallelism

if TYPE_CHECKING:
    from distributed import Client

_SEES = "seen-by-workers"


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
