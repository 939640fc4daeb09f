"""What the supervisor hands to the program it starts."""

from pathlib import Path

import msgspec

from somaray.records import Record
from somaray.settings import DaskSettings, HvgSettings, ProfileSettings


def worker_jobs(work_dir: Path) -> str:
    """Name of the Slurm jobs of an execution's workers, which no other execution has."""
    return f"somaray-workers-{work_dir.name.rpartition('-')[2]}"


class Job(Record, frozen=True, kw_only=True):
    """`job.json`: all that the measured program needs to know, written for it by its supervisor.

    `module` is the method's module, as the registry has it; `export` the AnnData file that it reads, if it does; `unsupported`
    why the method cannot do what is asked, which then is not tried.
    """

    dataset: str
    method: str
    module: str
    chunk_size: int | None
    parallelism: str | None
    variant: str = "default"
    manifest: str
    hvg: HvgSettings
    tiledb: dict[str, str]
    dask: DaskSettings
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    obs_columns: tuple[str, ...] | None = None
    var_columns: tuple[str, ...] | None = None
    profile: ProfileSettings | None
    work_dir: str
    capture_dir: str | None
    hvg_path: str
    export: str | None = None
    unsupported: str = ""
