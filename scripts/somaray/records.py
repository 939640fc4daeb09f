"""The JSON files the pipeline writes: one frozen, strictly read structure each, units in the names.

Every file carries `schema_version`. A field is never given a new meaning; when a structure changes, its version grows and
`UPGRADES` in `record_files` turns the older form into the newer one, so that results of earlier versions stay readable.
"""

from typing import ClassVar, Literal

from somaray.dask_work import DaskWork
from somaray.grouped import GroupBytes

# Whoever has to do with records finds reading and writing them here too.
from somaray.record_files import Record as Record
from somaray.record_files import read_record as read_record
from somaray.record_files import write_record as write_record
from somaray.residency import Residency
from somaray.settings import DaskSettings, HvgSettings, Limits, Part, ProfileSettings

Status = Literal["ok", "failed", "out of memory", "out of time", "worker lost", "killed", "unsupported"]


class RunRecord(Record, frozen=True, kw_only=True):
    """A file about one run, which it names by its point of the matrix."""

    dataset: str
    method: str
    chunk_size: int | None
    parallelism: str | None
    variant: str = "default"


class Host(Part, frozen=True, kw_only=True):
    """The machine something was measured on."""

    name: str
    cpu_model: str
    logical_cores: int
    usable_cores: int
    memory_bytes: int
    kernel: str


class Provenance(Part, frozen=True, kw_only=True):
    """Where, when and with what a record came about."""

    host: Host
    python: str
    versions: dict[str, str]
    made_at: str
    commit: str | None = None


RAW_SUM = "raw_sum"
"""Census's obs column of each cell's total count over all genes."""


class Manifest(Record, frozen=True, kw_only=True):
    """`results/datasets/NAME/manifest.json`: how to open a prepared dataset, and what is in it.

    Shapes and `nnz` count what the filters leave. `size_bytes` is the X layer's size on disk, unfiltered; None where the
    store does not tell. `tiledb` are the settings needed to open it (region, endpoint), never credentials.
    """

    name: str
    kind: str
    uri: str
    measurement: str
    layer: str
    obs_filter: str | None
    var_filter: str | None
    obs_id: str
    var_id: str
    n_obs: int
    n_vars: int
    nnz: int | None
    stored_n_obs: int
    stored_n_vars: int
    size_bytes: int | None
    obs_columns: tuple[str, ...]
    layout: str
    made_by: str
    seconds: float
    fingerprint: str
    tiledb: dict[str, str]
    provenance: Provenance


class Phase(Part, frozen=True, kw_only=True):
    """A named stretch of an execution, in seconds since its first phase began."""

    name: str
    start_seconds: float
    end_seconds: float


class ProcessRecord(Part, frozen=True, kw_only=True):
    """One process of an execution.

    `host` is where it ran. `peak_rss_bytes` is the kernel's own high-water mark (VmHWM), save of a worker of a cluster that was
    there before and whose mark was set by earlier work: then it is the largest sample of RSS. `sampled_rss_bytes` and
    `peak_pss_bytes` are the largest samples; a peak between two samples shows in the first alone. `read_bytes` are those
    asked for through system calls, `disk_read_bytes` those the kernel fetched from a device, both None where the kernel does
    not tell. `vfs_reads` are what TileDB asked of its file layer, local or remote; None where the process met a sudden end.
    `capture` names a file in `capture/`; `capture_status` is None where there was none.
    """

    name: str
    role: Literal["driver", "worker", "other"]
    pid: int
    host: str
    peak_rss_bytes: int
    peak_pss_bytes: int | None
    cpu_seconds: float
    read_bytes: int | None
    disk_read_bytes: int | None
    vfs_reads: int | None = None
    vfs_read_bytes: int | None = None
    capture: str | None = None
    capture_status: Literal["complete", "partial"] | None = None
    sampled_rss_bytes: int | None = None


class Retry(Part, frozen=True, kw_only=True):
    """A job that ended for want of memory before the one in which an execution was measured, in the same invocation.

    `memory_bytes` is what that job had asked for, `seen_bytes` the most it was seen to hold, and `retried_memory_bytes` what
    the second one asked for.
    """

    reason: str
    memory_bytes: int
    seen_bytes: int | None
    retried_memory_bytes: int


