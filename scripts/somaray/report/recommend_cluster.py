"""Python that makes the Dask cluster of a run, to copy: workers here, in Slurm jobs of their own, or at an address."""

import shlex
from collections.abc import Mapping

from somaray.cluster import dask_config, library_thread_environment
from somaray.cluster_slurm import slurm_time, uses_tls
from somaray.report.python_text import call, python_text
from somaray.settings import LOCAL, SLURM, DaskSettings
from somaray.units import Parallelism

INHERITED = "DASK_INTERNAL_INHERIT_CONFIG"
"""Variable in which Dask's nanny hands settings to the worker it starts; a job has no nanny's driver above it."""


def cluster_imports(dask: DaskSettings) -> list[str]:
    """Lines that import what `cluster_lines` uses."""
    names = ["Client"]
    if dask.cluster == LOCAL:
        names.append("LocalCluster")
    if dask.cluster == SLURM and uses_tls(dask):
        names.append("Security")
    lines = [f"from dask.distributed import {', '.join(names)}"]
    if _settings(dask):
        lines.append("import dask")
    if dask.cluster == SLURM:
        lines.append("from dask_jobqueue import SLURMCluster")
    return lines


def cluster_lines(layout: Parallelism, dask: DaskSettings, environment: Mapping[str, str]) -> list[str]:
    """Lines that make a cluster of a layout and connect to it; what comes below goes into their last block.

    Parameters
    ----------
    environment
        Of the program, which worker jobs shall have too.
    """
    settings = _settings(dask)
    lines = [f"dask.config.set({python_text(settings)})"] if settings else []
    if dask.cluster == LOCAL:
        arguments = {
            "n_workers": python_text(max(layout.processes, 1)),
            "threads_per_worker": python_text(layout.threads),
            "processes": python_text(layout.processes > 0),
            "memory_limit": python_text("auto" if dask.memory_management else None),
        }
        one_line = ", ".join(f"{name}={value}" for name, value in arguments.items())
        return [*lines, f"cluster = LocalCluster({one_line})", "with cluster, Client(cluster) as client:"]
    if dask.cluster == SLURM:
        return [
            *lines,
            *call("cluster = SLURMCluster", _of_jobs(layout, dask, environment)),
            f"cluster.scale(jobs={layout.processes})",
            "with cluster, Client(cluster) as client:",
            f"    client.wait_for_workers({layout.processes})",
        ]
    expected = f"# It has {layout.processes} workers of {layout.threads} threads, and this run's environment by itself."
    return [*lines, expected, f"with Client({python_text(dask.cluster)}) as client:"]


def _settings(dask: DaskSettings) -> dict[str, object]:
    """Dask's settings that differ from its own."""
    # Here, what has no limit of memory minds none; a job's worker is given that of the job.
    settings = dask_config(dask, "") if dask.cluster == SLURM else dict(dask.config)
    settings.pop("temporary-directory", None)
    return settings


def _of_jobs(layout: Parallelism, dask: DaskSettings, environment: Mapping[str, str]) -> dict[str, str]:
    own = dask.slurm
    exports = {**environment, **library_thread_environment(dask)}
    prologue = [python_text(f"export {name}={shlex.quote(value)}") for name, value in exports.items()]
    if _settings(dask):
        prologue.append(f'f"export {INHERITED}={{dask.config.serialize(dask.config.global_config)}}"')
    arguments: dict[str, object] = {
        "queue": own.queue,
        "account": own.account,
        "walltime": None if own.walltime_seconds is None else slurm_time(own.walltime_seconds),
        "cores": layout.threads,
        "processes": 1,
        "job_cpu": max(layout.threads, layout.tile_threads),
        "memory": None if own.memory_bytes is None else f"{own.memory_bytes}B",
        "interface": own.interface,
        "job_extra_directives": list(own.directives) or None,
    }
    given = {name: python_text(value) for name, value in arguments.items() if value is not None}
    if own.walltime_seconds is None:
        given["job_directives_skip"] = python_text(["#SBATCH -t "])
    if uses_tls(dask):
        given |= {"protocol": python_text("tls://"), "security": "Security()"}
    return {**given, "job_script_prologue": f"[{', '.join(prologue)}]"}
