"""Settings that are handed to an execution and kept in its record, as frozen structures."""

from typing import Any

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of a record; unknown fields are an error."""


class HvgSettings(Part, frozen=True, kw_only=True):
    """Arguments of `scanpy.pp.highly_variable_genes` and of the normalisation before it, in Scanpy's own words."""

    flavor: str = "seurat"
    n_top_genes: int | None = None
    n_bins: int = 20
    min_mean: float = 0.0125
    max_mean: float = 3.0
    min_disp: float = 0.5
    max_disp: float | None = None
    span: float = 0.3
    batch_key: str | None = None
    target_sum: float | None = None


class SlurmSettings(Part, frozen=True, kw_only=True):
    """What each worker's Slurm job asks for; None is left to the plan, or to Slurm.

    `interface` is the network interface that the scheduler and workers listen on, `directives` are further `#SBATCH` lines.
    """

    queue: str | None = None
    account: str | None = None
    walltime_seconds: float | None = None
    memory_bytes: int | None = None
    interface: str | None = None
    directives: tuple[str, ...] = ()


LOCAL, SLURM = "local", "slurm"


class DaskSettings(Part, frozen=True, kw_only=True):
    """How the Dask cluster of a run is made.

    `cluster` is `local` (workers are children of the driver), `slurm` (a Slurm job each), or the address of a scheduler that
    runs already.
    """

    cluster: str = LOCAL
    slurm: SlurmSettings = SlurmSettings()

    memory_management: bool = False
    dashboard: bool = False
    library_threads: int = 1
    config: dict[str, Any] = {}


class RunSettings(Part, frozen=True, kw_only=True):
    """What one run is executed with beside HVG and limits: the settings of all runs, its variant's laid over them.

    `environment` are variables of the measured program and its Dask workers. `obs_columns` and `var_columns` are those read
    into an AnnData, beside the ones that a method needs; None reads all.
    """

    tiledb: dict[str, str] = {}
    dask: DaskSettings = DaskSettings()
    environment: dict[str, str] = {}
    obs_columns: tuple[str, ...] | None = None
    var_columns: tuple[str, ...] | None = None


class ProfileSettings(Part, frozen=True, kw_only=True):
    """What memray watches in a capture."""

    native_traces: bool = False
    trace_python_allocators: bool = False


class Limits(Part, frozen=True, kw_only=True):
    """Budgets of one execution; None is no limit."""

    memory_bytes: int | None = None
    time_seconds: float | None = None