class Execution(RunRecord, frozen=True, kw_only=True):
    """`capture.json` and `timing/N.json`: one execution of a run, profiled or not, ended well or badly.

    `wall_seconds` runs from the start of the first phase to the end of the last; `replicate` is None for the capture.
    `peak_pss_bytes` is the largest sum over all processes alive at one sample, on all hosts together. CPU seconds and bytes
    read leave out what starting Python and importing took. `chunk_reads` counts finished reads of a chunk of X, all passes
    together. `vfs_reads` and `vfs_read_bytes` sum over driver and workers, None unless all of them tell.
    `tiledb`, `dask` and the columns read (None: all) are the run's own, its variant's laid over those of all runs.
    `dask_work` is None where there was no Dask, or nobody to tell of it. `retried` is None unless a scheduler's job before this
    one was too small.
    """

    VERSION: ClassVar[int] = 4
    schema_version: int = 4
    replicate: int | None
    attempt: int
    status: Status
    reason: str
    n_obs: int
    n_vars: int
    wall_seconds: float | None
    cpu_seconds: float | None
    phases: tuple[Phase, ...]
    peak_pss_bytes: int | None
    peak_pss_seconds: float | None
    read_bytes: int | None
    disk_read_bytes: int | None
    processes: tuple[ProcessRecord, ...]
    chunk_reads: int | None
    limits: Limits
    hvg: HvgSettings
    tiledb: dict[str, str]
    dask: DaskSettings
    obs_columns: tuple[str, ...] | None = None
    var_columns: tuple[str, ...] | None = None
    profile: ProfileSettings | None
    environment: dict[str, str]
    provenance: Provenance
    dask_work: DaskWork | None = None
    vfs_reads: int | None = None
    vfs_read_bytes: int | None = None
    retried: Retry | None = None

    @property
    def status_text(self) -> str:
        """`ok`, or the status and its reason."""
        return self.status if self.status == "ok" or not self.reason else f"{self.status} ({self.reason})"

    def phase_seconds(self, name: str) -> float | None:
        """Seconds spent in phases of that name; None if it never began."""
        found = [phase.end_seconds - phase.start_seconds for phase in self.phases if phase.name == name]
        return sum(found) if found else None


class Place(Part, frozen=True, kw_only=True):
    """Bytes by source line.

    `file` is named as its package's repository names it, below the source folder, e.g. `tiledbsoma/_read_iters.py` or
    `Lib/threading.py`; None where memray knows no Python frame. `package` is None where the file belongs to none.
    `total_bytes` and `n_allocations` are all there ever was there, `held_bytes` were alive at the heap's high-water mark;
    `alive_bytes` were alive when the process's pages were looked at (`Residency`), and of those `resident_bytes` lay in pages
    that the kernel had really given. Each is None where the source does not tell.
    """

    file: str | None
    function: str | None
    line: int | None
    package: str | None
    total_bytes: int | None
    held_bytes: int | None
    n_allocations: int | None = None
    alive_bytes: int | None = None
    resident_bytes: int | None = None


class ProcessAllocations(Part, frozen=True, kw_only=True):
    """What one process allocated.

    `places` are the lines that called the allocator; their totals sum exactly to `total_bytes`, what they held to
    `heap_peak_bytes` (but for a few bytes whose free memray missed).
    `blame` charges the same bytes to the innermost line of the workflow's own layers instead, and `groups` to the kind of work
    they served, in a fixed order; the groups' held bytes sum to `heap_peak_bytes` exactly.
    `rss_at_heap_peak_bytes` is the resident set at the memray sample with the largest heap, `sampled_heap_bytes` (at most the
    peak, which may fall between two samples), and `heap_peak_seconds` that sample's time since the capture began.
    `residency` is None where pages were not looked at; `residency_note` says why.
    A `partial` capture ends where its process was killed; an `unreadable` one has no numbers, and `note` says why.
    """

    name: str
    role: Literal["driver", "worker", "other"]
    pid: int
    capture: str
    capture_status: Literal["complete", "partial", "unreadable"]
    note: str = ""
    total_bytes: int | None
    n_allocations: int | None
    heap_peak_bytes: int | None
    heap_peak_seconds: float | None
    rss_at_heap_peak_bytes: int | None
    sampled_heap_bytes: int | None = None
    places: tuple[Place, ...]
    blame: tuple[Place, ...] = ()
    groups: tuple[GroupBytes, ...] = ()
    residency: Residency | None = None
    residency_note: str = ""


class Allocations(RunRecord, frozen=True, kw_only=True):
    """`allocations.json`: the captures of one run, by process and place."""

    VERSION: ClassVar[int] = 2
    schema_version: int = 2
    n_obs: int
    status: Status
    profile: ProfileSettings
    versions: dict[str, str]
    processes: tuple[ProcessAllocations, ...]


class Reference(Record, frozen=True, kw_only=True):
    """`reference.json`: what results are held against.

    `method` is None, with the reason, where there is no reference; a reason beside a method says why it is not Scanpy in
    memory, for which X would take about `needed_bytes`. `fingerprint` is that of the method that made it (or was to),
    `considered` how often the choice was reconsidered.
    """

    dataset: str
    method: str | None
    reason: str
    hvg: HvgSettings
    genes_selected: int | None
    seconds: float | None
    provenance: Provenance
    needed_bytes: int | None = None
    fingerprint: str = ""
    considered: int = 0


class AgreementCheck(Part, frozen=True, kw_only=True):
    """One result held against the reference. `execution` is `capture` or `timing/N`; `agrees` is None where not checked."""

    execution: str
    agrees: bool | None
    note: str
    genes_selected: int | None
    genes_reference: int | None
    genes_in_common: int | None
    largest_difference: float | None


class Agreement(RunRecord, frozen=True, kw_only=True):
    """`agreement.json`: every result of one run held against the reference."""

    VERSION: ClassVar[int] = 2
    schema_version: int = 2
    reference: str | None
    checks: tuple[AgreementCheck, ...]
